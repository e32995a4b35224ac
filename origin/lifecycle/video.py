"""A video as its row says, and what is derived from it: the catalogue item and the view of the API. Pure."""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec

from foundation.ids import UserId, VideoId
from foundation.wire import Wire
from foundation.wire.catalogue import CaptionFile, CatalogueItem, Counters, Creator, Sound
from foundation.wire.feed import CaptionView, StartHint
from foundation.wire.media import MediaManifest
from origin.lifecycle.object_keys import media_path
from origin.lifecycle.states import VideoState, Visibility, listed

COLUMNS = """v.id, v.owner_id, v.state, v.version, v.stage, v.progress, v.attempt, v.error_code, v.error_detail,
    v.title, v.description, v.hashtags, v.sound_id, v.sound_title, v.sound_artist, v.visibility, v.publish_at, v.edits,
    v.region, v.revision, v.ready_revision, v.original_key, v.manifest, v.complete, v.embedding, v.embedding_space,
    v.comments_open, v.shadow_banned, v.captions, v.created_at, v.published_at, v.partner_id, v.remixes_open"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A row of `videos`. `revision` is the newest content, `ready_revision` the one being served."""

    id: VideoId
    owner_id: UserId
    state: VideoState
    version: int
    stage: str
    progress: float
    attempt: int
    error_code: str | None
    error_detail: str | None
    title: str
    description: str
    hashtags: tuple[str, ...]
    sound: Sound | None
    visibility: Visibility
    publish_at: dt.datetime | None
    edits: str
    region: str
    revision: int
    ready_revision: int | None
    original_key: str | None
    manifest: MediaManifest | None
    complete: bool
    embedding: bytes | None
    embedding_space: str
    comments_open: bool
    shadow_banned: bool
    captions: tuple[CaptionFile, ...]
    created_at: dt.datetime
    published_at: dt.datetime | None
    partner_id: VideoId | None
    """The other video of a duet or stitch."""
    remixes_open: bool
    """Others may duet and stitch it and use its sound."""

    @property
    def served(self) -> bool:
        return self.state is VideoState.READY and self.ready_revision is not None and self.manifest is not None

    @property
    def settled(self) -> bool:
        """Out with every rung, and no replacement under way."""
        return self.served and self.complete and self.revision == self.ready_revision

    @property
    def in_catalogue(self) -> bool:
        return self.served and listed(self.visibility) and not self.shadow_banned


def video_of(row: Any) -> Video:
    """From a row with COLUMNS."""
    fields = dict(row)
    sound_id, title, artist = fields.pop("sound_id"), fields.pop("sound_title"), fields.pop("sound_artist")
    manifest = fields.pop("manifest")
    return Video(
        **{name: fields[name] for name in fields if name in _PLAIN},
        id=VideoId(fields["id"]),
        owner_id=UserId(fields["owner_id"]),
        state=VideoState(fields["state"]),
        visibility=Visibility(fields["visibility"]),
        hashtags=tuple(fields["hashtags"]),
        sound=Sound(id=str(sound_id), title=title or "", artist=artist or "") if sound_id is not None else None,
        manifest=msgspec.json.decode(manifest, type=MediaManifest) if manifest is not None else None,
        embedding_space=fields["embedding_space"] or "",
        captions=msgspec.json.decode(fields["captions"], type=tuple[CaptionFile, ...]),
    )


_PLAIN = frozenset(
    {"version", "stage", "progress", "attempt", "error_code", "error_detail", "title", "description", "publish_at"}
    | {"edits", "region", "revision", "ready_revision", "original_key", "complete", "embedding", "comments_open"}
    | {"shadow_banned", "created_at", "published_at", "partner_id", "remixes_open"}
)


def counters_of(row: Any) -> Counters:
    return Counters(views=row["views"], likes=row["likes"], comments=row["comments"], shares=row["shares"])


def catalogue_item(video: Video, creator: Creator, counters: Counters) -> CatalogueItem:
    """What PoPs get of a video that is `in_catalogue`."""
    assert video.manifest is not None, "only a playable video is published"
    assert video.ready_revision is not None
    return CatalogueItem(
        id=str(video.id),
        creator=creator,
        title=video.title,
        description=video.description,
        hashtags=video.hashtags,
        sound=video.sound,
        visibility=cast(Literal["public", "followers"], str(video.visibility)),
        region=video.region,
        created_at_ms=_ms(video.created_at),
        published_at_ms=_ms(video.published_at or video.created_at),
        revision=video.ready_revision,
        manifest=video.manifest,
        counters=counters,
        embedding=base64.b64encode(video.embedding).decode() if video.embedding is not None else None,
        embedding_space=video.embedding_space,
        captions=video.captions,
    )


