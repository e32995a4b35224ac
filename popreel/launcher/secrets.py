"""Keys of an installation, generated once into secrets.toml (0600)."""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foundation.errors import SettingsError
from popreel.embedded.secret_file import write_private
from popreel.launcher.toml_text import render


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSecrets:
    """What the processes of an installation know each other by. Never shown."""

    media_key: str = field(repr=False)
    """HMAC key of signed media paths; origin and PoPs."""
    operator_key: str = field(repr=False)
    """The operator API of origin and control plane."""
    service_keys: Mapping[str, str] = field(repr=False)
    """By holder: each PoP, the origin, the router, the command line. Removing one locks its holder out."""


def load_or_make(path: Path, *, holders: Iterable[str]) -> PlatformSecrets:
    """Read `path`; make and store what is missing, a key for each of `holders` included. Raises SettingsError."""
    found = _read(path)
    keys, service_keys = found.get("keys", {}), found.get("service_keys", {})
    made = PlatformSecrets(
        media_key=keys.get("media_key") or secrets.token_urlsafe(32),
        operator_key=keys.get("operator_key") or secrets.token_urlsafe(32),
        service_keys={**service_keys, **{name: _key(service_keys, name) for name in holders}},
    )
    document = {
        "keys": {
            "media_key": made.media_key,
            "operator_key": made.operator_key,
        },
        "service_keys": made.service_keys,
    }
    if document != found:
        write_private(path, render(document))
    return made


def _key(known: Mapping[str, str], holder: str) -> str:
    return known.get(holder) or secrets.token_urlsafe(32)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as err:
        raise SettingsError(f"{path} is damaged ({err}): restore it, or start anew with `popreel down --wipe`") from err
