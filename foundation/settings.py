"""Settings: one frozen class per package, read once from TOML and the environment by the composition of a service.

A knob is an annotated field; its bounds, help and default are the only place it is described:

    class EdgeSettings(Settings, frozen=True, kw_only=True):
        section: ClassVar[str] = "edge"
        ram_bytes: Annotated[int, Meta(ge=MIB, description="RAM tier, bytes. Raise it on a big machine.")] = 256 * MIB

`POPREEL_EDGE__RAM_BYTES=...` overrides `[edge] ram_bytes` in the file. docs/settings.md is rendered from these classes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec.json import decode as decode_json

from foundation.errors import SettingsError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class Secret(str):
    """A string that does not show itself in a repr, a log field or a traceback's locals; `str.__str__` gives it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')" if self else "Secret('')"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every settings class; `section` names its TOML table and the middle of its variables."""

    section: ClassVar[str] = ""


S = TypeVar("S", bound=Settings)


def load(settings: type[S], *, file: Path | None, environ: Mapping[str, str]) -> S:
    """Read `[section]` of `file` (may be None), lay the environment over it and check bounds.

    Raises SettingsError naming the knob and what it takes. Values from the environment are coerced from text; for
    lists, tables and nested structs the text is JSON.
    """
    table = _read_table(file, settings.section) if file else {}
    table.update(_environment(settings, environ))
    try:
        return msgspec.convert(table, settings, strict=False, dec_hook=_decode_special)
    except msgspec.ValidationError as err:
        raise SettingsError(f"[{settings.section}] {err}; see docs/settings.md") from err


def _read_table(file: Path, section: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text())
    except FileNotFoundError as err:
        raise SettingsError(f"no settings file at {file}") from err
    except tomllib.TOMLDecodeError as err:
        raise SettingsError(f"{file} is not valid TOML: {err}") from err
    table = document.get(section, {})
    if not isinstance(table, dict):
        raise SettingsError(f"[{section}] in {file} must be a table")
    return dict(table)


def _environment(settings: type[Settings], environ: Mapping[str, str]) -> dict[str, Any]:
    prefix = f"POPREEL_{settings.section.upper()}__"
    known = set(settings.__struct_fields__)
    found: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(prefix):
            continue
        knob = variable.removeprefix(prefix).lower()
        if knob not in known:
            raise SettingsError(f"{variable}: [{settings.section}] has no knob {knob!r}; see docs/settings.md")
        found[knob] = _from_text(text)
    return found


def _from_text(text: str) -> Any:
    if text[:1] in "[{":
        try:
            return decode_json(text)
        except msgspec.DecodeError:
            return text
    return text


def _decode_special(kind: type, value: Any) -> Any:
    if kind is Secret:
        return Secret(value)
    if kind is Path or issubclass(kind, Path):
        return Path(value)
    raise NotImplementedError(f"settings cannot hold {kind}")


def reference(classes: Iterable[type[Settings]]) -> str:
    """Markdown tables of every knob: name, type, default, help. The text of docs/settings.md (a test compares them)."""
    parts = [
        "# Settings\n\nRendered from the settings classes by `python -m popreel.settings_reference`; do not edit.\n"
        "Each knob stands in the TOML table of its section and can be set as `POPREEL_<SECTION>__<KNOB>`.\n"
    ]
    for settings in classes:
        doc = (settings.__doc__ or "").strip().split("\n\n", maxsplit=1)[0].replace("\n", " ")
        parts.append(
            f"\n## [{settings.section}]\n\n{doc}\n\n| knob | type | default | what |\n| --- | --- | --- | --- |\n"
        )
        parts.extend(_reference_rows(settings))
    return "".join(parts)


def _reference_rows(settings: type[Settings]) -> Iterable[str]:
    hints = get_type_hints(settings, include_extras=True)
    for field in msgspec.structs.fields(settings):
        hint = hints[field.name]
        default = "required" if field.required else _show_default(field)
        yield f"| `{field.name}` | {_type_name(hint)} | {default} | {_help(hint)} |\n"


def _show_default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    if isinstance(value, Secret):
        return "***" if value else '`""`'
    if isinstance(value, Path):
        return f"`{value}`"
    return f"`{msgspec.json.encode(value, enc_hook=str).decode()}`"


def _help(hint: Any) -> str:
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, msgspec.Meta):
            low = extra.ge if extra.ge is not None else extra.gt
            high = extra.le if extra.le is not None else extra.lt
            bounds = (
                f" ({'' if low is None else low}..{'' if high is None else high})" if low is not None or high else ""
            )
            return (extra.description or "") + bounds
    return ""


def _type_name(hint: Any) -> str:
    if hasattr(hint, "__metadata__"):
        hint = get_args(hint)[0]
    if get_origin(hint) is None and isinstance(hint, type):
        return hint.__name__
    return str(hint).replace("typing.", "").replace("|", "or")
