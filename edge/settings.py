"""Settings of a PoP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from edge.feed.settings import FeedSettings
from foundation.settings import GIB, MIB, Secret, Settings

_REGION = r"^[a-z0-9]+(-[a-z0-9]+)*$"


class PopSettings(Settings, frozen=True, kw_only=True):
    """One PoP: what it is called, whom it talks to, what it may use."""

    section: ClassVar[str] = "edge"

    listen: Annotated[str, Meta(description="HOST:PORT to listen on.")] = "127.0.0.1:8080"
    pop_id: Annotated[str, Meta(pattern=_REGION, description="Unique name of this PoP.")] = "local-1"
    region: Annotated[str, Meta(pattern=_REGION, description="Region it serves; part of every media URL.")] = "us-east"
    base_url: Annotated[str, Meta(description="URL viewers reach it by, as told to the router.")] = (
        "http://127.0.0.1:8080"
    )
    origin_url: Annotated[str, Meta(description="The origin, for media, catalogue and /api/v1.")] = (
        "http://127.0.0.1:8081"
    )
    control_plane_url: Annotated[str, Meta(description="The control plane, for purges and the registry.")] = (
        "http://127.0.0.1:8082"
    )
    service_key: Annotated[Secret, Meta(description="This PoP's key for origin and control plane.")] = Secret("")
    valkey_url: Annotated[Secret, Meta(description="This PoP's own Valkey: taste, sessions, event spool.")] = Secret(
        "redis://127.0.0.1:6379/0"
    )
    data_dir: Annotated[Path, Meta(description="Folder for the media cache and the catalogue replica.")] = Path(
        ".popreel/edge"
    )
    model_dir: Annotated[Path, Meta(description="Folder with the released models.")] = Path(".popreel/models")
    web_dir: Annotated[Path, Meta(description="Built web app to serve at /.")] = Path("web/dist")
    ram_bytes: Annotated[int, Meta(ge=MIB, description="RAM tier of the media cache, bytes.")] = 128 * MIB
    disk_bytes: Annotated[int, Meta(ge=MIB, description="Disk tier of the media cache, bytes.")] = 4 * GIB
    media_keys: Annotated[
        dict[str, Secret],
        Meta(description="Keys of path-prefix media tokens by key id; keep the old one while rotating."),
    ] = msgspec.field(default_factory=dict)
    delivery: Annotated[
        dict[str, Any], Meta(description="Knobs of [delivery] laid over what the PoP sets for its media cache.")
    ] = msgspec.field(default_factory=dict)
    feed: Annotated[FeedSettings, Meta(description="Knobs of [feed].")] = FeedSettings()
    heartbeat_s: Annotated[float, Meta(ge=0.2, le=60, description="Seconds between heartbeats.")] = 2.0
    verify_s: Annotated[
        float, Meta(ge=0.1, le=3600, description="Seconds between checks of 1,000 videos against the origin's digest.")
    ] = 10.0
    otlp_endpoint: Annotated[str, Meta(description="OTLP/HTTP traces URL; empty: no traces.")] = ""
