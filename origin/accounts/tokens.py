"""The origin's signing keys: makes access tokens, publishes the JWKS, knows what was revoked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from foundation.tokens.access import AccessClaims, SigningKey, generate_pem, issue, jwks
from origin.accounts.account_store import Account


class AccessTokens:
    """Signs with the first key; all keys are in the JWKS, so that tokens of a retired key go on until they expire."""

    def __init__(self, keys: tuple[SigningKey, ...], *, life_s: int, clock_s: Callable[[], float]) -> None:
        self._keys = keys
        self._public = {key.kid: key.key.public_key() for key in keys}
        self._clock_s = clock_s
        self.life_s = life_s

    def issue(self, account: Account, *, session_id: int) -> str:
        now_s = int(self._clock_s())
        claims = AccessClaims(
            user_id=account.id,
            username=account.username,
            session_id=str(session_id),
            tier=account.tier,
            teen=account.teen,
            issued_at_s=now_s,
            expires_at_s=now_s + self.life_s,
        )
        return issue(claims, self._keys[0])

    def jwks(self) -> dict[str, Any]:
        return jwks(self._keys)

    async def public_keys(self, refresh: bool) -> Mapping[str, Ed25519PublicKey]:
        """For `TokenGuard`; the origin's keys are all at hand."""
        return self._public


def read_keys(current: Path, old: tuple[Path, ...]) -> tuple[SigningKey, ...]:
    """Keys from their files; the current one is made (0600) if missing. Blocking. Raises SettingsError, OSError."""
    if not current.exists():
        current.parent.mkdir(parents=True, exist_ok=True)
        # several processes may start at once: the first to link its own file in wins
        fresh = current.with_name(f"{current.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        with fresh.open("w", encoding="utf-8") as file:
            file.write(generate_pem())
            file.flush()
            os.fsync(file.fileno())  # an empty key after a power cut would keep the origin from starting
        try:
            os.link(fresh, current)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return tuple(SigningKey.from_pem(path.read_text()) for path in (current, *old))
