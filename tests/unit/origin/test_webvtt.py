"""Captions as creators send them: what comes through, what is refused and where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import BadInput
from origin.captions.webvtt import MAX_CUES, MAX_TIME_S, Cue, language_tag, parse, render

FILE = """\ufeffWEBVTT - made by hand
Kind: captions

STYLE
::cue { background: url(https://example.com/seen) }

REGION
id:fred

NOTE nobody
reads this

intro
00:01.000 --> 00:02.500 line:90% align:start evil:yes
<v Ada>Hello,
world</v>

01:02:03.004\t-->\t01:02:04.000
second\u202e
"""


def test_cues_come_through_and_nothing_else() -> None:
    for text in (FILE, FILE.replace("\n", "\r\n"), FILE.replace("\n", "\r")):
        cues = parse(text.encode())
        assert cues == [
            Cue(start_ms=1000, end_ms=2500, settings="line:90% align:start", text="<v Ada>Hello,\nworld</v>"),
            Cue(start_ms=3_723_004, end_ms=3_724_000, settings="", text="second"),
        ]
    assert render(cues) == (
        b"WEBVTT\n\n00:00:01.000 --> 00:00:02.500 line:90% align:start\n<v Ada>Hello,\nworld</v>\n\n"
        b"01:02:03.004 --> 01:02:04.000\nsecond\n"
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "line 1"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nSubRip\n", "line 1"),
        (b"WEBVTTX\n\n00:01.000 --> 00:02.000\na\n", "line 1"),
        (b"WEBVTT\n\n00:00:01,000 --> 00:00:02,000\na\n", "line 3"),
        (b"WEBVTT\n\n00:01.000 --> 00:00.500\na\n", "line 3: a cue ends after it begins"),
        (b"WEBVTT\n\nname\n00:61.000 --> 00:62.000\na\n", "line 4"),
        (b"WEBVTT\n\njust words\n", "line 4"),
        (b"WEBVTT\n\nNOTE only\n", "no cue"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\n\xff\n", "UTF-8"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + b"a" * 1001, "1000 characters"),
        (b"WEBVTT\n\n00:01.000 --> 999:02:00.000\na\n", "within 6 hours"),
        (b"WEBVTT" + b"\n\n00:01.000 --> 00:02.000\na" * (MAX_CUES + 1), "more than 5000"),
        (b"WEBVTT\n" + b" " * 600_000, "512 KiB"),
    ],
)
def test_a_fault_is_named_with_its_line(data: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        parse(data)


CUES = st.builds(
    lambda start, length, text: Cue(start_ms=start, end_ms=start + length, settings="", text=text),
    st.integers(0, MAX_TIME_S * 1000 - 1000),
    st.integers(1, 1000),
    st.text("abc é漢", min_size=1, max_size=20).filter(lambda text: text.strip() == text),
)


@given(st.lists(CUES, min_size=1, max_size=8))
def test_what_is_rendered_parses_to_the_same(cues: list[Cue]) -> None:
    assert parse(render(cues)) == cues


@given(st.binary(max_size=200))
def test_any_bytes_after_a_header_parse_or_are_refused(data: bytes) -> None:
    try:
        cues = parse(b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + data)
    except BadInput:
        return
    assert parse(render(cues)) == cues


def test_a_language_is_spelled_one_way() -> None:
    assert [language_tag(text) for text in ("EN", "pt-br", "ZH-HANT", "sr-latn-rs", "es-419")] == [
        "en",
        "pt-BR",
        "zh-Hant",
        "sr-Latn-RS",
        "es-419",
    ]
    for text in ("", "e", "english", "en_US", "en-", "../en", "en-US-x-private", "en\n"):
        with pytest.raises(BadInput):
            language_tag(text)
