"""Settings of the one-machine installation: where it keeps its data, which ports it takes, which servers are yours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from foundation.errors import SettingsError
from foundation.settings import Secret, Settings, load


class PopSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One PoP of this machine. Every PoP listens on the port base, so each needs a loopback address of its own."""

    pop_id: str
    region: str
    host: str


class PlatformSettings(Settings, frozen=True, kw_only=True):
    """The one-machine installation. An address given for a server means: ours is not started."""

    section: ClassVar[str] = "platform"

    port_base: Annotated[
        int,
        Meta(
            ge=1024,
            le=55_000,
            description="First port; base...base+13 are used, one more for each further worker, and 10000 above those "
            "of the object store.",
        ),
    ] = 8080
    data_dir: Annotated[Path, Meta(description="Folder of everything the installation keeps.")] = Path(".popreel")
    pops: Annotated[tuple[PopSetting, ...], Meta(max_length=2, description="PoPs: pop_id, region, host.")] = (
        PopSetting(pop_id="local-1", region="us-east", host="127.0.0.1"),
        PopSetting(pop_id="local-2", region="ap-tokyo", host="127.0.0.2"),
    )
    workers: Annotated[
        int, Meta(ge=1, le=64, description="Packager workers. Each keeps one or two cores busy while it encodes.")
    ] = 1
    postgres_dsn: Annotated[Secret, Meta(description="Your Postgres, as postgresql://...; empty: embedded.")] = Secret(
        ""
    )
    valkey_url: Annotated[Secret, Meta(description="Your Valkey or Redis, as redis://...; empty: embedded.")] = Secret(
        ""
    )
    s3_endpoint: Annotated[str, Meta(description="Your S3 endpoint, as https://...; empty: embedded.")] = ""
    s3_access_key: Annotated[str, Meta(description="Access key for s3_endpoint.")] = ""
    s3_secret_key: Annotated[Secret, Meta(description="Secret key for s3_endpoint.")] = Secret("")
    s3_region: Annotated[str, Meta(description="Region to sign for.")] = "us-east-1"
    s3_bucket: Annotated[str, Meta(description="Bucket of originals and packaged videos.")] = "popreel"
    start_deadline_s: Annotated[
        float, Meta(ge=1, le=600, description="Seconds each process has to become ready. Raise it on a slow disk.")
    ] = 60.0
    hang_after_s: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="A process that has not answered for so long hangs: killed, started again, s; 0: never.",
        ),
    ] = 60.0


def platform_settings(*, file: Path | None, environ: Mapping[str, str]) -> PlatformSettings:
    """[platform] of `file`, overridden by POPREEL_PLATFORM__*, then by the short POPREEL_PORT_BASE, POPREEL_DATA_DIR.

    The data folder is made absolute. Raises SettingsError.
    """
    short = {"POPREEL_PORT_BASE": "PORT_BASE", "POPREEL_DATA_DIR": "DATA_DIR"}
    extended = {**environ}
    for variable, knob in short.items():
        if environ.get(variable):
            extended[f"POPREEL_PLATFORM__{knob}"] = environ[variable]
    settings = load(PlatformSettings, file=file, environ=extended)
    if settings.s3_endpoint and not (settings.s3_access_key and settings.s3_secret_key):
        raise SettingsError("[platform] s3_endpoint is set: s3_access_key and s3_secret_key are needed too")
    return msgspec.structs.replace(settings, data_dir=settings.data_dir.expanduser().absolute())
