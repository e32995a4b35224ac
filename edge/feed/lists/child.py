"""The list process of a PoP: `python -m edge.feed.lists.child SOCKET`, started by `ListProcess` and ended with it.

One thread answers lists in the order they are asked for; shared lists, models and index builds go on beside it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from edge.feed.arms import load_arms
from edge.feed.lists.maker import ListMaker
from edge.feed.lists.wire import (
    Answered,
    Asked,
    Common,
    Done,
    Failed,
    Frames,
    Keep,
    Made,
    Prepare,
    Question,
    Recommend,
    Refresh,
    Reply,
    Rerank,
    Rerun,
    Seen,
    Start,
    asked_decoder,
    frame,
    received,
    start_decoder,
)
from foundation.telemetry import logs
from inference.errors import ModelError
from inference.experiments import CONTROL
from inference.feed.followed_columns import FollowedColumns

_log = logging.getLogger(__name__)
_READ_BYTES = 1 << 18


class Child:
    def __init__(self, connection: socket.socket, start: Start) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._columns = FollowedColumns(space=start.space, files=start.files)
        self._columns.follow(start.extent)
        self._maker = ListMaker(self._columns, start.policy, now_s=start.now_s)
        self._maker.restore()
        self._model_dir = start.model_dir
        self._upkeep = ThreadPoolExecutor(1, thread_name_prefix="upkeep")
        self._building = ThreadPoolExecutor(1, thread_name_prefix="building")
        self._built = threading.Event()
        self._built.set()

    def take(self, asked: Asked) -> None:
        self._columns.follow(asked.extent)
        question, number = asked.question, asked.number
        match question:
            case Refresh():
                self._upkeep.submit(self._answer, number, lambda: self._refreshed(question))
            case Prepare():
                self._building.submit(self._answer, number, lambda: self._prepared(question))
            case _:
                self._answer(number, lambda: self._listed(question))

    def _answer(self, number: int, work: Callable[[], Reply]) -> None:
        try:
            reply = work()
        except ModelError as err:
            reply = Failed(err.code, err.detail)
        except Exception:
            _log.exception("a list could not be made", extra={"event": "list_failed"})
            reply = Failed("internal", "")
        with self._sending, contextlib.suppress(BrokenPipeError):  # the PoP has gone, and this process is about to
            self._connection.sendall(frame(Answered(number, reply)))

    def _listed(self, question: Question) -> Reply:
        match question:
            case Recommend(viewer, arm, generation, count, now_s):
                ranked = self._maker.recommend(
                    received(viewer), arm=arm, generation=generation, count=count, now_s=now_s
                )
            case Rerank(viewer, tail, arm, generation, now_s):
                ranked = self._maker.rerank(received(viewer), tail, arm=arm, generation=generation, now_s=now_s)
            case Rerun(viewer, count, oldest_first, now_s):
                seen = self._maker.rerun(received(viewer), count=count, oldest_first=oldest_first, now_s=now_s)
                return Seen(seen)
            case Keep(generation):
                self._maker.keep(generation)
                return Done()
            case _:
                raise TypeError(type(question).__name__)
        return Made(ranked.picks, ranked.degraded, ranked.candidates)

    def _prepared(self, question: Prepare) -> Reply:
        table = load_arms(
            question.releases[CONTROL],
            question.experiment,
            model_dir=self._model_dir,
            content=self._columns.space,
            generation=question.generation,
        )
        self._maker.prepare(table)
        return Done()

    def _refreshed(self, question: Refresh) -> Reply:
        lists = self._maker.refresh(now_s=question.now_s)
        due = self._maker.due()
        if due is not None and self._built.is_set():
            self._built.clear()
            self._building.submit(self._build, due.rebuild)
        return Common(lists)

    def _build(self, rebuild: Callable[[], None]) -> None:
        """Minutes at a million videos; the old index and the exact block serve meanwhile."""
        try:
            rebuild()
        except Exception:
            _log.exception("the index could not be rebuilt", extra={"event": "rebuild_failed"})
        finally:
            self._built.set()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the PoP ends this process
    logs.configure("edge-lists", level=os.environ.get("POPREEL_LOG_LEVEL", "INFO"))
    connection = socket.socket(fileno=int(sys.argv[1]))
    child: Child | None = None
    frames = Frames()
    while data := connection.recv(_READ_BYTES):
        for body in frames.feed(data):
            if child is None:
                child = Child(connection, start_decoder.decode(body))
                connection.sendall(frame(Answered(0, Done())))
            else:
                child.take(asked_decoder.decode(body))
    os._exit(0)  # the PoP is gone: nothing here is worth waiting for, an index build least of all


if __name__ == "__main__":
    main()
