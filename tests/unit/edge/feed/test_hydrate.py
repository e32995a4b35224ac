"""Playlists start at the root, whatever they look like."""

from __future__ import annotations

from edge.feed.hydrate import root_relative

BASE = "/videos/us-east/7/r1"


def test_relative_uris_are_rooted_and_everything_else_stays() -> None:
    given = (
        '#EXTM3U\n#EXT-X-MAP:URI="360p.mp4",BYTERANGE="900@0"\n#EXTINF:1.0,\n#EXT-X-BYTERANGE:5@9\n360p.mp4\n\n'
        "/rooted.mp4\nhttps://cdn.example/x.mp4\n"
    )
    assert root_relative(given, BASE) == (
        f'#EXTM3U\n#EXT-X-MAP:URI="{BASE}/360p.mp4",BYTERANGE="900@0"\n#EXTINF:1.0,\n#EXT-X-BYTERANGE:5@9\n'
        f"{BASE}/360p.mp4\n\n/rooted.mp4\nhttps://cdn.example/x.mp4\n"
    )


def test_a_rooted_map_is_left_alone_and_an_empty_playlist_stays_empty() -> None:
    assert root_relative('#EXT-X-MAP:URI="/a/b.mp4"\n', BASE) == '#EXT-X-MAP:URI="/a/b.mp4"\n'
    assert root_relative("", BASE) == ""
