import msgspec
import pytest

from edge.control.orders import EndedSessions, PurgeOrders
from foundation.errors import Unauthenticated
from foundation.ids import UserId
from foundation.tokens.access import AccessClaims, Revoked
from foundation.wire.pops import PurgeLog, PurgeOrder, Revocation, Revocations


class Cache:
    """A cache that remembers what it was told."""

    def __init__(self) -> None:
        self.purged: list[PurgeOrder] = []
        self.is_caught_up = False

    async def purge(self, order: PurgeOrder) -> None:
        self.purged.append(order)

    def caught_up(self) -> None:
        self.is_caught_up = True


def page(*orders: PurgeOrder, head: int, floor: int = 0) -> bytes:
    return msgspec.json.encode(PurgeLog(orders=orders, head=head, floor=floor))


async def test_orders_are_carried_out_in_order_and_the_position_follows() -> None:
    cache = Cache()
    purges = PurgeOrders(cache, seq=4)
    orders = (PurgeOrder(seq=5, tag="video-1"), PurgeOrder(seq=6, url="/videos/a/1/master.m3u8"))
    assert await purges.apply(page(*orders, head=6)) == 6
    assert cache.purged == list(orders)
    assert cache.is_caught_up


async def test_with_more_to_come_the_cache_is_not_caught_up_yet() -> None:
    cache = Cache()
    assert await PurgeOrders(cache, seq=0).apply(page(PurgeOrder(seq=1, tag="x"), head=2)) == 1
    assert not cache.is_caught_up


async def test_an_empty_page_tells_that_nothing_was_missed() -> None:
    cache = Cache()
    assert await PurgeOrders(cache, seq=9).apply(page(head=9)) == 9
    assert cache.is_caught_up


async def test_a_pop_away_for_longer_than_the_log_reaches_empties_its_cache() -> None:
    cache = Cache()
    purges = PurgeOrders(cache, seq=3)
    assert await purges.apply(page(PurgeOrder(seq=11, tag="x"), head=11, floor=10)) == 11
    assert cache.purged[0] == PurgeOrder(seq=10, prefix="/")


async def test_a_log_that_ends_before_the_pop_empties_its_cache_and_is_followed_from_its_end() -> None:
    cache = Cache()
    purges = PurgeOrders(cache, seq=100)
    assert await purges.apply(page(head=80)) == 80
    assert cache.purged == [PurgeOrder(seq=80, prefix="/")]
    assert await purges.apply(page(PurgeOrder(seq=81, tag="x"), head=81)) == 81
    assert cache.purged[1:] == [PurgeOrder(seq=81, tag="x")]


async def test_ended_sessions_are_refused_from_then_on() -> None:
    revoked = Revoked(clock_s=lambda: 1000.0)
    claims = AccessClaims(user_id=UserId(7), username="a", session_id="s", issued_at_s=900, expires_at_s=1800)
    ended = EndedSessions(revoked)
    body = Revocations(revocations=(Revocation(seq=3, user_id="7", session_id="s", at_ms=999_000),), head=3)
    assert await ended.apply(msgspec.json.encode(body)) == 3
    with pytest.raises(Unauthenticated):
        revoked.check(claims)
    assert await ended.apply(msgspec.json.encode(Revocations(head=3))) == 3
