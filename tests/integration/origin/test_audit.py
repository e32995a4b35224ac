"""An operator's act and its entry in the audit log: both or neither, whatever breaks between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec
import pytest

from foundation.stores.outbox import RELAY_LOCK
from origin.settings import OriginSettings
from popreel.embedded.object_store import ObjectStoreAccess
from tests.origin_harness import OPERATOR, one_server, origin_settings, running

NO_ENTRIES = """
create function refuse_acts() returns trigger language plpgsql as $$ begin raise 'no room for acts'; end $$;
create trigger refuse_acts before insert on outbox for each row when (new.topic = 'operator.acted')
    execute function refuse_acts()"""
SOUND = {"title": "Drum", "artist": "Ann", "licence": "free"}


@pytest.fixture
def settings(tmp_path: Path, own_database: str, valkey_url: str, object_store: ObjectStoreAccess) -> OriginSettings:
    return origin_settings(tmp_path, one_server(own_database), valkey_url, object_store)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def test_an_act_that_cannot_be_noted_does_not_happen(settings: OriginSettings, own_database: str) -> None:
    async with running(settings, workers=0) as origin, connected(own_database) as database:
        eve = await origin.person()
        await database.execute(NO_ENTRIES)
        decision = {"banned": True, "verified": True, "reason": "somebody said so"}
        assert (await origin.call("POST", f"/api/v1/admin/users/{eve.id}", OPERATOR, json=decision))[0] == 500
        override = {"override": "on", "reason": "somebody said so"}
        assert (await origin.call("POST", f"/api/v1/admin/users/{eve.id}/bot-score", OPERATOR, json=override))[0] == 500
        assert (await origin.call("POST", "/api/v1/admin/sounds", OPERATOR, json=SOUND))[0] == 500
        row = await database.fetchrow(
            "select banned_at, verified, shadow_override from users where id = $1", int(eve.id)
        )
        assert tuple(row) == (None, False, None)
        assert (await origin.ok("GET", "/api/v1/sounds"))["sounds"] == []
        assert (await origin.ok("GET", "/api/v1/users/me", eve))["username"] == eve.name  # the session goes on


async def test_an_act_is_in_the_audit_log_once_though_the_origin_ended_right_after_it(
    settings: OriginSettings, own_database: str
) -> None:
    async with connected(own_database) as database:
        async with running(settings, workers=0) as origin:
            await origin.eventually(lambda: database.fetchval("select pg_try_advisory_lock($1)", RELAY_LOCK))
            eve = await origin.person()
            decision = {"tier": "verified", "reason": "has shown who they are"}
            await origin.ok("POST", f"/api/v1/admin/users/{eve.id}", OPERATOR, json=decision)
            await origin.ok("POST", "/api/v1/admin/sounds", OPERATOR, json=SOUND)
        assert await database.fetchval("select count(*) from audit_log") == 0
        restarted_at = await database.fetchval("select now()")
        await database.execute("select pg_advisory_unlock($1)", RELAY_LOCK)
        async with running(settings, workers=0, migrate=False) as origin:
            await origin.eventually(lambda: database.fetchval("select count(*) = 2 from audit_log"))
        entries = await database.fetch("select * from audit_log order by id")
        assert [(entry["operator"], entry["action"]) for entry in entries] == [
            ("olga", "decide-user"),
            ("olga", "add-sound"),
        ]
        assert entries[0]["subject"] == f"user:{eve.id}"
        assert msgspec.json.decode(entries[0]["detail"])["reason"] == "has shown who they are"
        assert all(entry["at"] < restarted_at for entry in entries)
