"""The pure rules, on their own: dates, structured fields, directives, ranges, Vary, tags, targets."""

from __future__ import annotations

import email.utils

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from edge.delivery.ask import parse_target
from edge.delivery.rules.byte_range import (
    Span,
    coalesce,
    content_range,
    parse_content_range,
    parse_range,
    satisfiable,
)
from edge.delivery.rules.cache_control import delta_seconds, parse_directives
from edge.delivery.rules.cmcd import NO_CMCD, parse_cmcd, resolve
from edge.delivery.rules.http_date import format_http_date, parse_http_date
from edge.delivery.rules.structured_field import Token, parse_dictionary, parse_list, quote
from edge.delivery.rules.surrogate_tags import surrogate_tags
from edge.delivery.rules.vary import vary_names, vary_values
from edge.delivery.store.layout import Layout
from foundation.errors import BadInput

NOW_S = 1_790_000_000.0


# -- dates -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 4_102_444_800))
@settings(deadline=None)
def test_a_written_date_is_read_back_and_agrees_with_the_standard_library(seconds):
    text = format_http_date(seconds)
    assert text == email.utils.formatdate(seconds, usegmt=True)
    assert parse_http_date(text, now_s=NOW_S) == seconds


@pytest.mark.parametrize(
    "text",
    ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 GMT"],
)
def test_all_three_forms_are_read(text):
    assert parse_http_date(text, now_s=NOW_S) == 784_111_777


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "Sun, 06  Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov ١٩٩٤ 08:49:37 GMT",
    ],
)
def test_other_dates_are_refused(text):
    assert parse_http_date(text, now_s=NOW_S) is None


# -- structured fields -----------------------------------------------------------------------------------------------


def test_a_dictionary_of_every_kind_is_read():
    found = parse_dictionary('a=1, b=2.5;q="x";z, c, d=?0, e="q\\"s", f=tok/en, g=:aGk=:, h=(1 "two";k=3 t)')
    assert found is not None
    assert {key: item.value for key, item in found.items() if key != "h"} == {
        "a": 1,
        "b": 2.5,
        "c": True,
        "d": False,
        "e": 'q"s',
        "f": Token("tok/en"),
        "g": b"hi",
    }
    assert found["b"].parameters == {"q": "x", "z": True}
    inner = found["h"].value
    assert isinstance(inner, tuple)
    assert [(item.value, dict(item.parameters)) for item in inner] == [(1, {}), ("two", {"k": 3}), ("t", {})]


@pytest.mark.parametrize(
    "text", ["a=", "a=1,", ",a", "A=1", "a=1 b", 'a="x', "a=1.2345", "a=1.", "a=--1", "a=?2", "a=(1", "&&&", "a=1;;b"]
)
def test_one_fault_spoils_a_dictionary(text):
    assert parse_dictionary(text) is None


def test_lists_are_read_and_the_empty_ones_are_empty():
    assert [item.value for item in parse_list('"a", b;x=1, (c d)') or ()][:2] == ["a", "b"]
    assert parse_list("") == []
    assert parse_dictionary("") == {}


_member = st.builds(
    "{}{}{}".format,
    st.sampled_from(["a", "su", "*x", "A", "b.c", ""]),
    st.sampled_from(
        ["", "=1", "=-5", "=1.5", "=t", '="s"', '="a,b"', '="\\""', "=?0", "=", "=()", "=tok/en:x", ";p", "=1;q=2"]
    ),
    st.sampled_from([",", ", ", ",\t", "", " ,", ",,"]),
)


@given(st.lists(_member, max_size=5).map("".join))
@settings(max_examples=400, deadline=None)
@example("a=1,")
@example("a,a=2,b,a")
def test_the_short_way_to_a_dictionary_leads_to_the_same(text):
    """Parameters at the end of what is parsed force the long way."""
    short, long = parse_dictionary(text), parse_dictionary(f"{text};zz")
    if not text or short is None or long is None:
        assert not text or short is long
        return
    assert list(short) == list(long)
    assert all((type(short[k].value), short[k].value) == (type(long[k].value), long[k].value) for k in long)
    assert parse_list("a,,b") is None


@given(st.text(max_size=60))
@settings(deadline=None)
def test_parsers_never_raise(text):
    parse_dictionary(text)
    parse_list(text)
    parse_cmcd(text)
    parse_range(text)
    parse_content_range(text)
    parse_http_date(text, now_s=NOW_S)
    parse_directives([text])
    surrogate_tags(CIMultiDict({"Cache-Groups": text, "Surrogate-Key": text, "Cache-Tag": text}))


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
@settings(deadline=None)
def test_a_quoted_string_is_read_back(text):
    members = parse_list(quote(text))
    assert members is not None
    assert members[0].value == text


# -- directives ------------------------------------------------------------------------------------------------------


def test_directives_are_merged_and_quoted_arguments_not_searched():
    found = parse_directives(['A=1, x="max-age=9, no-store", b', "a=2, C = 3"])
    assert found == {"a": "1", "x": "max-age=9, no-store", "b": None, "c": None} or found["a"] == "1"
    assert "max-age" not in found
    assert "no-store" not in found


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("007", 7), ("9" * 30, 2**31), ("-1", 0), ("1.5", 0), ("", 0), (None, 0)]
)
def test_delta_seconds(text, seconds):
    assert delta_seconds(text) == seconds


