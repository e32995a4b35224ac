"""A disk that is full, damaged or gone: serve on, count, never a wrong byte."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from edge.delivery.lab.scripted_origin import Reply, file_reply
from edge.delivery.store.cache_directory import CacheDirectory
from edge.delivery.store.purge_journal import PurgeJournal
from foundation.wire.pops import PurgeOrder

BODY = random.Random(7).randbytes(300_000)


def slice_files(root: Path) -> list[Path]:
    return sorted(path for path in (root / "slices").rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "swap", "grow", "unlink"])
@pytest.mark.parametrize("etag", ['"strong"', None])
async def test_damaged_slices_are_fetched_again_and_never_served(open_edge, origin, tmp_path, damage, etag):
    if etag:
        origin.script = lambda asked: file_reply(asked, BODY, etag=etag)
    else:
        origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=99"}, body=BODY)
    first = await open_edge(cache_dir=tmp_path)
    await first.get("/v.bin")
    await first.delivery.flush()
    files = slice_files(tmp_path)
    assert len(files) == 6
    rng = random.Random(damage)
    for path in files[1:4]:
        raw = bytearray(path.read_bytes())
        match damage:
            case "flip":
                raw[rng.randrange(len(raw))] ^= 1
            case "cut":
                del raw[-rng.randrange(1, 500) :]
            case "empty":
                raw.clear()
            case "swap":
                raw = bytearray(files[5].read_bytes())
            case "grow":
                raw += b"x"
        path.write_bytes(raw)
        if damage == "unlink":
            path.unlink()
    second = await open_edge(cache_dir=tmp_path)
    await second.delivery._disk.scanned.wait()
    got = await second.get("/v.bin")
    assert BODY.startswith(got.body)
    assert got.complete or etag is None
    again = await second.get("/v.bin")
    assert again.complete
    assert again.body == BODY


async def test_a_damaged_description_is_a_miss(open_edge, origin, tmp_path):
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    first = await open_edge(cache_dir=tmp_path)
    await first.get("/v.mp4")
    await first.delivery.flush()
    for path in (path for path in (tmp_path / "responses").rglob("*") if path.is_file()):
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    second = await open_edge(cache_dir=tmp_path)
    assert (await second.get("/v.mp4")).body == BODY


async def test_a_full_disk_is_served_past_and_tried_again(disk_edge, monkeypatch):
    disk_edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')

    def full(self, body_id, index, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(CacheDirectory, "write_slice", full)
        for _ in range(2):
            assert (await disk_edge.get("/v.mp4")).body == BODY
        await disk_edge.delivery.flush()
    counts = disk_edge.delivery._disk.counts
    assert counts.write_errors >= 1
    assert counts.writes == 0
    disk_edge.clock.advance(60)
    assert (await disk_edge.get("/w.mp4")).body == BODY
    await disk_edge.delivery.flush()
    assert counts.writes == 6


async def test_a_disk_that_cannot_be_read_is_a_miss(open_edge, origin, tmp_path, monkeypatch):
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    first = await open_edge(cache_dir=tmp_path)
    await first.get("/v.mp4")
    await first.delivery.flush()

    def broken(self, *args):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(CacheDirectory, "read_slice", broken)
    second = await open_edge(cache_dir=tmp_path)
    assert (await second.get("/v.mp4")).body == BODY
    assert second.delivery._disk.counts.read_errors >= 1


async def test_the_disk_stays_within_its_size(open_edge, origin, tmp_path):
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    edge = await open_edge(cache_dir=tmp_path, disk_bytes=1_500_000, ram_bytes=1 << 20)
    for number in range(12):
        assert (await edge.get(f"/v{number}.mp4")).body == BODY
        await edge.delivery.flush()
    await edge.delivery.flush()
    assert sum(path.stat().st_size for path in slice_files(tmp_path)) <= 1_500_000
    assert edge.delivery._disk.counts.evicted > 0
    for number in range(12):
        assert (await edge.get(f"/v{number}.mp4")).body == BODY


async def test_descriptions_of_what_is_gone_are_swept(disk_edge, tmp_path):
    disk_edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    for name in ("a", "b", "c"):
        await disk_edge.get(f"/{name}.mp4")
    await disk_edge.delivery.flush()
    root = tmp_path / "cache"
    (body,) = {stored.body_id for stored in disk_edge.delivery.store.index.get("/a.mp4")}
    for path in slice_files(root):
        if path.name.startswith(body):
            path.unlink()
    assert await disk_edge.delivery._disk.sweep() == 1
    directory = CacheDirectory(root)
    assert directory.read_responses("/a.mp4") == ()
    assert directory.read_responses("/b.mp4") != ()
    assert directory.sweep_responses(max_files=1) == 1


async def test_a_purge_that_cannot_be_recorded_is_obeyed_but_not_acknowledged(disk_edge, monkeypatch):
    disk_edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    await disk_edge.get("/v.mp4")

    def full(self, purge):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PurgeJournal, "write", full)
    with pytest.raises(OSError, match="No space"):
        await disk_edge.delivery.purge(PurgeOrder(seq=7, url="/v.mp4"))
    assert disk_edge.delivery.stats().purge_sequence == 0
    assert "fwd=uri-miss" in (await disk_edge.get("/v.mp4")).headers["Cache-Status"]


@pytest.mark.parametrize("order", [{"url": "/v.mp4"}, {"prefix": "/v"}, {"tag": "video-9"}])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_purge_holds_for_what_is_only_on_disk(open_edge, origin, tmp_path, order, soft, restarted):
    """A PoP that was restarted, purged before it has read its disk, does not serve the purged object."""
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"', headers={"Surrogate-Key": "video-9 x"})
    first = await open_edge(cache_dir=tmp_path)
    await first.get("/v.mp4")
    await first.delivery.flush()
    second = await open_edge(cache_dir=tmp_path)
    await second.delivery.purge(PurgeOrder(seq=41, soft=soft, **order))
    edge = await open_edge(cache_dir=tmp_path) if restarted else second
    assert edge.delivery.stats().purge_sequence == 41
    got = await edge.get("/v.mp4")
    assert got.body == BODY
    assert ("fwd=stale; fwd-status=304" if soft else "fwd=uri-miss") in got.headers["Cache-Status"]
