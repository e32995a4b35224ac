"""Sessions and their refresh tokens. A token is used once; using it again means it was stolen: the session ends.

Token text: `{user id}.{32 random bytes, base64url}`: the id says which shard to ask; only a SHA-256 of it is stored.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum

from foundation.errors import BadInput
from foundation.ids import UserId, parse_id
from foundation.stores.outbox import append
from foundation.stores.postgres import Connection, Shards, affected
from foundation.stores.shard_map import Family, shard_of
from origin.errors import RefreshRefused

_MIN_DEVICE_ID = 8
SESSION_ENDED = "session.ended"


class EndReason(StrEnum):
    LOGOUT = "logout"
    EVERYWHERE = "everywhere"
    REUSE = "reuse"
    BANNED = "banned"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    user_id: UserId
    session_id: int
    refresh_token: str


class SessionStore:
    def __init__(self, shards: Shards, *, refresh_life_s: float) -> None:
        self._shards = shards
        self._life_s = refresh_life_s

    async def begin(self, user_id: UserId, *, session_id: int, device: str, device_id: str = "") -> OpenSession:
        """`device`: what the person calls it; `device_id`: what the app says it is, kept as a hash only."""
        token = _new_token(user_id)
        async with self._shards.write(Family.USER, user_id) as connection:
            await connection.execute(
                "insert into sessions (id, user_id, shard, device, device_hash) values ($1, $2, $3, $4, $5)",
                session_id,
                user_id,
                shard_of(Family.USER, user_id),
                device,
                hashlib.sha256(device_id.encode()).hexdigest()[:32] if len(device_id) >= _MIN_DEVICE_ID else None,
            )
            await self._store(connection, user_id, session_id, token)
        return OpenSession(user_id=user_id, session_id=session_id, refresh_token=token)

    async def rotate(self, token: str, *, now_ms: int) -> OpenSession:
        """Exchange a refresh token for the next. Raises RefreshRefused; a token seen before ends its session."""
        user_id = user_of(token)
        next_token = _new_token(user_id)
        async with self._shards.write(Family.USER, user_id) as connection:
            row = await connection.fetchrow(
                """select t.session_id, t.used_at, t.expires_at > now() as alive, s.ended_at
                   from refresh_tokens t join sessions s on s.id = t.session_id
                   where t.hash = $1 for update of t""",
                _hash(token),
            )
            if row is None or not row["alive"] or row["ended_at"] is not None:
                raise RefreshRefused("this refresh token is unknown, expired or its session has ended: sign in again")
            reused = row["used_at"] is not None
            if reused:
                await end_session(connection, user_id, row["session_id"], EndReason.REUSE, now_ms=now_ms)
            else:
                await connection.execute("update refresh_tokens set used_at = now() where hash = $1", _hash(token))
                await self._store(connection, user_id, row["session_id"], next_token)
        if reused:  # raised outside the transaction: the end of the session must commit
            raise RefreshRefused("this refresh token was used before; the session is closed for safety: sign in again")
        return OpenSession(user_id=user_id, session_id=row["session_id"], refresh_token=next_token)

    async def end(self, user_id: UserId, session_id: int, reason: EndReason, *, now_ms: int) -> None:
        async with self._shards.write(Family.USER, user_id) as connection:
            await end_session(connection, user_id, session_id, reason, now_ms=now_ms)

    async def end_all(self, user_id: UserId, reason: EndReason, *, now_ms: int) -> None:
        async with self._shards.write(Family.USER, user_id) as connection:
            await end_every_session(connection, user_id, reason, now_ms=now_ms)

    async def _store(self, connection: Connection, user_id: UserId, session_id: int, token: str) -> None:
        await connection.execute(
            """insert into refresh_tokens (hash, session_id, shard, expires_at)
               values ($1, $2, $3, now() + make_interval(secs => $4))""",
            _hash(token),
            session_id,
            shard_of(Family.USER, user_id),
            self._life_s,
        )


async def end_session(
    connection: Connection, user_id: UserId, session_id: int, reason: EndReason, *, now_ms: int
) -> None:
    """End one session in the caller's transaction and announce it to every PoP."""
    status = await connection.execute(
        "update sessions set ended_at = now(), end_reason = $3 where id = $1 and user_id = $2 and ended_at is null",
        session_id,
        user_id,
        str(reason),
    )
    if affected(status):
        await append(
            connection,
            topic=SESSION_ENDED,
            key=str(user_id),
            payload={"userId": str(user_id), "sessionId": str(session_id), "atMs": now_ms},
        )


async def end_every_session(connection: Connection, user_id: UserId, reason: EndReason, *, now_ms: int) -> None:
    """End all sessions of a user in the caller's transaction.

    Each is announced by its id: a cut-off by time would, within its second, also hit the sign-in that follows.
    """
    rows = await connection.fetch(
        """update sessions set ended_at = now(), end_reason = $2 where user_id = $1 and ended_at is null
           returning id""",
        user_id,
        str(reason),
    )
    for row in rows:
        await append(
            connection,
            topic=SESSION_ENDED,
            key=str(user_id),
            payload={"userId": str(user_id), "sessionId": str(row["id"]), "atMs": now_ms},
        )


def user_of(token: str) -> UserId:
    """The user a refresh token claims to be of. Raises RefreshRefused when it is not shaped like one."""
    head, dot, tail = token.partition(".")
    try:
        if not dot or not tail:
            raise BadInput
        return UserId(parse_id(head))
    except BadInput:
        raise RefreshRefused("this is not a refresh token") from None


def _new_token(user_id: UserId) -> str:
    return f"{user_id}.{base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b'=').decode()}"


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
