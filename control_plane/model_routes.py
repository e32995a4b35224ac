"""Routes of models: the registry of releases and the rollout."""

from __future__ import annotations

import re

from aiohttp import web

from control_plane.errors import UnknownRelease
from control_plane.model_store import ModelStore
from foundation.errors import BadInput, TooLarge
from foundation.http.body import read_body
from foundation.http.endpoint import Access, Call, endpoint
from foundation.wire.models import MAX_RELEASE_BYTES, RELEASE_NAME, ReleaseView, RolloutView, RolloutWish


class ModelRoutes:
    def __init__(self, models: ModelStore) -> None:
        self._models = models

    @endpoint(
        "GET",
        "/internal/v1/models/{name}",
        summary="A packed release",
        reply_type="application/zip",
        access=Access.SERVICE,
        problems=(UnknownRelease,),
    )
    async def release(self, call: Call[None]) -> web.Response:
        archive = await self._models.archive(call.path("name"))
        return web.Response(body=archive, content_type="application/zip", headers={"Cache-Control": "no-store"})

    @endpoint(
        "PUT",
        "/api/v1/models/{name}",
        summary="Put a release of the feed's model into the registry",
        body_type="application/zip",
        reply=ReleaseView,
        access=Access.OPERATOR,
        path_schemas={"name": {"pattern": RELEASE_NAME}},
        problems=(TooLarge,),
    )
    async def upload_release(self, call: Call[None]) -> ReleaseView:
        """The body is what `popreel model upload` sends: a zip of the release's files, at most 128 MiB."""
        name = call.path("name")
        if not re.fullmatch(RELEASE_NAME, name):
            raise BadInput("a release's name has 1 to 64 small letters, digits, dots and hyphens")
        too_large = f"a release has at most {MAX_RELEASE_BYTES} bytes"
        archive = await read_body(call.request, limit=MAX_RELEASE_BYTES, too_large=too_large)
        if not archive:
            raise BadInput("the body is empty: send what `popreel model upload` sends")
        operator = call.caller.operator if call.caller else ""
        return await self._models.put(name, archive, uploaded_by=operator)

    @endpoint(
        "GET",
        "/api/v1/models",
        summary="Releases of the feed's model, newest first",
        reply=tuple[ReleaseView, ...],
        access=Access.OPERATOR,
    )
    async def list_releases(self, call: Call[None]) -> tuple[ReleaseView, ...]:
        return await self._models.releases()

    @endpoint(
        "GET",
        "/api/v1/rollout",
        summary="Which model is served, which one is tried, and how its viewers fare",
        reply=RolloutView,
        access=Access.OPERATOR,
    )
    async def rollout(self, call: Call[None]) -> RolloutView:
        return await self._models.view()

    @endpoint(
        "PUT",
        "/api/v1/rollout",
        summary="Serve a release, or try a candidate on a share of the viewers",
        body=RolloutWish,
        reply=RolloutView,
        access=Access.OPERATOR,
        problems=(UnknownRelease,),
    )
    async def set_rollout(self, call: Call[RolloutWish]) -> RolloutView:
        await self._models.wish(call.body, operator=call.caller.operator if call.caller else "")
        return await self._models.view()
