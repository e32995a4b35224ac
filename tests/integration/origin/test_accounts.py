"""Sign-up, sign-in, sessions, profiles: through the API, on real stores."""

from __future__ import annotations

import datetime as dt
from functools import partial

import jwt
import pytest

from tests.origin_harness import SERVICE, Origin

ADULT = "1990-05-17"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def years_ago(years: int) -> str:
    today = dt.datetime.now(dt.UTC).date()
    return today.replace(year=today.year - years, day=min(today.day, 28)).isoformat()


async def register(origin: Origin, name: str, *, birthdate: str = ADULT) -> dict:
    body = {"username": name, "password": "correct horse battery", "birthdate": birthdate}
    return await origin.ok("POST", "/api/v1/auth/register", json=body)


def bearer(reply: dict) -> dict[str, str]:
    return {"Authorization": f"Bearer {reply['accessToken']}"}


async def test_a_new_account_signs_in_and_its_token_verifies_with_the_published_keys(origin: Origin) -> None:
    await register(origin, "Ada")
    reply = await origin.ok("POST", "/api/v1/auth/login", json={"username": "ADA", "password": "correct horse battery"})
    keys = jwt.PyJWKSet.from_dict(await origin.ok("GET", "/.well-known/jwks.json"))
    kid = jwt.get_unverified_header(reply["accessToken"])["kid"]
    claims = jwt.decode(reply["accessToken"], keys[kid].key, algorithms=["EdDSA"], issuer="popreel")
    assert claims["sub"] == reply["user"]["id"]
    assert claims["exp"] - claims["iat"] == reply["expiresIn"] == 900


async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(origin: Origin) -> None:
    await register(origin, "bert")
    wrong = await origin.call("POST", "/api/v1/auth/login", json={"username": "bert", "password": "wrong wrong"})
    unknown = await origin.call("POST", "/api/v1/auth/login", json={"username": "nobody", "password": "wrong wrong"})
    assert wrong == unknown
    assert wrong[0] == 401
    assert wrong[1]["code"] == "wrong-password"


async def test_a_taken_name_is_refused_in_any_case_of_letters(origin: Origin) -> None:
    await register(origin, "carla")
    body = {"username": "CARLA", "password": "correct horse battery", "birthdate": ADULT}
    status, problem = await origin.call("POST", "/api/v1/auth/register", json=body)
    assert (status, problem["code"]) == (409, "username-taken")


async def test_children_are_refused_and_nothing_is_kept(origin: Origin) -> None:
    body = {"username": "kid", "password": "correct horse battery", "birthdate": years_ago(12)}
    status, problem = await origin.call("POST", "/api/v1/auth/register", json=body)
    assert (status, problem["code"]) == (403, "too-young")
    assert (await register(origin, "kid"))["user"]["username"] == "kid"


async def test_teens_start_private_are_marked_in_their_token_and_are_not_found(origin: Origin) -> None:
    teen = await register(origin, "tina_teen", birthdate=years_ago(15))
    assert teen["user"]["private"] is True
    assert jwt.decode(teen["accessToken"], options={"verify_signature": False})["teen"] is True
    assert (await origin.ok("GET", "/api/v1/search?type=users&q=tina_teen"))["users"] == []
    assert (await origin.ok("GET", "/api/v1/search/suggest?q=tina"))["suggestions"] == []


async def test_refreshing_rotates_and_a_used_token_ends_the_session_for_good(origin: Origin) -> None:
    first = await register(origin, "dora")
    second = await origin.ok("POST", "/api/v1/auth/refresh", json={"refreshToken": first["refreshToken"]})
    assert second["refreshToken"] != first["refreshToken"]
    for stolen in (first["refreshToken"], second["refreshToken"]):  # the second dies with its session
        status, problem = await origin.call("POST", "/api/v1/auth/refresh", json={"refreshToken": stolen})
        assert (status, problem["code"]) == (401, "refresh-refused")

    async def cut_off() -> bool:
        return (await origin.call("GET", "/api/v1/users/me", bearer(second)))[0] == 401

    await origin.eventually(cut_off)


async def test_logout_reaches_the_revocation_log_that_pops_follow(origin: Origin) -> None:
    reply = await register(origin, "emil")
    before = await origin.ok("GET", "/internal/v1/revocations", SERVICE)
    await origin.ok("POST", "/api/v1/auth/logout", bearer(reply), json={})
    log = await origin.ok("GET", f"/internal/v1/revocations?after={before['head']}&waitMs=5000", SERVICE)
    assert [(entry["userId"], entry["seq"]) for entry in log["revocations"]] == [
        (reply["user"]["id"], before["head"] + 1)
    ]
    assert log["revocations"][0]["sessionId"]


async def test_logout_everywhere_ends_every_session_but_not_the_next(origin: Origin) -> None:
    first = await register(origin, "fred")
    credentials = {"username": "fred", "password": "correct horse battery"}
    second = await origin.ok("POST", "/api/v1/auth/login", json=credentials)
    await origin.ok("POST", "/api/v1/auth/logout", bearer(second), json={"everywhere": True})
    for reply in (first, second):

        async def cut_off(headers: dict[str, str]) -> bool:
            return (await origin.call("GET", "/api/v1/users/me", headers))[0] == 401

        await origin.eventually(partial(cut_off, bearer(reply)))
    third = await origin.ok("POST", "/api/v1/auth/login", json=credentials)
    await origin.ok("GET", "/api/v1/users/me", bearer(third))


async def test_sign_in_tries_are_limited_and_say_so(origin: Origin) -> None:
    await register(origin, "gina")
    body = {"username": "gina", "password": "wrong wrong"}
    async with origin.http.post(f"{origin.url}/api/v1/auth/login", json=body) as answer:
        assert answer.status == 401
        assert answer.headers["RateLimit-Policy"].startswith('"login-address";q=')
        assert ";r=" in answer.headers["RateLimit"]


async def test_the_own_profile_shows_more_than_others_see(origin: Origin) -> None:
    reply = await register(origin, "hugo")
    changed = await origin.ok(
        "PATCH", "/api/v1/users/me", bearer(reply), json={"displayName": "Hugo \u0000B", "bio": "hello"}
    )
    assert (changed["displayName"], changed["bio"], changed["birthdate"]) == ("Hugo B", "hello", ADULT)
    other = await origin.ok("GET", f"/api/v1/users/{reply['user']['id']}")
    assert (other["displayName"], other["birthdate"], other["tier"]) == ("Hugo B", None, None)
    assert await origin.ok("GET", "/api/v1/users/@Hugo") == other
