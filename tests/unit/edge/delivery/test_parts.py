"""Small parts on their own: slice files, fills, the gate, the prefetch queue, the purge journal, sizes as typed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edge.delivery.errors import OriginBroke, OriginBusy
from edge.delivery.prefetcher import ByteBudget, Prefetcher, PrefetchOrder, PrefetchPriority
from edge.delivery.standalone import parse_size
from edge.delivery.store import purge_journal, slice_file
from edge.delivery.store.layout import Layout
from edge.delivery.store.purge_journal import Purge, PurgeJournal, Verdict
from edge.delivery.store.slice_file import CorruptSlice
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.upstream.body_fill import BodyFill
from edge.delivery.upstream.priority_gate import Priority, PriorityGate
from edge.delivery.upstream.slice_fill import SliceFill
from foundation.errors import BadInput

ID = "00112233445566778899aabbccddeeff"


def stored(**changes) -> StoredResponse:
    values = {
        "key": "/a",
        "vary_names": (),
        "vary_values": (),
        "status": 200,
        "reason": "OK",
        "fields": (("Cache-Control", "max-age=10"),),
        "request_s": 0.0,
        "response_s": 0.0,
        "initial_age_s": 0.0,
        "lifetime_s": 10.0,
        "body_id": ID,
        "total": 5,
        "pinned_etag": None,
        "layout": Layout(10, 10),
    }
    return StoredResponse(**{**values, **changes})


def test_every_single_bit_of_a_slice_file_matters():
    raw = slice_file.encode_head(ID, 3, b"payload") + b"payload"
    assert slice_file.decode(raw, ID, 3) == b"payload"
    for bit in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptSlice):
            slice_file.decode(bytes(damaged), ID, 3)
    for wrong in ((ID[::-1], 3), (ID, 4)):
        with pytest.raises(CorruptSlice):
            slice_file.decode(raw, *wrong)
    for cut in range(len(raw)):
        with pytest.raises(CorruptSlice):
            slice_file.decode(raw[:cut], ID, 3)


async def test_readers_of_a_fill_have_cursors_of_their_own():
    fill = SliceFill()
    early = asyncio.create_task(_read_all(fill))
    fill.feed(b"ab")
    await asyncio.sleep(0)
    late = asyncio.create_task(_read_all(fill))
    gone = asyncio.create_task(_read_all(fill))
    await asyncio.sleep(0)
    gone.cancel()
    fill.feed(b"cd")
    assert fill.finish() == b"abcd"
    assert await early == await late == b"abcd"


async def _read_all(fill: SliceFill) -> bytes:
    data = b""
    while await fill.wait_past(len(data)):
        data += fill.read(len(data), 1 << 30)
    return data


async def test_a_failed_fill_tells_its_readers_after_the_good_bytes():
    fill = SliceFill()
    fill.feed(b"ab")
    fill.fail(OriginBroke("cut"))
    assert await fill.wait_past(1)
    with pytest.raises(OriginBroke):
        await fill.wait_past(2)


async def test_a_stream_that_can_be_continued_waits_for_its_readers_and_ends_without_them():
    kept: dict[int, bytes] = {}
    fill = BodyFill(Layout(10, 10), retain=False, limit_bytes=1000, keep=kept.__setitem__)
    fill.attach()

    async def endless():
        while True:
            yield b"x" * 10

    run = asyncio.create_task(fill.run(endless()))
    for _ in range(200):
        await asyncio.sleep(0)
    assert 8 <= len(kept) <= 12
    fill.detach()
    assert await run is False


async def test_a_body_too_long_to_keep_is_freed_behind_its_reader():
    fill = BodyFill(Layout(10, 10), retain=True, limit_bytes=50, keep=lambda index, data: None)
    fill.attach()

    async def chunks():
        for _ in range(100):
            yield b"y" * 10

    run = asyncio.create_task(fill.run(chunks()))
    for index in range(100):
        part = fill.slice(index)
        assert part is not None
        assert await part.wait_past(9)
        assert len(fill._fills) < 20
    assert await run
    assert fill.overflowed


async def test_the_gate_lets_the_urgent_pass_and_keeps_background_to_its_share():
    gate = PriorityGate(slots=2, background_slots=1, max_waiting=3)
    await gate.enter(Priority.PREFETCH)
    order: list[str] = []

    async def go(name: str, priority: Priority) -> None:
        await gate.enter(priority)
        order.append(name)

    tasks = [asyncio.create_task(go("ahead", Priority.READ_AHEAD))]
    await asyncio.sleep(0)
    await gate.enter(Priority.VIEWER)
    for name, priority in (("viewer", Priority.VIEWER), ("urgent", Priority.URGENT)):
        tasks.append(asyncio.create_task(go(name, priority)))
        await asyncio.sleep(0)
    with pytest.raises(OriginBusy):
        await gate.enter(Priority.URGENT)
    for priority in (Priority.VIEWER, Priority.URGENT, Priority.VIEWER, Priority.PREFETCH):
        gate.leave(priority)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert order == ["urgent", "viewer", "ahead"]


async def test_a_cancelled_waiter_does_not_take_the_slot_with_it():
    gate = PriorityGate(slots=1, background_slots=1, max_waiting=9)
    await gate.enter(Priority.VIEWER)
    first = asyncio.create_task(gate.enter(Priority.VIEWER))
    second = asyncio.create_task(gate.enter(Priority.VIEWER))
    await asyncio.sleep(0)
    gate.leave(Priority.VIEWER)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    async with asyncio.timeout(30):
        await second


@asynccontextmanager
async def busy_prefetcher(*, max_queued: int) -> AsyncIterator[tuple[Prefetcher, asyncio.Event, list[str]]]:
    """One worker that is held until the event is set, and the paths it has fetched."""
    started, release = asyncio.Event(), asyncio.Event()
    fetched: list[str] = []

    async def fetch(order: PrefetchOrder) -> int:
        started.set()
        await release.wait()
        fetched.append(order.path)
        return 1

    prefetcher = Prefetcher(fetch, workers=1, max_queued=max_queued)
    prefetcher.order([PrefetchOrder(path="/busy")], priority=PrefetchPriority.NEXT)
    await started.wait()
    yield prefetcher, release, fetched
    await prefetcher.close()


async def test_a_full_prefetch_queue_keeps_the_urgent():
    async with busy_prefetcher(max_queued=3) as (prefetcher, release, fetched):
        warm = [PrefetchOrder(path=f"/w{n}") for n in range(3)]
        prefetcher.order([*warm, warm[0]], priority=PrefetchPriority.WARM)
        prefetcher.order([PrefetchOrder(path="/feed")], priority=PrefetchPriority.FEED)
        release.set()
        await prefetcher.idle()
        assert fetched == ["/busy", "/feed", "/w0", "/w1"]
        assert prefetcher.counts.dropped == 1


async def test_what_a_player_wants_next_takes_the_place_of_what_it_wanted_before():
    def wanted(stream: str, *paths: str) -> None:
        orders = [PrefetchOrder(path=path, stream=stream) for path in paths]
        prefetcher.move_on(stream, orders, priority=PrefetchPriority.NEXT)

    async with busy_prefetcher(max_queued=100) as (prefetcher, release, fetched):
        wanted("swiper av", "/1", "/2", "/3")
        wanted("other av", "/2", "/9")
        wanted("", "/nameless")
        wanted("swiper a", "/sound")
        wanted("swiper av", "/3", "/4")
        assert prefetcher.counts.cancelled == 1
        wanted("swiper av", "/5")
        wanted("", "/nameless too")
        release.set()
        await prefetcher.idle()
        assert fetched == ["/busy", "/2", "/9", "/nameless", "/sound", "/5", "/nameless too"]
        assert prefetcher.counts.cancelled == 3
        wanted("swiper av", "/1")  # forgotten, not remembered as queued
        await prefetcher.idle()
        assert fetched[-1] == "/1"


def test_a_byte_budget_lets_bursts_pass_and_holds_the_average():
    now_s = 0.0
    budget = ByteBudget(1000, lambda: now_s)
    assert budget.wait_s() == 0
    budget.take(5000)  # 2000 were there
    assert budget.wait_s() == 3
    now_s = 3.0
    assert budget.wait_s() == 0
    now_s = 1000.0
    budget.wait_s()
    budget.take(2500)
    assert budget.wait_s() == 0.5
    assert ByteBudget(0, lambda: now_s).wait_s() == 0


def record(journal: PurgeJournal, **what) -> None:
    for purge in journal.write(Purge(number=0, **what)):
        journal.note(purge)


def test_a_long_journal_is_replaced_and_judges_as_before(tmp_path):
    path = tmp_path / "purges.ndjson"
    journal, sibling = (PurgeJournal(path, max_file_bytes=4000) for _ in range(2))
    early = stored(key="/early", sequence=0)
    for number in range(300):
        record(journal, url=f"/v{number}", order=number)
        for purge in sibling.read():
            sibling.note(purge)
    assert path.stat().st_size < 4200
    assert sibling.head == journal.head == 300
    for one in (journal, sibling):
        assert one.verdict(early) is Verdict.KEEP  # they heard of every purge
        assert one.verdict(stored(key="/v5", sequence=1)) is Verdict.GONE
        assert one.verdict(stored(key="/v299", sequence=299)) is Verdict.GONE
    reborn = PurgeJournal(path)
    for purge in reborn.read():
        reborn.note(purge)
    assert (reborn.head, reborn.order_head) == (300, 299)
    assert reborn.verdict(early) is Verdict.GONE  # what it may have missed counts as missed
    assert reborn.verdict(stored(key="/v5", sequence=299)) is Verdict.KEEP


def test_the_journal_judges_what_is_older_than_a_purge(tmp_path):
    journal = PurgeJournal(tmp_path / "purges.ndjson")
    before = stored(tags=("t",), sequence=journal.head)
    record(journal, tag="t", soft=True, order=7)
    assert journal.verdict(before) is Verdict.STALE
    record(journal, url="/a", order=8)
    assert journal.verdict(before) is Verdict.GONE
    assert journal.verdict(stored(tags=("t",), sequence=journal.head)) is Verdict.KEEP
    again = PurgeJournal(tmp_path / "purges.ndjson")
    for purge in again.read():
        again.note(purge)
    assert (again.verdict(before), again.order_head, again.head) == (Verdict.GONE, 8, 2)


def test_a_torn_line_is_no_purge_and_the_next_is(tmp_path):
    path = tmp_path / "purges.ndjson"
    path.write_bytes(b'{"number":1,"url":"/a"}\n{"numb')
    journal = PurgeJournal(path)
    assert [purge.url for purge in journal.read()] == ["/a"]
    assert journal.read() == []
    record(journal, url="/b")
    assert [purge.url for purge in PurgeJournal(path).read()] == ["/a", "/b"]


def test_what_the_journal_no_longer_lists_counts_as_purged(monkeypatch):
    monkeypatch.setattr(purge_journal, "MAX_ORDERS", 10)
    journal = PurgeJournal(None)
    old = stored(key="/other", sequence=0)
    for number in range(30):
        record(journal, url=f"/{number}")
    assert journal.verdict(old) is Verdict.GONE
    assert journal.verdict(stored(key="/other", sequence=journal.head)) is Verdict.KEEP


@pytest.mark.parametrize(("text", "size"), [("256MiB", 256 << 20), ("20 GiB", 20 << 30), ("1kb", 1000), ("7", 7)])
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "5 parsecs", "-1", "1.5GiB"])
def test_other_sizes_are_refused(text):
    with pytest.raises(BadInput):
        parse_size(text)
