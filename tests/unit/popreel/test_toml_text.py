"""The TOML we write is the TOML the standard library reads."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.settings import Secret
from popreel.launcher.toml_text import render

_text = st.text(st.characters(exclude_categories=["Cs"]))
_values = st.recursive(
    _text | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_text, st.dictionaries(_text, _values, max_size=4), max_size=3))
def test_what_is_written_is_read_back(document: dict[str, dict[str, object]]) -> None:
    assert tomllib.loads(render(document)) == document


def test_paths_and_secrets_are_written_out_and_none_is_left_out() -> None:
    text = render({"a": {"path": Path("/x y/z"), "key": Secret("hidden"), "absent": None}})
    assert tomllib.loads(text) == {"a": {"path": "/x y/z", "key": "hidden"}}


def test_other_values_are_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        render({"a": {"b": b"raw"}})
