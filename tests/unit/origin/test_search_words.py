"""Words of texts in many scripts, what a typo means, and the classes of a search."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.search.video_index import lexemes_of
from origin.search.video_query import (
    ANYWHERE,
    BEST,
    MEANT,
    MOST,
    distance,
    exact_query,
    level_of,
    loose_query,
    meant_by,
)
from origin.search.words import MAX_WORD_CHARS, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Guitar lesson, #guitar!", ["guitar", "lesson"]),
        ("Crème BRÛLÉE", ["creme", "brulee"]),
        ("it's snake_case", ["its", "snake", "case"]),
        ("Straße Ёлка", ["strasse", "елка"]),
        ("日本語のx", ["日本", "本語", "語の", "x"]),
        ("犬", ["犬"]),
        ("ﬁne ½", ["fine", "1", "2"]),
        ("🎸 \x00 %':&|!", []),
        ("a" * 60, ["a" * MAX_WORD_CHARS]),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text(max_size=60))
def test_words_hold_nothing_that_a_query_could_stumble_over(text: str) -> None:
    for word in words_of(text):
        assert word.isalnum() or all(char.isalnum() or char.isnumeric() for char in word)
        assert words_of(word), word


def test_words_of_the_title_and_hashtags_are_marked_and_come_once() -> None:
    assert lexemes_of("Bread day", "our BREAD and cake", ["baking"]) == [
        "t:bread",
        "t:day",
        "t:baking",
        "our",
        "and",
        "cake",
    ]


@pytest.mark.parametrize(
    ("one", "other", "far"),
    [
        ("guitar", "guitar", 0),
        ("guitr", "guitar", 1),
        ("skaet", "skate", 1),
        ("bread", "beard", 2),
        ("cat", "cattle", 3),
    ],
)
def test_distance_counts_what_fingers_do(one: str, other: str, far: int) -> None:
    assert distance(one, other, 2) == distance(other, one, 2) == far


def test_a_word_means_what_is_a_typo_away_or_continues_it() -> None:
    assert meant_by("guitr", ["guitar", "guitarist", "gutter"]) == ["guitar"]
    assert meant_by("guit", ["guitar", "suit", "quilt"]) == ["suit", "guitar"]
    assert meant_by("gu", ["guitar", "gum", "go"]) == ["guitar", "gum"]
    assert meant_by("2024", ["2025", "20245"]) == ["20245"]


def test_classes_exclude_the_better_ones() -> None:
    assert exact_query(["a"], BEST) == "'%t:a'"
    assert exact_query(["a", "b"], ANYWHERE) == "('%t:a' | '%a') & ('%t:b' | '%b') & !('%t:a' & '%t:b')"
    assert loose_query(["a"], {}, MEANT) is None
    assert loose_query(["a"], {"a": ["ab"]}, MOST) is None
    meant = loose_query(["a"], {"a": ["ab"]}, MEANT)
    assert meant == "((('%t:a' | '%a')) | (('%t:ab' | '%ab'))) & !(('%t:a' | '%a'))"


@pytest.mark.parametrize(
    ("asked", "level"),
    [
        ("bread day", BEST),
        ("bread cake", ANYWHERE),
        ("braed cake", MEANT),
        ("bak", MEANT),
        ("bread zebra", MOST),
        ("zebra", None),
        ("zebra lion bread", None),
        ("", None),
    ],
)
def test_a_single_video_has_the_class_the_queries_would_give_it(asked: str, level: int | None) -> None:
    assert level_of(words_of(asked), lexemes_of("Bread day", "our BREAD and cake", ["baking"])) == level
