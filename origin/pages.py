"""Cursor pagination: an opaque cursor holds the sort key of the last item shown. Pure.

Keyset, not offset: inserts and deletes between two pages neither repeat nor skip items.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from foundation.errors import BadInput
from foundation.wire import Wire

K = TypeVar("K")


Cursor = Annotated[str, Meta(description="`nextCursor` of the page before", extra_json_schema={"format": "cursor"})]
"""Opaque: its bound is checked by `decode_cursor`, which is the only reader."""
_MAX_CURSOR_CHARS = 200


class PageQuery(Wire, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Cursor = ""


def encode_cursor(key: object) -> str:
    """`key`: numbers and strings, as a list or tuple."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(key)).rstrip(b"=").decode()


def decode_cursor(cursor: str, key_type: type[K]) -> K | None:
    """The key inside, or None for the first page. Raises BadInput."""
    if not cursor:
        return None
    if len(cursor) > _MAX_CURSOR_CHARS:
        raise BadInput("cursor: this is not one we gave; begin without it")
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=key_type)
    except (msgspec.DecodeError, binascii.Error, ValueError) as err:
        raise BadInput("cursor: this is not one we gave; begin without it") from err
