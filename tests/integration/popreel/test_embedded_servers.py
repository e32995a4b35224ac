"""The embedded servers: start, serve, survive kill -9, keep what was acknowledged, stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import boto3
import pytest
import redis.asyncio
from botocore.exceptions import ClientError
from types_boto3_s3 import S3Client

from popreel.embedded.object_store import EmbeddedObjectStore, InnerPorts, ObjectStoreAccess
from popreel.embedded.ports import GRPC_OFFSET, free_ports
from popreel.embedded.postgres import EmbeddedPostgres
from popreel.embedded.valkey import EmbeddedValkey


async def test_each_module_gets_an_empty_database(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        assert await connection.fetchval("SHOW fsync") == "on"
    finally:
        await connection.close()


async def test_a_killed_postgres_starts_again_and_keeps_what_was_committed(
    postgres_server: Callable[[str], EmbeddedPostgres],
) -> None:
    server = postgres_server("crash")
    await server.start()
    await server.ready()
    connection = await asyncpg.connect(server.endpoint)
    await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert await server.wait() == -signal.SIGKILL
    connection.terminate()

    await server.start()
    await server.ready()
    connection = await asyncpg.connect(server.endpoint)
    try:
        assert await connection.fetchval("SELECT n FROM kept") == 7
    finally:
        await connection.close()


async def test_a_lock_file_that_names_a_living_stranger_does_not_keep_postgres_from_starting(
    postgres_server: Callable[[str], EmbeddedPostgres],
) -> None:
    """After a reboot, or in a container where pids start low, the old pid belongs to somebody else."""
    server = postgres_server("stale")
    await server.start()
    await server.ready()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
    lock = server.data_dir / "cluster" / "postmaster.pid"
    lines = lock.read_text().splitlines(keepends=True)
    lock.write_text("".join([f"{os.getppid()}\n", *lines[1:]]))

    await server.start()
    await server.ready()


async def test_a_killed_valkey_keeps_what_it_acknowledged(valkey_server: Callable[[str], EmbeddedValkey]) -> None:
    server = valkey_server("spool")
    await server.start()
    await server.ready()
    async with redis.asyncio.Redis.from_url(server.endpoint) as client:
        await client.xadd("events", {"n": "1"})
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()

    await server.start()
    await server.ready()
    async with redis.asyncio.Redis.from_url(server.endpoint) as client:
        assert await client.xlen("events") == 1


def test_valkey_wants_its_password(valkey_url: str) -> None:
    with (
        redis.Redis.from_url(valkey_url.replace("redis://:", "redis://:wrong")) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_the_object_store_keeps_objects_and_refuses_a_wrong_key(object_store: ObjectStoreAccess) -> None:
    s3 = _client(object_store)
    s3.put_object(Bucket=object_store.bucket, Key="a/b", Body=b"x" * 100_000)
    assert s3.get_object(Bucket=object_store.bucket, Key="a/b", Range="bytes=5-9")["Body"].read() == b"xxxxx"
    s3.close()
    stranger = _client(replace(object_store, secret_key="wrong"))
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.get_object(Bucket=object_store.bucket, Key="a/b")
    stranger.close()


def _store(folder: Path, name: str) -> EmbeddedObjectStore:
    s3, master, volume, filer, admin = free_ports(5, also=(GRPC_OFFSET,))
    return EmbeddedObjectStore(
        data_dir=folder / "store",
        log_file=folder / f"{name}.log",
        port=s3,
        inner_ports=InnerPorts(master=master, volume=volume, filer=filer, admin=admin),
        buckets=("kept",),
    )


def _client(access: ObjectStoreAccess) -> S3Client:
    made: S3Client = boto3.client(
        "s3",
        endpoint_url=access.endpoint,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        region_name=access.region,
    )
    return made


async def test_objects_survive_kill_9_and_a_move_to_other_ports(tmp_path: Path) -> None:
    first = _store(tmp_path, "first")
    await first.start()
    await first.ready()
    s3 = _client(first.access("kept"))
    s3.put_object(Bucket="kept", Key="clip", Body=b"y" * 300_000)
    s3.close()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    await first.wait()

    second = _store(tmp_path, "second")
    try:
        await second.start()
        await second.ready()
        s3 = _client(second.access("kept"))
        assert s3.get_object(Bucket="kept", Key="clip")["Body"].read() == b"y" * 300_000
        s3.put_object(Bucket="kept", Key="another", Body=b"z")
        s3.close()
    finally:
        second.process.send(signal.SIGKILL)
        await second.wait()
