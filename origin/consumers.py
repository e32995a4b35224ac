"""What follows the log beside copies.py: purge orders and the Valkey stream. Each handler is idempotent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from foundation.errors import Unavailable
from foundation.ids import UserId
from foundation.settings import Secret
from foundation.stores.errors import HotStateUnavailable
from foundation.stores.outbox import Record
from foundation.wire.pops import PurgeRequest
from origin.accounts.account_store import USER_CHANGED
from origin.accounts.avatar import avatar_tag
from origin.audit import OPERATOR_ACTED
from origin.captions.caption_store import CAPTIONS_CHANGED
from origin.lifecycle.announcements import CATALOGUE_TOMBSTONE, VIDEO_ACCESS, VIDEO_DELETED
from origin.media.answers import caption_tag

_log = logging.getLogger(__name__)
FOLLOW_CHANGED = "follow.changed"
USER_LIKES = "user.likes"
USER_ERASED = "user.erased"
NOTIFY = "notify"
STREAM = "pr:events"
_STREAM_LENGTH = 1_000_000
_OUTDATES_VIDEO = (VIDEO_DELETED, VIDEO_ACCESS, CATALOGUE_TOMBSTONE)

Payload = dict[str, Any]


class Purger:
    """Tells the control plane to purge what videos, captions and people of before left in caches."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, key: Secret) -> None:
        self._session = session
        self._url = url
        self._key = key

    async def handle(self, records: Sequence[Record]) -> None:
        """Raises Unavailable: the log position stays, the orders are sent again later (purging twice is harmless)."""
        found = [f"video-{record.key}" for record in records if record.topic in _OUTDATES_VIDEO]
        found += [f"user-{record.key}" for record in records if record.topic == USER_ERASED]
        found += [avatar_tag(UserId(int(record.key))) for record in records if _outdates_avatar(record)]
        found += [caption_tag(int(record.key)) for record in records if record.topic == CAPTIONS_CHANGED]
        tags = tuple(dict.fromkeys(found))
        if not tags or not self._url:
            return
        body = msgspec.json.encode(PurgeRequest(tags=tags))
        headers = {"Authorization": f"Bearer {str.__str__(self._key)}", "Content-Type": "application/json"}
        try:
            async with self._session.post(f"{self._url}/internal/v1/purges", data=body, headers=headers) as answer:
                if answer.status >= 300:
                    raise Unavailable(f"the control plane answered {answer.status} to a purge order")
        except (aiohttp.ClientError, TimeoutError) as err:
            raise Unavailable("the control plane does not answer; purge orders wait") from err


def _outdates_avatar(record: Record) -> bool:
    return record.topic == USER_CHANGED and bool(msgspec.json.decode(record.payload).get("avatar"))


class Streams:
    """Publishes every record to one Valkey stream, under its own number: a repeat is refused by the stream itself.

    Not those of the audit: who decided what of whom, and why, is for operators.
    """

    def __init__(self, valkey: Redis) -> None:
        self._valkey = valkey

    async def handle(self, records: Sequence[Record]) -> None:
        try:
            for record in records:
                if record.topic != OPERATOR_ACTED:
                    await self._add(record)
        except RedisError as err:
            raise HotStateUnavailable("Valkey is away; records wait in the log") from err

    async def _add(self, record: Record) -> None:
        fields: dict[Any, Any] = {"topic": record.topic, "key": record.key, "payload": record.payload}
        try:
            await self._valkey.xadd(STREAM, fields, id=f"{record.seq}-0", maxlen=_STREAM_LENGTH, approximate=True)
        except ResponseError as err:
            # "ID ... is equal or smaller": it is there already. Decided by asking, not by the message
            info = await self._valkey.xinfo_stream(STREAM)
            last = info["last-generated-id"]
            if int((last.decode() if isinstance(last, bytes) else last).split("-")[0]) < record.seq:
                raise HotStateUnavailable("Valkey refused a record") from err
