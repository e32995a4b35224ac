"""Who is calling: access tokens for users, keys for services and operators.

Every service verifies by itself: with the private key's own public half at the origin, with the fetched JWKS elsewhere.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from foundation.errors import Forbidden, Unauthenticated
from foundation.http.endpoint import Access, Caller
from foundation.settings import Secret
from foundation.tokens.access import AccessClaims, Revoked
from foundation.tokens.verified import VerifiedTokens

VOUCHER = "X-Popreel-Service-Key"
"""Beside a forwarded request whose Authorization is the user's own."""
PublicKeys = Mapping[str, Ed25519PublicKey]


class TokenGuard:
    """Implements `endpoint.Guard`.

    `keys` gives the public keys by id; it is called again once with `refresh=True` when a token names a key it did not
    hold. `service_keys` and `operator_keys` are secrets by the name of their holder.
    """

    def __init__(
        self,
        *,
        keys: Callable[[bool], Awaitable[PublicKeys]],
        revoked: Revoked,
        clock_s: Callable[[], float],
        service_keys: Mapping[str, Secret] | None = None,
        operator_keys: Mapping[str, Secret] | None = None,
    ) -> None:
        self._keys = keys
        self._revoked = revoked
        self._clock_s = clock_s
        self._verified = VerifiedTokens()
        self._service_keys = dict(service_keys or {})
        self._operator_keys = dict(operator_keys or {})

    async def identify(self, request: web.Request, access: Access) -> Caller | None:
        token = bearer(request.headers.get("Authorization"))
        if token is None:
            return None
        match access:
            case Access.SERVICE:
                return Caller(service=holder_of(token, self._service_keys))
            case Access.OPERATOR:
                return Caller(operator=holder_of(token, self._operator_keys))
            case Access.ANYONE if service := _find_holder(token, self._service_keys):
                return Caller(service=service)  # e.g. a PoP fetching media that users may fetch too
            case Access.USER | Access.ANYONE:
                return (await self.verify(token)).caller()

    async def verify(self, token: str) -> AccessClaims:
        """Claims of a user's token. Raises Unauthenticated."""
        try:
            claims = self._verified.verify(token, await self._keys(False), now_s=self._clock_s())
        except Unauthenticated as err:
            if err.extensions.get("reason") != "unknown-key":
                raise
            claims = self._verified.verify(token, await self._keys(True), now_s=self._clock_s())
        self._revoked.check(claims)
        return claims


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header; None without the header. Raises Unauthenticated for another scheme."""
    if not header:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("use `Authorization: Bearer TOKEN`", reason="scheme")
    return token.strip()


def client_address(request: web.Request, keys: Mapping[str, Secret]) -> str:
    """Where the client is: by a PoP's word (X-Forwarded-For) if its key vouches for it, else who is connected."""
    vouched = bool(_find_holder(request.headers.get(VOUCHER, ""), keys))
    forwarded = request.headers.get("X-Forwarded-For", "").strip() if vouched else ""
    return forwarded[:64] or request.remote or "unknown"


def holder_of(token: str, keys: Mapping[str, Secret]) -> str:
    """Name of the holder of `token`. Raises Forbidden if none holds it."""
    found = _find_holder(token, keys)
    if not found:
        raise Forbidden("this key is not known here")
    return found


def _find_holder(token: str, keys: Mapping[str, Secret]) -> str:
    """Compared in constant time; "" if nobody holds it."""
    given = token.encode()
    found = ""
    for name, key in keys.items():
        if key and hmac.compare_digest(given, str.__str__(key).encode()):
            found = name
    return found
