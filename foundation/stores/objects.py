"""The S3 object store: control calls by boto3 in a bounded thread pool, data by presigned URLs over aiohttp.

boto3 blocks; bytes of videos never pass through its threads: a GET or PUT of data is presigned (CPU only, ~0.2 ms) and
streamed on the event loop with back-pressure end to end.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from foundation.settings import Secret
from foundation.stores.errors import ObjectsUnavailable, ObjectTooLarge

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

T = TypeVar("T")
_CHUNK = 256 * 1024
_GONE = ("404", "NoSuchKey", "NoSuchUpload", "NotFound")


class ObjectStoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where objects live. `public_endpoint` is what presigned URLs name when clients reach the store elsewhere."""

    endpoint: str
    access_key: Secret
    secret_key: Secret
    bucket: str = "popreel"
    region: str = "us-east-1"
    public_endpoint: str = ""
    threads: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    key: str
    size: int
    etag: str
    content_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One received part of a multipart upload; numbers run from 1 to 10000."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectBody:
    """An open GET: read `chunks` inside the context that gave it. `status` is 200, 206, 304, 404 or 416."""

    status: int
    headers: Mapping[str, str]
    stream: aiohttp.StreamReader

    async def read(self) -> bytes:
        try:
            return await self.stream.read()
        except aiohttp.ClientError as err:
            raise ObjectsUnavailable(retry_after_s=1) from err

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self.stream.iter_chunked(_CHUNK):
                yield chunk
        except aiohttp.ClientError as err:
            raise ObjectsUnavailable("the object store broke off", retry_after_s=1) from err


