"""Tags of a shared link: complete, absolute and safe whatever the title holds."""

from __future__ import annotations

from edge.gateway.link_preview import preview_tags, video_of
from foundation.wire.catalogue import CatalogueItem, Creator
from tests import catalogue_items


def an_item(*, title: str) -> CatalogueItem:
    mira = Creator(id="7", username="mira", display_name="Mira")
    return catalogue_items.video(42, title=title, creator=mira, region="us-east", revision=3)


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