# -- ranges and layout -----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=8), st.integers(1, 200))
@settings(deadline=None)
def test_spans_hold_exactly_the_bytes_asked_for(pairs, total):
    ranges = [(a, max(a, b)) for a, b in pairs]
    specs = parse_range("bytes=" + ",".join(f"{a}-{b}" for a, b in ranges))
    assert specs is not None
    wanted = {byte for a, b in ranges for byte in range(a, min(b + 1, total))}
    spans = satisfiable(specs, total)
    assert {byte for span in spans for byte in range(span.start, span.stop)} == wanted
    joined = coalesce(spans)
    assert sum(span.size for span in joined) == len(wanted)
    assert {byte for span in joined for byte in range(span.start, span.stop)} == wanted


@given(st.integers(0, 10**12), st.integers(1, 10**9), st.integers(0, 10**12))
@settings(deadline=None)
def test_content_range_is_read_back(start, size, more):
    span = Span(start, start + size)
    told = parse_content_range(content_range(span, span.stop + more))
    assert told == (span, span.stop + more)


@given(st.integers(50, 5000), st.integers(50, 5000), st.integers(1, 100_000), st.data())
@settings(deadline=None)
def test_pieces_cover_a_span_once_and_in_order(prefix, size, total, data):
    layout = Layout(prefix, size)
    start = data.draw(st.integers(0, total - 1))
    stop = data.draw(st.integers(start + 1, total))
    at = start
    for piece in layout.pieces(Span(start, stop)):
        span = layout.span(piece.slice_index, total)
        assert span.start + piece.start == at
        assert 0 <= piece.start < piece.stop <= span.size
        at = span.start + piece.stop
    assert at == stop
    assert layout.span(layout.count(total) - 1, total).stop == total
    assert sum(layout.span(i, total).size for i in range(layout.count(total))) == total


# -- vary, tags, targets, cmcd ---------------------------------------------------------------------------------------


def test_vary_is_order_free_and_star_wins():
    assert vary_names(CIMultiDict([("Vary", "B, a"), ("vary", "A")])) == ("a", "b")
    assert vary_names(CIMultiDict([("Vary", "a"), ("Vary", ", *")])) is None
    joined = CIMultiDict([("X", "a"), ("X", "b,  c")])
    assert vary_values(("x", "y"), joined) == ("a,b,c", None)


def test_tags_of_all_three_fields_are_gathered():
    headers = CIMultiDict({"Cache-Groups": '"video-1", "user-2"', "Surrogate-Key": "k1 k2  k1", "Cache-Tag": "t1, t2"})
    assert surrogate_tags(headers) == ("video-1", "user-2", "k1", "k2", "t1", "t2")
    assert surrogate_tags(CIMultiDict({"Cache-Groups": "not strings, at all"})) == ()


@pytest.mark.parametrize(
    ("raw", "key", "token", "cmcd"),
    [
        ("/a", "/a", "", ""),
        ("/a?x=1", "/a?x=1", "", ""),
        ("/a?", "/a?", "", ""),
        ("/a?CMCD=su", "/a", "", "su"),
        ("/a?x=1&CMCD=su&y=2", "/a?x=1&y=2", "", "su"),
        ("/a?XCMCD=1", "/a?XCMCD=1", "", ""),
        ("/t/tok/v/a?x", "/v/a?x", "tok", ""),
        ("http://h:8/a?b#c", "/a?b", "", ""),
        ("http://h", "/", "", ""),
        ("/a..b/.c", "/a..b/.c", "", ""),
    ],
)
def test_targets_are_taken_apart(raw, key, token, cmcd):
    target = parse_target(raw)
    assert (target.key, target.token, target.cmcd) == (key, token, cmcd)


@pytest.mark.parametrize("raw", ["/../a", "/%2E%2e/a", "/a/..", "/t/x/../a", "/a b", "/a\\b", "/é", "//h/a", "/a%00"])
def test_misleading_targets_are_refused(raw):
    with pytest.raises(BadInput):
        parse_target(raw)


def test_cmcd_of_both_versions_is_read():
    one = parse_cmcd('bl=0,br=2647,d=2000,mtp=2600,nor="..%2Fv720%2F2.m4s",nrr="0-99",ot=v,rtp=13200,sid="s-1",st=v,su')
    assert (one.is_starting, one.buffer_ms, one.stream, one.is_urgent) == (True, 0, "s-1 v", True)
    assert one.next_objects == (("../v720/2.m4s", Span(0, 100)),)
    two = parse_cmcd('bl=(2100;v),nor=("../v/2.m4s" "../w/0.m4s";r="0-65535"),sta=d,tpb=(2646.605),v=2')
    assert (two.buffer_ms, two.is_preloading, two.stream, two.is_urgent) == (2100, True, "", False)
    assert two.next_objects == (("../v/2.m4s", None), ("../w/0.m4s", Span(0, 65536)))
    assert parse_cmcd("tpb=2646.60512345,su,BAD").is_starting
    assert parse_cmcd("x" * 5000) is NO_CMCD


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("2.mp4", "/v/2.mp4"),
        ("../w/3.mp4?a=b", "/w/3.mp4?a=b"),
        ("/x", "/x"),
        ("http://h/x", None),
        ("//h/x", None),
        ("data:x", None),
    ],
)
def test_next_objects_are_resolved_on_this_host_only(reference, path):
    assert resolve("/v/1.mp4", reference) == path