class ObjectStore:
    """One bucket. Every method raises ObjectsUnavailable when the store does not answer."""

    def __init__(
        self,
        settings: ObjectStoreSettings,
        *,
        client: S3Client,
        public: S3Client,
        http: aiohttp.ClientSession,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._settings = settings
        self._client = client
        self._public = public
        self._http = http
        self._pool = pool
        self._bucket = settings.bucket

    # -- data

    @asynccontextmanager
    async def open(self, key: str, *, headers: Mapping[str, str] | None = None) -> AsyncIterator[ObjectBody]:
        """GET an object; `headers` may carry Range and conditions."""
        url = self._url("get_object", Key=key)
        try:
            answer = await self._http.get(url, headers=dict(headers or {}))
        except (aiohttp.ClientError, TimeoutError) as err:
            raise ObjectsUnavailable(retry_after_s=1) from err
        async with answer:  # what the reader raises is its own, for one that its client is gone
            if answer.status >= 500 or answer.status in (400, 403):
                raise ObjectsUnavailable(f"the object store answered {answer.status}", retry_after_s=1)
            yield ObjectBody(status=answer.status, headers=answer.headers, stream=answer.content)

    async def put_part(
        self, key: str, upload_id: str, number: int, body: AsyncIterable[bytes] | bytes, *, size: int
    ) -> str:
        """Store one part of exactly `size` bytes; returns its ETag. Sending a number again replaces that part."""
        url = self._url("upload_part", Key=key, UploadId=upload_id, PartNumber=number)
        return (await self._put(url, body, {"Content-Length": str(size)})).strip('"')

    async def put_file(self, key: str, path: Path, *, content_type: str, cache_control: str = "") -> str:
        """Upload a file in one request (or by multipart above 64 MiB); returns its ETag."""
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        if size > 64 * 1024 * 1024:
            await self._call(
                lambda: self._client.upload_file(
                    str(path), self._bucket, key, ExtraArgs={"ContentType": content_type, "CacheControl": cache_control}
                )
            )
            info = await self.head(key)
            return info.etag if info else ""
        data = await asyncio.to_thread(path.read_bytes)
        return await self.put_bytes(key, data, content_type=content_type, cache_control=cache_control)

    async def put_bytes(self, key: str, data: bytes, *, content_type: str, cache_control: str = "") -> str:
        def put() -> str:
            answer = self._client.put_object(
                Bucket=self._bucket, Key=key, Body=data, ContentType=content_type, CacheControl=cache_control
            )
            return answer["ETag"].strip('"')

        return await self._call(put)

    async def get_bytes(self, key: str) -> bytes | None:
        async with self.open(key) as body:
            return await body.read() if body.status == 200 else None

    async def download(self, key: str, path: Path, *, max_bytes: int | None = None) -> int:
        """Stream an object into `path`; returns its size. Raises FileNotFoundError, ObjectTooLarge (max_bytes)."""
        async with self.open(key) as body:
            if body.status != 200:
                raise FileNotFoundError(key)
            size = 0
            with path.open("wb") as file:
                async for chunk in body.chunks():
                    size += len(chunk)
                    if max_bytes is not None and size > max_bytes:
                        raise ObjectTooLarge(f"{key} has more than {max_bytes} bytes")
                    await asyncio.to_thread(file.write, chunk)
        return size

    async def _put(self, url: str, body: AsyncIterable[bytes] | bytes, headers: Mapping[str, str]) -> str:
        try:
            data = io.BytesIO(body) if isinstance(body, bytes) else body  # written in pieces, not in one go
            async with self._http.put(url, data=data, headers=headers) as answer:
                if answer.status != 200:
                    raise ObjectsUnavailable(f"the object store refused a part ({answer.status})", retry_after_s=1)
                return answer.headers["ETag"]
        except (aiohttp.ClientError, TimeoutError) as err:
            raise ObjectsUnavailable(retry_after_s=1) from err

    def _url(self, operation: str, **parameters: object) -> str:
        return self._client.generate_presigned_url(
            operation, Params={"Bucket": self._bucket, **parameters}, ExpiresIn=3600
        )

    # -- control

    async def head(self, key: str) -> ObjectInfo | None:
        def head() -> ObjectInfo:
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
            return ObjectInfo(
                key=key,
                size=answer["ContentLength"],
                etag=answer["ETag"].strip('"'),
                content_type=answer.get("ContentType", ""),
            )

        return await self._call(head, gone=None)

    async def list_prefix(self, prefix: str) -> list[ObjectInfo]:
        """Every object under `prefix`. Meant for one video's folder, not for scans."""

        def listing() -> list[ObjectInfo]:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return [
                ObjectInfo(key=item["Key"], size=item["Size"], etag=item["ETag"].strip('"'))
                for page in pages
                for item in page.get("Contents", [])
            ]

        return await self._call(listing)

    async def delete(self, key: str) -> None:
        await self._call(lambda: self._client.delete_object(Bucket=self._bucket, Key=key), gone=None)

    async def delete_prefix(self, prefix: str) -> int:
        """Remove every object under `prefix` ("videos/ab/123/") and uploads nobody completed; returns how many objects.

        Idempotent.
        """
        assert prefix.endswith("/"), prefix
        assert prefix.count("/") >= 3, f"{prefix} could cover more than one video"
        await self.abort_multiparts(prefix)
        keys = [info.key for info in await self.list_prefix(prefix)]

        def remove(batch: list[str]) -> None:
            self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
            )

        for start in range(0, len(keys), 1000):
            batch = keys[start : start + 1000]
            await self._call(partial(remove, batch))
        return len(keys)

    # -- multipart

    async def create_multipart(self, key: str, *, content_type: str, cache_control: str = "") -> str:
        """Begin a multipart upload; returns its id."""
        answer = await self._call(
            lambda: self._client.create_multipart_upload(
                Bucket=self._bucket, Key=key, ContentType=content_type, CacheControl=cache_control
            )
        )
        return answer["UploadId"]

    async def list_parts(self, key: str, upload_id: str) -> list[Part] | None:
        """Parts the store holds, by number; None if the upload does not exist (any more)."""

        def listing() -> list[Part]:
            pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=upload_id)
            return [
                Part(number=part["PartNumber"], size=part["Size"], etag=part["ETag"].strip('"'))
                for page in pages
                for part in page.get("Parts", [])
            ]

        return await self._call(listing, gone=None)

    async def complete_multipart(self, key: str, upload_id: str, parts: list[Part]) -> bool:
        """Join the parts; False if the upload does not exist (completed before, or aborted)."""
        listed: list[CompletedPartTypeDef] = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        done = await self._call(
            lambda: self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}
            ),
            gone=None,
        )
        return done is not None

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        await self._call(
            lambda: self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id), gone=None
        )

    async def multipart_uploads(self, prefix: str) -> list[tuple[str, str]]:
        """(key, upload id) of every multipart upload under `prefix` that is neither complete nor aborted."""

        def listing() -> list[tuple[str, str]]:
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
            return [(upload["Key"], upload["UploadId"]) for page in pages for upload in page.get("Uploads", [])]

        # look-alikes of S3 may give neighbours too
        return [upload for upload in await self._call(listing) if upload[0].startswith(prefix)]

    async def abort_multiparts(self, prefix: str) -> int:
        """Drop every multipart upload under `prefix` that nobody completed; returns how many. Idempotent."""
        found = await self.multipart_uploads(prefix)
        for key, upload_id in found:
            await self.abort_multipart(key, upload_id)
        return len(found)

    def presign_part(self, key: str, upload_id: str, number: int, *, expires_s: int) -> str:
        """URL for a client to PUT one part straight to the store."""
        return self._public.generate_presigned_url(
            "upload_part",
            Params={"Bucket": self._bucket, "Key": key, "UploadId": upload_id, "PartNumber": number},
            ExpiresIn=expires_s,
        )

    async def ensure_bucket(self) -> None:
        """Create the bucket if it is missing."""

        def ensure() -> None:
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as err:
                if err.response["Error"]["Code"] not in (*_GONE, "NoSuchBucket"):
                    raise
                self._client.create_bucket(Bucket=self._bucket)

        await self._call(ensure)

    async def _call(self, work: Callable[[], T], **gone: Any) -> T:
        """Run boto3 in the pool. With `gone=VALUE`, a missing object or upload gives VALUE instead of an error."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except ClientError as err:
            code = str(err.response.get("Error", {}).get("Code", ""))
            if "gone" in gone and code in _GONE:
                return gone["gone"]  # type: ignore[no-any-return]  # the caller's own sentinel
            raise ObjectsUnavailable(f"the object store answered {code}", retry_after_s=1) from err
        except BotoCoreError as err:
            raise ObjectsUnavailable(retry_after_s=1) from err


@asynccontextmanager
async def open_objects(settings: ObjectStoreSettings) -> AsyncIterator[ObjectStore]:
    """The store with its thread pool and HTTP session; both close on leaving."""
    pool = ThreadPoolExecutor(max_workers=settings.threads, thread_name_prefix="s3")
    timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_connect=5, sock_read=60)
    connector = aiohttp.TCPConnector(limit=256, keepalive_timeout=30)
    # boto3 reads its service models from disk: off the loop
    client = await asyncio.to_thread(_client, settings, settings.endpoint)
    public = client
    if settings.public_endpoint:
        public = await asyncio.to_thread(_client, settings, settings.public_endpoint)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as http:
            yield ObjectStore(settings, client=client, public=public, http=http, pool=pool)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        client.close()


def _client(settings: ObjectStoreSettings, endpoint: str) -> S3Client:
    session = boto3.session.Session()
    client: S3Client = session.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=str.__str__(settings.access_key),
        aws_secret_access_key=str.__str__(settings.secret_key),
        region_name=settings.region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=3,
            read_timeout=30,
            retries={"max_attempts": 3, "mode": "standard"},
            max_pool_connections=settings.threads,
            # checksums of the newer SDKs that older S3 look-alikes refuse
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return client
