"""Path-prefix tokens for media: `/t/{token}/videos/...`.

The token stands in the path, so relative URIs in playlists inherit it and nothing is rewritten. It signs a path prefix
and an expiry: `{kid}.{expires}.{prefix length}.{mac}` with mac = HMAC-SHA256(key, "expires\\nprefix") cut to 128 bits,
base64url. The prefix itself is not repeated: it is the first `prefix length` characters of the path that follows.
A cache drops `/t/{token}` from its key.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

PATH_MARK = "/t/"
MAX_TOKEN_CHARS = 80
SKEW_S = 60


class MediaTokenVerdict(StrEnum):
    VALID = "valid"
    ABSENT = "absent"
    MALFORMED = "malformed"
    EXPIRED = "expired"
    FORGED = "forged"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPath:
    """A request path split into its token ("" if none) and the bare path that is the cache key."""

    token: str
    path: str


def split(path: str) -> SignedPath:
    """Separate `/t/{token}` from the rest; a path without the mark comes back whole."""
    if not path.startswith(PATH_MARK):
        return SignedPath(token="", path=path)
    token, slash, rest = path[len(PATH_MARK) :].partition("/")
    return SignedPath(token=token, path=slash + rest)


def sign(prefix: str, *, expires_s: int, kid: str, keys: Mapping[str, bytes]) -> str:
    """Token for every path under `prefix` (root-relative, ends with "/") until unix second `expires_s`."""
    if not (prefix.startswith("/") and prefix.endswith("/")):
        raise ValueError("a signed prefix starts and ends with a slash, or it would cover its neighbours")
    return f"{kid}.{expires_s}.{len(prefix)}.{_mac(keys[kid], prefix, expires_s)}"


def check(signed: SignedPath, keys: Mapping[str, bytes], *, now_s: float) -> MediaTokenVerdict:
    """Verdict on the token for its path; constant time in the mac. Clocks may differ by SKEW_S."""
    if not signed.token:
        return MediaTokenVerdict.ABSENT
    parts = signed.token.split(".")
    if len(signed.token) > MAX_TOKEN_CHARS or len(parts) != 4 or not (_digits(parts[1]) and _digits(parts[2])):
        return MediaTokenVerdict.MALFORMED
    kid, expires_s, length = parts[0], int(parts[1]), int(parts[2])
    prefix = signed.path[:length]
    key = keys.get(kid)
    if len(prefix) != length or not prefix.endswith("/") or "/../" in signed.path or "/./" in signed.path:
        return MediaTokenVerdict.MALFORMED
    if key is None or not hmac.compare_digest(_mac(key, prefix, expires_s), parts[3]):
        return MediaTokenVerdict.FORGED
    return MediaTokenVerdict.VALID if now_s <= expires_s + SKEW_S else MediaTokenVerdict.EXPIRED


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12


def _mac(key: bytes, prefix: str, expires_s: int) -> str:
    digest = hmac.digest(key, f"{expires_s}\n{prefix}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
