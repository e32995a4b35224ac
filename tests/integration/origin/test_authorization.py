"""Every route, with every kind of caller: the matrix is made from the routes themselves, so a new one is in it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from foundation.http.endpoint import ENDPOINTS, Access, Endpoint
from foundation.ids import UserId
from foundation.tokens.access import AccessClaims, SigningKey, generate_pem, issue
from tests.origin_harness import OPERATOR, SERVICE, Origin

pytestmark = pytest.mark.asyncio(loop_scope="module")


def path_of(spec: Endpoint) -> str:
    path = spec.path.replace("{region:[a-z0-9-]{1,32}}", "us-east").replace("{id:[0-9]{1,19}}", "1")
    path = re.sub(r"\{revision:[^}]*\}\}?", "1", path)
    path = re.sub(r"\{file:.*?\{0,80\}\}", "a.mp4", path)
    path = re.sub(r"\{token:.*?\{1,80\}\}", "k1.1.1.x", path)
    path = re.sub(r"\{(\w+):[^}]*\}", "1", path)
    return re.sub(r"\{\w+\}", "1", path)


async def answer_of(origin: Origin, spec: Endpoint, headers: dict[str, str]) -> int:
    sent = {**headers, "Tus-Resumable": "1.0.0"}
    async with origin.http.request(spec.method, origin.url + path_of(spec), headers=sent, json={}) as answer:
        return answer.status


async def test_no_token_is_enough_only_where_anyone_may_call(origin: Origin) -> None:
    for spec in origin.app[ENDPOINTS]:
        status = await answer_of(origin, spec, {})
        assert (status == 401) == (spec.access is not Access.ANYONE), (spec.method, spec.path, status)


async def test_a_token_that_is_wrong_is_refused_everywhere(origin: Origin) -> None:
    key = SigningKey.from_pem(Path(origin.settings.jwt_key_file).read_text())  # noqa: ASYNC240 - one small file
    stranger = SigningKey.from_pem(generate_pem())
    now = int(time.time())

    def token(signer: SigningKey, *, expires: int) -> dict[str, str]:
        claims = AccessClaims(
            user_id=UserId(1), username="x", session_id="1", issued_at_s=now - 5000, expires_at_s=expires
        )
        return {"Authorization": f"Bearer {issue(claims, signer)}"}

    wrong = {
        "expired": token(key, expires=now - 100),
        "signed by another": token(stranger, expires=now + 100),
        "garbage": {"Authorization": "Bearer garbage"},
    }
    for spec in origin.app[ENDPOINTS]:
        if "/videos/{region" in spec.path:
            continue  # media are opened by path tokens; a bearer token there is a service key or nothing
        expected = 401 if spec.access in (Access.ANYONE, Access.USER) else 403
        for kind, headers in wrong.items():
            assert await answer_of(origin, spec, headers) == expected, (kind, spec.method, spec.path)


async def test_users_cannot_call_what_is_for_services_and_operators(origin: Origin) -> None:
    ada = await origin.person()
    for spec in origin.app[ENDPOINTS]:
        if spec.access is Access.SERVICE:
            assert await answer_of(origin, spec, ada.headers) == 403, spec.path
            assert await answer_of(origin, spec, OPERATOR) == 403, spec.path
        if spec.access is Access.OPERATOR:
            assert await answer_of(origin, spec, ada.headers) == 403, spec.path
            assert await answer_of(origin, spec, SERVICE) == 403, spec.path


async def test_the_banned_are_cut_off_and_can_do_nothing(origin: Origin) -> None:
    eve = await origin.person("eve_banned")
    video = await origin.published(await origin.person(), title="v")
    reason = {"reason": "spam in the comments"}
    await origin.ok("POST", f"/api/v1/admin/users/{eve.id}", OPERATOR, json={"banned": True, **reason})

    async def cut_off() -> bool:
        return (await origin.call("POST", f"/api/v1/videos/{video}/like", eve))[0] == 401

    await origin.eventually(cut_off)
    again = await origin.person("eve_banned")  # a token by the service key: the account itself is banned
    for method, path, body in [
        ("POST", f"/api/v1/videos/{video}/like", None),
        ("POST", f"/api/v1/videos/{video}/comment", {"text": "hi"}),
        ("POST", "/api/v1/videos/upload/init", {"filename": "a.mp4", "filesize": 10}),
        ("PATCH", "/api/v1/users/me", {"bio": "x"}),
    ]:
        status, problem = await origin.call(method, path, again, json=body)
        assert (status, problem["code"]) == (403, "account-banned"), path
    await origin.ok("POST", f"/api/v1/admin/users/{eve.id}", OPERATOR, json={"banned": False, **reason})
    await origin.ok("POST", f"/api/v1/videos/{video}/like", await origin.person("eve_banned"))


async def test_another_users_video_cannot_be_changed_or_deleted(origin: Origin) -> None:
    ada, eve = await origin.person(), await origin.person()
    video = await origin.published(ada, title="mine")
    for method, path, body in [
        ("PATCH", f"/api/v1/videos/{video}", {"title": "stolen"}),
        ("DELETE", f"/api/v1/videos/{video}", None),
        ("POST", f"/api/v1/videos/{video}/reprocess", None),
        ("POST", f"/api/v1/videos/{video}/upload/complete", {}),
    ]:
        status, problem = await origin.call(method, path, eve, json=body)
        assert (status, problem["code"]) == (403, "not-yours"), path
    assert (await origin.ok("GET", f"/api/v1/videos/{video}"))["title"] == "mine"
