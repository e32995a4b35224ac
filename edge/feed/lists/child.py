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
from edge.feed.lists import wire
from edge.feed.lists.maker import ListMaker
from foundation.telemetry import logs
from inference.errors import ModelError
from inference.experiments import CONTROL
from inference.feed.followed_columns import FollowedColumns

_log = logging.getLogger(__name__)
_READ_BYTES = 1 << 18


class Child:
    def __init__(self, connection: socket.socket, start: wire.Start) -> None:
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

    def take(self, asked: wire.Asked) -> None:
        self._columns.follow(asked.extent)
        question, number = asked.question, asked.number
        match question:
            case wire.Refresh():
                self._upkeep.submit(self._answer, number, lambda: self._refreshed(question))
            case wire.Prepare():
                self._building.submit(self._answer, number, lambda: self._prepared(question))
            case _:
                self._answer(number, lambda: self._listed(question))

    def _answer(self, number: int, work: Callable[[], wire.Reply]) -> None:
        try:
            reply = work()
        except ModelError as err:
            reply = wire.Failed(err.code, err.detail)
        except Exception:
            _log.exception("a list could not be made", extra={"event": "list_failed"})
            reply = wire.Failed("internal", "")
        with self._sending, contextlib.suppress(BrokenPipeError):  # the PoP has gone, and this process is about to
            self._connection.sendall(wire.frame(wire.Answered(number, reply)))

    def _listed(self, question: wire.Question) -> wire.Reply:
        match question:
            case wire.Recommend(viewer, arm, generation, count, now_s):
                ranked = self._maker.recommend(viewer, arm=arm, generation=generation, count=count, now_s=now_s)
            case wire.Rerank(viewer, tail, arm, generation, now_s):
                ranked = self._maker.rerank(viewer, tail, arm=arm, generation=generation, now_s=now_s)
            case wire.Rerun(viewer, count, oldest_first, now_s):
                seen = self._maker.rerun(viewer, count=count, oldest_first=oldest_first, now_s=now_s)
                return wire.Seen(seen)
            case wire.Keep(generation):
                self._maker.keep(generation)
                return wire.Done()
            case _:
                raise TypeError(type(question).__name__)
        return wire.Made(ranked.picks, ranked.degraded, ranked.candidates)

    def _prepared(self, question: wire.Prepare) -> wire.Reply:
        table = load_arms(
            question.releases[CONTROL],
            question.experiment,
            model_dir=self._model_dir,
            content=self._columns.space,
            generation=question.generation,
        )
        self._maker.prepare(table)
        return wire.Done()

    def _refreshed(self, question: wire.Refresh) -> wire.Reply:
        lists = self._maker.refresh(now_s=question.now_s)
        due = self._maker.due()
        if due is not None and self._built.is_set():
            self._built.clear()
            self._building.submit(self._build, due.rebuild)
        return wire.Common(lists)

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
    frames = wire.Frames()
    while data := connection.recv(_READ_BYTES):
        for body in frames.feed(data):
            if child is None:
                child = Child(connection, wire.start_decoder.decode(body))
                connection.sendall(wire.frame(wire.Answered(0, wire.Done())))
            else:
                child.take(wire.asked_decoder.decode(body))
    os._exit(0)  # the PoP is gone: nothing here is worth waiting for, an index build least of all


if __name__ == "__main__":
    main()
