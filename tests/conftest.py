"""Real servers for every test that wants them: started once per session, on free ports, when first asked for."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: threads make small products slower, as in services

import boto3
import pytest
import redis

from popreel.embedded.object_store import EmbeddedObjectStore, InnerPorts, ObjectStoreAccess
from popreel.embedded.ports import GRPC_OFFSET, free_ports
from popreel.embedded.postgres import EmbeddedPostgres
from popreel.embedded.server import EmbeddedServer
from popreel.embedded.valkey import Durability, EmbeddedValkey
from popreel.lab.throwaway import ThrowawayPlatform
from tests.integration.packager.packaging import Packaged, packaged
from tests.media import clip

T = TypeVar("T")


def run_here(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from a synchronous fixture without touching the loop that pytest-asyncio keeps for the tests."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _start(server: EmbeddedServer) -> None:
    await server.start()
    await server.ready()


async def _throw_away(server: EmbeddedServer) -> None:
    """Nobody reads its data again: a Postgres told to stop would first sync every database a session has made."""
    if server.pid is not None:
        server.kill()
        await server.wait()


@pytest.fixture(scope="session")
def server_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def _postgres(server_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(
        data_dir=server_dir / "postgres", log_file=server_dir / "postgres.log", port=free_ports(1)[0]
    )
    run_here(_start(server))
    yield server
    run_here(_throw_away(server))


@pytest.fixture(scope="session")
def _database_numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture(scope="module")
def postgres_dsn(_postgres: EmbeddedPostgres, _database_numbers: Iterator[int], request: pytest.FixtureRequest) -> str:
    """The DSN of an empty database of this module's own."""
    module = re.sub(r"\W+", "_", request.module.__name__.rsplit(".", 1)[-1]).lower()[:40]
    return run_here(_postgres.create_database(f"{module}_{next(_database_numbers)}"))


@pytest.fixture
def postgres_database(_postgres: EmbeddedPostgres, _database_numbers: Iterator[int]) -> Callable[[], str]:
    """A factory of empty databases on the session's server: the DSN of a new one at each call (about 40 ms).

    Call it from synchronous code; in a test that runs in a loop, make the databases in a synchronous fixture.
    """
    return lambda: run_here(_postgres.create_database(f"made_{next(_database_numbers)}"))


@pytest.fixture
def postgres_server(tmp_path: Path) -> Iterator[Callable[[str], EmbeddedPostgres]]:
    """A factory of whole servers, for shards, replicas and crashes: not started yet, stopped after the test.

    `await server.start(); await server.ready()` (about 1 s for the first start of each).
    """
    made: list[EmbeddedPostgres] = []

    def make(name: str) -> EmbeddedPostgres:
        server = EmbeddedPostgres(
            data_dir=tmp_path / name, log_file=tmp_path / f"{name}.log", port=free_ports(1)[0], name=name
        )
        made.append(server)
        return server

    yield make
    for server in made:
        run_here(_throw_away(server))


@pytest.fixture(scope="session")
def _valkey(server_dir: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(data_dir=server_dir / "valkey", log_file=server_dir / "valkey.log", port=free_ports(1)[0])
    run_here(_start(server))
    yield server
    run_here(_throw_away(server))


@pytest.fixture
def valkey_url(_valkey: EmbeddedValkey) -> str:
    """The URL (with password) of the session's Valkey, flushed before each test."""
    with redis.Redis.from_url(_valkey.endpoint) as client:
        client.flushall()
    return _valkey.endpoint


@pytest.fixture
def valkey_server(tmp_path: Path) -> Iterator[Callable[[str], EmbeddedValkey]]:
    """A factory of own Valkeys (appendfsync always), for tests that stop or kill one: not started yet."""
    made: list[EmbeddedValkey] = []

    def make(name: str) -> EmbeddedValkey:
        server = EmbeddedValkey(
            data_dir=tmp_path / name,
            log_file=tmp_path / f"{name}.log",
            port=free_ports(1)[0],
            name=name,
            durability=Durability.ALWAYS,
        )
        made.append(server)
        return server

    yield make
    for server in made:
        run_here(_throw_away(server))


@pytest.fixture(scope="session")
def _object_store(server_dir: Path) -> Iterator[EmbeddedObjectStore]:
    s3, master, volume, filer, admin = free_ports(5, also=(GRPC_OFFSET,))
    server = EmbeddedObjectStore(
        data_dir=server_dir / "objects",
        log_file=server_dir / "objects.log",
        port=s3,
        inner_ports=InnerPorts(master=master, volume=volume, filer=filer, admin=admin),
    )
    run_here(_start(server))
    yield server
    run_here(_throw_away(server))


@pytest.fixture(scope="module")
def object_store(_object_store: EmbeddedObjectStore, _database_numbers: Iterator[int]) -> ObjectStoreAccess:
    """An S3 endpoint, its keys, and an empty bucket of this module's own."""
    access = _object_store.access(f"test-{next(_database_numbers)}")
    client = boto3.client(
        "s3",
        endpoint_url=access.endpoint,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        region_name=access.region,
    )
    client.create_bucket(Bucket=access.bucket)
    client.close()
    return access


@pytest.fixture(scope="session")
def bunny(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """A real clip of 5.3 s, 1280x720 with sound, through the whole packager: 360p, 480p and 720p. Leave it as it is."""
    return run_here(packaged(clip("bunny-720p"), tmp_path_factory.mktemp("bunny")))


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayPlatform]:
    """The whole platform on ports of its own, started once and shared: leave it as you found it.

    `platform.pop_url`, `.origin_url`, `.urls`, `.token("ana")`, `.popreel("upload", file, "--as", "ana", "--json")`.
    """
    # A killed worker's job is taken over once its lease ends: 30 s in earnest, a few here.
    folder = tmp_path_factory.mktemp("platform") / "data"
    running = ThrowawayPlatform(folder, environ={"POPREEL_ORIGIN__LEASE_S": "4"})
    try:
        running.start()
        yield running
    finally:
        running.stop()
