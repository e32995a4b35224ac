"""Tags of a shared link: complete, absolute and safe whatever the title holds."""

from __future__ import annotations

from edge.gateway.link_preview import preview_tags, video_of
from foundation.wire.catalogue import CatalogueItem, Creator
from foundation.wire.media import MediaManifest, Rendition


def an_item(*, title: str) -> CatalogueItem:
    rung = Rendition(
        name="360p",
        width=360,
        height=640,
        frame_rate=30.0,
        codecs="avc1.64001e",
        bandwidth_bps=600_000,
        average_bandwidth_bps=500_000,
        size_bytes=1,
        init_bytes=1,
        prefix_bytes=1,
    )
    manifest = MediaManifest(
        duration_ms=6_000,
        width=720,
        height=1280,
        frame_rate=30.0,
        has_audio=True,
        renditions=(rung,),
        start_playlist="",
        thumbhash="",
    )
    return CatalogueItem(
        id="42",
        creator=Creator(id="7", username="mira", display_name="Mira"),
        title=title,
        region="us-east",
        created_at_ms=0,
        published_at_ms=0,
        revision=3,
        manifest=manifest,
    )


def test_addresses_are_absolute_and_pinned_to_the_revision() -> None:
    tags = preview_tags(an_item(title="Rush hour"), base_url="https://pop.example").decode()
    assert 'content="https://pop.example/v/42"' in tags
    assert 'content="https://pop.example/videos/us-east/42/r3/poster.webp"' in tags
    assert 'content="Rush hour · Mira"' in tags


def test_a_title_cannot_leave_its_attribute() -> None:
    tags = preview_tags(an_item(title='"><script>alert(1)</script>'), base_url="https://pop.example").decode()
    assert "<script" not in tags
    assert "&quot;&gt;&lt;script&gt;" in tags


def test_only_addresses_of_videos_have_a_video() -> None:
    assert video_of("v/42") == 42
    assert video_of("v/42/") == 42
    assert video_of("v/forty-two") is None
    assert video_of("@v/42") is None
    assert video_of("") is None
