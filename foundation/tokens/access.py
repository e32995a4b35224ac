"""Access tokens: EdDSA (Ed25519) JWTs, and the JWKS that lets every PoP verify them offline (RFC 7519, 8037, 7517)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foundation.errors import SettingsError, Unauthenticated
from foundation.http.endpoint import Caller
from foundation.ids import UserId, parse_id

ISSUER = "popreel"
LEEWAY_S = 30
ACCESS_LIFE_S = 15 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessClaims:
    """What a token says of its bearer. Times are unix seconds."""

    user_id: UserId
    username: str
    session_id: str
    tier: str = "free"
    teen: bool = False
    issued_at_s: int
    expires_at_s: int

    def caller(self) -> Caller:
        return Caller(
            user_id=self.user_id,
            username=self.username,
            session_id=self.session_id,
            tier=self.tier,
            teen=self.teen,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """An Ed25519 private key and its id (RFC 7638 style: a hash of the public key)."""

    key: Ed25519PrivateKey = field(repr=False)
    kid: str

    @classmethod
    def from_pem(cls, pem: str) -> SigningKey:
        """Raises SettingsError if `pem` is not an unencrypted PKCS#8 Ed25519 key."""
        try:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
        except ValueError as err:
            raise SettingsError("the access token key is not a PEM private key") from err
        if not isinstance(key, Ed25519PrivateKey):
            raise SettingsError("the access token key must be Ed25519: `openssl genpkey -algorithm ed25519`")
        return cls(key=key, kid=_key_id(key.public_key()))


def generate_pem() -> str:
    """A fresh private key as PKCS#8 PEM."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def issue(claims: AccessClaims, key: SigningKey) -> str:
    """Sign `claims`; the header carries the key's id."""
    payload = {
        "iss": ISSUER,
        "sub": str(claims.user_id),
        "name": claims.username,
        "sid": claims.session_id,
        "tier": claims.tier,
        "teen": claims.teen,
        "iat": claims.issued_at_s,
        "exp": claims.expires_at_s,
    }
    return jwt.encode(payload, key.key, algorithm="EdDSA", headers={"kid": key.kid})


def verify(token: str, keys: Mapping[str, Ed25519PublicKey], *, now_s: float) -> AccessClaims:
    """Check signature, issuer and life at `now_s`. Raises Unauthenticated; `unknown-key` means fetch the JWKS again."""
    try:
        kid = jwt.get_unverified_header(token).get("kid", "")
        key = keys.get(kid)
        if key is None:
            raise Unauthenticated("the access token is signed by a key we do not know", reason="unknown-key")
        payload = jwt.decode(
            token,
            key,
            algorithms=["EdDSA"],
            issuer=ISSUER,
            # life is checked below against the caller's clock
            options={"require": ["sub", "sid", "iat", "exp"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as err:
        raise Unauthenticated("the access token does not verify: sign in again", reason="invalid") from err
    claims = _claims(payload)
    check_life(claims, now_s=now_s)
    return claims


def check_life(claims: AccessClaims, *, now_s: float) -> None:
    """Raises Unauthenticated before and after the life of a token."""
    if claims.expires_at_s + LEEWAY_S <= now_s:
        raise Unauthenticated("the access token has expired: refresh it", reason="expired")
    if claims.issued_at_s - LEEWAY_S > now_s:
        raise Unauthenticated("the access token is not valid yet: check the clocks", reason="not-yet-valid")


def _claims(payload: Mapping[str, Any]) -> AccessClaims:
    try:
        return AccessClaims(
            user_id=UserId(parse_id(str(payload["sub"]))),
            username=str(payload.get("name", "")),
            session_id=str(payload["sid"]),
            tier=str(payload.get("tier", "free")),
            teen=bool(payload.get("teen", False)),
            issued_at_s=int(payload["iat"]),
            expires_at_s=int(payload["exp"]),
        )
    except (ValueError, TypeError) as err:
        raise Unauthenticated("the access token has malformed claims", reason="invalid") from err


def jwks(keys: Iterable[SigningKey]) -> dict[str, Any]:
    """The public half of `keys` as a JWK Set; keep a retired key in it until its last token has expired."""
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "use": "sig",
                "alg": "EdDSA",
                "kid": key.kid,
                "x": _b64(_raw(key.key.public_key())),
            }
            for key in keys
        ]
    }


def read_jwks(document: Mapping[str, Any]) -> dict[str, Ed25519PublicKey]:
    """Keys by id; entries that are not Ed25519 are passed over. Raises ValueError on a malformed document."""
    found: dict[str, Ed25519PublicKey] = {}
    for entry in document["keys"]:
        if entry.get("kty") == "OKP" and entry.get("crv") == "Ed25519":
            raw = base64.urlsafe_b64decode(entry["x"] + "=" * (-len(entry["x"]) % 4))
            found[str(entry["kid"])] = Ed25519PublicKey.from_public_bytes(raw)
    return found


class Revoked:
    """Which tokens no longer count: sessions logged out and accounts cut off, kept for the life of a token.

    Bounded: an entry is dropped once every token it could match has expired.
    """

    def __init__(self, *, clock_s: Callable[[], float], life_s: float = ACCESS_LIFE_S + LEEWAY_S) -> None:
        self._clock_s = clock_s
        self._life_s = life_s
        self._sessions: dict[str, float] = {}
        self._users: dict[UserId, float] = {}

    def add(self, *, user_id: UserId, session_id: str | None, at_s: float) -> None:
        if session_id is not None:
            self._sessions[session_id] = at_s
        else:
            self._users[user_id] = max(at_s, self._users.get(user_id, 0.0))
        self._expire()

    def check(self, claims: AccessClaims) -> None:
        """Raises Unauthenticated if the token was revoked."""
        cut_off_s = self._users.get(claims.user_id)
        if claims.session_id in self._sessions or (cut_off_s is not None and claims.issued_at_s <= cut_off_s):
            raise Unauthenticated("this session was ended: sign in again", reason="revoked")

    def _expire(self) -> None:
        oldest_s = self._clock_s() - self._life_s
        for table in (self._sessions, self._users):
            for key in [key for key, at_s in table.items() if at_s < oldest_s]:
                del table[key]  # type: ignore[arg-type]  # the tables differ in their key type


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _key_id(key: Ed25519PublicKey) -> str:
    return _b64(hashlib.sha256(_raw(key)).digest()[:12])


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
