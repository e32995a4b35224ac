"""Which request targets have a hit ready, and the answer to a request head that is one of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import msgspec

from edge.delivery.access import Grant
from edge.delivery.lane.link import link_of
from edge.delivery.lane.prepared_hit import MAX_FAST_BYTES, PreparedHit, Reply
from edge.delivery.lane.repeats import Repeats
from edge.delivery.lane.request_head import SLOW_LANE_FIELDS, HeaderBlock, HeadReader, split_cmcd
from edge.delivery.rules import cache_status, cmsd
from edge.delivery.store.ram_tier import RamTier
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.tally import Tally
from foundation.tokens.media import MediaTokenVerdict

MAX_TARGETS = 100_000
MAX_GRANTS = 65_536
TOKEN_MARK = b"/t/"
MAX_VARIANTS = 8
"""Of one target, in the fast lane."""


class FastLane:
    """Knows by exact bytes. A client repeats its header block from request to request, so blocks are read once."""

    def __init__(
        self,
        *,
        ram: RamTier,
        tally: Tally,
        clock: Callable[[], float],
        name: str,
        cors_origin: str = "",
        ignored_fields: frozenset[bytes] = frozenset(),
        embedders: frozenset[str] = frozenset(),
        require_token: bool = False,
        grant: Callable[[str, str], Grant | MediaTokenVerdict],
    ) -> None:
        self._ram = ram
        self._counts = tally.fast_lane
        self.repeats = Repeats(self._counts)
        tally.settle = self.repeats.settle
        self.clock = clock
        self._name = name
        self._status_name = cache_status.member_name(name)
        self._cors_origin = cors_origin
        self.heads = HeadReader(slow_lane_fields=SLOW_LANE_FIELDS - ignored_fields, embedders=embedders)
        self._require_token = require_token
        self._grant = grant
        self._targets: dict[bytes, PreparedHit] = {}
        """By path and query as on the wire, without token and CMCD."""
        self._grants: dict[bytes, tuple[bytes, float]] = {}
        """Of tokens seen: (prefix, until); a copy of the gatekeeper's that needs no decoding."""
        self.on_cmcd: Callable[[bytes, bytes], None] | None = None
        """Given (target without CMCD, its text, still percent-encoded) of hits."""

    def __len__(self) -> int:
        return len(self._targets)

    # -- making ready ------------------------------------------------------------------------------------------------

    def promote(self, stored: StoredResponse) -> None:
        """Make `stored` answer its target until it is stale."""
        now_s = self.clock()
        if stored.status != 200 or not 0 < stored.total <= MAX_FAST_BYTES:
            return
        cells = self._ram.cells(stored.body_id)
        if cells is None or not stored.is_fresh(now_s):
            return
        target = stored.key.encode("latin-1")
        hit = PreparedHit(stored, cells, name=self._status_name, cors_origin=self._cors_origin, now_s=now_s)
        if len(self._targets) >= MAX_TARGETS:
            self.forget(next(iter(self._targets)).decode("latin-1"))
        if stored.vary_names:  # variants of one target stand behind each other; asked for in turn
            known = self._targets.get(target)
            hit.next_variant = known if known is not None and known.depth < MAX_VARIANTS else None
            hit.depth = hit.next_variant.depth + 1 if hit.next_variant is not None else 0
        elif (replaced := self._targets.get(target)) is not None:
            replaced.end()
        self._targets[target] = hit

    def forget(self, key: str) -> None:
        """What is stored of `key` has changed."""
        hit = self._targets.pop(key.encode("latin-1"), None)
        while hit is not None:
            hit.end()
            hit = hit.next_variant

    # -- answering ---------------------------------------------------------------------------------------------------

    def answer(
        self, line: bytes, block: HeaderBlock, transport: asyncio.BaseTransport | None, *, request: bytes
    ) -> Reply | None:
        """The reply to a plain GET or HEAD that is a fresh hit in memory; None for everything else.

        `transport` is asked about the way to the player when the player speaks CMCD. `request`: the bytes that come
        again when the request does, b"" if they are not to be remembered.
        """
        is_get = line[:4] == b"GET "
        if not is_get and line[:5] != b"HEAD ":
            return None
        target, cmcd = line[4 if is_get else 5 : -9], block.cmcd
        if b"CMCD=" in target:
            target, cmcd = split_cmcd(target)
        token, path = b"", target
        if target[:3] == TOKEN_MARK and (slash := target.find(b"/", 3)) > 0:
            token, path = target[3:slash], target[slash:]
        if (hit := self._targets.get(path)) is None:
            return None
        now_s = self.clock()
        until_s = self._open_until(hit, token, path, now_s)
        if now_s >= until_s or (hit := hit.variant_for(block, now_s)) is None:
            return None
        if now_s >= hit.until_second_s:
            hit.render(now_s)
        reply = hit.whole() if is_get and block.is_bare else self._reply(hit, block, is_get=is_get)
        if reply is None:
            return None
        self._count(reply)
        if cmcd is not None:
            if self.on_cmcd is not None:
                self.on_cmcd(target, cmcd)
            return self._with_cmsd(reply, transport)
        if request:
            self.repeats.remember(request, hit, reply, now_s=now_s, until_s=until_s)
        return reply

    def _count(self, reply: Reply) -> None:
        self._counts.hits += 1
        self._counts.bytes += reply.size
        for cell in reply.cells:
            cell.entry.hits += 1

    def _with_cmsd(self, reply: Reply, transport: asyncio.BaseTransport | None) -> Reply:
        item = cmsd.dynamic(self._name, link_of(transport), response_delay_ms=0)
        head = b"%bCMSD-Dynamic: %b\r\n\r\n" % (reply.head[:-2], item.encode("latin-1"))
        return msgspec.structs.replace(reply, head=head)

    def _open_until(self, hit: PreparedHit, token: bytes, target: bytes, now_s: float) -> float:
        """Until when who shows this token, or none, may have the target; 0 for who may not: the slow lane says why."""
        if not token:
            return 0.0 if hit.needs_token or self._require_token else math.inf
        known = self._grants.get(token)
        if known is None or now_s >= known[1]:
            grant = self._grant(token.decode("latin-1"), target.decode("latin-1").partition("?")[0])
            if not isinstance(grant, Grant):
                return 0.0
            if len(self._grants) >= MAX_GRANTS:
                self._grants.clear()
            known = self._grants[token] = (grant.prefix.encode("latin-1"), grant.until_s)
        return known[1] if target.startswith(known[0]) else 0.0

    def _reply(self, hit: PreparedHit, block: HeaderBlock, *, is_get: bool) -> Reply | None:
        if block.if_none_match is not None:
            if not hit.etag or block.if_none_match != hit.etag:
                return None  # lists, weak tags, `*`: the slow lane compares
            self._counts.not_modified += 1
            return hit.not_modified()
        if not is_get:
            return Reply(hit.head_200)
        if block.range_spec is None:
            return hit.whole()
        if hit.is_coded:
            return None  # ranges are of the plain bytes
        if (part := hit.part(block.range_spec)) is not None:
            self._counts.ranges += 1
        return part
