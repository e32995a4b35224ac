"""`python -m bench.origin [--users N] [--videos N] [--seconds S]`: the origin over a filled database, on this machine.

Starts an embedded Postgres, Valkey and object store of its own, fills the tables by SQL with synthetic metadata, runs
`origin.service` as a process, and asks it from this process: requests/s and latencies of login, status, like, comment
page and search; watch events per second through HTTP into Postgres; memory. The peer is Postgres itself: `select 1`
through the same driver and number of connections, so that a figure can be read as "so many round trips" whatever the
machine is doing.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
import msgspec
import psutil

from foundation.ids import EPOCH_MS, UserId, created_ms
from foundation.settings import Secret
from foundation.stores.shard_map import Family, PostgresServer, shard_of
from foundation.tokens.access import AccessClaims, issue
from origin.accounts.passwords import open_passwords
from origin.accounts.tokens import read_keys
from origin.migrate import migrate_all
from origin.search.video_index import BUCKET_S, hot_of, lexemes_of
from popreel.embedded.object_store import EmbeddedObjectStore, InnerPorts
from popreel.embedded.ports import GRPC_OFFSET, free_ports
from popreel.embedded.postgres import EmbeddedPostgres
from popreel.embedded.valkey import EmbeddedValkey

PASSWORD = "correct horse battery"
WORDS = (
    *("guitar", "lesson", "bread", "baking", "sourdough", "skate", "park", "mountain", "river", "cat", "dog", "dance"),
    *("street", "food", "ramen", "garden", "train", "city", "night", "rain", "summer", "beach", "football", "chess"),
    *("robot", "paint", "clay", "wood", "boat", "island", "forest", "snow", "coffee", "piano", "drums", "travel"),
)
SERVICE = {"Authorization": "Bearer bench-service-key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    url: str
    dsn: str
    users: list[int]
    videos: list[int]
    token: Callable[[int], dict[str, str]]
    process: psutil.Process


def snowflakes(count: int, *, days: int) -> list[int]:
    """Ids spread over the last `days`."""
    now_ms = int(time.time() * 1000) - EPOCH_MS
    step_ms = days * 86_400_000 / count
    return [int(now_ms - step_ms * index) << 22 | 7 << 12 for index in range(count, 0, -1)]


async def fill(dsn: str, users: list[int], videos: list[int], password_hash: str) -> None:
    """Users, published videos with titles of five words, counters, and 200 comments and likes on the first 500."""
    connection = await asyncpg.connect(dsn)
    manifest = msgspec.json.encode(MANIFEST).decode()
    now = dt.datetime.now(dt.UTC)
    await connection.copy_records_to_table(
        "users",
        records=(
            (i, shard_of(Family.USER, i), f"user{n}", f"User {n}", password_hash, now) for n, i in enumerate(users)
        ),
        columns=["id", "shard", "username", "display_name", "password_hash", "bot_scored_at"],
    )
    await connection.copy_records_to_table(
        "usernames",
        records=((f"user{n}", user_id, True) for n, user_id in enumerate(users)),
        columns=["name_key", "user_id", "confirmed"],
    )
    columns = ["id", "shard", "owner_id", "state", "title", "description", "manifest", "region", "ready_revision"]

    def rows() -> itertools.chain[tuple[object, ...]]:
        return itertools.chain(
            (
                video_id,
                shard_of(Family.VIDEO, video_id),
                random.choice(users),
                "ready",
                " ".join(random.choices(WORDS, k=4)) + f" {index}",
                "",
                manifest,
                "us-east",
                1,
            )
            for index, video_id in enumerate(videos)
        )

    await connection.copy_records_to_table("videos", records=rows(), columns=columns, timeout=None)
    await connection.execute("update videos set complete = true, published_at = created_at", timeout=None)
    await fill_search(connection)
    await connection.execute("insert into video_counters (video_id, shard) select id, shard from videos", timeout=None)
    comment_ids = itertools.count(1)
    await connection.copy_records_to_table(
        "comments",
        records=(
            (
                next(comment_ids),
                video_id,
                shard_of(Family.VIDEO, video_id),
                random.choice(users),
                "a comment of six words",
            )
            for video_id in videos[:500]
            for _ in range(200)
        ),
        columns=["id", "video_id", "shard", "user_id", "body"],
    )
    await connection.execute("vacuum analyze", timeout=None)
    await connection.close()


async def fill_search(connection: asyncpg.Connection) -> None:
    """What publishing would have written, in bulk: rows of the index, then the vocabulary by the origin's own duty."""
    rows = await connection.fetch("select id, shard, title from videos", timeout=None)

    def entries() -> Iterator[tuple[int, int, int, str]]:
        for row in rows:
            hot = hot_of(created_ms(row["id"]) / 1000)
            lexemes = lexemes_of(row["title"], "", ())
            placed = [*lexemes, *(f"{hot // BUCKET_S}:{lexeme}" for lexeme in lexemes)]
            yield row["id"], row["shard"], hot, " ".join(f"'{lexeme}'" for lexeme in placed)

    await connection.execute("create temp table entry (video_id bigint, shard smallint, hot int, words text)")
    await connection.copy_records_to_table("entry", records=entries(), timeout=None)
    await connection.execute("drop index video_search_words")
    await connection.execute("alter table video_search disable trigger user")
    await connection.execute(
        "insert into video_search select video_id, shard, hot, words::tsvector from entry", timeout=None
    )
    await connection.execute("alter table video_search enable trigger user")
    await connection.execute(
        "create index video_search_words on video_search using gin (words) with (fastupdate = off)", timeout=None
    )
    await connection.executemany(
        "insert into search_words (word, videos) values ($1, $2)", [(word, len(rows) // 9) for word in WORDS]
    )


MANIFEST = {
    "durationMs": 15000,
    "width": 720,
    "height": 1280,
    "frameRate": 30.0,
    "hasAudio": True,
    "renditions": [
        {
            "name": "360p",
            "width": 360,
            "height": 640,
            "frameRate": 30.0,
            "codecs": "avc1.64001e,mp4a.40.2",
            "bandwidthBps": 700000,
            "averageBandwidthBps": 600000,
            "sizeBytes": 1000000,
            "initBytes": 800,
            "prefixBytes": 90000,
        }
    ],
    "startPlaylist": "#EXTM3U\n360p.mp4\n#EXT-X-ENDLIST\n",
    "thumbhash": "",
}


@asynccontextmanager
async def world(users: int, videos: int) -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory(prefix="popreel-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240 - before anything runs
        pg_port, valkey_port, api_port, s3, master, volume, filer, admin = free_ports(8, also=(GRPC_OFFSET,))
        postgres = EmbeddedPostgres(data_dir=folder / "pg", log_file=folder / "pg.log", port=pg_port)
        valkey = EmbeddedValkey(data_dir=folder / "valkey", log_file=folder / "valkey.log", port=valkey_port)
        objects = EmbeddedObjectStore(
            data_dir=folder / "objects",
            log_file=folder / "objects.log",
            port=s3,
            inner_ports=InnerPorts(master=master, volume=volume, filer=filer, admin=admin),
        )
        started = (postgres, valkey, objects)
        try:
            for server in started:
                await server.start()
                await server.ready()
            access = objects.access("bench")
            async with open_passwords(threads=1) as passwords:
                password_hash = await passwords.hash(PASSWORD)
            servers = (PostgresServer(name="pg1", dsn=Secret(postgres.endpoint)),)
            await migrate_all(servers)
            user_ids, video_ids = snowflakes(users, days=400), snowflakes(videos, days=365)
            began = time.monotonic()
            await fill(postgres.endpoint, user_ids, video_ids, password_hash)
            print(f"filled {users} users, {videos} videos in {time.monotonic() - began:.0f} s")
            listen = f"127.0.0.1:{api_port}"
            config = folder / "origin.toml"
            config.write_text(
                f"""[origin]
listen = "{listen}"
valkey_url = "{valkey.endpoint}"
jwt_key_file = "{folder}/key.pem"
service_keys = {{bench = "bench-service-key"}}
logins_per_minute = 1000000
requests_per_minute = 1000000
[origin.tiers.free]
uploads = 1000000
follows = 1000000
likes = 1000000
comments = 1000000
[[origin.postgres]]
name = "pg1"
dsn = "{postgres.endpoint}"
[origin.objects]
endpoint = "{access.endpoint}"
access_key = "{access.access_key}"
secret_key = "{access.secret_key}"
bucket = "bench"
"""
            )
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "origin.service", "--config", str(config), stderr=(folder / "log").open("w")
            )
            try:
                await until_ready(f"http://{listen}")
                key = read_keys(folder / "key.pem", ())[0]

                def token(user_id: int) -> dict[str, str]:
                    now = int(time.time())
                    claims = AccessClaims(
                        user_id=UserId(user_id), username="u", session_id="1", issued_at_s=now, expires_at_s=now + 900
                    )
                    return {"Authorization": f"Bearer {issue(claims, key)}"}

                yield World(
                    url=f"http://{listen}",
                    dsn=postgres.endpoint,
                    users=user_ids,
                    videos=video_ids,
                    token=token,
                    process=psutil.Process(process.pid),
                )
            finally:
                process.terminate()
                await process.wait()
        finally:
            for server in reversed(started):
                await server.stop()


async def until_ready(url: str) -> None:
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def load(name: str, once: Callable[[], Awaitable[None]], *, seconds: float, at_once: int) -> float:
    """Run `once` in `at_once` loops; print and return requests/s."""
    times: list[float] = []
    deadline = time.monotonic() + seconds

    async def loop() -> None:
        while time.monotonic() < deadline:
            began = time.perf_counter()
            await once()
            times.append(time.perf_counter() - began)

    began = time.monotonic()
    await asyncio.gather(*(loop() for _ in range(at_once)))
    rate = len(times) / (time.monotonic() - began)
    cuts = statistics.quantiles(times, n=100)
    print(f"{name:24} {rate:8.0f} /s   p50 {cuts[49] * 1e3:7.1f} ms   p99 {cuts[98] * 1e3:7.1f} ms")
    return rate


async def requests(place: World, *, seconds: float) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:

        async def call(method: str, path: str, **options: object) -> None:
            async with session.request(method, place.url + path, **options) as answer:  # type: ignore[arg-type]
                body = await answer.read()
                assert answer.status < 300, (path, answer.status, body)

        async def login() -> None:
            body = {"username": f"user{random.randrange(len(place.users))}", "password": PASSWORD}
            await call("POST", "/api/v1/auth/login", json=body)

        async def status() -> None:
            await call("GET", f"/api/v1/videos/{random.choice(place.videos)}/status")

        async def video() -> None:
            await call("GET", f"/api/v1/videos/{random.choice(place.videos)}")

        tokens = [place.token(user_id) for user_id in random.sample(place.users, 500)]

        async def like() -> None:
            await call("POST", f"/api/v1/videos/{random.choice(place.videos)}/like", headers=random.choice(tokens))

        async def comments() -> None:
            await call("GET", f"/api/v1/videos/{random.choice(place.videos[:500])}/comments?limit=20")

        async def search() -> None:
            query = "+".join(random.sample(WORDS, 2))
            await call("GET", f"/api/v1/search?q={query}&limit=20")

        await load("login (argon2id)", login, seconds=seconds, at_once=8)
        await load("status", status, seconds=seconds, at_once=16)
        await load("video", video, seconds=seconds, at_once=16)
        await load("like", like, seconds=seconds, at_once=16)
        await load("comment page of 20", comments, seconds=seconds, at_once=16)

        async def typo() -> None:
            first, second = random.sample([word for word in WORDS if len(word) > 4], 2)
            await call("GET", f"/api/v1/search?q={first[:2] + first[3:]}+{second}&limit=20")

        async def people() -> None:
            await call("GET", f"/api/v1/search?q=user{random.randrange(len(place.users))}&type=users&limit=20")

        async def suggest() -> None:
            await call("GET", f"/api/v1/search/suggest?q=user{random.randrange(100)}")

        await load("search, page of 20", search, seconds=seconds, at_once=4)
        await load("search with a typo", typo, seconds=seconds, at_once=4)
        await load("search people", people, seconds=seconds, at_once=4)
        await load("suggestions", suggest, seconds=seconds, at_once=4)


async def events(place: World, *, seconds: float) -> None:
    """Batches of 1000, as a PoP's forwarder sends them, four at a time."""
    numbers = itertools.count()
    videos = place.videos[-5000:]

    def batch() -> bytes:
        now_ms = int(time.time() * 1000)
        found = [
            {
                "eventId": f"e{next(numbers)}",
                "viewer": f"d:{random.randrange(100_000)}",
                "popId": "local-1",
                "receivedAtMs": now_ms,
                "report": {
                    "videoId": str(random.choice(videos)),
                    "watchDuration": random.randrange(15000),
                    "totalDuration": 15000,
                },
            }
            for _ in range(1000)
        ]
        return msgspec.json.encode({"batchId": "b", "events": found})

    prepared = [batch() for _ in range(int(40 * seconds))]  # made before the clock starts
    headers = {**SERVICE, "Content-Type": "application/json"}
    sent = 0
    deadline = time.monotonic() + seconds
    began = time.monotonic()
    async with aiohttp.ClientSession() as session:

        async def forward() -> None:
            nonlocal sent
            while prepared and time.monotonic() < deadline:
                async with session.post(
                    f"{place.url}/internal/v1/events", data=prepared.pop(), headers=headers
                ) as answer:
                    receipt = await answer.json()
                    assert answer.status == 200, receipt
                    sent += receipt["accepted"]

        await asyncio.gather(*(forward() for _ in range(4)))
    print(f"{'watch events':24} {sent / (time.monotonic() - began):8.0f} /s   stored once, counted, by HTTP")


async def peer(place: World, *, seconds: float) -> None:
    pool = await asyncpg.create_pool(place.dsn, min_size=12, max_size=12)

    async def once() -> None:
        await pool.fetchval("select 1")

    await load("peer: select 1, 12 conns", once, seconds=seconds, at_once=16)
    await pool.close()


async def run(users: int, videos: int, seconds: float) -> None:
    async with world(users, videos) as place:
        await peer(place, seconds=seconds)
        await requests(place, seconds=seconds)
        await events(place, seconds=2 * seconds)
        print(f"{'memory of the origin':24} {place.process.memory_info().rss / 1e6:8.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.origin")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    asyncio.run(run(given.users, given.videos, given.seconds))


if __name__ == "__main__":
    main()
