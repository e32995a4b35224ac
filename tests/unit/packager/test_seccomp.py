import struct

import pytest

from packager.sandbox.seccomp import program

ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def run(machine: str, number: int, argument: int = 0, *, arch: int | None = None) -> int:
    """Interpret the filter as the kernel would (the five instructions it uses)."""
    code = list(struct.iter_unpack("<HBBI", program(machine, 4242)))
    data = {0: number, 4: ARCH[machine] if arch is None else arch, 16: argument}
    place, accumulator = 0, 0
    while True:
        kind, if_true, if_false, value = code[place]
        place += 1
        if kind == 0x20:
            accumulator = data[value]
        elif kind == 0x06:
            return value
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[kind]
            place += if_true if holds else if_false


@pytest.mark.parametrize(
    ("machine", "number", "argument", "verdict"),
    [
        ("x86_64", 0, 0, ALLOW),  # read
        ("x86_64", 257, 0, ALLOW),  # openat: files are Landlock's
        ("x86_64", 41, 0, EPERM),  # socket
        ("x86_64", 59, 0, EPERM),  # execve
        ("x86_64", 57, 0, EPERM),  # fork
        ("x86_64", 62, 0, EPERM),  # kill
        ("x86_64", 101, 0, EPERM),  # ptrace
        ("x86_64", 435, 0, ENOSYS),  # clone3
        ("x86_64", 56, 0x00010F00, ALLOW),  # clone of a thread
        ("x86_64", 56, 0x11, EPERM),  # clone of a process
        ("x86_64", 234, 4242, ALLOW),  # tgkill of itself: abort()
        ("x86_64", 234, 1, EPERM),
        ("x86_64", 0x40000000 | 41, 0, EPERM),  # x32
        ("aarch64", 63, 0, ALLOW),
        ("aarch64", 198, 0, EPERM),
        ("aarch64", 221, 0, EPERM),
        ("aarch64", 220, 0x00010000, ALLOW),
    ],
)
def test_the_filter_decides(machine: str, number: int, argument: int, verdict: int) -> None:
    assert run(machine, number, argument) == verdict


def test_another_architectures_calls_kill() -> None:
    assert run("x86_64", 1, arch=0x40000003) == KILL
