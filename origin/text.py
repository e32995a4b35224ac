"""Text people typed, made safe to store and show. Pure."""

from __future__ import annotations

import unicodedata

_KEPT = "\n\t"
VISIBLE = r"[^\s\u0000-\u001f\u007f-\u00a0\u1680\u2000-\u200a\u2028-\u202f\u205f\u3000]"
"""JSON Schema pattern of a text of which something is left by `clean_text(text).strip()`."""


def clean_text(text: str) -> str:
    """NFC, without control characters (Postgres stores no NUL, lone surrogates are no text) and direction overrides."""
    kept = [
        char
        for char in unicodedata.normalize("NFC", text)
        if char in _KEPT or not (unicodedata.category(char) in ("Cc", "Cs") or char in "\u202a\u202b\u202c\u202d\u202e")
    ]
    return "".join(kept)
