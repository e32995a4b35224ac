from pathlib import Path

import pytest

from packager.encoder.assembly import assembly, processor_features

HASWELL = frozenset({"fpu", "sse2", "ssse3", "sse4_2", "avx", "f16c", "fma", "abm", "bmi1", "bmi2", "avx2"})
SKYLAKE_X = HASWELL | {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"}


@pytest.mark.parametrize(
    ("features", "wanted"),
    [
        (SKYLAKE_X, "avx2"),
        (HASWELL, "auto"),
        (SKYLAKE_X - {"bmi2"}, "auto"),  # a virtual machine that hides one: x264 must not use it
        (frozenset(), "auto"),
    ],
)
def test_a_processor_with_avx512_is_used_as_one_without(features: frozenset[str], wanted: str) -> None:
    assert assembly(features) == wanted


def test_the_features_are_those_of_the_first_processor(tmp_path: Path) -> None:
    listed = tmp_path / "cpuinfo"
    listed.write_text("processor\t: 0\nflags\t\t: fpu avx2\nbugs\t\t: none\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert processor_features(listed) == {"fpu", "avx2"}


def test_a_kernel_that_lists_no_flags_gives_none(tmp_path: Path) -> None:
    arm = tmp_path / "cpuinfo"
    arm.write_text("processor\t: 0\nFeatures\t: fp asimd\n")
    assert processor_features(arm) == frozenset()
    assert processor_features(tmp_path / "none") == frozenset()