class VideoView(Wire, frozen=True, kw_only=True):
    """A video as the API shows it: the members of a feed item, and its state; no media members until it plays."""

    id: str
    user: Creator
    status: str
    visibility: str
    title: str
    description: str
    hashtags: tuple[str, ...]
    sound: Sound | None
    duration_ms: int = 0
    width: int = 0
    height: int = 0
    urls: dict[str, str] = msgspec.field(default_factory=dict)
    thumbnail: str = ""
    thumbhash: str = ""
    start: StartHint | None = None
    captions: tuple[CaptionView, ...] = ()
    view_count: int = 0
    like_count: int = 0
    comment_count: int = 0
    share_count: int = 0
    liked: bool = False
    bookmarked: bool = False
    comments_open: bool = True
    remixes_open: bool = True
    """Others may duet and stitch it and use its sound."""
    remix_of: str | None = None
    """The other video of a duet or stitch."""
    created_at_ms: int = 0
    published_at_ms: int | None = None


def video_view(
    video: Video, creator: Creator, counters: Counters, *, liked: bool, bookmarked: bool, media_root: str = ""
) -> VideoView:
    """`media_root` goes before every media URL: "" or "/t/{token}" for one that is not public."""
    view = VideoView(
        id=str(video.id),
        user=creator,
        status=str(video.state),
        visibility=str(video.visibility),
        title=video.title,
        description=video.description,
        hashtags=video.hashtags,
        sound=video.sound,
        view_count=counters.views,
        like_count=counters.likes,
        comment_count=counters.comments,
        share_count=counters.shares,
        liked=liked,
        bookmarked=bookmarked,
        comments_open=video.comments_open,
        remixes_open=video.remixes_open,
        remix_of=str(video.partner_id) if video.partner_id is not None else None,
        created_at_ms=_ms(video.created_at),
        published_at_ms=_ms(video.published_at) if video.published_at else None,
    )
    return _with_media(view, video, media_root) if video.served else view


def _with_media(view: VideoView, video: Video, media_root: str) -> VideoView:
    manifest = video.manifest
    assert manifest is not None
    folder = f"{media_root}{media_path(video.region, video.id)}r{video.ready_revision}/"
    first = manifest.renditions[0]
    return msgspec.structs.replace(
        view,
        duration_ms=manifest.duration_ms,
        width=manifest.width,
        height=manifest.height,
        urls=media_urls(video, media_root=media_root),
        thumbnail=f"{folder}poster.webp",
        thumbhash=manifest.thumbhash,
        start=StartHint(
            rendition=first.name,
            mp4_url=f"{folder}{first.name}.mp4",
            playlist=rooted(manifest.start_playlist, folder),
            init_bytes=first.init_bytes,
            prefix_bytes=first.prefix_bytes,
            codecs=first.codecs,
        ),
        captions=caption_views(video, media_root=media_root),
    )


def caption_views(video: Video, *, media_root: str = "") -> tuple[CaptionView, ...]:
    folder = f"{media_root}{media_path(video.region, video.id)}captions/"
    return tuple(CaptionView(lang=caption.lang, url=folder + caption.file) for caption in video.captions)


def media_urls(video: Video, *, media_root: str = "") -> dict[str, str]:
    """Master, one media playlist per rung and the progressive file of a video that is served; else nothing."""
    if not video.served or video.manifest is None:
        return {}
    folder = f"{media_root}{media_path(video.region, video.id)}"
    urls = {"master": f"{folder}master.m3u8"}
    urls.update({rung.name: f"{folder}{rung.name}.m3u8" for rung in video.manifest.renditions})
    urls["mp4"] = f"{folder}r{video.ready_revision}/{video.manifest.renditions[0].name}.mp4"
    return urls


def rooted(playlist: str, folder: str) -> str:
    """The playlist with its relative file names put under `folder`, in lines and in URI attributes."""
    lines = []
    for line in playlist.splitlines():
        if line.startswith("#"):
            before, quote, rest = line.partition('URI="')
            line = f"{before}{quote}{folder}{rest}" if quote and "://" not in rest.split('"', 1)[0] else line
        elif line and "://" not in line and not line.startswith("/"):
            line = folder + line
        lines.append(line)
    return "\n".join(lines) + "\n"


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)
