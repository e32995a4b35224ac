"""Two primaries with a replica each: one is killed. Only what it holds is away, and promotion brings all of it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from foundation.settings import Secret
from foundation.stores.shard_map import Family, PostgresServer, map_of, shard_of
from popreel.embedded.object_store import ObjectStoreAccess
from popreel.embedded.ports import free_ports
from popreel.embedded.postgres import EmbeddedPostgres
from tests.origin_harness import Origin, Person, origin_settings, quick_encoder, running
from tests.scenario.origin.replicas import Replica, commit_at_both, crash


def server_of(name: str, primary: EmbeddedPostgres, replica: Replica, *, videos: str, users: str) -> PostgresServer:
    credentials = primary.endpoint.partition("@")[0]
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{replica.port}"
    return PostgresServer(
        name=name,
        dsn=Secret(f"{credentials}@{hosts}/popreel?sslmode=disable&target_session_attrs=primary"),
        replicas=(Secret(f"{credentials}@127.0.0.1:{replica.port}/popreel?sslmode=disable"),),
        videos=videos,
        users=users,
    )


async def start_pair(
    name: str, make: Callable[[str], EmbeddedPostgres], tmp_path: Path
) -> tuple[EmbeddedPostgres, Replica]:
    primary = make(f"{name}-primary")
    await primary.start()
    await primary.ready()
    replica = Replica(
        primary,
        data_dir=tmp_path / f"{name}-replica",
        log_file=tmp_path / "replica.log",
        port=free_ports(1)[0],
        name=name,
    )
    await replica.start()
    await replica.ready()
    await commit_at_both(primary)
    return primary, replica


async def test_a_lost_primary_takes_only_its_videos_and_promotion_restores_them(
    tmp_path: Path,
    postgres_server: Callable[[str], EmbeddedPostgres],
    valkey_url: str,
    object_store: ObjectStoreAccess,
) -> None:
    pg_a, replica_a = await start_pair("a", postgres_server, tmp_path)
    pg_b, replica_b = await start_pair("b", postgres_server, tmp_path)
    try:
        servers = (
            server_of("a", pg_a, replica_a, videos="0-31", users="0-31"),
            server_of("b", pg_b, replica_b, videos="32-63", users=""),
        )
        settings = origin_settings(tmp_path, servers, valkey_url, object_store)
        async with running(settings, encoder=quick_encoder) as origin:
            await scenario(origin, pg_b, replica_b)
    finally:
        await asyncio.gather(replica_a.stop(), replica_b.stop())


async def scenario(origin: Origin, pg_b: EmbeddedPostgres, replica_b: Replica) -> None:
    ada = await origin.person()
    where = map_of(origin.settings.postgres)
    videos: dict[str, list[str]] = {"a": [], "b": []}
    while min(map(len, videos.values())) < 2:
        video = await origin.published(ada, title="a lighthouse at dusk", hashtags=["sea"])
        videos[where.server(Family.VIDEO, shard_of(Family.VIDEO, int(video)))].append(video)
    fans = [await origin.person() for _ in range(6)]
    acknowledged: set[tuple[str, str]] = set()
    stop = asyncio.Event()

    async def like(fan: Person) -> None:
        """Likes and unlikes for ever; what was answered with 204 must hold afterwards."""
        while not stop.is_set():
            for video in (*videos["a"], *videos["b"]):
                status, _ = await origin.call("POST", f"/api/v1/videos/{video}/like", fan)
                if status == 204:
                    acknowledged.add((fan.id, video))

    async with asyncio.TaskGroup() as tasks:
        for fan in fans[:4]:
            tasks.create_task(like(fan))
        await origin.eventually(lambda: _true(len(acknowledged) > 8))
        await crash(pg_b)
        await only_b_is_away(origin, videos, fans[4])
        await replica_b.promote()
        for video in videos["b"]:
            await origin.eventually(lambda video=video: _is_back(origin, video, fans[5]), timeout_s=30)
        stop.set()
    for fan in fans:
        for video in (*videos["a"], *videos["b"]):
            if (fan.id, video) in acknowledged:
                assert (await origin.ok("GET", f"/api/v1/videos/{video}", fan))["liked"] is True
    await origin.published(ada, title="life goes on")


async def only_b_is_away(origin: Origin, videos: dict[str, list[str]], fan: Person) -> None:
    for video in videos["a"]:
        await origin.ok("GET", f"/api/v1/videos/{video}")
        await origin.ok("POST", f"/api/v1/videos/{video}/like", fan)
        assert (await origin.call("GET", f"/videos/us-east/{video}/master.m3u8"))[0] == 200
    for video in videos["b"]:
        async with origin.http.get(f"{origin.url}/api/v1/videos/{video}") as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert (await answer.json())["code"] == "shard-unavailable"
    page = await origin.ok("GET", "/api/v1/search?q=lighthouse&limit=50")
    assert page["partial"] is True
    assert {entry["id"] for entry in page["videos"]} == set(videos["a"])
    page = await origin.ok("GET", "/api/v1/hashtag/sea/videos?limit=50")
    assert {entry["id"] for entry in page["videos"]} == set(videos["a"])


async def _true(value: bool) -> bool:
    return value


async def _is_back(origin: Origin, video: str, fan: Person) -> bool:
    return (await origin.call("POST", f"/api/v1/videos/{video}/like", fan))[0] == 204
