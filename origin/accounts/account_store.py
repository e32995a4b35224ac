"""Accounts in Postgres: names in the control database, everything else on the user's shard."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from foundation.ids import UserId
from foundation.stores.outbox import append
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family, shard_of
from foundation.wire.catalogue import Creator
from origin.accounts.avatar import SMALL, avatar_url
from origin.errors import UnknownUser, UsernameTaken

USER_CHANGED = "user.changed"
"""What others see of an account has changed: its name, picture, badge, or whether it is listed at all."""
_RESERVE_AGAIN_S = 60.0  # a reservation whose user row never came is free again after this

_COLUMNS = """id, username, display_name, bio, avatar_key, password_hash, birthdate, teen, private, tier, verified,
    banned_at is not null as banned, shadow_banned, state, followers, following, likes, videos, created_at"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A row of `users`."""

    id: UserId
    username: str
    display_name: str
    bio: str
    avatar_key: str | None
    password_hash: str | None
    birthdate: dt.date | None
    teen: bool
    private: bool
    tier: str
    verified: bool
    banned: bool
    shadow_banned: bool
    state: str
    followers: int
    following: int
    likes: int
    videos: int
    created_at: dt.datetime

    @property
    def hidden(self) -> bool:
        """Its videos are in no feed, list or search of others."""
        return self.shadow_banned or self.banned

    def creator(self) -> Creator:
        return Creator(
            id=str(self.id),
            username=self.username,
            display_name=self.display_name,
            avatar_url=avatar_url(self.id, self.avatar_key, size=SMALL),
            verified=self.verified,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    id: UserId
    username: str
    display_name: str
    password_hash: str | None
    birthdate: dt.date | None
    teen: bool
    tier: str = "free"


class AccountStore:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def create(self, new: NewAccount) -> None:
        """Reserve the name, write the user, confirm the name. Raises UsernameTaken.

        A crash between the steps leaves a reservation that lapses after a minute; never a name with two users.
        """
        async with self._shards.control() as control:
            reserved = await control.fetchval(
                """insert into usernames (name_key, user_id) values ($1, $2)
                   on conflict (name_key) do update set user_id = excluded.user_id, reserved_at = now()
                   where not usernames.confirmed and usernames.reserved_at < now() - make_interval(secs => $3)
                   returning user_id""",
                new.username,
                new.id,
                _RESERVE_AGAIN_S,
            )
        if reserved is None:
            raise UsernameTaken(f"{new.username!r} is taken: choose another")
        async with self._shards.write(Family.USER, new.id) as connection:
            await connection.execute(
                """insert into users (id, shard, username, display_name, password_hash, birthdate, teen, private, tier)
                   values ($1, $2, $3, $4, $5, $6, $7, $7, $8)""",  # teens start private (SPEC A2)
                new.id,
                shard_of(Family.USER, new.id),
                new.username,
                new.display_name,
                new.password_hash,
                new.birthdate,
                new.teen,
                new.tier,
            )
        async with self._shards.control() as control:
            await control.execute(
                "update usernames set confirmed = true, listed = $2 where user_id = $1", new.id, not new.teen
            )

    async def id_of(self, name_key: str) -> UserId | None:
        async with self._shards.control() as control:
            found = await control.fetchval("select user_id from usernames where name_key = $1", name_key)
        return UserId(found) if found is not None else None

    async def get(self, user_id: UserId, *, fresh: bool = True) -> Account:
        """An account that is not deleted. Raises UnknownUser."""
        account = await self.find(user_id, fresh=fresh)
        if account is None or account.state != "active":
            raise UnknownUser(f"there is no user {user_id}")
        return account

    async def find(self, user_id: UserId, *, fresh: bool = True) -> Account | None:
        async with self._shards.read(Family.USER, user_id, fresh=fresh) as connection:
            row = await connection.fetchrow(f"select {_COLUMNS} from users where id = $1", user_id)  # noqa: S608
        return _account(row) if row is not None else None

    async def get_many(self, user_ids: set[UserId]) -> dict[UserId, Account]:
        """Accounts by id, one query per server; the unknown, the deleted and those on absent servers are left out."""
        by_server = self._shards.by_server(Family.USER, user_ids)

        async def ask(name: str, connection: Connection) -> list[Any]:
            if name not in by_server:
                return []
            return list(
                await connection.fetch(
                    f"select {_COLUMNS} from users where id = any($1) and state = 'active'",  # noqa: S608
                    by_server[name],
                )
            )

        scattered = await self._shards.scatter(ask, family=Family.USER, fresh=True)
        return {UserId(row["id"]): _account(row) for rows in scattered.answers for row in rows}

    async def list_name(self, user_id: UserId, *, listed: bool) -> None:
        """Whether the name is suggested to others."""
        async with self._shards.control() as connection:
            await connection.execute(
                "update usernames set listed = $2 where user_id = $1 and listed <> $2", user_id, listed
            )

    async def update_profile(
        self, user_id: UserId, *, display_name: str | None, bio: str | None, private: bool | None
    ) -> None:
        async with self._shards.write(Family.USER, user_id) as connection:
            await connection.execute(
                """update users set display_name = coalesce($2, display_name), bio = coalesce($3, bio),
                       private = coalesce($4, private) where id = $1""",
                user_id,
                display_name,
                bio,
                private,
            )
            if display_name is not None:
                await announce_change(connection, user_id)

    async def set_avatar(self, user_id: UserId, key: str | None) -> str | None:
        """Name the picture (None: no picture) and return the former name. Raises UnknownUser if the account is gone.

        The change reaches feeds, and what caches hold of the old picture goes.
        """
        async with self._shards.write(Family.USER, user_id) as connection:
            row = await connection.fetchrow(
                """with old as (select avatar_key from users where id = $1 and state = 'active' for update)
                   update users set avatar_key = $2 from old where id = $1 returning old.avatar_key as former""",
                user_id,
                key,
            )
            if row is None:
                raise UnknownUser(f"there is no user {user_id}")
            await announce_change(connection, user_id, avatar=True)
        former: str | None = row["former"]
        return former


async def announce_change(connection: Connection, user_id: UserId, *, avatar: bool = False) -> None:
    """In the transaction of the change. `avatar`: cached pictures are outdated."""
    payload = {"userId": str(user_id), "avatar": avatar}
    await append(connection, topic=USER_CHANGED, key=str(user_id), payload=payload)


def _account(row: Any) -> Account:
    return Account(**dict(row))
