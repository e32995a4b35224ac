"""Which logical shard an id belongs to, and which Postgres server holds that shard. Pure.

The seed took `id % 64`; the low 12 bits of a Snowflake are its sequence and nearly always 0, so everything would land
in one shard. We hash the id's 8 big-endian bytes with xxh3_64 instead; the result is stored in each row (`shard`), so
that SQL can select, publish and move a shard without knowing the hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import xxhash

from foundation.errors import SettingsError
from foundation.settings import Secret

VIDEO_SHARDS = 64
USER_SHARDS = 32


class Family(StrEnum):
    """What a shard number counts: rows keyed by a video, or rows keyed by a user."""

    VIDEO = "video"
    USER = "user"

    @property
    def size(self) -> int:
        return VIDEO_SHARDS if self is Family.VIDEO else USER_SHARDS


def shard_of(family: Family, snowflake: int) -> int:
    """Logical shard of an id: 0..63 for videos, 0..31 for users."""
    return int(xxhash.xxh3_64_intdigest(snowflake.to_bytes(8, "big")) % family.size)


class PostgresServer(msgspec.Struct, frozen=True, kw_only=True):
    """One Postgres primary (a DSN may list several hosts with target_session_attrs=primary) and its replicas."""

    name: str
    dsn: Secret
    replicas: tuple[Secret, ...] = ()
    videos: str = ""
    """Ranges of logical video shards kept here: "0-31,40". Empty on every server of a list of one means all."""
    users: str = ""


def parse_ranges(text: str, *, size: int) -> tuple[int, ...]:
    """Shard numbers of "0-31,40", each once and below `size`. Raises SettingsError."""
    shards: list[int] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise SettingsError(f"shard range {part!r}: write numbers and ranges such as '0-31,40'")
        span = range(int(first), int(last if dash else first) + 1)
        if not span or span.stop > size:
            raise SettingsError(f"shard range {part!r} is outside 0-{size - 1}")
        shards.extend(span)
    if len(set(shards)) != len(shards):
        raise SettingsError(f"shard ranges {text!r} overlap")
    return tuple(shards)


def format_ranges(shards: Iterable[int]) -> str:
    """The other way: "0-31,40"."""
    spans: list[list[int]] = []
    for shard in sorted(shards):
        if spans and shard == spans[-1][1] + 1:
            spans[-1][1] = shard
        else:
            spans.append([shard, shard])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardMap:
    """Server name by logical shard, for both families."""

    video: tuple[str, ...]
    user: tuple[str, ...]

    def server(self, family: Family, shard: int) -> str:
        return (self.video if family is Family.VIDEO else self.user)[shard]

    def servers(self, family: Family) -> tuple[str, ...]:
        """Every server that holds a shard of the family, each once, in map order."""
        return tuple(dict.fromkeys(self.video if family is Family.VIDEO else self.user))

    def shards_on(self, family: Family, server: str) -> tuple[int, ...]:
        names = self.video if family is Family.VIDEO else self.user
        return tuple(shard for shard, name in enumerate(names) if name == server)

    def with_moves(self, moves: Mapping[tuple[Family, int], str]) -> ShardMap:
        """The map after `moves` (recorded in the control database by `popreel shards move`)."""
        video, user = list(self.video), list(self.user)
        for (family, shard), server in moves.items():
            (video if family is Family.VIDEO else user)[shard] = server
        return ShardMap(video=tuple(video), user=tuple(user))


def map_of(servers: Iterable[PostgresServer]) -> ShardMap:
    """The map the settings describe. Raises SettingsError unless every logical shard has exactly one server."""
    servers = tuple(servers)
    if not servers:
        raise SettingsError("postgres: at least one server is needed")
    if len({server.name for server in servers}) != len(servers):
        raise SettingsError("postgres: server names must differ")
    return ShardMap(video=_assign(servers, Family.VIDEO), user=_assign(servers, Family.USER))


def _assign(servers: tuple[PostgresServer, ...], family: Family) -> tuple[str, ...]:
    if len(servers) == 1 and not servers[0].videos and not servers[0].users:
        return (servers[0].name,) * family.size
    owner: dict[int, str] = {}
    for server in servers:
        for shard in parse_ranges(server.videos if family is Family.VIDEO else server.users, size=family.size):
            if shard in owner:
                raise SettingsError(f"{family} shard {shard} is assigned to {owner[shard]} and {server.name}")
            owner[shard] = server.name
    missing = [shard for shard in range(family.size) if shard not in owner]
    if missing:
        raise SettingsError(f"{family} shards {missing} are assigned to no server")
    return tuple(owner[shard] for shard in range(family.size))
