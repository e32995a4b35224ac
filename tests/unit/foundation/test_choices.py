"""A value outside a closed set is refused with the values that are in it, wherever it stands."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from foundation.http.choices import with_choices


class Colour(StrEnum):
    RED = "red"
    DARK_BLUE = "dark blue"


class Stroke(msgspec.Struct, rename="camel", kw_only=True):
    line_colour: Colour = Colour.RED
    end: Literal["round", "flat"] | None = None
    width: Annotated[int, Meta(ge=1)] = 1


class Drawing(msgspec.Struct, kw_only=True):
    strokes: tuple[Stroke, ...] = ()
    layers: dict[str, list[Stroke]] = {}


COLOURS = "choose red, dark blue"


@pytest.mark.parametrize(
    ("wanted", "document", "words"),
    [
        (Stroke, {"lineColour": "green"}, f"Invalid enum value 'green' - at `$.lineColour`: {COLOURS}"),
        (Stroke, {"end": "sharp"}, "Invalid enum value 'sharp' - at `$.end`: choose flat, round"),
        (Drawing, {"strokes": [{}, {"lineColour": ""}]}, f"at `$.strokes[1].lineColour`: {COLOURS}"),
        (Drawing, {"layers": {"a": [{"lineColour": "x - at `$.y`"}]}}, f"at `$.layers[...][0].lineColour`: {COLOURS}"),
        (list[Colour], ["red", "green"], f"at `$[1]`: {COLOURS}"),
        (Stroke, {"width": 0}, "Expected `int` >= 1 - at `$.width`"),
        (Stroke, {"lineColour": 3}, "Expected `str`, got `int` - at `$.lineColour`"),
    ],
)
def test_a_refused_value_is_answered_with_the_choices(wanted: Any, document: Any, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(msgspec.json.encode(document), type=wanted)
    assert with_choices(str(refused.value), wanted).endswith(words)


def test_of_several_shapes_that_of_the_member_counts() -> None:
    told = with_choices("Invalid enum value 'x' - at `$.lineColour`", Drawing, Stroke)
    assert told.endswith(COLOURS)


def test_where_nothing_is_known_the_words_stay() -> None:
    assert with_choices("Invalid enum value 'x' - at `$.colour`", Drawing) == "Invalid enum value 'x' - at `$.colour`"
