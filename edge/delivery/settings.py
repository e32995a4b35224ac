"""Every knob of delivery, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from foundation.settings import GIB, KIB, MIB, Secret, Settings


class DeliverySettings(Settings, frozen=True, kw_only=True):
    """The cache of a PoP, or of `popreel edge` in front of any origin."""

    section: ClassVar[str] = "delivery"

    origins: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="Origin URLs in order of preference; the later ones are fail-over regions."),
    ]
    path_prefix: Annotated[
        str, Meta(description="Only paths under this are delivered by the fast lane. A PoP: `/videos/`.")
    ] = "/"
    name: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9_.*-]{1,64}$", description="This cache in Cache-Status, CDN-Loop, CMSD."),
    ] = "popreel-edge"
    origin_key: Annotated[
        Secret, Meta(description="Service key sent to the origin as `Authorization: Bearer`; empty sends none.")
    ] = Secret("")
    drop_request_fields: Annotated[
        tuple[str, ...],
        Meta(description="Request fields the origin never sees. A PoP drops authorization and cookie."),
    ] = ()
    cache_dir: Annotated[
        Path | None, Meta(description="Folder of the disk tier, shared by the workers; none keeps everything in RAM.")
    ] = None
    ram_bytes: Annotated[
        int, Meta(ge=MIB, description="RAM tier of each worker, bytes. Raise it until the disk is quiet.")
    ] = 256 * MIB
    disk_bytes: Annotated[int, Meta(ge=MIB, description="Disk tier of the whole PoP, bytes.")] = 20 * GIB
    max_objects: Annotated[int, Meta(ge=16, description="Stored URLs a worker remembers (about 2 kB each).")] = 200_000
    prefix_bytes: Annotated[
        int,
        Meta(
            ge=4 * KIB, le=16 * MIB, description="Length of slice 0: what starts a video. Prefetch fetches this much."
        ),
    ] = 256 * KIB
    slice_bytes: Annotated[int, Meta(ge=4 * KIB, le=16 * MIB, description="Length of the slices after the first.")] = (
        MIB
    )
    slice_suffixes: Annotated[
        tuple[str, ...],
        Meta(description="Paths that end so are fetched by ranges from the start, not whole."),
    ] = (".mp4", ".m4s", ".m4v", ".webm", ".ts", ".mov")
    read_ahead_slices: Annotated[
        int, Meta(ge=0, le=16, description="Slices fetched ahead of a reader of a sliced body.")
    ] = 1
    max_whole_bytes: Annotated[
        int, Meta(ge=KIB, description="A body without a strong ETag that is longer is passed on, not stored.")
    ] = 32 * MIB
    heuristic_freshness: Annotated[
        bool, Meta(description="A tenth of the time since Last-Modified when nothing else is said (RFC 9111 4.2.2).")
    ] = True
    store_set_cookie: Annotated[
        bool,
        Meta(
            description="Store answers with Set-Cookie (RFC 9111 allows it). Off is safer before origins with sessions."
        ),
    ] = True
    obey_client_no_cache: Annotated[
        bool,
        Meta(description="Let clients force a revalidation by Cache-Control. Off: a cheap way to load the origin."),
    ] = False
    stale_on_unreachable_s: Annotated[
        int, Meta(ge=0, description="Serve stale answers this long after expiry when the origin cannot be reached.")
    ] = 7 * 86_400
    negative_ttl_s: Annotated[
        float,
        Meta(ge=0, le=60, description="Seconds a 404 or 410 without freshness is remembered. Long hides new videos."),
    ] = 2.0
    origin_connections: Annotated[int, Meta(ge=1, le=4096, description="Connections to each origin, per worker.")] = 64
    background_connections: Annotated[
        int, Meta(ge=1, le=1024, description="Of those, how many read-ahead and prefetch may use at once.")
    ] = 16
    origin_queue: Annotated[
        int, Meta(ge=1, description="Requests that may wait for a connection; the next is answered 503.")
    ] = 4096
    connect_timeout_s: Annotated[float, Meta(gt=0, description="To connect to the origin.")] = 3.0
    first_byte_timeout_s: Annotated[float, Meta(gt=0, description="From request to response head.")] = 15.0
    idle_timeout_s: Annotated[float, Meta(gt=0, description="Between two reads of a body.")] = 15.0
    media_keys: Annotated[
        dict[str, Secret],
        Meta(description="Keys of path tokens by id; keep the old one beside the new while it rotates."),
    ] = msgspec.field(default_factory=dict)
    require_token: Annotated[
        bool,
        Meta(description="Refuse all unsigned paths, not only those the origin marks `Edge-Access: signed`."),
    ] = False
    embedding_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Hosts whose pages may embed what is delivered, by Referer and Origin; `.example.org` takes in "
            "subdomains. Empty: all. Requests that name no page pass."
        ),
    ] = ()
    compress_text: Annotated[
        bool,
        Meta(
            description="Gzip playlists and other text the origin left plain, once per stored object, for clients that "
            "take it. A shield leaves it to its children."
        ),
    ] = True
    prefetch_bytes_per_s: Annotated[
        int, Meta(ge=0, description="Budget of prefetch, bytes a second on average; 0: no limit.")
    ] = 64 * MIB
    read_only: Annotated[
        bool, Meta(description="Answer 405 to anything but GET, HEAD and OPTIONS. On in a PoP: media is only read.")
    ] = False
    cors_origin: Annotated[
        str,
        Meta(
            description="Access-Control-Allow-Origin added where the origin sent none, and for preflights; empty: off."
        ),
    ] = ""
    prefetch_queue: Annotated[int, Meta(ge=1, description="Prefetch orders that may wait; the lowest leave first.")] = (
        512
    )
    header_timeout_s: Annotated[float, Meta(gt=0, description="For a client to send a request head.")] = 10.0
    keepalive_timeout_s: Annotated[float, Meta(gt=0, description="A client connection may be idle this long.")] = 60.0
    stalled_client_s: Annotated[
        float, Meta(gt=0, description="A client that takes no byte for this long is cut off.")
    ] = 30.0
    max_connections: Annotated[int, Meta(ge=1, description="Client connections of a worker; more are refused.")] = (
        10_000
    )
    workers: Annotated[
        int, Meta(ge=1, le=64, description="Worker processes that share cache_dir and the port. One per core.")
    ] = 1
    catch_up_s: Annotated[
        float,
        Meta(
            ge=0,
            description="After a start, what an earlier life stored is validated before it is served, until purges "
            "missed meanwhile are known (`caught_up`), at most this long; 0 does not wait. A PoP sets about 30.",
        ),
    ] = 0.0
    child_keys: Annotated[
        dict[str, Secret],
        Meta(
            description="Shield mode: keys of the PoPs that may ask this one as their origin; all others are refused."
        ),
    ] = msgspec.field(default_factory=dict)
