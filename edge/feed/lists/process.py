"""Lists made in a process beside the PoP's own: started, asked, and found out when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import cast

import foundation
from edge.feed.arms import ArmTable
from edge.feed.lists import wire
from edge.feed.lists.maker import CommonLists, MakerPolicy
from foundation.errors import Unavailable
from inference.errors import ModelDamaged, ModelMissing
from inference.feed.columns import FeedColumns
from inference.feed.followed_columns import Extent
from inference.feed.recommender import Pick, Ranked
from inference.feed.viewer import ViewerState

_MOST_ASKED = 256
"""Questions under way; lists are bounded far below (`pages_ranked`)."""
_START_S = 120.0
"""Mapping a million rows and reading their index takes three seconds."""
_PREPARE_S = 1800.0
"""A new vector space of a million videos is placed and indexed within minutes."""
_REFRESH_S = 30.0
"""Making the shared lists takes a tenth of a second."""
_END_S = 2.0
_ERRORS = {ModelMissing.code: ModelMissing, ModelDamaged.code: ModelDamaged}


class ListProcess:
    """Runs on the event loop. Made by `start`; close it. Methods raise TimeoutError, and Unavailable when the process
    ended or failed (its log says how)."""

    def __init__(self, columns: FeedColumns, child: asyncio.subprocess.Process, *, timeout_s: float) -> None:
        self._columns = columns
        self._child = child
        self._timeout_s = timeout_s
        self._answers = _Answers()
        self._number = 0
        self._waiting = 0

    @classmethod
    async def start(
        cls, columns: FeedColumns, policy: MakerPolicy, *, model_dir: Path | None, now_s: float, timeout_s: float
    ) -> ListProcess:
        """Move the columns into memory that both share, and wait until the process has read its index. `timeout_s` is
        for one list. Raises Unavailable."""
        files = dict(columns.share())
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                child = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "edge.feed.lists.child", str(theirs.fileno())),
                    pass_fds=(theirs.fileno(), *files.values()),
                    stdin=asyncio.subprocess.DEVNULL,
                    env=_environment(),
                )
            except OSError as err:  # no memory, no process numbers left
                ours.close()
                raise Unavailable(f"the list process does not start: {err}") from err
        process = cls(columns, child, timeout_s=timeout_s)
        await asyncio.get_running_loop().create_unix_connection(lambda: process._answers, sock=ours)
        start = wire.Start(columns.space, files, process._extent(), policy, model_dir, now_s)
        try:
            async with asyncio.timeout(_START_S):
                await process._answers.of(0, wire.frame(start))
        except (Unavailable, TimeoutError) as err:
            await process.close()
            raise Unavailable("the list process does not start: its log says why") from err
        return process

    @property
    def process_id(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._answers.open

    @property
    def waiting(self) -> int:
        return self._waiting

    async def recommend(self, state: ViewerState, *, arm: str, generation: int, count: int, now_s: float) -> Ranked:
        return await self._list(wire.Recommend(state, arm, generation, count, now_s))

    async def rerank(
        self, state: ViewerState, tail: tuple[Pick, ...], *, arm: str, generation: int, now_s: float
    ) -> Ranked:
        return await self._list(wire.Rerank(state, tail, arm, generation, now_s))

    async def rerun(self, state: ViewerState, *, count: int, oldest_first: list[int], now_s: float) -> list[int]:
        reply = await self._ask(wire.Rerun(state, count, oldest_first, now_s), timeout_s=self._timeout_s)
        assert isinstance(reply, wire.Seen)
        return reply.video_ids

    async def prepare(self, table: ArmTable) -> None:
        """Raises ModelMissing and ModelDamaged, too."""
        reply = await self._ask(wire.Prepare(table.generation, table.releases, table.experiment), timeout_s=_PREPARE_S)
        assert isinstance(reply, wire.Done)

    async def keep(self, generation: int) -> None:
        await self._ask(wire.Keep(generation), timeout_s=_REFRESH_S)

    async def refresh(self, *, now_s: float) -> CommonLists:
        """A process that does not answer this hangs, and is ended."""
        try:
            reply = await self._ask(wire.Refresh(now_s), timeout_s=_REFRESH_S)
        except TimeoutError:
            self._kill()
            raise
        assert isinstance(reply, wire.Common)
        return reply.lists

    async def close(self) -> None:
        self._answers.close()  # the process ends when its socket does
        try:
            async with asyncio.timeout(_END_S):
                await self._child.wait()
        except TimeoutError:
            self._kill()
            await self._child.wait()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()

    async def _list(self, question: wire.Recommend | wire.Rerank) -> Ranked:
        self._waiting += 1
        try:
            reply = await self._ask(question, timeout_s=self._timeout_s)
        finally:
            self._waiting -= 1
        assert isinstance(reply, wire.Made)
        return Ranked(picks=reply.picks, degraded=reply.degraded, candidates=reply.candidates)

    async def _ask(self, question: wire.Question, *, timeout_s: float) -> wire.Reply:
        if self._answers.waiting >= _MOST_ASKED:
            raise Unavailable("the list process does not keep up")
        self._number += 1
        async with asyncio.timeout(timeout_s):
            reply = await self._answers.of(self._number, wire.frame(wire.Asked(self._number, self._extent(), question)))
        if isinstance(reply, wire.Failed):
            raise _ERRORS.get(reply.code, Unavailable)(reply.detail)
        return reply

    def _extent(self) -> Extent:
        columns = self._columns
        return Extent(columns.count, columns.version, len(columns.records))


class _Answers(asyncio.Protocol):
    """Replies by number, as they come."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._frames = wire.Frames()
        self._asked: dict[int, asyncio.Future[wire.Reply]] = {}

    @property
    def open(self) -> bool:
        return self._transport is not None

    @property
    def waiting(self) -> int:
        return len(self._asked)

    async def of(self, number: int, framed: bytes) -> wire.Reply:
        """Raises Unavailable."""
        if self._transport is None:
            raise Unavailable("the list process is away")
        reply: asyncio.Future[wire.Reply] = asyncio.get_running_loop().create_future()
        self._asked[number] = reply
        self._transport.write(framed)
        try:
            return await reply
        finally:
            del self._asked[number]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            answered: wire.Answered = wire.answered_decoder.decode(body)
            reply = self._asked.get(answered.number)
            if reply is not None and not reply.done():  # else nobody waits for it any more
                reply.set_result(answered.reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for reply in self._asked.values():
            if not reply.done():
                reply.set_exception(Unavailable("the list process ended"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _environment() -> dict[str, str]:
    """Where the code is, how many threads it may use, and large pages for the index; it needs no secrets."""
    return {
        "PYTHONPATH": str(Path(foundation.__file__).resolve().parent.parent),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # faiss does not ask for them, numpy does (0310)
        "POPREEL_LOG_LEVEL": os.environ.get("POPREEL_LOG_LEVEL", "INFO"),
    }
