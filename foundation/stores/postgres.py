"""Pools on every Postgres server, and the routing of reads and writes by logical shard.

A server that does not answer takes only its own shards with it: reaching for them raises ShardUnavailable (503 with
Retry-After) at once for a second after each failure, so that requests do not queue behind a dead host.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import asyncpg

from foundation.stores.errors import ShardUnavailable
from foundation.stores.shard_map import Family, PostgresServer, ShardMap, map_of, shard_of

_log = logging.getLogger(__name__)
Connection: TypeAlias = asyncpg.Connection
T = TypeVar("T")

RETRY_AFTER_S = 1.0
_MOVED = "PR001"  # raised by shard_enter()
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)
_IN_EACH_OTHERS_WAY = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)
"""Nothing was changed; the same again works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Connections per server and pool, and how long callers wait."""

    size: int = 10
    acquire_timeout_s: float = 8.0
    connect_timeout_s: float = 5.0
    statement_timeout_s: float = 15.0
    statement_cache: int = 256
    """0 behind pgbouncer in transaction mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scattered(Generic[T]):
    """Answers of the servers that gave one, and the names of those that did not."""

    answers: tuple[T, ...]
    missing: tuple[str, ...] = ()


class Server:
    """The pools of one primary and its replicas. Pools connect lazily: a dead server does not stop the start."""

    def __init__(self, server: PostgresServer, limits: PoolLimits, *, choose: Callable[[int], int]) -> None:
        self.name = server.name
        self.dsn = server.dsn
        self._limits = limits
        self._replica_dsns = server.replicas
        self._choose = choose
        self._primary: asyncpg.Pool | None = None
        self._replicas: list[asyncpg.Pool] = []
        self._down_until: dict[int, float] = {}

    @property
    def replicas(self) -> int:
        return len(self._replica_dsns)

    async def open(self) -> None:
        self._primary = await self._pool(self.dsn)
        self._replicas = [await self._pool(dsn) for dsn in self._replica_dsns]

    async def close(self) -> None:
        for pool in filter(None, (self._primary, *self._replicas)):
            try:
                async with asyncio.timeout(5):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    async def _pool(self, dsn: str) -> asyncpg.Pool:
        return await asyncpg.create_pool(
            str.__str__(dsn),
            min_size=0,
            max_size=self._limits.size,
            timeout=self._limits.connect_timeout_s,
            command_timeout=self._limits.statement_timeout_s,
            statement_cache_size=self._limits.statement_cache,
            max_inactive_connection_lifetime=60,
            server_settings={"application_name": "popreel"},
        )

    @asynccontextmanager
    async def primary(self) -> AsyncIterator[Connection]:
        """A connection to the primary. Raises ShardUnavailable."""
        assert self._primary is not None, "open() first"
        async with self._borrow(self._primary) as connection:
            yield connection

    @asynccontextmanager
    async def reader(self, *, fresh: bool) -> AsyncIterator[Connection]:
        """A connection for reading: a replica unless `fresh`; the primary when no replica answers."""
        replicas = [] if fresh else [pool for pool in self._replicas if not self._is_down(pool)]
        if replicas:
            pool = replicas[self._choose(len(replicas))]
            try:
                connection = await self._acquire(pool)
            except ShardUnavailable:
                pass
            else:
                async with self._returning(pool, connection):
                    yield connection
                return
        async with self.primary() as connection:
            yield connection

    @asynccontextmanager
    async def _borrow(self, pool: asyncpg.Pool) -> AsyncIterator[Connection]:
        async with self._returning(pool, await self._acquire(pool)) as connection:
            yield connection

    @asynccontextmanager
    async def _returning(self, pool: asyncpg.Pool, connection: Connection) -> AsyncIterator[Connection]:
        try:
            yield connection
        except _AWAY as err:
            raise self._unavailable() from err
        except _IN_EACH_OTHERS_WAY as err:
            raise self._busy() from err
        except TimeoutError as err:  # of a statement; before OSError, which it is
            raise self._busy() from err
        except (asyncpg.InterfaceError, OSError) as err:
            if connection.is_closed():  # the server went away; otherwise it is the caller's own error
                raise self._unavailable() from err
            raise
        finally:
            await pool.release(connection)

    async def _acquire(self, pool: asyncpg.Pool) -> Connection:
        if self._is_down(pool):
            raise self._unavailable()
        try:
            return await pool.acquire(timeout=self._limits.acquire_timeout_s)
        except TimeoutError as err:  # before _AWAY: it is an OSError. Every connection is in use, or connecting hangs
            raise self._busy() from err
        except (*_AWAY, asyncpg.InterfaceError, OSError) as err:
            _log.warning("database away", extra={"event": "database_away", "server": self.name, "cause": repr(err)})
            self._down_until[id(pool)] = asyncio.get_running_loop().time() + RETRY_AFTER_S
            raise self._unavailable() from err

    def _is_down(self, pool: asyncpg.Pool) -> bool:
        return self._down_until.get(id(pool), 0.0) > asyncio.get_running_loop().time()

    def _busy(self) -> ShardUnavailable:
        return ShardUnavailable(
            f"database server {self.name} is too busy at this moment, try again", retry_after_s=RETRY_AFTER_S
        )

    def _unavailable(self) -> ShardUnavailable:
        return ShardUnavailable(
            f"database server {self.name} is away; what it holds is unreachable for the moment, try again",
            retry_after_s=RETRY_AFTER_S,
        )


