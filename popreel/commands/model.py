"""`popreel model`: the registry of releases and the rollout, at the control plane."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
from rich.table import Table

from foundation.errors import Unavailable
from foundation.wire.models import ReleaseView, RolloutView
from inference.feed.model_archive import pack_release
from popreel.client.api import exchange
from popreel.commands.context import Context
from popreel.commands.services import Services, open_services
from popreel.commands.train import MODELS


async def releases(context: Context) -> list[ReleaseView]:
    async with open_services(context) as services:
        return await services.call(
            "GET", _url(services, "models"), bearer=services.operator_key, reply=list[ReleaseView]
        )


async def rollout(context: Context) -> RolloutView:
    async with open_services(context) as services:
        return await services.call("GET", _url(services, "rollout"), bearer=services.operator_key, reply=RolloutView)


async def upload(context: Context, name: str) -> ReleaseView:
    """Put a release that `popreel train` made here into the registry. Raises ModelMissing, NotRunning, Refused."""
    archive = await asyncio.to_thread(pack_release, _directory(name))
    async with open_services(context) as services:
        return await _upload(services, name, archive)


async def wish(
    context: Context, *, serving: str = "", candidate: str = "", share: float = 0.0, shadow: bool = False
) -> RolloutView:
    """Change the rollout; a candidate that is not in the registry yet is uploaded first. Raises as `upload`."""
    async with open_services(context) as services:
        known = await services.call(
            "GET", _url(services, "models"), bearer=services.operator_key, reply=list[ReleaseView]
        )
        for name in filter(None, (serving, candidate)):
            if name not in {release.name for release in known}:
                await _upload(services, name, await asyncio.to_thread(pack_release, _directory(name)))
        body = {"serving": serving or None, "candidate": candidate or None, "share": share, "shadow": shadow}
        return await services.call(
            "PUT", _url(services, "rollout"), bearer=services.operator_key, body=body, reply=RolloutView
        )


async def _upload(services: Services, name: str, archive: bytes) -> ReleaseView:
    try:
        return await exchange(
            services.session,
            "PUT",
            _url(services, f"models/{name}"),
            bearer=services.operator_key,
            data=archive,
            headers={"Content-Type": "application/zip"},
            reply=ReleaseView,
        )
    except (TimeoutError, aiohttp.ClientError) as err:
        raise Unavailable(f"the control plane does not answer: {err}") from err


def _directory(name: str) -> Path:
    return MODELS / name


def _url(services: Services, path: str) -> str:
    return f"{services.urls['control-plane']}/api/v1/{path}"


def print_rollout(context: Context, view: RolloutView) -> None:
    """For people."""
    out, now = context.out, view.rollout
    out.print(f"serving {now.serving or 'what the settings say'}; {view.reason or 'never changed'}", markup=False)
    if now.candidate:
        how = "in shadow" if now.shadow else f"for {now.share:.1%} of the viewers"
        out.print(f"candidate {now.candidate} {how}", markup=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("arm", "events", "mean watch quantile", "against control (95 %)"):
        table.add_column(column)
    for label, tally in view.tallies.items():
        effect = view.effects.get(label)
        against = f"{effect.difference:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}]" if effect else ""
        table.add_row(label, str(tally.events), f"{tally.mean:.3f}", against)
    if view.tallies:
        out.print(table)
    for label, reason in view.stopped.items():
        out.print(f"stopped {label}: {reason}", markup=False)
