import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.errors import Refusal, RefusedInput
from packager.sniff import demuxer_of, sound_demuxer_of

_TS = (b"\x47" + bytes(187)) * 5


@pytest.mark.parametrize(
    ("head", "demuxer"),
    [
        (b"\x00\x00\x00\x18ftypmp42" + bytes(16), "mov"),
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", "mov"),
        (b"\x1a\x45\xdf\xa3" + bytes(40), "matroska"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "avi"),
        (b"\x00\x00\x01\xba\x44", "mpeg"),
        (_TS, "mpegts"),
        ((b"\x00\x00\x00\x00\x47" + bytes(187)) * 5, "mpegts"),
        (b"FLV\x01\x05", "flv"),
    ],
)
def test_containers_are_known_by_their_first_bytes(head: bytes, demuxer: str) -> None:
    assert demuxer_of(head) == demuxer


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"", Refusal.EMPTY),
        (bytes(4096), Refusal.NOT_MEDIA),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", Refusal.PLAYLIST),
        (b"\xef\xbb\xbf  #extm3u\n", Refusal.PLAYLIST),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", Refusal.PLAYLIST),
        (b"<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'>", Refusal.PLAYLIST),
        (b"<?xml version='1.0'?><MPD>", Refusal.PLAYLIST),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1", Refusal.PLAYLIST),
        (b"[playlist]\nFile1=http://x", Refusal.PLAYLIST),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Refusal.NOT_MEDIA),
        (b"<!DOCTYPE html><html>", Refusal.NOT_MEDIA),
        (b"\x89PNG\r\n\x1a\n", Refusal.IMAGE),
        (b"\xff\xd8\xff\xe0", Refusal.IMAGE),
        (b"GIF89a", Refusal.IMAGE),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", Refusal.IMAGE),
        (b"\x00\x00\x00\x18ftypheic", Refusal.IMAGE),
        (b"\x00\x00\x00\x18ftypavif", Refusal.IMAGE),
        (b"\x00\x00\x00\x18ftypM4A ", Refusal.NO_VIDEO),
        (b"%PDF-1.7", Refusal.CONTAINER),
        (b"\x7fELF", Refusal.CONTAINER),
        (b"PK\x03\x04", Refusal.CONTAINER),
        (b"file '/etc/passwd'\n", Refusal.CONTAINER),
    ],
)
def test_everything_else_is_refused_with_its_reason(head: bytes, code: Refusal) -> None:
    with pytest.raises(RefusedInput) as refused:
        demuxer_of(head)
    assert refused.value.code == code
    assert not refused.value.retryable
    assert refused.value.detail.endswith(".")


@given(st.binary(max_size=200))
def test_any_bytes_get_a_demuxer_or_a_refusal(head: bytes) -> None:
    with contextlib.suppress(RefusedInput):
        assert demuxer_of(head) in {"mov", "matroska", "avi", "mpeg", "mpegts", "flv"}


@pytest.mark.parametrize(
    ("head", "demuxer"),
    [
        (b"ID3\x04", "mp3"),
        (b"\xff\xfb\x90", "mp3"),
        (b"RIFF\x00\x00\x00\x00WAVE", "wav"),
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"\x00\x00\x00\x18ftypM4A ", "mov"),
    ],
)
def test_sound_files_are_known_too(head: bytes, demuxer: str) -> None:
    assert sound_demuxer_of(head) == demuxer
