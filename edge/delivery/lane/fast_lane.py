"""Which request targets have a hit ready, and the answer to a request head that is one of them."""

from __future__ import annotations

import math
from collections.abc import Callable

from edge.delivery.access import Grant
from edge.delivery.lane.link import LinkReport
from edge.delivery.lane.prepared_hit import (
    HEAD_ONLY,
    MAX_FAST_BYTES,
    NOT_MODIFIED,
    WHOLE,
    PreparedHit,
    Reply,
    Shape,
)
from edge.delivery.lane.repeats import Repeats
from edge.delivery.lane.request_head import SLOW_LANE_FIELDS, HeaderBlock, HeadReader, split_cmcd
from edge.delivery.rules import cache_status
from edge.delivery.store.ram_tier import RamTier
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.tally import Tally
from foundation.tokens.media import MediaTokenVerdict

MAX_TARGETS = 100_000
MAX_GRANTS = 65_536
TOKEN_MARK = b"/t/"
MAX_VARIANTS = 10
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
        self.name = name
        self._status_name = cache_status.member_name(name)
        self._cors_origin = cors_origin
        self.heads = HeadReader(slow_lane_fields=SLOW_LANE_FIELDS - ignored_fields, embedders=embedders)
        self._require_token = require_token
        self._grant = grant
        self._targets: dict[bytes, PreparedHit] = {}
        """By path and query as on the wire, without token and CMCD."""
        self._leads: dict[bytes, tuple[bytes, float]] = {}
        """What requests with a good token begin with, `GET /t/{token}`: (the prefix it opens, until when)."""
        self.on_cmcd: Callable[[bytes, bytes], None] | None = None
        """Given (target, CMCD's text, still percent-encoded) of hits."""

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
        self._put_before(hit, self._targets.get(target))
        self._targets[target] = hit

    def _put_before(self, hit: PreparedHit, other: PreparedHit | None) -> None:
        """Variants of one target stand behind each other, and are asked in turn; those that `hit` replaces end."""
        hit.next_variant, last, held = None, hit, 1
        while other is not None:
            behind = other.next_variant
            if hit.varies_on and not hit.is_same_variant(other) and held < MAX_VARIANTS:
                last.next_variant, other.next_variant = other, None
                last, held = other, held + 1
            else:
                other.end()
            other = behind

    def forget(self, key: str) -> None:
        """What is stored of `key` has changed."""
        hit = self._targets.pop(key.encode("latin-1"), None)
        while hit is not None:
            hit.end()
            hit = hit.next_variant

    # -- answering ---------------------------------------------------------------------------------------------------

    def answer(self, line: bytes, block: HeaderBlock, link: LinkReport | None, *, request: bytes) -> Reply | None:
        """The reply to a plain GET or HEAD that is a fresh hit in memory; None for everything else.

        `block` is plain. `link` tells a player that speaks CMCD about its way. `request`: the bytes that come again
        when the request does, b"" if they are not to be remembered.
        """
        now_s = self.clock()
        slash = line.find(b"/", 7)  # behind the token, if there is one
        lead = self._leads.get(line[:slash])
        if lead is not None and b"CMCD=" not in line:
            is_get, cmcd, path = True, block.cmcd, line[slash:-9]
            prefix, until_s = lead
            if now_s >= until_s or not path.startswith(prefix) or (hit := self._targets.get(path)) is None:
                return None
        elif (found := self._find(line, block, now_s)) is not None:
            is_get, cmcd, hit, until_s = found
        else:
            return None
        if line[-9:] != b" HTTP/1.1" or (hit := hit.variant_for(block, now_s)) is None:
            return None
        if now_s >= hit.until_second_s:
            hit.render(now_s)
        shape = WHOLE if is_get and block.is_bare else _shape(hit, block, is_get=is_get)
        if shape is None or (reply := hit.ready.get(shape) or self._make(hit, shape, now_s)) is None:
            return None
        reply.uses += 1  # of one that is not kept it has been counted already
        if cmcd is not None:
            return self._to_player(reply, line, cmcd, link, now_s)
        if request and reply.uses > 1:  # where the first use is the last one too, remembering would be for nothing
            self.repeats.remember(request, hit, reply, until_s=until_s)
        return reply

    def _find(
        self, line: bytes, block: HeaderBlock, now_s: float
    ) -> tuple[bool, bytes | None, PreparedHit, float] | None:
        """(is it a GET, CMCD, the hit, until when it is open to who asks); None if there is none or it is not."""
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
        until_s = self._open_until(hit, token, path, now_s)
        return (is_get, cmcd, hit, until_s) if now_s < until_s else None

    def _open_until(self, hit: PreparedHit, token: bytes, path: bytes, now_s: float) -> float:
        """Until when who shows this token, or none, may have the path; 0 for who may not: the slow lane says why."""
        if not token:
            return 0.0 if hit.needs_token or self._require_token else math.inf
        lead = b"GET " + TOKEN_MARK + token
        known = self._leads.get(lead)
        if known is None or now_s >= known[1]:
            grant = self._grant(token.decode("latin-1"), path.decode("latin-1").partition("?")[0])
            if not isinstance(grant, Grant):
                return 0.0
            if len(self._leads) >= MAX_GRANTS:
                self._leads.clear()
            known = self._leads[lead] = (grant.prefix.encode("latin-1"), grant.until_s)
        return known[1] if path.startswith(known[0]) else 0.0

    def _make(self, hit: PreparedHit, shape: Shape, now_s: float) -> Reply | None:
        if (reply := hit.make(shape)) is not None:
            self.repeats.keep(hit, shape, reply, now_s=now_s)
        return reply

    def _to_player(self, reply: Reply, line: bytes, cmcd: bytes, link: LinkReport | None, now_s: float) -> Reply:
        if self.on_cmcd is not None:
            self.on_cmcd(line.split(b" ")[1], cmcd)
        return reply if link is None else reply.with_field(link.line(now_s))


def _shape(hit: PreparedHit, block: HeaderBlock, *, is_get: bool) -> Shape | None:
    """None for what the slow lane has to judge."""
    if block.if_none_match is not None:  # lists, weak tags, `*`: the slow lane compares
        return NOT_MODIFIED if hit.etag and block.if_none_match == hit.etag else None
    if not is_get:
        return HEAD_ONLY
    if block.range_spec is None:
        return WHOLE
    return None if hit.is_coded else block.range_spec  # ranges are of the plain bytes
