"""argon2id in its own threads: a hash takes tens of milliseconds and 64 MiB, which the event loop must not feel."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from origin.errors import TooFast

T = TypeVar("T")


class Passwords:
    """Hashes and verifies; at most `queue` callers wait, more are told to come back."""

    def __init__(self, pool: ThreadPoolExecutor, *, hasher: PasswordHasher, queue: int = 64) -> None:
        self._pool = pool
        self._hasher = hasher
        self._queue = queue
        self._waiting = 0
        # an unknown username costs as much time as a known one
        self._decoy = hasher.hash(secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        return await self._run(self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` is behind `stored`; None (no such user) takes the same time and is False."""
        return await self._run(self._verify, stored or self._decoy, password) and stored is not None

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., T], *arguments: str) -> T:
        if self._waiting >= self._queue:
            raise TooFast("too many people sign in at this moment, try again", retry_after_s=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        finally:
            self._waiting -= 1


@asynccontextmanager
async def open_passwords(*, threads: int) -> AsyncIterator[Passwords]:
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="argon2")
    hasher = PasswordHasher(time_cost=2, memory_cost=65536, parallelism=1)  # RFC 9106 section 4, second choice, 64 MiB
    try:
        yield await asyncio.to_thread(lambda: Passwords(pool, hasher=hasher))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
