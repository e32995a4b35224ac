"""Typed endpoints on a real socket: decoding, access, problems, OpenAPI."""

import io
import json
import logging
from collections.abc import AsyncIterator
from typing import Annotated

import aiohttp
import pytest
from aiohttp import ClientPayloadError, web
from msgspec import Meta

from foundation.errors import Conflict, Unavailable
from foundation.http.endpoint import Access, Call, endpoint, mount, refuse_other_methods
from foundation.http.guard import PublicKeys, TokenGuard, client_address
from foundation.http.server import new_app
from foundation.ids import UserId
from foundation.settings import Secret
from foundation.tokens.access import AccessClaims, Revoked, SigningKey, generate_pem, issue, jwks, read_jwks
from foundation.wire import Wire
from tests.http_client import Client, client_of

NOW_S = 1_800_000_000
JSON = {"Content-Type": "application/json"}
SERVICE_KEYS = {"pop": Secret("key")}


class Note(Wire, frozen=True, kw_only=True):
    note_text: Annotated[str, Meta(min_length=1, max_length=20)]


class Listing(Wire, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=50)] = 20


class Routes:
    @endpoint("POST", "/api/v1/notes", summary="Write", body=Note, reply=Note, status=201, access=Access.USER)
    async def write(self, call: Call[Note]) -> Note:
        return Note(note_text=f"{call.user()}:{call.body.note_text}"[:20])

    @endpoint("GET", "/api/v1/notes", summary="List", query=Listing, reply=dict[str, int])
    async def list_notes(self, call: Call[None]) -> dict[str, int]:
        return {"limit": call.query.limit}

    @endpoint("DELETE", "/api/v1/notes", summary="Clear", body=Listing, body_optional=True, reply=dict[str, int])
    async def clear(self, call: Call[Listing]) -> dict[str, int]:
        return {"limit": call.body.limit}

    @endpoint("GET", "/api/v1/notes/{id}", summary="One", reply=dict[str, int], problems=(Conflict,))
    async def one(self, call: Call[None]) -> dict[str, int]:
        note = call.path_id("id")
        if note == 1:
            raise Conflict("note 1 is being written", retryAt=5)
        if note == 2:
            raise Unavailable("the shelf is away", retry_after_s=1.2)
        if note == 3:
            raise RuntimeError("secret detail")
        if note == 4:
            raise TimeoutError
        return {"id": note}

    @endpoint("GET", "/internal/v1/scans/{id}", summary="A large answer that breaks off", reply="bytes")
    async def scan(self, call: Call[None]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(call.request)
        await response.write(b"x" * 100)
        raise Unavailable("the shelf went away meanwhile") if call.path_id("id") == 1 else RuntimeError("torn")

    @endpoint("GET", "/internal/v1/address", summary="Where the caller is", reply=dict[str, str])
    async def address(self, call: Call[None]) -> dict[str, str]:
        return {"address": client_address(call.request, SERVICE_KEYS)}

    @endpoint("GET", "/internal/v1/notes", summary="Inside", reply=dict[str, str], access=Access.SERVICE)
    async def inside(self, call: Call[None]) -> dict[str, str]:
        assert call.caller is not None
        return {"service": call.caller.service}


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.from_pem(generate_pem())


@pytest.fixture
def guard(key: SigningKey) -> TokenGuard:
    async def keys(refresh: bool) -> PublicKeys:
        return read_jwks(jwks([key]))

    return TokenGuard(
        keys=keys,
        revoked=Revoked(clock_s=lambda: NOW_S),
        clock_s=lambda: NOW_S,
        service_keys=SERVICE_KEYS,
    )


@pytest.fixture
async def client(guard: TokenGuard) -> AsyncIterator[Client]:
    app = new_app("notes")
    mount(app, Routes(), guard=guard)
    async with client_of(app) as client:
        yield client


def token(key: SigningKey) -> dict[str, str]:
    claims = AccessClaims(user_id=UserId(7), username="ana", session_id="s", issued_at_s=NOW_S, expires_at_s=NOW_S + 9)
    return {"Authorization": f"Bearer {issue(claims, key)}"}


async def test_a_user_writes_and_gets_the_reply(client: Client, key: SigningKey) -> None:
    answer = await client.post("/api/v1/notes", json={"noteText": "hi", "unknown": 1}, headers=token(key))
    assert (answer.status, await answer.json()) == (201, {"noteText": "7:hi"})


@pytest.mark.parametrize(
    ("body", "word"),
    [(b"", "empty"), (b"{", "truncated"), (b"[]", "object"), (b'{"noteText":""}', "length"), (b"{}", "noteText")],
)
async def test_a_bad_body_says_what_is_wrong(client: Client, key: SigningKey, body: bytes, word: str) -> None:
    headers = {**token(key), "Content-Type": "application/json"}
    answer = await client.post("/api/v1/notes", data=body, headers=headers)
    problem = json.loads(await answer.read())
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert word in problem["detail"]


@pytest.mark.parametrize(
    ("body", "limit"),
    [(b'{"limit": 20.0}', 20), (b'{"limit": 3e1, "other": [1.5]}', 30)],
)
async def test_a_whole_number_may_be_written_as_a_float(client: Client, body: bytes, limit: int) -> None:
    """JSON Schema says 20.0 is an integer, and languages whose only number is a float write it so."""
    answer = await client.delete("/api/v1/notes", data=body, headers=JSON)
    assert (answer.status, await answer.json()) == (200, {"limit": limit})


@pytest.mark.parametrize(
    "body", [b'{"limit": 20.5}', b'{"limit": 1e400}', b'{"limit": "20"}', b'{"limit": true}', b"1 2"]
)
async def test_what_is_no_whole_number_is_refused(client: Client, body: bytes) -> None:
    assert (await client.delete("/api/v1/notes", data=body, headers=JSON)).status == 400


async def test_a_body_nested_without_end_is_refused_not_an_error_of_ours(client: Client, key: SigningKey) -> None:
    bodies = [b'{"noteText": "hi", "x": ' + b"[" * 200_000, b"[" * 200_000]
    for body in bodies:
        answer = await client.post("/api/v1/notes", data=io.BytesIO(body), headers={**token(key), **JSON})
        assert answer.status == 400


@pytest.mark.parametrize(
    ("sent", "stored"), [(r"a\u0000b", "ab"), (r"a\\u0000", r"a\u0000"), (r"\u0000\u0000x", "x"), (r"\\\u0000", "\\")]
)
async def test_nul_characters_are_dropped_and_nothing_else(
    client: Client, key: SigningKey, sent: str, stored: str
) -> None:
    raw = f'{{"noteText": "{sent}"}}'.encode()
    answer = await client.post("/api/v1/notes", data=raw, headers={**token(key), **JSON})
    assert (await answer.json())["noteText"] == f"7:{stored}"


@pytest.mark.parametrize("body", [None, b"", b" ", b"{}"])
async def test_an_optional_body_may_be_left_out(client: Client, body: bytes | None) -> None:
    answer = await client.delete("/api/v1/notes", data=body, headers=JSON if body else {})
    assert (answer.status, await answer.json()) == (200, {"limit": 20})


async def test_a_huge_body_is_refused_before_it_is_read(client: Client, key: SigningKey) -> None:
    answer = await client.post("/api/v1/notes", data=io.BytesIO(b"x" * 2_000_000), headers={**token(key), **JSON})
    assert answer.status == 413


async def test_another_media_type_is_refused(client: Client, key: SigningKey) -> None:
    answer = await client.post("/api/v1/notes", data="<x/>", headers={**token(key), "Content-Type": "text/xml"})
    assert answer.status == 415


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic abc", "Bearer"])
async def test_without_a_good_token_the_answer_is_401(client: Client, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    answer = await client.post("/api/v1/notes", json={"noteText": "hi"}, headers=headers)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_a_wrong_token_is_refused_also_where_none_is_needed(client: Client) -> None:
    assert (await client.get("/api/v1/notes", headers={"Authorization": "Bearer x"})).status == 401


@pytest.mark.parametrize(("query", "status"), [("", 200), ("?limit=50", 200), ("?limit=51", 400), ("?limit=x", 400)])
async def test_queries_are_checked(client: Client, query: str, status: int) -> None:
    assert (await client.get(f"/api/v1/notes{query}")).status == status


async def test_errors_become_problems_with_their_extensions(client: Client) -> None:
    conflict = await client.get("/api/v1/notes/1")
    assert conflict.status == 409
    document = json.loads(await conflict.read())
    assert document["type"].endswith("/conflict")
    assert document["retryAt"] == 5
    away = await client.get("/api/v1/notes/2")
    assert (away.status, away.headers["Retry-After"]) == (503, "2")


async def test_an_unknown_error_keeps_its_text_in_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await client.get("/api/v1/notes/3")
    assert answer.status == 500
    assert "secret" not in await answer.text()
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    ("voucher", "address"),
    [("key", "203.0.113.7"), ("guessed", "127.0.0.1"), ("", "127.0.0.1"), (None, "127.0.0.1")],
)
async def test_only_a_service_is_believed_about_whom_it_forwards(
    client: Client, voucher: str | None, address: str
) -> None:
    """Else a guesser of passwords could be at another address with every try."""
    headers = {"X-Forwarded-For": "203.0.113.7", **({} if voucher is None else {"X-Popreel-Service-Key": voucher})}
    assert await (await client.get("/internal/v1/address", headers=headers)).json() == {"address": address}


async def test_what_takes_too_long_is_a_problem_that_says_when_to_ask_again(client: Client) -> None:
    answer = await client.get("/api/v1/notes/4")
    assert (answer.status, answer.content_type) == (503, "application/problem+json")
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("note", [1, 2])
async def test_an_answer_that_breaks_off_is_cut_not_filled_up_with_a_problem(client: Client, note: int) -> None:
    """A cache would keep the words of the problem as bytes of the object."""
    url = client.make_url(f"/internal/v1/scans/{note}")
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        with pytest.raises(ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/api/v1/notes", 405)])
async def test_the_routers_own_errors_are_problems_too(client: Client, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)
    assert (answer.status, answer.content_type) == (status, "application/problem+json")


async def test_a_catch_all_behind_does_not_swallow_wrong_methods(guard: TokenGuard) -> None:
    async def pass_on(request: web.Request) -> web.Response:
        return web.Response(text="passed on")

    app = new_app("test")
    mount(app, Routes(), guard=guard)
    refuse_other_methods(app)
    app.router.add_route("*", "/api/v1/{tail:.*}", pass_on)
    async with client_of(app) as client:
        refused = await client.put("/api/v1/notes")
        assert (refused.status, refused.headers["Allow"]) == (405, "DELETE,GET,POST")
        assert (await client.request("TRACE", "/api/v1/notes/7")).status == 405
        assert (await client.get("/api/v1/notes/7")).status == 200
        assert await (await client.put("/api/v1/elsewhere")).text() == "passed on"


async def test_service_routes_take_service_keys_only(client: Client, key: SigningKey) -> None:
    good = await client.get("/internal/v1/notes", headers={"Authorization": "Bearer key"})
    assert await good.json() == {"service": "pop"}
    assert (await client.get("/internal/v1/notes", headers=token(key))).status == 403


async def test_openapi_describes_the_public_routes(client: Client) -> None:
    document = await (await client.get("/openapi.json")).json()
    assert set(document["paths"]) == {"/api/v1/notes", "/api/v1/notes/{id}"}
    write = document["paths"]["/api/v1/notes"]["post"]
    assert write["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Note"}
    assert document["components"]["schemas"]["Note"]["properties"]["noteText"]["maxLength"] == 20
    assert {"201", "400", "401", "403"} <= set(write["responses"])
    limit = document["paths"]["/api/v1/notes"]["get"]["parameters"][0]
    assert (limit["name"], limit["schema"]["maximum"], limit["schema"]["default"]) == ("limit", 50, 20)
