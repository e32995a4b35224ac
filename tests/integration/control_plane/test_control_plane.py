"""The control plane against a real Postgres, over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from control_plane.service import compose
from control_plane.settings import ControlPlaneSettings
from edge.control.long_poll import follow
from edge.control.orders import PurgeOrders
from edge.delivery.lab.edge_under_test import OpenEdge
from edge.delivery.lab.scripted_origin import file_reply
from foundation.settings import Secret
from tests.edge_harness import clock, open_edge, origin, pytest_asyncio_loop_factories
from tests.http_client import Client, client_of, json_of

__all__ = ["clock", "open_edge", "origin", "pytest_asyncio_loop_factories"]
POP = {"Authorization": "Bearer pop-key"}
ORIGIN = {"Authorization": "Bearer origin-key"}
OPERATOR = {"Authorization": "Bearer operator-key"}


@pytest.fixture
async def client(postgres_database: Callable[[], str], fresh_dsn: str) -> AsyncIterator[Client]:
    settings = ControlPlaneSettings(
        postgres_dsn=Secret(fresh_dsn),
        service_keys={"local-1": Secret("pop-key"), "origin": Secret("origin-key")},
        operator_keys={"ana": Secret("operator-key")},
    )
    async with compose(settings) as app, client_of(app) as client:
        yield client


@pytest.fixture
def fresh_dsn(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


def beat(**changes: Any) -> dict[str, Any]:
    return {"popId": "local-1", "region": "us-east", "baseUrl": "http://127.0.0.1:8080", **changes}


async def test_a_heartbeat_registers_the_pop_and_tells_the_operators_wish(client: Client) -> None:
    first = await json_of(await client.put("/internal/v1/pops/local-1", json=beat(), headers=POP))
    assert (first["state"], first["purgeHead"]) == ("active", 0)
    drained = await client.put("/api/v1/pops/local-1/state", json={"state": "draining"}, headers=OPERATOR)
    assert drained.status == 204
    second = await json_of(await client.put("/internal/v1/pops/local-1", json=beat(), headers=POP))
    assert second["state"] == "draining"
    views = await json_of(await client.get("/api/v1/pops", headers=OPERATOR))
    assert [(view["popId"], view["state"], view["region"]) for view in views] == [("local-1", "draining", "us-east")]


async def test_what_goes_viral_at_one_pop_is_told_to_the_others(client: Client) -> None:
    await client.put("/internal/v1/pops/local-1", json=beat(viral=["7", "9"]), headers=POP)
    other = await json_of(
        await client.put("/internal/v1/pops/origin", json=beat(popId="origin", viral=["9", "11"]), headers=ORIGIN)
    )
    assert sorted(other["viral"]) == ["7", "9"]
    own = await json_of(await client.put("/internal/v1/pops/local-1", json=beat(), headers=POP))
    assert sorted(own["viral"]) == ["11", "9"]


async def test_a_pop_cannot_report_under_another_name(client: Client) -> None:
    answer = await client.put("/internal/v1/pops/local-2", json=beat(popId="local-2"), headers=POP)
    assert (await json_of(answer, 403))["code"] == "wrong-pop"


async def test_draining_an_unknown_pop_is_refused(client: Client) -> None:
    answer = await client.put("/api/v1/pops/nowhere/state", json={"state": "draining"}, headers=OPERATOR)
    assert (await json_of(answer, 404))["code"] == "unknown-pop"


async def test_a_purge_wakes_the_waiting_pop_and_is_confirmed_by_its_heartbeat(client: Client) -> None:
    await json_of(await client.put("/internal/v1/pops/local-1", json=beat(), headers=POP))
    waiting = asyncio.create_task(client.get("/internal/v1/purges?after=0&waitMs=20000", headers=POP))
    request = {"tags": ["video-1", "video-2"], "urls": ["/videos/us-east/1/master.m3u8"]}
    receipt = await json_of(await client.post("/internal/v1/purges", json=request, headers=ORIGIN), 202)
    assert receipt == {"seq": 3, "orders": 3, "confirmed": [], "waiting": ["local-1"], "lost": []}
    log = await json_of(await waiting)
    assert [order["seq"] for order in log["orders"]] == [1, 2, 3]
    assert {order["tag"] or order["url"] for order in log["orders"]} == {*request["tags"], *request["urls"]}
    await json_of(await client.put("/internal/v1/pops/local-1", json=beat(purgeSeq=3), headers=POP))
    confirmed = await json_of(await client.get("/api/v1/purges/3", headers=OPERATOR))
    assert (confirmed["confirmed"], confirmed["waiting"]) == (["local-1"], [])


async def fall_silent(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("update pops set last_seen = now() - interval '1 minute'")
    await connection.close()


async def test_a_lost_pop_holds_up_no_purge_and_applies_what_it_missed_when_it_is_back(
    client: Client, fresh_dsn: str, open_edge: OpenEdge, tmp_path: Path
) -> None:
    edge = await open_edge(cache_dir=tmp_path / "cache")
    edge.origin.script = lambda asked: file_reply(asked, b"film", etag='"v"', headers={"Cache-Groups": '"video-1"'})
    await edge.get("/v.mp4")
    await json_of(await client.put("/internal/v1/pops/local-1", json=beat(), headers=POP))
    await fall_silent(fresh_dsn)
    receipt = await json_of(await client.post("/api/v1/purges", json={"tags": ["video-1"]}, headers=OPERATOR), 202)
    assert receipt == {"seq": 1, "orders": 1, "confirmed": [], "waiting": [], "lost": ["local-1"]}

    orders, applied = PurgeOrders(edge.delivery, seq=edge.delivery.stats().purge_sequence), asyncio.Event()

    async def apply(body: bytes) -> int:
        seq = await orders.apply(body)
        applied.set()
        return seq

    following = asyncio.create_task(
        follow(
            session=client.session,
            url=str(client.make_url("/internal/v1/purges")),
            service_key=Secret("pop-key"),
            after=orders.seq,
            apply=apply,
            event="purges_unreachable",
        )
    )
    await applied.wait()
    following.cancel()
    assert not edge.delivery.is_cached("/v.mp4", prefix_bytes=1)
    await json_of(await client.put("/internal/v1/pops/local-1", json=beat(purgeSeq=1), headers=POP))
    await fall_silent(fresh_dsn)  # what is done stays done
    receipt = await json_of(await client.get("/api/v1/purges/1", headers=OPERATOR))
    assert (receipt["confirmed"], receipt["waiting"], receipt["lost"]) == (["local-1"], [], [])


async def test_a_pop_that_is_lost_for_good_is_forgotten_one_that_reports_is_not(client: Client, fresh_dsn: str) -> None:
    unknown = await client.delete("/api/v1/pops/local-1", headers=OPERATOR)
    assert (await json_of(unknown, 404))["code"] == "unknown-pop"
    await json_of(await client.put("/internal/v1/pops/local-1", json=beat(), headers=POP))
    alive = await client.delete("/api/v1/pops/local-1", headers=OPERATOR)
    assert (await json_of(alive, 409))["code"] == "pop-alive"
    await fall_silent(fresh_dsn)
    await json_of(await client.delete("/api/v1/pops/local-1", headers=OPERATOR), 204)
    assert await json_of(await client.get("/api/v1/pops", headers=OPERATOR)) == []
    receipt = await json_of(await client.post("/api/v1/purges", json={"tags": ["video-1"]}, headers=OPERATOR), 202)
    assert (receipt["waiting"], receipt["lost"]) == ([], [])
    await json_of(await client.put("/internal/v1/pops/local-1", json=beat(), headers=POP))
    assert len(await json_of(await client.get("/api/v1/pops", headers=OPERATOR))) == 1


async def test_concurrent_purges_get_dense_numbers(client: Client) -> None:
    async def purge(number: int) -> int:
        body = {"tags": [f"video-{number}"]}
        answer = await client.post("/api/v1/purges", json=body, headers=OPERATOR)
        return int((await json_of(answer, 202))["seq"])

    seqs = await asyncio.gather(*(purge(number) for number in range(20)))
    assert sorted(seqs) == list(range(1, 21))


@pytest.mark.parametrize(
    ("body", "word"),
    [({}, "name 1 to"), ({"urls": ["videos/x"]}, "slash"), ({"tags": [""]}, "characters"), ({"tags": "x"}, "array")],
)
async def test_a_malformed_purge_says_what_to_do(client: Client, body: dict[str, Any], word: str) -> None:
    problem = await json_of(await client.post("/api/v1/purges", json=body, headers=OPERATOR), 400)
    assert problem["code"] == "bad-input"
    assert word in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/internal/v1/pops/local-1"),
        ("GET", "/internal/v1/pops"),
        ("GET", "/internal/v1/purges"),
        ("POST", "/internal/v1/purges"),
        ("GET", "/api/v1/pops"),
        ("PUT", "/api/v1/pops/local-1/state"),
        ("DELETE", "/api/v1/pops/local-1"),
        ("POST", "/api/v1/purges"),
        ("GET", "/api/v1/purges/1"),
    ],
)
async def test_every_route_refuses_callers_without_the_right_key(client: Client, method: str, path: str) -> None:
    nobody = await client.request(method, path, json={})
    assert nobody.status == 401
    wrong = await client.request(method, path, json={}, headers={"Authorization": "Bearer wrong"})
    assert wrong.status == 403
    other = OPERATOR if path.startswith("/internal") else ORIGIN
    assert (await client.request(method, path, json={}, headers=other)).status == 403


async def test_health_metrics_and_openapi_are_there(client: Client) -> None:
    assert (await client.get("/healthz")).status == 200
    assert (await client.get("/readyz")).status == 200
    assert "http_server_request_duration_seconds" in await (await client.get("/metrics")).text()
    document = await json_of(await client.get("/openapi.json"))
    assert document["openapi"] == "3.1.0"
    assert "/api/v1/pops" in document["paths"]
    assert not any(path.startswith("/internal") for path in document["paths"])
