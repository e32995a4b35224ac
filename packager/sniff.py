"""Which demuxer a file may meet, decided from its first bytes by our own table. Pure.

FFmpeg's own probing knows some 300 formats, among them playlists, concat scripts and image sequences that open further
files. None of those is ever offered a file here: a file either matches one of the containers below, or is refused.
"""

from __future__ import annotations

from packager.errors import Refusal, RefusedInput

HEAD_BYTES = 4096
"""How much of the file `demuxer_of` wants to see (less when the file is shorter)."""

_MOV_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"}
_IMAGE_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"jxl "}
_AUDIO_BRANDS = {b"M4A ", b"M4B "}
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"\x00\x00\x01\x00", b"8BPS", b"qoif")
_PLAYLISTS = (b"#extm3u", b"ffconcat", b"[playlist]", b"<asx", b"<smil", b"<mpd", b"v=0", b"rtsptext", b"[reference]")
_MARKUP = (b"<svg", b"<?xml", b"<!doctype", b"<html")


def demuxer_of(head: bytes) -> str:
    """FFmpeg's name of the one demuxer for this file. `head`: its first HEAD_BYTES bytes. Raises RefusedInput."""
    if not head:
        raise RefusedInput(Refusal.EMPTY, "The file is empty. Upload the video again.")
    _refuse_text(head)
    demuxer = _container_of(head)
    if demuxer is not None:
        return demuxer
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        raise RefusedInput(Refusal.IMAGE, "This is a picture, not a video.")
    if not head.strip(b"\x00"):
        raise RefusedInput(Refusal.NOT_MEDIA, "The file holds only zeros; the upload or the copy went wrong.")
    raise RefusedInput(
        Refusal.CONTAINER,
        "This is not a video file we know. Upload MP4, MOV, WebM, MKV, AVI, MPEG-TS or MPEG-PS.",
    )


def sound_demuxer_of(head: bytes) -> str:
    """As demuxer_of, for a file of the sound library; videos may serve as sounds too."""
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "mp3"
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head.startswith(b"fLaC"):
        return "flac"
    if head.startswith(b"OggS"):
        return "ogg"
    if head[4:8] == b"ftyp" and head[8:12] in _AUDIO_BRANDS:
        return "mov"
    return demuxer_of(head)


def _refuse_text(head: bytes) -> None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PLAYLISTS) or (text.startswith(_MARKUP) and (b"<smil" in text or b"<mpd" in text)):
        raise RefusedInput(
            Refusal.PLAYLIST, "This is a playlist or a script, not a video. Upload the video file itself."
        )
    if text.startswith(_MARKUP):
        kind = "a drawing (SVG)" if b"<svg" in text else "a web page or document"
        raise RefusedInput(Refusal.NOT_MEDIA, f"This is {kind}, not a video.")


def _container_of(head: bytes) -> str | None:
    if head[4:8] in _MOV_BOXES:
        return _mov(head)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(b"\x00\x00\x01\xba"):
        return "mpeg"
    if _is_transport_stream(head):
        return "mpegts"
    if head.startswith(b"FLV\x01"):
        return "flv"
    return None


def _mov(head: bytes) -> str:
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in _IMAGE_BRANDS:
        raise RefusedInput(Refusal.IMAGE, "This is a picture (HEIC or AVIF), not a video.")
    if brand in _AUDIO_BRANDS:
        raise RefusedInput(Refusal.NO_VIDEO, "This is a sound file, it has no picture.")
    return "mov"


def _is_transport_stream(head: bytes) -> bool:
    """188-byte packets, or 192 with a 4-byte timestamp before each (camcorders)."""
    for stride, first in ((188, 0), (192, 4)):
        places = range(first, min(len(head), first + 5 * stride), stride)
        if len(places) >= 3 and all(head[place] == 0x47 for place in places):
            return True
    return False
