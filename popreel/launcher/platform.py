"""The one-machine platform: which processes there are, in which stages they start, and what each is told."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import SettingsError
from popreel.embedded.object_store import EmbeddedObjectStore, InnerPorts, ObjectStoreAccess
from popreel.embedded.postgres import EmbeddedPostgres
from popreel.embedded.process import ManagedProcess, log_tail
from popreel.embedded.secret_file import write_private
from popreel.embedded.server import EmbeddedServer
from popreel.embedded.valkey import Durability, EmbeddedValkey
from popreel.errors import StartFailed
from popreel.launcher import configuration
from popreel.launcher.configuration import HOST, Document, Installation
from popreel.launcher.layout import DataFolder, PortPlan
from popreel.launcher.secrets import load_or_make
from popreel.launcher.supervisor import Stage
from popreel.launcher.toml_text import render
from popreel.launcher.unit import ServiceProcess
from popreel.settings import PlatformSettings

_PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The embedded servers; None where an external one is named."""

    postgres: EmbeddedPostgres | None
    valkey: EmbeddedValkey | None
    objects: EmbeddedObjectStore | None
    pop_valkeys: Mapping[str, EmbeddedValkey]

    @property
    def all(self) -> tuple[EmbeddedServer, ...]:
        central = (self.postgres, self.valkey, self.objects)
        return (*(server for server in central if server is not None), *self.pop_valkeys.values())


