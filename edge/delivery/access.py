"""Who may have a path: path tokens, verified once and remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from edge.delivery.ask import Target
from foundation.errors import Forbidden
from foundation.settings import Secret
from foundation.tokens.media import MediaTokenVerdict, SignedPath, check

MAX_REMEMBERED = 65_536
REMEMBER_S = 60.0
"""A verdict is trusted this long, never past the token's expiry plus its skew by more than this."""


class Gatekeeper:
    """Checks `/t/{token}` paths against `keys`; remembers good ones by token and path."""

    def __init__(self, keys: Mapping[str, Secret], *, require_token: bool, clock: Callable[[], float]) -> None:
        self._keys = {kid: str.__str__(key).encode() for kid, key in keys.items()}
        self._require_token = require_token
        self._clock = clock
        self._good: OrderedDict[tuple[str, str], float] = OrderedDict()

    def admit(self, target: Target) -> bool:
        """True with a valid token, False without any. Raises Forbidden for a bad one, or none where one is needed."""
        if not target.token:
            if self._require_token:
                raise Forbidden("this path needs a signed URL")
            return False
        now_s = self._clock()
        known = (target.token, target.path)
        if self._good.get(known, 0.0) > now_s:
            return True
        verdict = check(SignedPath(token=target.token, path=target.path), self._keys, now_s=now_s)
        if verdict is not MediaTokenVerdict.VALID:
            raise Forbidden(f"the signed URL is {verdict}: ask for a new one")
        self._good[known] = min(now_s + REMEMBER_S, expiry_s(target.token))
        while len(self._good) > MAX_REMEMBERED:
            self._good.popitem(last=False)
        return True


def expiry_s(token: str) -> float:
    """Unix second the (verified) token ends at."""
    return float(token.split(".")[1])
