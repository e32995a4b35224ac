"""Writes the TOML we hand to processes. The standard library only reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Table = Mapping[str, Any]


def render(document: Mapping[str, Table]) -> str:
    """A document of one level of tables; values: text, numbers, booleans, paths, and lists and mappings of these.

    None is left out, so that the reader's default holds. Raises TypeError for other values.
    """
    blocks = []
    for section, table in document.items():
        lines = [f"{_key(name)} = {_value(value)}" for name, value in table.items() if value is not None]
        blocks.append("\n".join([f"[{_key(section)}]", *lines]))
    return "\n\n".join(blocks) + "\n"


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else _value(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | Path():
            # A JSON string is a TOML basic string, except for DEL, which TOML wants escaped.
            return json.dumps(str.__str__(value) if isinstance(value, str) else str(value), ensure_ascii=False).replace(
                "\x7f", "\\u007f"
            )
        case int() | float():
            return repr(value)
        case Mapping():
            return "{" + ", ".join(f"{_key(name)} = {_value(entry)}" for name, entry in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_value(entry) for entry in value) + "]"
        case _:
            raise TypeError(f"no TOML for {type(value).__name__}")