class Shards:
    """All servers under one shard map. The first server of the settings holds the control database."""

    def __init__(
        self,
        servers: Sequence[PostgresServer],
        *,
        limits: PoolLimits | None = None,
        choose: Callable[[int], int] = random.randrange,
    ) -> None:
        self._settled = map_of(servers)
        self.map: ShardMap = self._settled
        limits = limits or PoolLimits()
        self.servers = {server.name: Server(server, limits, choose=choose) for server in servers}
        self.control_name = servers[0].name

    async def open(self) -> None:
        for server in self.servers.values():
            await server.open()

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self.servers.values()))

    async def refresh_map(self) -> None:
        """Lay the recorded moves over the settings' map. Raises ShardUnavailable if the control server is away."""
        async with self.control() as connection:
            rows = await connection.fetch("select family, shard, server from shard_moves")
        known = [row for row in rows if row["server"] in self.servers]
        self.map = self._settled.with_moves({(Family(row["family"]), row["shard"]): row["server"] for row in known})

    @asynccontextmanager
    async def control(self) -> AsyncIterator[Connection]:
        """A connection to the control database."""
        async with self.servers[self.control_name].primary() as connection:
            yield connection

    @asynccontextmanager
    async def read(self, family: Family, snowflake: int, *, fresh: bool = True) -> AsyncIterator[Connection]:
        """A connection to read rows of this id. `fresh` False may be served by a replica, seconds behind."""
        name = self.map.server(family, shard_of(family, snowflake))
        async with self.servers[name].reader(fresh=fresh) as connection:
            yield connection

    @asynccontextmanager
    async def write(self, family: Family, snowflake: int) -> AsyncIterator[Connection]:
        """A transaction on the primary that holds this id, inside its shard's fence.

        Commits on leaving, rolls back on an exception. If the shard has moved, follows it once.
        """
        shard = shard_of(family, snowflake)
        for follow in (True, False):
            async with self.servers[self.map.server(family, shard)].primary() as connection:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    moved = await self._enter(connection, family, shard, tolerate=follow)
                    if not moved:
                        yield connection
                except BaseException:
                    await _roll_back(connection, transaction)
                    raise
                if not moved:
                    await transaction.commit()
                    return
                await _roll_back(connection, transaction)
            await self.refresh_map()

    @asynccontextmanager
    async def write_many(self, family: Family, server: str, shards: Sequence[int]) -> AsyncIterator[Connection]:
        """A transaction on `server` inside the fences of several of its shards.

        Raises ShardUnavailable if one of them has just moved away: group again and retry.
        """
        try:
            async with self.servers[server].primary() as connection, connection.transaction():
                # one round trip; in order, so that two writers and a mover cannot wait in a circle
                await connection.execute(
                    "select shard_enter($1, s) from unnest($2::smallint[]) s", str(family), sorted(set(shards))
                )
                yield connection
        except asyncpg.PostgresError as err:
            if err.sqlstate != _MOVED:
                raise
        else:
            return
        await self.refresh_map()
        raise _moving()

    @asynccontextmanager
    async def write_open(
        self, family: Family, server: str, shards: Iterable[int]
    ) -> AsyncIterator[tuple[Connection, frozenset[int]]]:
        """A transaction on `server` inside the fences of those of `shards` that are open now, without waiting.

        Also gives the others (being moved, or moved away): write nothing of theirs. Raises ShardUnavailable.
        """
        async with self.servers[server].primary() as connection, connection.transaction():
            refused = await connection.fetchval("select shard_try_enter($1, $2)", str(family), sorted(set(shards)))
            yield connection, frozenset(refused)

    def by_server(self, family: Family, snowflakes: Iterable[int]) -> dict[str, list[int]]:
        """Ids grouped by the server that holds them."""
        groups: dict[str, list[int]] = {}
        for snowflake in snowflakes:
            groups.setdefault(self.map.server(family, shard_of(family, snowflake)), []).append(snowflake)
        return groups

    async def _enter(self, connection: Connection, family: Family, shard: int, *, tolerate: bool) -> bool:
        """Take the shard's lock; True when it has moved away (and `tolerate`)."""
        try:
            await connection.execute("select shard_enter($1, $2)", str(family), shard)
        except asyncpg.PostgresError as err:
            if err.sqlstate != _MOVED:
                raise
            if not tolerate:
                raise _moving() from err
            return True
        return False

    async def scatter(
        self,
        ask: Callable[[str, Connection], Awaitable[T]],
        *,
        family: Family,
        fresh: bool = False,
        timeout_s: float = 2.0,
    ) -> Scattered[T]:
        """Ask every server with shards of `family` at once; those that fail or are late are left out and named."""
        names = self.map.servers(family)

        async def one(name: str) -> T:
            async with asyncio.timeout(timeout_s), self.servers[name].reader(fresh=fresh) as connection:
                return await ask(name, connection)

        results = await asyncio.gather(*(one(name) for name in names), return_exceptions=True)
        answers, missing = [], []
        for name, result in zip(names, results, strict=True):
            if isinstance(result, (ShardUnavailable, TimeoutError)):
                missing.append(name)
            elif isinstance(result, BaseException):
                raise result
            else:
                answers.append(result)
        return Scattered(answers=tuple(answers), missing=tuple(missing))


def _moving() -> ShardUnavailable:
    return ShardUnavailable("this shard is being moved, try again", retry_after_s=RETRY_AFTER_S)


async def _roll_back(connection: Connection, transaction: asyncpg.transaction.Transaction) -> None:
    if not connection.is_closed():
        await transaction.rollback()


def affected(status: str) -> int:
    """Row count of a command tag such as "UPDATE 3"."""
    return int(status.rsplit(" ", 1)[-1])
