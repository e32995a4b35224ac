"""The disk tier of one worker: bounded writes behind the requests, checked reads, eviction of the slices it owns.

Workers share the directory. A body belongs to the worker whose slot its id names; each evicts its own share, so no two
decide about one file, and a replacement for a dead worker takes the slot over and finds the files by scanning.
Trouble with the disk never fails a request: reads count as misses, writes are dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

from edge.delivery.eviction.policy import Entry
from edge.delivery.eviction.prefix_and_bulk import PrefixAndBulk, SliceKey
from edge.delivery.store.cache_directory import CacheDirectory, FoundSlice, key_digest
from edge.delivery.store.response_index import Variants
from edge.delivery.store.slice_file import HEAD_BYTES, CorruptSlice
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.workers import Workers

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
MAX_PENDING_BYTES = 64 << 20
MAX_PENDING_JOBS = 4096
PAUSE_S = 5.0
"""No writes for this long after a write failed (disk full)."""
SWEEP_EVERY_S = 900.0
SCAN_BATCH = 512
LINGER_S = 0.02
"""Writes wait this long: a thread that works the disk takes the interpreter from the answer that caused the write."""
HURRY_BYTES = 8 << 20
"""With this much waiting they wait no longer."""
BATCH_JOBS = 32


@dataclass(slots=True)
class DiskCounts:
    """Totals since start."""

    reads: int = 0
    writes: int = 0
    dropped_writes: int = 0
    read_errors: int = 0
    write_errors: int = 0
    corrupt: int = 0
    evicted: int = 0


@dataclass(slots=True, kw_only=True)
class _Job:
    run: Callable[[], int | None]
    size: int = 0
    key: SliceKey | None = None

    def attempt(self) -> int | Exception | None:
        """In a thread: what the job returned, or why it failed."""
        try:
            return self.run()
        except Exception as err:
            return err


class DiskTier:
    """Open with `start`, close with `close`. Everything but the jobs runs on the loop."""

    def __init__(
        self,
        directory: CacheDirectory,
        *,
        capacity: int,
        max_responses: int,
        executor: Executor,
        clock: Callable[[], float],
        slot: int = 0,
        slots: int = 1,
        workers: Workers | None = None,
    ) -> None:
        self._directory = directory
        self._executor = executor
        self._clock = clock
        self._slot, self._slots = slot, slots
        self._max_responses = max_responses
        self._workers = workers
        self._policy = PrefixAndBulk(capacity // slots)
        self._entries: dict[SliceKey, Entry] = {}
        self._bodies: dict[str, set[int]] = {}
        self._jobs: deque[_Job] = deque()
        self._pending_bytes = 0
        self._pending: dict[SliceKey, bytes] = {}
        self._work = asyncio.Event()
        self._hurry = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._paused_until = 0.0
        self._unwritten: dict[str, Variants] = {}
        """Descriptions on their way to the disk, () for those to be removed."""
        self._described: set[int] = set()
        """Digests of the keys that may have a description here. Complete once scanned, if nobody else writes here."""
        self._described_before: set[int] = set()
        """The same from before the sweep that is under way."""
        self._tasks: list[asyncio.Task[None]] = []
        self.counts = DiskCounts()
        self.scanned = asyncio.Event()

    @property
    def used(self) -> int:
        return self._policy.used

    def new_body_id(self) -> str:
        """Random, and owned by this worker."""
        while True:
            body_id = secrets.token_hex(16)
            if self._owns(body_id):
                return body_id

    def _owns(self, body_id: str) -> bool:
        return int(body_id[:8], 16) % self._slots == self._slot

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Make the folders and begin to write and to scan. Raises OSError when the directory is not usable."""
        await self._blocking(self._directory.prepare)
        self._tasks = [asyncio.create_task(self._write_loop()), asyncio.create_task(self._scan())]

    async def close(self) -> None:
        """Finish the writes under way, then stop."""
        await self.flush()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def flush(self) -> None:
        """Wait until everything handed over so far is on disk."""
        if self._tasks and not self._tasks[0].done():
            self._hurry.set()
            await self._drained.wait()

    async def _blocking(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def _scan(self) -> None:
        """Take the slices of this slot into the policy, oldest use first, in the background."""
        found = await self._blocking(lambda: [s for s in self._directory.all_slices() if self._owns(s.body_id)])
        found.sort(key=_last_use)
        for number, known in enumerate(found):
            if (known.body_id, known.slice_index) not in self._entries:
                self._admit((known.body_id, known.slice_index), known.size)
            if number % SCAN_BATCH == 0:
                await asyncio.sleep(0)
        self._described |= await self._blocking(self._directory.described)
        self.scanned.set()
        while self._slot == 0:  # one worker sweeps for all
            await asyncio.sleep(SWEEP_EVERY_S)
            await self.sweep()

    async def sweep(self) -> int:
        """Remove descriptions of what is no longer here; returns how many."""
        await self.flush()  # a description may be on disk before its first slice
        removed = await self._blocking(lambda: self._directory.sweep_responses(max_files=self._max_responses))
        self._described_before, self._described = self._described, set()
        self._described |= await self._blocking(self._directory.described)
        self._described_before = set()
        return removed

    # -- slices ------------------------------------------------------------------------------------------------------

    async def read(self, body_id: str, index: int) -> bytes | None:
        """The slice, its checksum verified; None when it is not here or not to be trusted."""
        if (waiting := self._pending.get((body_id, index))) is not None:
            return waiting
        if self.scanned.is_set() and self._owns(body_id) and (body_id, index) not in self._entries:
            return None
        try:
            data = await self._blocking(lambda: self._directory.read_slice(body_id, index))
        except CorruptSlice as err:
            self.counts.corrupt += 1
            _log.warning("a corrupt slice was dropped", extra={"event": "slice_corrupt", "detail": str(err)})
            self._forget((body_id, index))
            self._enqueue(_Job(run=lambda: self._directory.delete_slice(body_id, index)))
            return None
        except OSError as err:
            self._note_read_error(err)
            return None
        if data is None:
            self._forget((body_id, index))
            return None
        self.counts.reads += 1
        self.touch(body_id, index)
        return data

    def knows(self, body_id: str, index: int) -> bool:
        return (body_id, index) in self._entries or (body_id, index) in self._pending

    def touch(self, body_id: str, index: int) -> None:
        """Count a use (of the copy in RAM too: a slice hot in memory must not leave the disk first)."""
        if entry := self._entries.get((body_id, index)):
            entry.hits += 1
        elif self._workers is not None and not self._owns(body_id):
            self._workers.note_use(body_id, index)

    def _note_read_error(self, err: OSError) -> None:
        self.counts.read_errors += 1
        if self.counts.read_errors == 1:
            _log.error("the cache disk cannot be read", extra={"event": "disk_read_error", "errno": err.errno})

    async def has_all(self, stored: StoredResponse) -> bool:
        """Whether every slice of the body is on disk."""
        indexes = [i for i in range(stored.slices) if (stored.body_id, i) not in self._pending]
        return await self._blocking(lambda: all(self._directory.has_slice(stored.body_id, i) for i in indexes))

    def write(self, body_id: str, index: int, data: bytes) -> None:
        """Hand a whole slice over; dropped when the disk cannot follow."""
        key = (body_id, index)
        if key in self._pending or key in self._entries:
            return
        too_much = self._pending_bytes + len(data) > MAX_PENDING_BYTES or len(self._jobs) >= MAX_PENDING_JOBS
        if too_much or self._clock() < self._paused_until or not self._policy.takes(key, len(data) + HEAD_BYTES):
            self.counts.dropped_writes += 1
            return
        self._pending[key] = data
        self._pending_bytes += len(data)
        job = _Job(run=lambda: self._directory.write_slice(body_id, index, data), size=len(data), key=key)
        self._enqueue(job)

    def drop_body(self, body_id: str) -> None:
        """Remove every slice of a body."""
        for index in tuple(self._bodies.get(body_id, ())):
            self._forget((body_id, index))
            self._enqueue(_Job(run=partial(self._directory.delete_slice, body_id, index)))

    def hear_of(self, key: SliceKey, size: int, uses: int) -> None:
        """Another worker wrote (size > 0) or used a slice of a body we own."""
        if not self._owns(key[0]):
            return
        if size and key not in self._entries:
            self._admit(key, size)
        if entry := self._entries.get(key):
            entry.hits += uses

    def _tell_owner(self, key: SliceKey, size: int) -> None:
        if self._workers is not None:
            self._workers.note_written(*key, size)

    def _admit(self, key: SliceKey, size: int) -> None:
        if not self._policy.takes(key, size):
            self._enqueue(_Job(run=lambda: self._directory.delete_slice(*key)))
            return
        entry, victims = self._policy.insert(key, size)
        self._entries[key] = entry
        self._bodies.setdefault(key[0], set()).add(key[1])
        for victim in victims:
            self._evict(victim.key)  # type: ignore[arg-type]  # only slice keys go in

    def _evict(self, key: SliceKey) -> None:
        self.counts.evicted += 1
        self._untrack(key)
        self._enqueue(_Job(run=lambda: self._directory.delete_slice(*key)))

    def _forget(self, key: SliceKey) -> None:
        if entry := self._entries.get(key):
            self._policy.remove(entry)
            self._untrack(key)

    def _untrack(self, key: SliceKey) -> None:
        self._entries.pop(key, None)
        if indexes := self._bodies.get(key[0]):
            indexes.discard(key[1])
            if not indexes:
                del self._bodies[key[0]]

    # -- descriptions ------------------------------------------------------------------------------------------------

    async def read_responses(self, key: str) -> Variants:
        if (unwritten := self._unwritten.get(key)) is not None:
            return unwritten
        if not self._may_describe(key):
            return ()  # most misses: no thread need look
        try:
            return await self._blocking(lambda: self._directory.read_responses(key))
        except OSError as err:
            self._note_read_error(err)
            return ()

    def _may_describe(self, key: str) -> bool:
        if not self.scanned.is_set() or self._slots > 1:
            return True
        digest = key_digest(key)
        return digest in self._described or digest in self._described_before

    def write_responses(self, key: str, variants: Variants) -> None:
        if self._clock() < self._paused_until:
            variants = ()  # rather none than one that is no longer true; to remove a file works on a full disk too
        self._described.add(key_digest(key))
        self._unwritten[key] = variants
        self._wake_writer()

    # -- the writer --------------------------------------------------------------------------------------------------

    def _enqueue(self, job: _Job) -> None:
        self._jobs.append(job)
        self._wake_writer()

    def _wake_writer(self) -> None:
        self._drained.clear()
        self._work.set()
        if self._pending_bytes > HURRY_BYTES:
            self._hurry.set()

    async def _write_loop(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._hurry.wait()
            while self._jobs or self._unwritten:
                if self._jobs:
                    await self._run([self._jobs.popleft() for _ in range(min(BATCH_JOBS, len(self._jobs)))])
                if self._unwritten:
                    await self._write_descriptions(tuple(islice(self._unwritten.items(), BATCH_JOBS)))
            self._hurry.clear()
            self._drained.set()

    async def _run(self, batch: list[_Job]) -> None:
        results = await self._blocking(lambda: [job.attempt() for job in batch])
        for job, result in zip(batch, results, strict=True):
            if job.key is not None:
                self._pending.pop(job.key, None)
                self._pending_bytes -= job.size
            if isinstance(result, Exception):
                self._note_write_error(result)
            elif job.key is not None and result is not None:
                self._note_written(job.key, result)

    def _note_written(self, key: SliceKey, size: int) -> None:
        self.counts.writes += 1
        if self._owns(key[0]):
            self._admit(key, size)
        else:
            self._tell_owner(key, size)

    async def _write_descriptions(self, batch: tuple[tuple[str, Variants], ...]) -> None:
        jobs = [_Job(run=partial(self._directory.write_responses, key, variants)) for key, variants in batch]
        results = await self._blocking(lambda: [job.attempt() for job in jobs])
        for (key, variants), result in zip(batch, results, strict=True):
            if self._unwritten.get(key) is variants:  # else it changed meanwhile, and is written again
                del self._unwritten[key]
            if isinstance(result, Exception):
                self._note_write_error(result)

    def _note_write_error(self, err: Exception) -> None:
        if not isinstance(err, OSError):  # a bug; the writer must live on
            _log.error("a disk job failed", extra={"event": "disk_job_failed"}, exc_info=err)
            return
        self.counts.write_errors += 1
        self._paused_until = self._clock() + PAUSE_S
        if self.counts.write_errors == 1:
            _log.error("the cache disk cannot be written", extra={"event": "disk_write_error", "errno": err.errno})


def _last_use(found: FoundSlice) -> float:
    return found.used_s
