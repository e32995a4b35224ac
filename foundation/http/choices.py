"""What msgspec leaves out of its words: which values a member of a closed set may have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import inspect

_NOT_ONE_OF = re.compile(r"Invalid enum value .* - at `\$(?P<place>\S*)`", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[[^\]]*\]")
_LISTS = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)


def with_choices(message: str, *wanted: Any) -> str:
    """`message` of a ValidationError, with the choices when it is about one. `wanted`: the types that were decoded."""
    found = _NOT_ONE_OF.fullmatch(message)
    if found is None:
        return message
    names = [step[1] for step in _STEP.finditer(found["place"])]
    choices = [choice for kind in inspect.multi_type_info(wanted) for choice in _choices(kind, names)]
    return f"{message}: choose {', '.join(choices)}" if choices else message


def _choices(kind: inspect.Type, names: Sequence[str | None]) -> list[str]:
    """At the end of `names`: encoded members, None for an element of a list or the value of a key."""
    match kind:
        case inspect.Metadata():
            return _choices(kind.type, names)
        case inspect.UnionType():
            return [choice for one in kind.types for choice in _choices(one, names)]
        case inspect.EnumType() if not names:
            return [str(member.value) for member in kind.cls]
        case inspect.LiteralType() if not names:
            return [str(value) for value in kind.values]
        case inspect.StructType() if names:
            members = (one.type for one in kind.fields if one.encode_name == names[0])
            return [choice for member in members for choice in _choices(member, names[1:])]
        case inspect.DictType() if names and names[0] is None:
            return _choices(kind.value_type, names[1:])
        case _ if isinstance(kind, _LISTS) and names and names[0] is None:
            return _choices(kind.item_type, names[1:])
        case _:
            return []
