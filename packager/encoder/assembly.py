"""Which of the processor's instructions x264 may use: all but AVX-512."""

from __future__ import annotations

from pathlib import Path

AUTO = "auto"
_CPUINFO = Path("/proc/cpuinfo")
_AVX512 = "avx512f"
_AVX2 = frozenset({"avx2", "fma", "abm", "bmi1", "bmi2"})
"""Linux's names for what x264 means by "avx2" (common/cpu.c) beyond what every processor with AVX2 has."""


def assembly(features: frozenset[str]) -> str:
    """x264's `asm` for a processor with those features (Linux's names, `processor_features`); pure.

    x264's macroblock tree for AVX-512 (core 165: mbtree_propagate_list) takes eight macroblocks at a time and does not
    stop at the end of a row: unless the width is a multiple of 128, which no portrait rung's is, it counts macroblocks
    that are not there, behind the last row from memory that nobody wrote. The same pictures then give other bytes from
    one run to the next. AVX2 has no such fault, gives the same bytes at the other widths, and is no slower
    (docs/decisions/0107-no-avx512.md).
    """
    return "avx2" if _AVX512 in features and features >= _AVX2 else AUTO


def processor_features(path: Path = _CPUINFO) -> frozenset[str]:
    """The features of the first processor listed; none where the kernel does not list them so (other than x86).

    Behind the walls the file cannot be opened. `path` is for tests.
    """
    try:
        with path.open() as lines:  # read as far as needed: the kernel makes up this text for each processor anew
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(flags.partition(":")[2].split())
