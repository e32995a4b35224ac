"""Messages between services and to clients: msgspec structs, camelCase JSON, unknown fields ignored."""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    """Base of every message. Ids are decimal strings, times are unix milliseconds unless a name says otherwise."""
