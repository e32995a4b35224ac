"""Who may have a path: path tokens, verified once and remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from edge.delivery.ask import Target
from foundation.errors import Forbidden
from foundation.settings import Secret
from foundation.tokens.media import MediaTokenVerdict, SignedPath, check

MAX_REMEMBERED = 65_536


class Grant(NamedTuple):
    """A verified token: every path under `prefix`, without another check until unix second `until_s`."""

    prefix: str
    until_s: float


class Gatekeeper:
    """Checks `/t/{token}` paths against `keys`; remembers good tokens with the prefix they open."""

    def __init__(self, keys: Mapping[str, Secret], *, require_token: bool, clock: Callable[[], float]) -> None:
        self._keys = {kid: str.__str__(key).encode() for kid, key in keys.items()}
        self._require_token = require_token
        self._clock = clock
        self._grants: OrderedDict[str, Grant] = OrderedDict()

    def admit(self, target: Target) -> bool:
        """True with a valid token, False without any. Raises Forbidden for a bad one, or none where one is needed."""
        if not target.token:
            if self._require_token:
                raise Forbidden("this path needs a signed URL")
            return False
        grant = self.grant(target.token, target.path)
        if isinstance(grant, MediaTokenVerdict):
            raise Forbidden(f"the signed URL is {grant}: ask for a new one")
        return True

    def grant(self, token: str, path: str) -> Grant | MediaTokenVerdict:
        """What `token` opens, if it opens `path` (in normal form); else what is wrong with it. One HMAC per token."""
        now_s = self._clock()
        known = self._grants.get(token)
        if known is not None and now_s < known.until_s and path.startswith(known.prefix):
            return known
        verdict = check(SignedPath(token=token, path=path), self._keys, now_s=now_s)
        if verdict is not MediaTokenVerdict.VALID:
            return verdict
        _, expires_s, length, _ = token.split(".")
        grant = self._grants[token] = Grant(path[: int(length)], float(expires_s))
        while len(self._grants) > MAX_REMEMBERED:
            self._grants.popitem(last=False)
        return grant
