"""Runs between fork and exec of a supervised process: binds it to its parent's life, drops privileges, then execs.

A script of its own (`python -I -S child.py OPTIONS -- PROGRAM ARGS`) instead of a `preexec_fn`, because code between
fork and exec of a threaded parent may deadlock. It must not import anything of ours: `-S` hides site-packages, and
every import here is start-up time of every process (about 15 ms in all).
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
NAMESPACE_UID = 1000  # any uid but 0 does; inside the namespace it stands for the user outside
EXIT_CANNOT_EXEC = 126


def _libc_call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{name}: {os.strerror(errno)}")


def _enter_user_namespace() -> None:
    """Become uid 1000 in a namespace where that uid is our real one: files stay ours, yet getuid() is not 0."""
    uid, gid = os.getuid(), os.getgid()
    _libc_call("unshare", CLONE_NEWUSER)
    # user_namespaces(7): setgroups must be denied before an unprivileged gid_map write.
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{NAMESPACE_UID} {uid} 1"),
        ("gid_map", f"{NAMESPACE_UID} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as handle:  # noqa: PTH123 - pathlib costs 10 ms here
            handle.write(line)


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _die_with(parent: int, signal: int) -> None:
    """Ask the kernel for `signal` when the parent's thread ends. After credential changes, which clear the request."""
    _libc_call("prctl", PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request was in place
        raise SystemExit(EXIT_CANNOT_EXEC)


def main(arguments: list[str]) -> None:
    split = arguments.index("--")
    options = dict(option.split("=", 1) for option in arguments[:split])
    program = arguments[split + 1 :]
    try:
        if options.get("user") == "namespace":
            _enter_user_namespace()
        elif "user" in options:
            uid, gid = options["user"].split(":")
            _become(int(uid), int(gid))
        _die_with(int(options["parent"]), int(options["death_signal"]))
        os.execv(program[0], program)  # noqa: S606 - no shell is wanted
    except OSError as err:
        sys.stderr.write(f"cannot start {program[0]}: {err}\n")
        raise SystemExit(EXIT_CANNOT_EXEC) from err


if __name__ == "__main__":
    main(sys.argv[1:])
