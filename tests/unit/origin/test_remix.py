"""Who may make a video with whose: every combination, and which rung is taken."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from foundation.errors import PopreelError
from foundation.ids import UserId, VideoId
from foundation.wire.media import MediaManifest, Rendition
from origin.accounts.access import Relation
from origin.errors import RemixRefused, UnknownVideo
from origin.lifecycle.object_keys import revision_prefix
from origin.lifecycle.remix import picture_medium, refuse_remix
from origin.lifecycle.states import VideoState, Visibility
from origin.lifecycle.video import Video

OWNER, OTHER = UserId(1), UserId(2)


def rung(name: str, height: int, size: int) -> Rendition:
    return Rendition(
        name=name,
        width=height // 2,
        height=height,
        frame_rate=30,
        codecs="avc1.64001e",
        bandwidth_bps=1,
        average_bandwidth_bps=1,
        size_bytes=size,
        init_bytes=1,
        prefix_bytes=1,
    )


def video(
    *,
    state: VideoState = VideoState.READY,
    visibility: Visibility = Visibility.PUBLIC,
    remixes_open: bool = True,
    rungs: tuple[Rendition, ...] = (rung("360p", 640, 100),),
) -> Video:
    manifest = MediaManifest(
        duration_ms=1,
        width=1,
        height=1,
        frame_rate=30,
        has_audio=True,
        renditions=rungs,
        start_playlist="",
        thumbhash="",
    )
    return Video(
        id=VideoId(77),
        owner_id=OWNER,
        state=state,
        version=1,
        stage="",
        progress=1,
        attempt=1,
        error_code=None,
        error_detail=None,
        title="",
        description="",
        hashtags=(),
        sound=None,
        visibility=visibility,
        publish_at=None,
        edits="{}",
        region="",
        revision=3,
        ready_revision=3,
        original_key=None,
        manifest=manifest,
        complete=True,
        embedding=None,
        embedding_space="",
        comments_open=True,
        shadow_banned=False,
        created_at=dt.datetime.now(dt.UTC),
        published_at=None,
        partner_id=None,
        remixes_open=remixes_open,
        captions=(),
    )


def answer(found: Video, *, by: UserId, relation: Relation) -> type[PopreelError] | None:
    try:
        refuse_remix(found, by=by, relation=relation)
    except PopreelError as refused:
        return type(refused)
    return None


@pytest.mark.parametrize(
    ("visibility", "remixes_open", "following", "blocked"),
    list(itertools.product(Visibility, (True, False), (True, False), (True, False))),
)
def test_others_may_use_what_is_public_and_open_and_learn_nothing_of_what_they_may_not_see(
    visibility: Visibility, remixes_open: bool, following: bool, blocked: bool
) -> None:
    found = video(visibility=visibility, remixes_open=remixes_open)
    got = answer(found, by=OTHER, relation=Relation(following=following, blocked=blocked))
    if blocked or visibility is Visibility.PRIVATE:
        assert got is UnknownVideo
    elif visibility is Visibility.PUBLIC and remixes_open:
        assert got is None
    else:
        assert got is RemixRefused
    assert answer(found, by=OWNER, relation=Relation(same=True)) is None


@pytest.mark.parametrize("state", [state for state in VideoState if state is not VideoState.READY])
def test_nobody_may_use_what_is_not_out(state: VideoState) -> None:
    for by in (OWNER, OTHER):
        assert answer(video(state=state), by=by, relation=Relation(same=by == OWNER)) is UnknownVideo


@pytest.mark.parametrize(("bound", "name"), [(0, "360p"), (100, "360p"), (250, "480p"), (299, "480p"), (9999, "1080p")])
def test_the_best_rung_within_the_bound_is_taken(bound: int, name: str) -> None:
    rungs = (rung("360p", 640, 100), rung("480p", 854, 250), rung("720p", 1280, 300), rung("1080p", 1920, 600))
    assert picture_medium(video(rungs=rungs), max_bytes=bound).key == f"{revision_prefix(77, 3)}{name}.mp4"
