"""Pure rules of the origin: states, ages, names, parts, cursors, tus headers, playlists."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import BadInput
from origin.accounts.rules import age_on, is_teen, username_key
from origin.errors import FileTooLarge, TooYoung
from origin.lifecycle.states import VideoState, Visibility, before, may_become, narrowed
from origin.lifecycle.video import rooted
from origin.media.answers import matches
from origin.pages import decode_cursor, encode_cursor
from origin.text import clean_text
from origin.uploads.rules import UploadRules, clean_hashtags
from origin.uploads.tus_protocol import parse_checksum, parse_metadata

RULES = UploadRules(max_file_bytes=1000, min_duration_ms=500, max_duration_ms=60_000, chunk_bytes=300)
TODAY = dt.date(2026, 11, 23)


def test_deleted_is_final_and_reachable_from_everywhere_else() -> None:
    assert may_become(VideoState.DELETED) == frozenset()
    assert set(before(VideoState.DELETED)) == {str(state) for state in VideoState} - {"deleted"}


@pytest.mark.parametrize(
    ("birthdate", "age"),
    [(dt.date(2013, 11, 23), 13), (dt.date(2013, 11, 24), 12), (dt.date(2008, 2, 29), 18), (TODAY, 0)],
)
def test_age_counts_full_years(birthdate: dt.date, age: int) -> None:
    assert age_on(birthdate, TODAY) == age


def test_thirteen_is_a_teen_and_twelve_is_refused() -> None:
    assert is_teen(dt.date(2013, 11, 23), TODAY) is True
    assert is_teen(dt.date(2008, 11, 23), TODAY) is False
    with pytest.raises(TooYoung):
        is_teen(dt.date(2013, 11, 24), TODAY)
    with pytest.raises(TooYoung):
        is_teen(dt.date(2030, 1, 1), TODAY)
    with pytest.raises(BadInput):
        is_teen(dt.date(1890, 1, 1), TODAY)


@pytest.mark.parametrize("name", ["a", "x" * 31, "with space", "-dash", "dot.", "admin", "ünicode", "", "a\x00b"])
def test_names_that_cannot_be_typed_or_mislead_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        username_key(name)


@given(st.integers(1, 1000))
def test_parts_add_up_to_the_file(size: int) -> None:
    parts = [RULES.part_size(size, number) for number in range(1, RULES.part_count(size) + 1)]
    assert sum(parts) == size
    assert all(part == 300 for part in parts[:-1])
    with pytest.raises(BadInput):
        RULES.part_size(size, len(parts) + 1)


def test_a_file_is_refused_before_a_byte_of_it_is_sent() -> None:
    with pytest.raises(FileTooLarge):
        RULES.check(filename="a.mp4", size=1001, duration_ms=None)
    for filename, size, duration in [("", 1, None), ("a/b", 1, None), ("a", 0, None), ("a", 1, 499), ("a", 1, 60_001)]:
        with pytest.raises(BadInput):
            RULES.check(filename=filename, size=size, duration_ms=duration)


def test_hashtags_are_folded_and_counted_once() -> None:
    assert clean_hashtags(("#Cats", "cats", " dogs ", "")) == ("cats", "dogs")
    with pytest.raises(BadInput):
        clean_hashtags(("two words",))


@given(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1)))
def test_cursors_come_back_as_they_were(key: tuple[int, int]) -> None:
    assert decode_cursor(encode_cursor(key), tuple[int, int]) == key


@given(st.text(max_size=60))
def test_a_cursor_of_someone_else_is_bad_input_never_a_crash(cursor: str) -> None:
    with contextlib.suppress(BadInput):
        decode_cursor(cursor, tuple[int, int])


@given(st.text())
def test_cleaned_text_can_be_stored(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert "\x00" not in cleaned
    assert clean_text(cleaned) == cleaned


def test_a_private_account_reaches_its_followers_at_most() -> None:
    assert narrowed(Visibility.PUBLIC, account_private=True) is Visibility.FOLLOWERS
    assert narrowed(Visibility.PRIVATE, account_private=True) is Visibility.PRIVATE
    assert narrowed(Visibility.PUBLIC, account_private=False) is Visibility.PUBLIC


def test_playlists_are_put_under_a_folder_in_lines_and_attributes() -> None:
    text = '#EXTM3U\n#EXT-X-MAP:URI="360p.mp4",BYTERANGE="9@0"\n360p.mp4\nhttps://x/y.mp4\n/rooted.mp4\n'
    assert rooted(text, "r1/") == (
        '#EXTM3U\n#EXT-X-MAP:URI="r1/360p.mp4",BYTERANGE="9@0"\nr1/360p.mp4\nhttps://x/y.mp4\n/rooted.mp4\n'
    )


@pytest.mark.parametrize(
    ("header", "held"), [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), (None, False)]
)
def test_if_none_match_compares_weakly_over_a_list(header: str | None, held: bool) -> None:
    assert matches(header, '"a"') is held


def test_tus_metadata_and_checksums_are_parsed_strictly() -> None:
    encoded = base64.b64encode("ünïcode.mp4".encode()).decode()
    assert parse_metadata(f"filename {encoded}, flag") == {"filename": "ünïcode.mp4", "flag": ""}
    for header in ("filename !!!", f"a {encoded},a {encoded}"):
        with pytest.raises(BadInput):
            parse_metadata(header)
    assert parse_checksum("sha1 AAAA").digest == b"\x00\x00\x00"
    for header in ("crc32 AAAA", "sha1 !"):
        with pytest.raises(BadInput):
            parse_checksum(header)
