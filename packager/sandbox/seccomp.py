"""A seccomp filter: no sockets, no programs, no other processes, no kernel doors. Linux on x86-64 and arm64.

A list of what is forbidden rather than of what is allowed: codecs, allocators and Python make too many harmless calls
to list for every libc, and files are Landlock's business. Forbidden calls fail with EPERM, so that a library that only
tries (FFmpeg probing for a device) goes on instead of dying.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SECCOMP_CALL = {"x86_64": 317, "aarch64": 277}
_FORBIDDEN = {
    # name: (x86-64, arm64); None where the architecture has no such call
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "sendto": (44, 206),
    "bind": (49, 200),
    "listen": (50, 201),
    "socketpair": (53, 199),
    "accept4": (288, 242),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "open_by_handle_at": (304, 265),
}
_CLONE, _CLONE3, _TGKILL = (56, 220), (435, 435), (234, 131)
_CLONE_THREAD = 0x00010000

# struct seccomp_data: nr @0, arch @4, instruction pointer @8, args @16 (low words first on these machines)
_NR, _ARCH, _ARG0 = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_X32_BIT = 0x40000000
_MODE_FILTER, _FLAG_TSYNC = 1, 1


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def program(machine: str, pid: int) -> bytes:
    """The filter as BPF for that machine. Pure. Threads may be made and signalled within `pid`, nothing else."""
    column = 0 if machine == "x86_64" else 1
    deny = _instruction(_RETURN, _ERRNO | errno.EPERM)
    allow = _instruction(_RETURN, _ALLOW)
    lines = [
        _instruction(_LOAD, _ARCH),
        _instruction(_EQUAL, _AUDIT_ARCH[machine], 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NR),
    ]
    if machine == "x86_64":  # the x32 numbers would walk around the table
        lines += [_instruction(_AT_LEAST, _X32_BIT, 0, 1), deny]
    for numbers in _FORBIDDEN.values():
        number = numbers[column]
        if number is not None:
            lines += [_instruction(_EQUAL, number, 0, 1), deny]
    # glibc falls back from clone3, whose flags lie in memory a filter cannot read, to clone.
    lines += [_instruction(_EQUAL, _CLONE3[column], 0, 1), _instruction(_RETURN, _ERRNO | errno.ENOSYS)]
    lines += [
        _instruction(_EQUAL, _CLONE[column], 0, 4),
        _instruction(_LOAD, _ARG0),
        _instruction(_ANY_BIT, _CLONE_THREAD, 1, 0),
        deny,
        allow,
    ]
    lines += [
        _instruction(_EQUAL, _TGKILL[column], 0, 4),
        _instruction(_LOAD, _ARG0),
        _instruction(_EQUAL, pid, 1, 0),
        deny,
        allow,
    ]
    return b"".join([*lines, allow])


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install(libc: ctypes.CDLL) -> bool:
    """Put the filter over all threads, for good. False where the kernel or the machine does not know it.

    no_new_privs must be set before.
    """
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        return False
    code = program(machine, os.getpid())
    argument = _Program(length=len(code) // 8, filter=code)
    result: int = libc.syscall(_SECCOMP_CALL[machine], _MODE_FILTER, _FLAG_TSYNC, ctypes.byref(argument))
    return result == 0