class Platform:
    """Everything `popreel up` starts. Building it starts nothing."""

    def __init__(self, settings: PlatformSettings, *, file: Path | None) -> None:
        """file: popreel.toml, for the services' own sections. Raises SettingsError."""
        self.settings = settings
        self.folder = DataFolder(root=settings.data_dir)
        self.ports = PortPlan(base=settings.port_base, workers=settings.workers)
        self._overrides = _overrides(file)
        self.servers = self._make_servers()
        self.services = self._make_services()

    @property
    def addresses(self) -> dict[str, str]:
        """HOST:PORT by process name."""
        servers = {server.name: f"{HOST}:{server.port}" for server in self.servers.all}
        services = {unit.name: unit.url.removeprefix("http://") for units in self.services.values() for unit in units}
        return servers | services

    @property
    def urls(self) -> dict[str, str]:
        """What the person is told to open."""
        pops = {pop.pop_id: f"http://{pop.host}:{self.ports.pop}" for pop in self.settings.pops}
        return pops | {
            "origin": f"http://{HOST}:{self.ports.origin}",
            "control-plane": f"http://{HOST}:{self.ports.control_plane}",
            "cdn-router": f"http://{HOST}:{self.ports.router}",
        }

    def stages(self) -> tuple[Stage, ...]:
        """Servers, then (once migrated) the centre, then what hangs on it; the units of a stage start together."""
        return (
            Stage(units=self.servers.all, then=self._configure_and_migrate),
            Stage(units=(*self.services["origin"], *self.services["control-plane"], *self.services["worker"])),
            Stage(units=(*self.services["pop"], *self.services["router"])),  # the router wants to know a PoP
        )

    def _make_servers(self) -> Servers:
        settings, folder, ports = self.settings, self.folder, self.ports
        master, volume, filer, admin = ports.s3_inner
        return Servers(
            postgres=None
            if settings.postgres_dsn
            else EmbeddedPostgres(
                data_dir=folder.server("postgres"), log_file=folder.log("postgres"), port=ports.postgres
            ),
            valkey=None if settings.valkey_url else self._valkey("valkey", ports.valkey, Durability.EVERY_SECOND),
            objects=None
            if settings.s3_endpoint
            else EmbeddedObjectStore(
                data_dir=folder.server("object-store"),
                log_file=folder.log("object-store"),
                port=ports.s3,
                inner_ports=InnerPorts(master=master, volume=volume, filer=filer, admin=admin),
                buckets=(settings.s3_bucket,),
            ),
            pop_valkeys={
                pop.pop_id: self._valkey(f"valkey-{pop.pop_id}", ports.pop_valkey(number), Durability.ALWAYS)
                for number, pop in enumerate(settings.pops)
            },
        )

    def _valkey(self, name: str, port: int, durability: Durability) -> EmbeddedValkey:
        return EmbeddedValkey(
            data_dir=self.folder.server(name),
            log_file=self.folder.log(name),
            port=port,
            name=name,
            durability=durability,
        )

    def _make_services(self) -> dict[str, tuple[ServiceProcess, ...]]:
        ports = self.ports
        return {
            "origin": (self._service("origin", "origin.service", HOST, ports.origin),),
            "control-plane": (self._service("control-plane", "control_plane.service", HOST, ports.control_plane),),
            "worker": tuple(
                self._service(f"worker-{number + 1}", "origin.worker", HOST, ports.worker(number))
                for number in range(self.settings.workers)
            ),
            "router": (self._service("cdn-router", "cdn_router.service", HOST, ports.router),),
            "pop": tuple(self._service(pop.pop_id, "edge.service", pop.host, ports.pop) for pop in self.settings.pops),
        }

    def _service(self, name: str, module: str, host: str, port: int) -> ServiceProcess:
        return ServiceProcess(
            name=name,
            module=module,
            config=self._config(name),
            host=host,
            port=port,
            log_file=self.folder.log(name),
            working_dir=self.folder.root,
        )

    def _config(self, name: str) -> Path:
        return self.folder.run / f"{name}.toml"

    async def _configure_and_migrate(self) -> None:
        for name, document in self._documents(self._installation()).items():
            write_private(self._config(name), render(configuration.lay_over(document, self._overrides)))
        await self._migrate()

    def _installation(self) -> Installation:
        """Complete once the servers run: their passwords are made at their first start."""
        settings, servers = self.settings, self.servers
        return Installation(
            settings=settings,
            folder=self.folder,
            ports=self.ports,
            secrets=load_or_make(self.folder.secrets, holders=configuration.holders(settings)),
            postgres_dsn=servers.postgres.endpoint if servers.postgres else str.__str__(settings.postgres_dsn),
            valkey_url=servers.valkey.endpoint if servers.valkey else str.__str__(settings.valkey_url),
            objects=servers.objects.access(settings.s3_bucket) if servers.objects else _external_objects(settings),
            pop_valkey_urls={name: server.endpoint for name, server in servers.pop_valkeys.items()},
            web_dir=_PROJECT / "web" / "dist",
            model_dir=_PROJECT / ".cache" / "models",
        )

    def _documents(self, plan: Installation) -> dict[str, Document]:
        workers = {
            f"worker-{number + 1}": configuration.worker_document(plan, number)
            for number in range(self.settings.workers)
        }
        return {
            "origin": configuration.origin_document(plan),
            "control-plane": configuration.control_plane_document(plan),
            "cdn-router": configuration.router_document(plan),
            **workers,
            **{pop.pop_id: configuration.pop_document(plan, pop) for pop in self.settings.pops},
        }

    async def _migrate(self) -> None:
        log_file = self.folder.log("migrate")
        process = ManagedProcess.spawn(
            [sys.executable, "-P", "-m", "origin.migrate", "--config", self._config("origin")],
            name="migrate",
            log_file=log_file,
            cwd=self.folder.root,
        )
        if await process.wait() != 0:
            raise StartFailed(f"the database could not be brought to the current schema:\n{log_tail(log_file)}")


def _external_objects(settings: PlatformSettings) -> ObjectStoreAccess:
    return ObjectStoreAccess(
        endpoint=settings.s3_endpoint,
        access_key=settings.s3_access_key,
        secret_key=str.__str__(settings.s3_secret_key),
        region=settings.s3_region,
        bucket=settings.s3_bucket,
    )


def _overrides(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as err:
        raise SettingsError(f"{file}: {err}") from err
