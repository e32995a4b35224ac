"""The headers and errors of tus 1.0.0, parsed strictly. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from foundation.errors import BadInput, Conflict, Gone, RequestError, UnsupportedMedia
from foundation.http.endpoint import Header
from foundation.ids import ID_IN_PATH
from origin.errors import FileTooLarge, UnknownVideo
from origin.text import clean_text
from origin.uploads.messages import Completion
from packager.errors import RefusedInput

PATH = "/api/v1/uploads/tus"
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination"
ALGORITHMS = ("sha1", "sha256", "md5")
BODY_TYPE = "application/offset+octet-stream"
RESOURCE = PATH + "/{id:" + ID_IN_PATH + "}"
_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
RESUMABLE_HEADER = Header(
    name="Tus-Resumable", description="Version", schema={"type": "string", "enum": [VERSION]}, required=True
)
LENGTH_HEADER = Header(name="Upload-Length", description="Bytes of the whole file", schema=_COUNT)
DEFER_HEADER = Header(
    name="Upload-Defer-Length", description="The length comes later", schema={"type": "string", "enum": ["1"]}
)
METADATA_HEADER = Header(name="Upload-Metadata", description="Pairs of name and base64: filename, title, ...")
CHECKSUM_HEADER = Header(
    name="Upload-Checksum", description="sha1, sha256 or md5, and base64 of the digest of this body"
)
OFFSET_HEADER = Header(name="Upload-Offset", description="Bytes received so far", schema=_COUNT, required=True)
EXPIRES_HEADER = Header(name="Upload-Expires", description="Not completed by then, the upload is collected")
OVERRIDE_HEADER = Header(
    name="X-HTTP-Method-Override",
    description="For clients that can only POST",
    schema={"type": "string", "enum": ["PATCH", "DELETE"]},
    required=True,
)


class WrongVersion(RequestError):
    code = "tus-version"
    status = 412
    title = "This server speaks tus 1.0.0"


class OffsetConflict(Conflict):
    code = "tus-offset"
    title = "The offset is not where the upload stands"


class ChecksumMismatch(RequestError):
    code = "tus-checksum"
    status = 460
    title = "The checksum does not match"


APPENDING_PROBLEMS = (
    UnknownVideo,
    Gone,
    OffsetConflict,
    ChecksumMismatch,
    WrongVersion,
    FileTooLarge,
    UnsupportedMedia,
    RefusedInput,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """`Upload-Checksum: sha1 <base64>`."""

    algorithm: str
    digest: bytes


def parse_metadata(header: str) -> dict[str, str]:
    """Key-value pairs of Upload-Metadata: "name b64, flag". Raises BadInput."""
    pairs: dict[str, str] = {}
    for piece in filter(None, (piece.strip() for piece in header.split(","))):
        key, _, encoded = piece.partition(" ")
        if key in pairs:
            raise BadInput(f"Upload-Metadata: {key[:40]!r} twice")
        try:
            pairs[key] = clean_text(base64.b64decode(encoded, validate=True).decode())
        except (binascii.Error, ValueError) as err:
            raise BadInput(f"Upload-Metadata: the value of {key[:40]!r} is not base64 of UTF-8") from err
    return pairs


def parse_checksum(header: str | None) -> Checksum | None:
    """Raises BadInput for an algorithm we did not announce."""
    if header is None:
        return None
    algorithm, _, encoded = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise BadInput(f"Upload-Checksum: use one of {', '.join(ALGORITHMS)}")
    try:
        return Checksum(algorithm=algorithm, digest=base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError) as err:
        raise BadInput("Upload-Checksum: the digest is not base64") from err


def parse_count(request: web.Request, header: str) -> int | None:
    """A non-negative integer header, None if absent. Raises BadInput."""
    text = request.headers.get(header)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadInput(f"{header}: a non-negative integer")
    return int(text)


def completion_of(metadata: dict[str, str]) -> Completion:
    """What Upload-Metadata says of the video. Raises BadInput."""
    wanted: dict[str, Any] = {
        name: metadata[name] for name in ("title", "description", "visibility") if name in metadata
    }
    if metadata.get("hashtags"):
        wanted["hashtags"] = [tag for tag in metadata["hashtags"].split(",") if tag.strip()]
    try:
        return msgspec.convert(wanted, Completion)
    except msgspec.ValidationError as err:
        raise BadInput(f"Upload-Metadata: {err}") from err
