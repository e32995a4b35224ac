"""Avatars: sent as any common picture, kept as two square WebP files of ours, served as immutable media."""

from __future__ import annotations

import secrets

from aiohttp import web

from foundation.errors import BadInput, NotFound, RequestError, TooLarge, UnsupportedMedia
from foundation.http.body import read_body
from foundation.http.endpoint import Access, Call, endpoint
from foundation.ids import UserId
from foundation.stores.objects import ObjectStore
from foundation.wire import Wire
from origin.accounts.access import AccessStore
from origin.accounts.account_store import AccountStore
from origin.accounts.avatar import (
    LARGE,
    MAX_BYTES,
    SIZES,
    SMALL,
    avatar_prefix,
    avatar_tag,
    avatar_url,
    file_name,
    key_of,
)
from origin.accounts.pictures import Pictures
from origin.errors import TooFast
from origin.limits import Limits
from origin.media.answers import matches

_FILE = "/avatars/{userId}/{file}"
_ALSO = {304: "as you have it"}


class AvatarView(Wire, frozen=True, kw_only=True):
    avatar_url: str | None
    """384 x 384 WebP, for a profile."""
    avatar_small_url: str | None
    """128 x 128 WebP, for lists: the `avatarUrl` of creators everywhere else."""


class AvatarRoutes:
    def __init__(
        self, *, accounts: AccountStore, access: AccessStore, objects: ObjectStore, pictures: Pictures, limits: Limits
    ) -> None:
        self._accounts = accounts
        self._access = access
        self._objects = objects
        self._pictures = pictures
        self._limits = limits

    @endpoint(
        "POST",
        "/api/v1/users/me/avatar",
        summary="Set the own avatar",
        body_type="image/*",
        reply=AvatarView,
        access=Access.USER,
        problems=(BadInput, TooLarge, UnsupportedMedia, TooFast),
    )
    async def set_avatar(self, call: Call[None]) -> AvatarView:
        """The body is the picture: JPEG, PNG, WebP, GIF or AVIF of at most 8 MiB. The middle square of it is shown;
        where it was taken and everything else beside the pixels is dropped."""
        account = await self._access.actor(call)
        await self._limits.picture(call.request, user_id=account.id)
        files = await self._pictures.avatar(await _body(call.request))
        key = secrets.token_hex(8)
        await self._store(account.id, key, files)
        try:
            former = await self._accounts.set_avatar(account.id, key)
        except RequestError:  # after any other the change may have been made: the files stay, and go with the account
            await self._remove(account.id, key)
            raise
        await self._remove(account.id, former)
        return _view(account.id, key)

    @endpoint(
        "DELETE", "/api/v1/users/me/avatar", summary="Remove the own avatar", reply=AvatarView, access=Access.USER
    )
    async def remove_avatar(self, call: Call[None]) -> AvatarView:
        """Idempotent."""
        account = await self._access.actor(call)
        await self._limits.action(call.request, user_id=account.id)
        if account.avatar_key is not None:
            await self._remove(account.id, await self._accounts.set_avatar(account.id, None))
        return _view(account.id, None)

    @endpoint("GET", _FILE, summary="An avatar", reply="bytes", reply_type="image/webp", tag="media", also=_ALSO)
    async def avatar(self, call: Call[None]) -> web.Response:
        """Immutable under its name; 404 once the person has another one, or none."""
        return await self._avatar(call)

    @endpoint("HEAD", _FILE, summary="An avatar, headers only", reply="headers", tag="media", also=_ALSO)
    async def avatar_head(self, call: Call[None]) -> web.Response:
        return await self._avatar(call)

    async def _avatar(self, call: Call[None]) -> web.Response:
        user_id, file = UserId(call.path_id("userId")), call.path("file")
        account = await self._accounts.find(user_id)
        key = key_of(file)
        if account is None or account.state != "active" or key is None or key != account.avatar_key:
            raise NotFound("there is no such avatar")
        etag = f'"{file.removesuffix(".webp")}"'
        headers = {**_LABELS, "ETag": etag, "Cache-Groups": f'"{avatar_tag(user_id)}", "user-{user_id}"'}
        if matches(call.request.headers.get("If-None-Match"), etag):
            return web.Response(status=304, headers=headers)
        data = await self._objects.get_bytes(avatar_prefix(user_id) + file)
        if data is None:  # replaced between the two reads
            raise NotFound("there is no such avatar")
        return web.Response(body=data, headers=headers)

    async def _store(self, user_id: UserId, key: str, files: dict[int, bytes]) -> None:
        for size, data in files.items():
            name = avatar_prefix(user_id) + file_name(key, size)
            await self._objects.put_bytes(name, data, content_type="image/webp", cache_control=_LABELS["Cache-Control"])

    async def _remove(self, user_id: UserId, key: str | None) -> None:
        """What a crash before this leaves behind goes with the account."""
        for size in SIZES if key is not None else ():
            await self._objects.delete(avatar_prefix(user_id) + file_name(key or "", size))


_LABELS = {
    "Content-Type": "image/webp",
    "Cache-Control": "public, max-age=31536000, immutable",
    "Access-Control-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
}


async def _body(request: web.Request) -> bytes:
    """Raises UnsupportedMedia, TooLarge, BadInput. The kind named is a hint: the child looks at the bytes."""
    if not request.content_type.startswith("image/") and request.content_type != "application/octet-stream":
        raise UnsupportedMedia("send the picture itself, with `Content-Type: image/jpeg` (or png, webp, gif, avif)")
    too_large = f"the picture is larger than {MAX_BYTES // 1024 // 1024} MiB"
    if not (data := await read_body(request, limit=MAX_BYTES, too_large=too_large)):
        raise BadInput("the body is empty: send the picture")
    return data


def _view(user_id: UserId, key: str | None) -> AvatarView:
    return AvatarView(
        avatar_url=avatar_url(user_id, key, size=LARGE), avatar_small_url=avatar_url(user_id, key, size=SMALL)
    )
