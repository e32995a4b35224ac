"""Releases, the rollout and stopped arms in Postgres."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

from control_plane.errors import UnknownRelease
from control_plane.rollout import effects, to_stop, totals
from foundation.stores.postgres import Connection, Server
from foundation.wire.models import CANDIDATE, ReleaseView, Rollout, RolloutView, RolloutWish
from foundation.wire.pops import PopHeartbeat

_RELEASES = """
select name, octet_length(archive) as size_bytes, sha256, (extract(epoch from uploaded_at) * 1000)::bigint as at_ms
from model_releases order by uploaded_at desc"""
_ROLLOUT = """
select serving, candidate, share, shadow, reason, (extract(epoch from changed_at) * 1000)::bigint as at_ms
from model_rollout"""
_WISH = """
update model_rollout set serving = $1, candidate = $2, share = $3, shadow = $4, reason = $5, changed_at = now()"""
_BEATS = "select heartbeat from pops where last_seen > now() - interval '1 day'"
_FORGET_COUNTS = """update pops set heartbeat = heartbeat || '{"arms": {}, "stoppedArms": {}}'"""
_ROLL_BACK = """
update model_rollout set candidate = '', share = 0, shadow = false, reason = $2, changed_at = now()
where candidate <> '' and candidate = $1"""


class ModelStore:
    def __init__(self, server: Server) -> None:
        self._server = server

    async def put(self, name: str, archive: bytes, *, uploaded_by: str) -> ReleaseView:
        """Keep a packed release; the same name again replaces it."""
        digest = await asyncio.to_thread(lambda: hashlib.sha256(archive).hexdigest())  # 0.1 s for the largest
        async with self._server.primary() as connection:
            await connection.execute(
                """insert into model_releases (name, archive, sha256, uploaded_by) values ($1, $2, $3, $4)
                on conflict (name) do update set archive = excluded.archive, sha256 = excluded.sha256,
                uploaded_by = excluded.uploaded_by, uploaded_at = now()""",
                name,
                archive,
                digest,
                uploaded_by,
            )
        return next(release for release in await self.releases() if release.name == name)

    async def archive(self, name: str) -> bytes:
        """Raises UnknownRelease."""
        async with self._server.primary() as connection:
            found: bytes | None = await connection.fetchval("select archive from model_releases where name = $1", name)
        if found is None:
            raise UnknownRelease(f"no release named {name[:64]!r}; see GET /api/v1/models")
        return found

    async def releases(self) -> tuple[ReleaseView, ...]:
        """Newest first."""
        async with self._server.primary() as connection:
            rows = await connection.fetch(_RELEASES)
        return tuple(
            ReleaseView(
                name=row["name"], size_bytes=row["size_bytes"], sha256=row["sha256"], uploaded_at_ms=row["at_ms"]
            )
            for row in rows
        )

    async def directive(self, heartbeat: PopHeartbeat) -> tuple[Rollout, tuple[str, ...]]:
        """What the PoP is to serve and what it must not, after its report was weighed with everybody else's."""
        async with self._server.primary() as connection:
            if heartbeat.arms or heartbeat.stopped_arms:
                await _guard(connection)
            row = await connection.fetchrow(_ROLLOUT)
            stopped = await connection.fetch("select label from stopped_arms order by label")
        rollout = Rollout(serving=row["serving"], candidate=row["candidate"], share=row["share"], shadow=row["shadow"])
        return rollout, tuple(line["label"] for line in stopped)

    async def view(self) -> RolloutView:
        async with self._server.primary() as connection:
            row = await connection.fetchrow(_ROLLOUT)
            beats = await _heartbeats(connection)
            stopped = await connection.fetch("select label, reason from stopped_arms order by label")
        sums = totals(beats)
        return RolloutView(
            rollout=Rollout(
                serving=row["serving"], candidate=row["candidate"], share=row["share"], shadow=row["shadow"]
            ),
            changed_at_ms=row["at_ms"],
            reason=row["reason"],
            tallies=sums,
            effects=effects(sums),
            stopped={line["label"]: line["reason"] for line in stopped},
        )

    async def wish(self, wish: RolloutWish, *, operator: str) -> None:
        """Change what is served, audited. A candidate named again gets another chance. Raises UnknownRelease."""
        async with self._server.primary() as connection, connection.transaction():
            for name in filter(None, (wish.serving, wish.candidate)):
                if not await connection.fetchval("select true from model_releases where name = $1", name):
                    raise UnknownRelease(f"no release named {name!r}; upload it first: PUT /api/v1/models/{name}")
            await connection.execute(
                _WISH, wish.serving or "", wish.candidate or "", wish.share, wish.shadow, f"set by {operator}"
            )
            await connection.execute(_FORGET_COUNTS)  # of PoPs that are away: the others report anew within seconds
            if wish.candidate:
                await connection.execute("delete from stopped_arms where label = $1", f"{wish.candidate}={CANDIDATE}")
            await connection.execute(
                "insert into operator_audit (operator, action, subject, detail) values ($1, 'rollout', $2, $3::jsonb)",
                operator,
                wish.candidate or wish.serving or "settings",
                msgspec.json.encode(wish).decode(),
            )


async def _guard(connection: Connection) -> None:
    """Stop what does harm; a stopped candidate ends the rollout: every PoP goes back with its next beat."""
    for label, reason in to_stop(await _heartbeats(connection)).items():
        added = await connection.fetchval(
            "insert into stopped_arms (label, reason) values ($1, $2) on conflict do nothing returning label",
            label,
            reason,
        )
        name, _, arm = label.partition("=")
        if added is not None and arm == CANDIDATE:
            await connection.execute(_ROLL_BACK, name, f"rolled back: {reason}")


async def _heartbeats(connection: Connection) -> list[PopHeartbeat]:
    rows = await connection.fetch(_BEATS)
    return [msgspec.json.decode(row["heartbeat"], type=PopHeartbeat) for row in rows]
