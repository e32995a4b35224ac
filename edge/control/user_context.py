"""A user's relations, fetched from the origin and kept for a minute, so that a feed never waits for the centre.

A feed request waits at most WAIT_S for relations it has never seen; after that it goes on without them and the fetch
ends in the background. What the viewer does here (follow, block) makes the entry stale at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import msgspec

from edge.feed.ports import NO_RELATIONS, Relations
from foundation.settings import Secret
from foundation.wire.relations import UserRelations

_log = logging.getLogger(__name__)
LIFE_S = 60.0
WAIT_S = 0.15
MAX_USERS = 20_000
MAX_FETCHES = 64
_TIMEOUT = aiohttp.ClientTimeout(total=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    relations: Relations
    fetched_s: float


class RemoteUserContext:
    """Implements the feed's UserContext. One fetch a user at a time, at most MAX_FETCHES in all; LRU of MAX_USERS."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        origin_url: str,
        service_key: Secret,
        clock_s: Callable[[], float],
    ) -> None:
        self._session = session
        self._url = f"{origin_url}/internal/v1/users"
        self._headers = {"Authorization": f"Bearer {str.__str__(service_key)}"}
        self._clock_s = clock_s
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._fetches: dict[str, asyncio.Task[None]] = {}

    async def relations(self, user_id: str) -> Relations:
        """What is known of `user_id`; stale knowledge is used while it is renewed. Never raises."""
        kept = self._kept.get(user_id)
        if kept is not None and self._clock_s() - kept.fetched_s < LIFE_S:
            self._kept.move_to_end(user_id)
            return kept.relations
        fetch = self._fetch_once(user_id)
        if kept is None and fetch is not None:
            await asyncio.wait({fetch}, timeout=WAIT_S)
            kept = self._kept.get(user_id)
        return kept.relations if kept is not None else NO_RELATIONS

    def changed(self, user_id: str) -> None:
        """The user followed or blocked somebody: look again at the next request, and wait for it."""
        self._kept.pop(user_id, None)

    async def close(self) -> None:
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    def _fetch_once(self, user_id: str) -> asyncio.Task[None] | None:
        fetch = self._fetches.get(user_id)
        if fetch is None:
            if len(self._fetches) >= MAX_FETCHES:
                return None
            fetch = asyncio.create_task(self._fetch(user_id), name="relations.fetch")
            self._fetches[user_id] = fetch
            fetch.add_done_callback(lambda _: self._fetches.pop(user_id, None))
        return fetch

    async def _fetch(self, user_id: str) -> None:
        try:
            url = f"{self._url}/{user_id}/relations"
            async with self._session.get(url, headers=self._headers, timeout=_TIMEOUT, raise_for_status=True) as answer:
                found = msgspec.json.decode(await answer.read(), type=UserRelations)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as err:
            _log.info("relations not fetched: %s", err, extra={"event": "relations_unreachable"})
            return
        self._kept[user_id] = _Kept(
            relations=Relations(
                following=frozenset(map(int, found.following)), blocked=frozenset(map(int, found.blocked))
            ),
            fetched_s=self._clock_s(),
        )
        self._kept.move_to_end(user_id)
        if len(self._kept) > MAX_USERS:
            self._kept.popitem(last=False)
