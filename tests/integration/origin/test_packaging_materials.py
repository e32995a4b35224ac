"""Library sounds, sounds of videos, duets and stitches, on the real worker, packager and stores; results decoded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from foundation.stores.objects import open_objects
from origin.lifecycle.object_keys import sounds_prefix
from packager import Event, package
from popreel.embedded.object_store import ObjectStoreAccess
from popreel.embedded.valkey import EmbeddedValkey
from tests.integration.origin.hearing import picture_at, tone_clip, tone_file, tones
from tests.integration.origin.test_accounts import bearer, register, years_ago
from tests.origin_harness import OPERATOR, Origin, Person, one_server, origin_settings, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
ADA_HZ, BOB_HZ, FIRST_HZ, SECOND_HZ = 440, 700, 1500, 2300
HEARD = (ADA_HZ, BOB_HZ, FIRST_HZ, SECOND_HZ)


class Gate:
    """The real packager behind a gate: closed, a job waits there and those behind it wait for the worker."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.opened.set()

    async def package(self, *arguments: Any, **options: Any) -> AsyncIterator[Event]:
        await self.opened.wait()
        async with contextlib.aclosing(package(*arguments, **options)) as events:  # type: ignore[type-var]
            async for event in events:
                yield event


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate() -> Gate:
    return Gate()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin(
    gate: Gate,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_dsn: str,
    _valkey: EmbeddedValkey,
    object_store: ObjectStoreAccess,
) -> AsyncIterator[Origin]:
    folder = tmp_path_factory.mktemp("materials")
    settings = origin_settings(
        folder, one_server(postgres_dsn), _valkey.endpoint, object_store, lease_s=30.0, max_sound_bytes=2**20
    )
    async with running(settings, encoder=gate.package) as origin:
        yield origin


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("clips")
    return {
        "ada": tone_clip(folder / "ada.mp4", hertz=ADA_HZ, colour="0xc03020"),
        "bob": tone_clip(folder / "bob.mp4", hertz=BOB_HZ, colour="0x2030c0"),
        "song": tone_file(folder / "song.mp3", FIRST_HZ, SECOND_HZ),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(origin: Origin) -> Person:
    return await origin.person("ada")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bob(origin: Origin) -> Person:
    return await origin.person("bob")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def song(origin: Origin, clips: dict[str, bytes]) -> str:
    """A library sound: 2 s of FIRST_HZ, then 2 s of SECOND_HZ."""
    sound = await origin.ok("POST", "/api/v1/admin/sounds", OPERATOR, json={"title": "Two tones", "artist": "Lab"})
    assert (sound["state"], sound["audioUrl"]) == ("absent", None)
    await put_file(origin, sound["id"], clips["song"])
    return str(sound["id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adas(origin: Origin, ada: Person, clips: dict[str, bytes]) -> str:
    return await made(origin, ada, clips["ada"], title="ada's own")


async def put_file(origin: Origin, sound_id: str, data: bytes) -> Any:
    """Send the file and wait until the worker is done with it."""
    await origin.ok("PUT", f"/api/v1/admin/sounds/{sound_id}/file", OPERATOR, data=data)

    async def done() -> Any:
        sound = await origin.ok("GET", f"/api/v1/sounds/{sound_id}")
        return (
            sound
            if sound["state"] in ("ready", "failed") and (sound["state"] == "failed" or sound["audioUrl"])
            else None
        )

    return await origin.eventually(done, timeout_s=60)


async def made(origin: Origin, who: Person, data: bytes, **completion: Any) -> str:
    """Upload, and wait until every rung is out."""
    video_id = await origin.upload(who, data, **completion)
    status = await ended(origin, who, video_id)
    assert status["status"] == "ready", status
    return video_id


async def ended(origin: Origin, who: Person, video_id: str) -> Any:
    """The status once every rung is out, or none will be."""
    return await origin.until(
        who, video_id, lambda now: now["progress"] == 1 or now["status"] == "failed", timeout_s=90
    )


async def progressive(origin: Origin, video_id: str, who: Person | None = None) -> bytes:
    video = await origin.ok("GET", f"/api/v1/videos/{video_id}", who)
    body = await origin.ok("GET", video["urls"]["mp4"])
    assert isinstance(body, bytes)
    return body


async def objects_of(origin: Origin, sound_id: str) -> list[str]:
    async with open_objects(origin.settings.objects) as objects:
        return [found.key for found in await objects.list_prefix(sounds_prefix(int(sound_id)))]


async def test_a_sound_sent_by_an_operator_can_be_heard(origin: Origin, song: str) -> None:
    sound = await origin.ok("GET", f"/api/v1/sounds/{song}")
    assert sound["state"] == "ready"
    assert sound["durationMs"] == pytest.approx(4000, abs=60)
    heard = await origin.ok("GET", sound["audioUrl"])
    assert tones(heard, *HEARD) == {FIRST_HZ}
    assert tones(heard, *HEARD, from_s=2.3, to_s=3.7) == {SECOND_HZ}
    status, part = await origin.call("GET", sound["audioUrl"], headers={"Range": "bytes=0-99"})
    assert (status, part) == (206, heard[:100])
    keys = await objects_of(origin, song)
    assert len(keys) == 1
    assert keys[0].endswith(".m4a")


async def test_another_file_takes_the_place_of_the_first(
    origin: Origin, tmp_path: Path, clips: dict[str, bytes]
) -> None:
    sound = await origin.ok("POST", "/api/v1/admin/sounds", OPERATOR, json={"title": "Changed"})
    await put_file(origin, sound["id"], clips["song"])
    first = await objects_of(origin, sound["id"])
    await origin.ok(
        "PUT", f"/api/v1/admin/sounds/{sound['id']}/file", OPERATOR, data=tone_file(tmp_path / "b.flac", 990)
    )

    async def replaced() -> bool:
        return len(keys := await objects_of(origin, sound["id"])) == 1 and keys != first

    await origin.eventually(replaced, timeout_s=60)
    assert tones(await origin.ok("GET", sound["audioUrl"] or f"/api/v1/sounds/{sound['id']}/audio"), 990, *HEARD) == {
        990
    }


async def test_files_that_are_no_sound_are_refused_and_leave_nothing(origin: Origin) -> None:
    sound = await origin.ok("POST", "/api/v1/admin/sounds", OPERATOR, json={"title": "Nothing"})
    path = f"/api/v1/admin/sounds/{sound['id']}/file"
    for data, status, code in (
        (b"#EXTM3U\nfile:///etc/passwd\n", 415, "playlist"),
        (b"ID3" + bytes(2**20), 413, "file-too-large"),
        (b"", 400, "bad-input"),
    ):
        answer, problem = await origin.call("PUT", path, OPERATOR, data=data)
        assert (answer, problem["code"]) == (status, code)
    assert await objects_of(origin, sound["id"]) == []
    failed = await put_file(origin, sound["id"], b"ID3" + bytes(5000))
    assert failed["state"] == "failed"
    assert "cut short or damaged" in failed["reason"]

    async def empty() -> bool:
        return await objects_of(origin, sound["id"]) == []

    await origin.eventually(empty)
    assert (await origin.call("GET", f"/api/v1/sounds/{sound['id']}/audio"))[0] == 409
    assert (await origin.call("PUT", "/api/v1/admin/sounds/1/file", OPERATOR, data=b"ID3x"))[0] == 404


async def test_a_sound_is_mixed_from_its_start_at_its_volume(
    origin: Origin, ada: Person, song: str, clips: dict[str, bytes]
) -> None:
    mixed = {"sound": {"startMs": 2000, "volume": 0.5, "originalVolume": 1.0}}
    video_id = await made(origin, ada, clips["ada"], musicId=song, edits=mixed)
    assert tones(await progressive(origin, video_id), *HEARD) == {ADA_HZ, SECOND_HZ}
    alone = await made(origin, ada, clips["ada"], musicId=song, edits={"sound": {}})
    assert tones(await progressive(origin, alone), *HEARD) == {FIRST_HZ}
    assert (await origin.ok("GET", f"/api/v1/videos/{alone}"))["sound"]["title"] == "Two tones"


async def test_a_sound_named_without_edits_is_only_named(
    origin: Origin, ada: Person, song: str, clips: dict[str, bytes]
) -> None:
    video_id = await made(origin, ada, clips["ada"], musicId=song)
    assert (await origin.ok("GET", f"/api/v1/videos/{video_id}"))["sound"]["id"] == song
    assert tones(await progressive(origin, video_id), *HEARD) == {ADA_HZ}


async def test_the_sound_of_a_video_is_used_and_goes_with_the_video(
    origin: Origin, ada: Person, bob: Person, clips: dict[str, bytes]
) -> None:
    theirs = await made(origin, ada, clips["ada"], title="sounds good")
    sound = await origin.ok("POST", f"/api/v1/videos/{theirs}/sound", bob)
    assert (sound["videoId"], sound["artist"], sound["durationMs"]) == (theirs, "ada", 2000)
    assert (await origin.ok("POST", f"/api/v1/videos/{theirs}/sound", ada))["id"] == sound["id"]
    assert tones(await origin.ok("GET", sound["audioUrl"]), *HEARD) == {ADA_HZ}
    with_it = await made(origin, bob, clips["bob"], musicId=sound["id"], edits={"sound": {"originalVolume": 0.5}})
    assert tones(await progressive(origin, with_it), *HEARD) == {ADA_HZ, BOB_HZ}
    assert (await origin.ok("POST", f"/api/v1/videos/{with_it}/sound", ada))["id"] == sound["id"]

    await origin.ok("PATCH", f"/api/v1/videos/{theirs}", ada, json={"remixesOpen": False})
    assert (await refused(origin, bob, musicId=sound["id"], edits={"sound": {}})) == (403, "remix-refused")
    await origin.ok("DELETE", f"/api/v1/videos/{theirs}", ada)

    async def gone() -> bool:
        return (await origin.call("GET", f"/api/v1/sounds/{sound['id']}"))[0] == 404

    await origin.eventually(gone)
    assert (await refused(origin, bob, musicId=sound["id"])) == (404, "unknown-sound")


async def test_a_duet_shows_and_sounds_both_and_says_whose_it_is(
    origin: Origin, bob: Person, adas: str, clips: dict[str, bytes]
) -> None:
    duet = await made(origin, bob, clips["bob"], partnerId=adas, edits={"partner": {"layout": "duet"}})
    assert (await origin.ok("GET", f"/api/v1/videos/{duet}"))["remixOf"] == adas
    media = await progressive(origin, duet)
    assert tones(media, *HEARD) == {ADA_HZ, BOB_HZ}
    picture = picture_at(media, 1.0)
    left, right = (half.reshape(-1, 3).mean(axis=0) for half in np.array_split(picture, 2, axis=1))
    assert left[0] > 2 * left[2]  # ada's red
    assert right[2] > 2 * right[0]  # bob's blue


async def test_a_stitch_plays_the_other_first(origin: Origin, bob: Person, adas: str, clips: dict[str, bytes]) -> None:
    edits = {"partner": {"layout": "stitch", "stitchMs": 1000}}
    stitch = await made(origin, bob, clips["bob"], partnerId=adas, edits=edits)
    assert (await origin.ok("GET", f"/api/v1/videos/{stitch}"))["durationMs"] == 3000
    media = await progressive(origin, stitch)
    assert tones(media, *HEARD, from_s=0.1, to_s=0.9) == {ADA_HZ}
    assert tones(media, *HEARD, from_s=1.2, to_s=2.8) == {BOB_HZ}
    first, second = (picture_at(media, at).reshape(-1, 3).mean(axis=0) for at in (0.5, 2.0))
    assert first[0] > 2 * first[2]
    assert second[2] > 2 * second[0]


async def test_ones_own_hidden_video_may_be_used_by_oneself_only(
    origin: Origin, ada: Person, bob: Person, clips: dict[str, bytes]
) -> None:
    for visibility, status, code in (
        ("private", 404, "unknown-video"),
        ("followers", 403, "remix-refused"),
        ("unlisted", 403, "remix-refused"),
    ):
        hidden = await made(origin, ada, clips["ada"], visibility=visibility)
        wanted = {"partnerId": hidden, "edits": {"partner": {"layout": "duet"}}}
        assert (await refused(origin, bob, **wanted)) == (status, code)
        assert (await origin.call("POST", f"/api/v1/videos/{hidden}/sound", bob))[0] == status
    await made(origin, ada, clips["ada"], **wanted)


async def test_what_cannot_be_made_is_said_when_the_upload_is_completed(
    origin: Origin, ada: Person, bob: Person, adas: str, song: str
) -> None:
    nameless = await origin.ok("POST", "/api/v1/admin/sounds", OPERATOR, json={"title": "No file", "durationMs": 5000})
    forbidden = await origin.ok("POST", "/api/v1/admin/sounds", OPERATOR, json={"title": "No", "licence": "restricted"})
    duet = {"edits": {"partner": {"layout": "duet"}}}
    for completion, expected in (
        ({"edits": {"sound": {}}}, (400, "bad-input")),
        ({"musicId": song, "edits": {"sound": {"startMs": 60_000}}}, (400, "bad-input")),
        ({"musicId": nameless["id"], "edits": {"sound": {}}}, (409, "sound-not-ready")),
        ({"musicId": forbidden["id"]}, (404, "unknown-sound")),
        ({"musicId": "12345"}, (404, "unknown-sound")),
        (duet, (400, "bad-input")),
        ({"partnerId": adas}, (400, "bad-input")),
        ({"partnerId": "12345", **duet}, (404, "unknown-video")),
    ):
        assert (await refused(origin, bob, **completion)) == expected, completion
    await origin.ok("POST", f"/api/v1/users/{bob.id}/block", ada)
    assert (await refused(origin, bob, partnerId=adas, **duet)) == (404, "unknown-video")
    await origin.ok("DELETE", f"/api/v1/users/{bob.id}/block", ada)


@pytest.mark.parametrize("change", ["deleted", "closed", "blocked"])
async def test_what_is_taken_back_while_the_upload_waits_is_not_used(
    origin: Origin, gate: Gate, ada: Person, bob: Person, clips: dict[str, bytes], change: str
) -> None:
    wanted = await made(origin, ada, clips["ada"])
    gate.opened.clear()
    ahead = await origin.upload(ada, clips["ada"])
    await origin.until(ada, ahead, lambda now: now["status"] == "processing")
    duet = await origin.upload(bob, clips["bob"], partnerId=wanted, edits={"partner": {"layout": "duet"}})
    if change == "deleted":
        await origin.ok("DELETE", f"/api/v1/videos/{wanted}", ada)
    elif change == "closed":
        await origin.ok("PATCH", f"/api/v1/videos/{wanted}", ada, json={"remixesOpen": False})
    else:
        await origin.ok("POST", f"/api/v1/users/{bob.id}/block", ada)
    gate.opened.set()
    status = await ended(origin, bob, duet)
    assert (status["status"], status["code"]) == ("failed", "edits")
    assert status["reason"].startswith("The video cannot be made any more: ")
    if change == "blocked":
        await origin.ok("DELETE", f"/api/v1/users/{bob.id}/block", ada)
        await origin.ok("POST", f"/api/v1/videos/{duet}/reprocess", bob)
        assert (await ended(origin, bob, duet))["status"] == "ready"


async def refused(origin: Origin, who: Person, **completion: Any) -> tuple[int, str]:
    """Status and code of a completion that is refused; the upload stays open and is taken back."""
    ticket = await origin.begin(who)
    await origin.send(who, ticket)
    path = f"/api/v1/videos/{ticket['videoId']}"
    status, problem = await origin.call("POST", f"{path}/upload/complete", who, json=completion)
    assert status >= 400, completion
    assert (await origin.ok("GET", f"{path}/status", who))["status"] == "created"
    await origin.ok("DELETE", path, who)
    return status, problem["code"]


async def test_a_teens_video_is_closed_to_others_unless_they_open_it(origin: Origin, clips: dict[str, bytes]) -> None:
    reply = await register(origin, "tess_teen", birthdate=years_ago(15))
    teen = Person(id=reply["user"]["id"], name="tess_teen", headers=bearer(reply))
    closed = await made(origin, teen, clips["ada"])
    opened = await made(origin, teen, clips["ada"], remixesOpen=True)
    shown = [(await origin.ok("GET", f"/api/v1/videos/{video}", teen))["remixesOpen"] for video in (closed, opened)]
    assert shown == [False, True]


async def test_nothing_is_left_on_the_scratch_disk(origin: Origin) -> None:
    async def empty() -> bool:
        return not origin.settings.scratch_dir.exists() or not list(origin.settings.scratch_dir.iterdir())

    await origin.eventually(empty)
