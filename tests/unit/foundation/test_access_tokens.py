import dataclasses

import jwt
import pytest

from foundation.errors import SettingsError, Unauthenticated
from foundation.ids import UserId
from foundation.tokens.access import AccessClaims, Revoked, SigningKey, generate_pem, issue, jwks, read_jwks, verify
from foundation.tokens.verified import VerifiedTokens

NOW_S = 1_800_000_000
CLAIMS = AccessClaims(
    user_id=UserId(42), username="ana", session_id="s1", tier="creator", issued_at_s=NOW_S, expires_at_s=NOW_S + 900
)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.from_pem(generate_pem())


def reason(error: pytest.ExceptionInfo[Unauthenticated]) -> object:
    return error.value.extensions["reason"]


def test_a_token_verifies_with_nothing_but_the_published_keys(key: SigningKey) -> None:
    assert verify(issue(CLAIMS, key), read_jwks(jwks([key])), now_s=NOW_S + 1) == CLAIMS


def test_an_expired_token_is_refused_after_the_leeway(key: SigningKey) -> None:
    token, keys = issue(CLAIMS, key), read_jwks(jwks([key]))
    verify(token, keys, now_s=NOW_S + 900 + 29)
    with pytest.raises(Unauthenticated) as caught:
        verify(token, keys, now_s=NOW_S + 900 + 30)
    assert reason(caught) == "expired"


def test_a_token_from_the_future_is_refused(key: SigningKey) -> None:
    with pytest.raises(Unauthenticated) as caught:
        verify(issue(CLAIMS, key), read_jwks(jwks([key])), now_s=NOW_S - 31)
    assert reason(caught) == "not-yet-valid"


def test_a_token_of_another_key_asks_for_fresh_keys(key: SigningKey) -> None:
    other = SigningKey.from_pem(generate_pem())
    with pytest.raises(Unauthenticated) as caught:
        verify(issue(CLAIMS, other), read_jwks(jwks([key])), now_s=NOW_S)
    assert reason(caught) == "unknown-key"


def test_rotation_keeps_old_tokens_alive(key: SigningKey) -> None:
    new = SigningKey.from_pem(generate_pem())
    keys = read_jwks(jwks([new, key]))
    assert verify(issue(CLAIMS, key), keys, now_s=NOW_S) == verify(issue(CLAIMS, new), keys, now_s=NOW_S)


@pytest.mark.parametrize("forge", ["none", "hs256", "tampered", "garbage", ""])
def test_forged_tokens_are_refused(key: SigningKey, forge: str) -> None:
    keys, token = read_jwks(jwks([key])), issue(CLAIMS, key)
    payload = {"sub": "1", "sid": "s", "iat": NOW_S, "exp": NOW_S + 9, "iss": "popreel"}
    forged = {
        "none": jwt.encode(payload, None, algorithm="none", headers={"kid": key.kid}),
        "hs256": jwt.encode(payload, "x" * 32, algorithm="HS256", headers={"kid": key.kid}),
        "tampered": token[:-8] + ("A" * 8),
        "garbage": "a.b.c",
        "": "",
    }[forge]
    with pytest.raises(Unauthenticated):
        verify(forged, keys, now_s=NOW_S)


def test_the_private_key_does_not_show_itself(key: SigningKey) -> None:
    assert "PrivateKey" not in repr(key)


def test_a_key_of_another_kind_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="PEM"):
        SigningKey.from_pem("not a key")


def test_revocation_hits_a_session_or_everything_issued_before() -> None:
    revoked = Revoked(clock_s=lambda: NOW_S + 10.0)
    revoked.add(user_id=UserId(42), session_id="s1", at_s=NOW_S)
    with pytest.raises(Unauthenticated):
        revoked.check(CLAIMS)
    revoked.check(dataclasses.replace(CLAIMS, session_id="s2"))
    revoked.add(user_id=UserId(42), session_id=None, at_s=NOW_S)
    with pytest.raises(Unauthenticated):
        revoked.check(dataclasses.replace(CLAIMS, session_id="s2"))
    revoked.check(dataclasses.replace(CLAIMS, session_id="s3", issued_at_s=NOW_S + 1))


def test_revocations_are_forgotten_once_their_tokens_have_expired() -> None:
    now = [float(NOW_S)]
    revoked = Revoked(clock_s=lambda: now[0], life_s=900)
    revoked.add(user_id=UserId(42), session_id="s1", at_s=NOW_S)
    now[0] += 1000
    revoked.add(user_id=UserId(43), session_id=None, at_s=now[0])
    revoked.check(CLAIMS)


def test_a_token_verified_before_still_expires_and_ends_with_its_keys(key: SigningKey) -> None:
    verified, keys, token = VerifiedTokens(), read_jwks(jwks([key])), issue(CLAIMS, key)
    assert verified.verify(token, keys, now_s=NOW_S) == verified.verify(token, keys, now_s=NOW_S + 1) == CLAIMS
    with pytest.raises(Unauthenticated) as caught:
        verified.verify(token, keys, now_s=NOW_S + 900 + 30)
    assert reason(caught) == "expired"
    with pytest.raises(Unauthenticated) as caught:
        verified.verify(token, read_jwks(jwks([SigningKey.from_pem(generate_pem())])), now_s=NOW_S)
    assert reason(caught) == "unknown-key"
    for _ in range(2):  # a refusal is not remembered as an answer
        with pytest.raises(Unauthenticated):
            verified.verify(token + "A", keys, now_s=NOW_S)
