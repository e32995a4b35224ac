"""Tokens whose signature was verified already: a player sends the same one with every request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from foundation.tokens.access import AccessClaims, check_life, verify

_MOST = 4096
"""Tokens remembered, about 1 KB each; the least recently used leaves first."""


class VerifiedTokens:
    """Remembers what `access.verify` said under one set of keys; another set forgets everything.

    Only good answers are kept, and life is checked at each use. (A signature costs .1 ms to verify.)
    """

    def __init__(self) -> None:
        self._claims: OrderedDict[str, AccessClaims] = OrderedDict()
        self._keys: Mapping[str, Ed25519PublicKey] = {}

    def verify(self, token: str, keys: Mapping[str, Ed25519PublicKey], *, now_s: float) -> AccessClaims:
        """As `access.verify`, and with its errors. `keys` must not be changed in place."""
        if keys is not self._keys:
            self._claims.clear()
            self._keys = keys
        claims = self._claims.get(token)
        if claims is None:
            claims = self._claims[token] = verify(token, keys, now_s=now_s)
            if len(self._claims) > _MOST:
                self._claims.popitem(last=False)
        else:
            self._claims.move_to_end(token)
            check_life(claims, now_s=now_s)
        return claims
