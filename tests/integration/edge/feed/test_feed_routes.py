"""The endpoints over real HTTP: devices, cookies, problems, batches."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web

from edge.feed.routes import DEVICE_COOKIE, FeedRoutes
from foundation.http.endpoint import Access, Caller, mount
from foundation.http.server import new_app
from foundation.ids import UserId
from foundation.wire.feed import FeedPage
from tests.http_client import Client, client_of

from .conftest import MakeWorld


class HeaderGuard:
    """`X-User: 7` stands for a verified token of user 7."""

    async def identify(self, request: web.Request, access: Access) -> Caller | None:
        user = request.headers.get("X-User")
        return Caller(user_id=UserId(int(user))) if user else None


@pytest.fixture
async def client(make_world: MakeWorld) -> AsyncIterator[Client]:
    world = await make_world(videos=120)
    app = new_app("edge")
    mount(app, FeedRoutes(world.feed, region="us-east"), guard=HeaderGuard())
    async with client_of(app) as made:
        yield made


async def test_an_anonymous_viewer_gets_a_device_cookie_and_is_known_by_it(client: Client) -> None:
    first = await client.get("/api/v1/feed?count=5")
    assert first.status == 200
    cookie = first.cookies[DEVICE_COOKIE]
    assert uuid.UUID(cookie.value)
    assert cookie["httponly"]
    page = msgspec.json.decode(await first.read(), type=FeedPage)
    second = await client.get("/api/v1/feed", params={"count": "5", "cursor": page.next_cursor})
    assert DEVICE_COOKIE not in second.cookies
    following = msgspec.json.decode(await second.read(), type=FeedPage)
    assert not {item.id for item in page.videos} & {item.id for item in following.videos}


async def test_a_device_header_names_the_viewer_without_a_cookie(client: Client) -> None:
    reply = await client.get("/api/v1/feed", headers={"X-Device-Id": str(uuid.uuid4())})
    assert reply.status == 200
    assert DEVICE_COOKIE not in reply.cookies
    wrong = await client.get("/api/v1/feed", headers={"X-Device-Id": "me"})
    assert wrong.status == 400


@pytest.mark.parametrize("query", ["count=0", "count=51", "count=x", "cursor=zzz"])
async def test_bad_queries_are_problems(client: Client, query: str) -> None:
    reply = await client.get(f"/api/v1/feed?{query}")
    assert reply.status == 400
    assert (await reply.json(content_type=None))["code"] in {"bad-input", "bad-cursor"}


async def test_watch_reports_come_single_and_in_batches(client: Client) -> None:
    report = {"videoId": "3", "watchDuration": 9000, "totalDuration": 20000, "liked": True}
    single = await client.post("/api/v1/analytics/watch", json=report)
    assert single.status == 202
    assert (await single.json())["accepted"] == 1
    batch = await client.post("/api/v1/analytics/watch", json={"events": [report, {**report, "videoId": "4"}]})
    assert (await batch.json())["accepted"] == 2
    page = await client.get("/api/v1/feed?count=50", headers={"X-User": "9"})
    assert page.status == 200


@pytest.mark.parametrize("rest", [{}, {"events": "not a batch"}])
async def test_a_whole_number_of_a_report_may_be_written_as_a_float(client: Client, rest: dict[str, str]) -> None:
    report = {"videoId": "3", "watchDuration": 9000.0, "totalDuration": 2e4}
    for body in ({**report, **rest}, {"events": [report]}):
        reply = await client.post("/api/v1/analytics/watch", json=body)
        assert (reply.status, (await reply.json())["accepted"]) == (202, 1)
    broken = await client.post("/api/v1/analytics/watch", json={"events": [{**report, "watchDuration": 9000.5}]})
    assert broken.status == 400
    elsewhere = await client.post("/api/v1/analytics/watch", json={"events": [{**report, "source": "feed"}]})
    assert "choose following, fyp, " in (await elsewhere.json())["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"events": []},
        {"videoId": 3, "watchDuration": 1, "totalDuration": 1},
        {"videoId": "3", "watchDuration": -1, "totalDuration": 1},
        {"videoId": "abc", "watchDuration": 1, "totalDuration": 1},
        {"videoId": "3", "watchDuration": 10**12, "totalDuration": 1},
    ],
)
async def test_bad_watch_reports_are_refused_with_a_reason(client: Client, body: dict[str, object]) -> None:
    reply = await client.post("/api/v1/analytics/watch", json=body)
    assert reply.status == 400
    assert (await reply.json(content_type=None))["detail"]


async def test_controls_and_interests_answer_204(client: Client) -> None:
    for path, body in (
        ("/api/v1/onboarding/interests", {"interests": ["#topic2"]}),
        ("/api/v1/feed/controls", {"action": "more", "videoId": "5"}),
        ("/api/v1/feed/controls", {"action": "less", "videoId": "5"}),
        ("/api/v1/feed/controls", {"action": "not_interested", "videoId": "5"}),
        ("/api/v1/feed/controls", {"action": "hide_creator", "creatorId": "7"}),
        ("/api/v1/feed/controls", {"action": "hide_hashtag", "hashtag": "topic3"}),
        ("/api/v1/feed/controls", {"action": "reset"}),
    ):
        reply = await client.post(path, json=body)
        assert reply.status == 204, path
    for lacking in ({"action": "more"}, {"action": "hide_creator"}, {"action": "hide_hashtag", "hashtag": ""}, {}):
        missing = await client.post("/api/v1/feed/controls", json=lacking)
        assert missing.status == 400, lacking


async def test_the_following_feed_of_an_anonymous_viewer_is_empty_not_an_error(client: Client) -> None:
    reply = await client.get("/api/v1/feed/following")
    assert reply.status == 200
    assert (await reply.json())["videos"] == []


async def test_the_endpoints_are_in_the_openapi_document(client: Client) -> None:
    document = await (await client.get("/openapi.json")).json()
    assert {"/api/v1/feed", "/api/v1/analytics/watch", "/api/v1/feed/controls"} <= set(document["paths"])


async def test_a_receipt_is_its_creators_to_see(client: Client) -> None:
    receipt = "/api/v1/feed/exposure/6"  # of user 10002
    own = await client.get(receipt, headers={"X-User": "10002"})
    assert own.status == 200
    assert (await own.json())["quota"] == 30
    assert (await client.get(receipt, headers={"X-User": "10003"})).status == 404
    assert (await client.get("/api/v1/feed/exposure/999999", headers={"X-User": "10002"})).status == 404
    assert (await client.get(receipt)).status == 401
