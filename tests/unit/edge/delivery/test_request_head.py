"""The fast lane's reading of heads against llhttp's: whatever it takes for plain, llhttp must read the same way."""

from __future__ import annotations

import httptools
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from edge.delivery.lane.request_head import MAX_LINES_OF_A_NAME, OPAQUE, Framing, HeadReader, split_cmcd

_player_names = st.sampled_from(["CMCD-Request", "cmcd-session", "CMCD-x", "Expect", "If-None-Match"])
_names = st.sampled_from(
    ["Host", "X", "Range", "Content-Length", "Transfer-Encoding", "Connection", "Cookie", "Accept-Encoding", "X y", ""]
)
_values = st.one_of(
    st.sampled_from(["e", "0", "5", "+5", "5, 5", "chunked", "keep-alive", "close", "bytes=0-1", " a ", "a\tb"]),
    st.text(alphabet=st.characters(max_codepoint=255), max_size=12),
)
_seps = st.sampled_from([": ", ":", " : ", ":\t", ""])
_ends = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n "])
_block = st.lists(st.tuples(_names | _player_names, _seps, _values, _ends), max_size=6).map(
    lambda fields: "".join("".join(field) for field in fields).encode("latin-1")
)


class _Seen:
    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def on_message_complete(self) -> None:
        self.complete += 1


@given(_block)
@settings(max_examples=400, deadline=None)
@example(b"Host: e\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n")
@example(b"Host: e\r\nX: a\r\n b\r\n")
def test_a_head_without_a_body_here_is_one_there(block):
    read = HeadReader().block(block + b"\r\n")
    if read.framing is not Framing.AT_HEAD:
        return
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(b"GET / HTTP/1.1\r\n" + block + b"\r\n")
    assert seen.complete == 1, block
    if read.is_plain:
        assert sum(name == b"host" for name, _ in seen.fields) == 1
        assert not {b"content-length", b"transfer-encoding"} & {n for n, v in seen.fields if v != b"0"}


@given(_block, st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_a_body_by_length_here_has_that_length_there(block, extra):
    read = HeadReader().block(block + b"\r\n")
    if read.framing is not Framing.BY_LENGTH or read.body_bytes > 1000:
        return
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(b"POST / HTTP/1.1\r\n" + block + b"\r\n" + b"x" * (read.body_bytes - 1))
    assert seen.complete == 0
    parser.feed_data(b"x")
    assert seen.complete == 1


@given(st.lists(_block, min_size=2, max_size=6))
@settings(max_examples=150, deadline=None)
def test_what_was_read_before_changes_nothing_about_what_is_read_now(blocks):
    """A reader that knows lines, names and blocks judges as one that knows nothing."""
    knowing = HeadReader()
    for block in [*blocks, *blocks, *blocks]:
        assert asdict(knowing.block(block + b"\r\n")) == asdict(HeadReader().read(block + b"\r\n"))


def test_a_block_is_remembered_only_when_all_its_lines_came_before():
    heads = HeadReader()
    twice = b"Host: e\r\nUser-Agent: a\r\n\r\n"
    first = heads.block(twice)
    assert not heads.known
    second = heads.block(twice)
    assert heads.block(twice) is second
    assert (second.is_bare, second.fields) == (first.is_bare, first.fields)
    for number in range(MAX_LINES_OF_A_NAME + 9):
        assert heads.block(b"Host: e\r\nX-Request-Id: %d\r\n\r\n" % number).is_bare
    assert list(heads.known) == [twice]
    assert sum(line.startswith(b"X-Request-Id") for line in heads._lines) == MAX_LINES_OF_A_NAME


def test_a_field_name_known_from_before_does_not_excuse_a_bad_line():
    heads = HeadReader()
    assert heads.block(b"Host: e\r\nX: 1\r\n\r\n").is_bare
    for line in (b"X", b"X 1", b"X: \x00", b"X: a\rb", b"X: \x7f", b" X: 1", b": 1", b"Host"):
        assert heads.block(b"Host: e\r\n" + line + b"\r\n\r\n") is OPAQUE, line
    assert not heads.known


def test_cmcd_is_split_off_only_where_it_is_plainly_last():
    assert split_cmcd(b"/a?CMCD=su%2Cbl") == (b"/a", b"su%2Cbl")
    assert split_cmcd(b"/a?x=1&CMCD=su") == (b"/a?x=1", b"su")
    for target in (b"/a", b"/a?CMCD=su&x=1", b"/aCMCD=su", b"/a?CMCD=1&CMCD=2", b"CMCD=x"):
        assert split_cmcd(target) == (target, None)
