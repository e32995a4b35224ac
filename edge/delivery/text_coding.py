"""Playlists and other text, gzipped once per stored object and kept in RAM beside the plain bytes."""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from concurrent.futures import Executor
from typing import NamedTuple

from edge.delivery.ask import Ask
from edge.delivery.rules import content_coding
from edge.delivery.rules.vary import TAKES_GZIP, vary_values
from edge.delivery.store.shelves import Shelves, coded_id
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.tally import Tally
from edge.delivery.upstream.origin_answer import with_changes

LEVEL = 6
WORTH = 0.9
"""Not kept unless it is shorter than this share of the plain bytes."""
MAX_REMEMBERED = 4_096


class View(NamedTuple):
    """What a request gets to see of a stored response."""

    stored: StoredResponse
    is_lasting: bool = True
    """The next request like this one would see the same."""


class TextCoder:
    """Gives views of stored responses. Without `is_on` everybody sees what is stored."""

    def __init__(self, *, shelves: Shelves, executor: Executor, tally: Tally, max_bytes: int, is_on: bool) -> None:
        self._shelves = shelves
        self._executor = executor
        self._tally = tally
        self._max_bytes = max_bytes
        self._is_on = is_on
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._not_worth_it: OrderedDict[str, None] = OrderedDict()

    async def view(self, stored: StoredResponse, ask: Ask) -> View:
        """Gzipped for who takes that, once the plain bytes are in memory: nobody waits for bytes to be coded as they
        arrive. Ranges are of the plain bytes: that is what their ETag is about.
        """
        headers = stored.headers
        if not self._is_on or not content_coding.is_codable(
            headers,
            status=stored.status,
            total=stored.total,
            max_bytes=min(self._max_bytes, stored.layout.prefix_bytes),
        ):
            return View(stored)
        told = "accept-encoding" in stored.vary_names
        names = stored.vary_names if told else (*stored.vary_names, TAKES_GZIP)
        varied = content_coding.with_vary(headers)
        plain = with_changes(
            stored, vary_names=names, vary_values=vary_values(names, ask.headers), fields=tuple(varied.items())
        )
        if not content_coding.takes_gzip(ask.headers.getall("Accept-Encoding", ())):
            return View(plain)
        if "Range" in ask.headers or (data := await self._coded(stored)) is None:
            return View(plain, is_lasting=stored.body_id in self._not_worth_it and "Range" not in ask.headers)
        fields = content_coding.coded(varied)
        return View(
            with_changes(
                plain,
                fields=tuple(fields.items()),
                body_id=coded_id(stored.body_id),
                total=len(data),
                pinned_etag=None,
            )
        )

    async def _coded(self, stored: StoredResponse) -> bytes | None:
        """The gzipped body, in RAM; None if the plain one is not there yet, or it is not worth it."""
        ram, body_id = self._shelves.ram, stored.body_id
        if (data := ram.get(coded_id(body_id), 0)) is not None:
            return data
        plain = ram.get(body_id, 0)
        if plain is None or len(plain) != stored.total or body_id in self._not_worth_it:
            return None
        if (task := self._under_way.get(body_id)) is None:
            task = self._under_way[body_id] = asyncio.create_task(self._code(body_id, plain))
            task.add_done_callback(lambda _: self._under_way.pop(body_id, None))
        await asyncio.shield(task)  # one who leaves must not end it for the others
        return ram.get(coded_id(body_id), 0)

    async def _code(self, body_id: str, plain: bytes) -> None:
        """Leaves the gzipped body in RAM, unless it saves too little or a full tier does not take it."""
        self._tally.coded += 1
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(self._executor, lambda: gzip.compress(plain, LEVEL, mtime=0))
        if len(data) > WORTH * len(plain):
            self._not_worth_it[body_id] = None
            while len(self._not_worth_it) > MAX_REMEMBERED:
                self._not_worth_it.popitem(last=False)
        elif self._shelves.ram.holds(body_id, 0):  # else purged or evicted meanwhile: what is made of it goes with it
            self._shelves.ram.put(coded_id(body_id), 0, data)
