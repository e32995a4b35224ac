"""Text people typed, made safe to store and show. Pure."""

from __future__ import annotations

import unicodedata

_KEPT = "\n\t"


def clean_text(text: str) -> str:
    """NFC, without control characters (Postgres stores no NUL, lone surrogates are no text) and direction overrides."""
    kept = [
        char
        for char in unicodedata.normalize("NFC", text)
        if char in _KEPT or not (unicodedata.category(char) in ("Cc", "Cs") or char in "\u202a\u202b\u202c\u202d\u202e")
    ]
    return "".join(kept)
