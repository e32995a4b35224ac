"""Every knob of the origin and of its packager workers, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from foundation.settings import GIB, MIB, Secret, Settings
from foundation.stores.objects import ObjectStoreSettings
from foundation.stores.shard_map import PostgresServer


class TierLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one tier may do in a UTC day."""

    uploads: int
    follows: int
    likes: int
    comments: int


def default_tiers() -> dict[str, TierLimits]:
    """SPEC A3; comments are ours."""
    return {
        "free": TierLimits(uploads=3, follows=200, likes=500, comments=200),
        "verified": TierLimits(uploads=10, follows=500, likes=2000, comments=500),
        "creator": TierLimits(uploads=50, follows=500, likes=2000, comments=500),
    }


class OriginSettings(Settings, frozen=True, kw_only=True):
    """The origin: `origin.service` (REST API, media shield) and `origin.worker` (packaging), one file each."""

    section: ClassVar[str] = "origin"

    listen: Annotated[str, Meta(description="HOST:PORT of the API (worker: of its health and metrics).")] = (
        "127.0.0.1:8081"
    )
    public_url: Annotated[
        str, Meta(description="URL prefix of upload and media links; empty: root-relative, right behind a PoP.")
    ] = ""
    region: Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}$", description="Region that new videos belong to.")] = (
        "us-east"
    )
    node_id: Annotated[
        int,
        Meta(ge=0, le=1023, description="Snowflake node: unique per process that makes ids."),
    ] = 1

    postgres: Annotated[
        tuple[PostgresServer, ...],
        Meta(
            description="Servers: name, dsn, replicas, videos, users (shard ranges). The first holds the control data."
        ),
    ]
    pool_size: Annotated[int, Meta(ge=2, le=200, description="Connections per server and process.")] = 12
    statement_cache: Annotated[int, Meta(ge=0, description="Prepared statements kept; 0 behind pgbouncer.")] = 256
    valkey_url: Annotated[Secret, Meta(description="redis://[:password@]host:port of the central Valkey.")]
    objects: Annotated[ObjectStoreSettings, Meta(description="S3: endpoint, access_key, secret_key, bucket, region.")]

    jwt_key_file: Annotated[
        Path, Meta(description="PKCS#8 PEM with the Ed25519 key that signs access tokens (made if missing).")
    ] = Path("access-key.pem")
    jwt_old_key_files: Annotated[
        tuple[Path, ...], Meta(description="Former signing keys, still in the JWKS until their tokens have expired.")
    ] = ()
    access_life_s: Annotated[int, Meta(ge=60, le=900, description="Life of an access token, s.")] = 900
    refresh_life_s: Annotated[int, Meta(ge=3600, description="Life of an unused refresh token, s.")] = 30 * 86_400
    service_keys: Annotated[dict[str, Secret], Meta(description="Keys of PoPs and services by holder name.")] = (
        msgspec.field(default_factory=dict)
    )
    operator_keys: Annotated[dict[str, Secret], Meta(description="Keys of operators by name.")] = msgspec.field(
        default_factory=dict
    )
    media_keys: Annotated[
        dict[str, Secret], Meta(description="HMAC keys of media tokens by key id; the first one signs.")
    ] = msgspec.field(default_factory=dict)
    media_token_life_s: Annotated[int, Meta(ge=60, description="Life of a media token, s.")] = 6 * 3600
    allow_internal_users: Annotated[
        bool, Meta(description="POST /internal/v1/users makes users without a password (embedded installation only).")
    ] = False
    control_plane_url: Annotated[str, Meta(description="Where purge orders go; empty: none are sent.")] = ""
    control_plane_key: Annotated[Secret, Meta(description="Service key for the control plane.")] = Secret("")

    max_file_bytes: Annotated[int, Meta(ge=MIB, description="Largest upload, bytes.")] = 2 * GIB
    max_sound_bytes: Annotated[int, Meta(ge=MIB, description="Largest file of a library sound, bytes.")] = 64 * MIB
    min_duration_ms: Annotated[int, Meta(ge=0, description="Shortest clip announced at init, ms.")] = 500
    max_duration_ms: Annotated[int, Meta(ge=1000, description="Longest clip, ms.")] = 600_000
    chunk_bytes: Annotated[
        int, Meta(ge=5 * MIB, description="Part size announced; S3 wants 5 MiB or more except for the last.")
    ] = 5 * MIB
    upload_life_s: Annotated[int, Meta(ge=60, description="An upload not completed after this is collected, s.")] = (
        86_400
    )
    erase_settle_s: Annotated[
        float,
        Meta(ge=0, description="A deleted video is erased at once and again after this (lease + one request), s."),
    ] = 120.0
    tiers: Annotated[dict[str, TierLimits], Meta(description="Daily limits by tier.")] = msgspec.field(
        default_factory=default_tiers
    )
    requests_per_minute: Annotated[
        int, Meta(ge=1, description="Requests per minute and caller to mutating routes.")
    ] = 1200
    logins_per_minute: Annotated[int, Meta(ge=1, description="Login tries per minute and address.")] = 60
    password_threads: Annotated[
        int, Meta(ge=1, le=64, description="Threads for argon2id (64 MiB each while hashing).")
    ] = 2

    flush_interval_s: Annotated[float, Meta(gt=0, le=60, description="Counters reach the catalogue this often, s.")] = (
        1.0
    )
    bot_score_every_s: Annotated[
        float, Meta(gt=0, description="Each account's bot score is made anew this often, s.")
    ] = 6 * 3600.0
    event_days: Annotated[int, Meta(ge=1, description="Days of watch events kept.")] = 90
    catalogue_keep_s: Annotated[int, Meta(ge=60, description="Age at which catalogue log entries are trimmed, s.")] = (
        3 * 86_400
    )

    scratch_dir: Annotated[Path, Meta(description="Worker: where originals and renditions are made.")] = Path("scratch")
    model_dir: Annotated[
        Path | None, Meta(description="Worker: folder of the embedding models; unset: videos wait for their vector.")
    ] = None
    jobs_at_once: Annotated[int, Meta(ge=1, le=64, description="Worker: videos packaged at the same time.")] = 1
    lease_s: Annotated[float, Meta(ge=2, description="Worker: a silent worker loses its job after this, s.")] = 30.0
    packaging_timeout_s: Annotated[float, Meta(ge=10, description="Worker: longest packaging of one video, s.")] = 300.0
    frame_memory_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="Worker: decoded pictures of a job that wait in memory, bytes; at most a quarter of what is "
            "free. 0: all are decoded twice.",
        ),
    ] = 1536 * MIB
    frame_disk_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="Worker: decoded pictures of a job that wait in scratch_dir when memory is full, bytes; at "
            "most a quarter of what is free. 0 spares the disk (3 GB a minute of 1080p), for 5 % more processor time.",
        ),
    ] = 8192 * MIB
    max_material_bytes: Annotated[
        int,
        Meta(ge=MIB, description="Worker: most that is fetched of a sound or of the other video of a duet, bytes."),
    ] = 256 * MIB
    sweep_delay_s: Annotated[
        float, Meta(ge=0, description="Worker: an old revision stays this long for players in the middle of it, s.")
    ] = 3600.0
    job_tries: Annotated[int, Meta(ge=1, le=20, description="Tries of a job that fails by error.")] = 3
    job_first_delay_s: Annotated[float, Meta(gt=0, description="Wait before the second try, s; then x4.")] = 2.0
