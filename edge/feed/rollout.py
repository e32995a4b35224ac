"""Follows the centre's rollout: fetches releases, swaps models, tells how the arms do, stops what must stop."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from edge.feed.arms import Arms
from edge.feed.model_switch import ModelSwitch
from edge.feed.settings import FeedSettings
from foundation.errors import Unavailable
from foundation.settings import Secret
from foundation.tasks import end_tasks
from foundation.wire.models import CANDIDATE, MAX_RELEASE_BYTES, RELEASE_NAME, ArmTally, Rollout
from foundation.wire.pops import PopDirective
from inference.errors import ModelError, ModelMissing
from inference.experiments import Arm, Experiment
from inference.feed.model_archive import unpack_release

_log = logging.getLogger(__name__)


class Releases(Protocol):
    async def fetch(self, name: str) -> bytes:
        """A packed release. Raises Unavailable, ModelMissing."""
        ...


class HttpReleases:
    """GET /internal/v1/models/{name} of the control plane. `session` is the composition's."""

    def __init__(self, session: aiohttp.ClientSession, *, base_url: str, service_key: Secret) -> None:
        self._session = session
        self._url = f"{base_url.rstrip('/')}/internal/v1/models"
        self._headers = {"Authorization": f"Bearer {str.__str__(service_key)}"}

    async def fetch(self, name: str) -> bytes:
        timeout = aiohttp.ClientTimeout(total=300, sock_read=30)
        try:
            async with self._session.get(f"{self._url}/{name}", headers=self._headers, timeout=timeout) as reply:
                if reply.status == 404:
                    raise ModelMissing(f"the registry has no release {name}")
                if reply.status != 200 or (reply.content_length or 0) > MAX_RELEASE_BYTES:
                    raise Unavailable(f"the registry answered {reply.status} for release {name}")
                return await _bounded(reply)
        except (aiohttp.ClientError, TimeoutError) as err:
            raise Unavailable(f"the registry of models: {type(err).__name__}") from err


async def _bounded(reply: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in reply.content.iter_chunked(1 << 20):
        raw += chunk
        if len(raw) > MAX_RELEASE_BYTES:
            raise Unavailable(f"a release is larger than {MAX_RELEASE_BYTES} bytes")
    return bytes(raw)


class ModelRollout:
    """Brings the PoP to the directive's rollout in a task of its own; a failure is tried again with a later beat."""

    def __init__(self, models: ModelSwitch, releases: Releases, *, settings: FeedSettings, model_dir: Path) -> None:
        self._models = models
        self._releases = releases
        self._settings = settings
        self._model_dir = model_dir
        self._applied = Rollout()
        self._failed: Rollout | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def applied(self) -> Rollout:
        return self._applied

    def told(self, directive: PopDirective) -> None:
        """One answer to a heartbeat. Returns at once; stops take effect with the next page."""
        self._models.arms.stop_labels(directive.stopped_arms)
        idle = self._task is None or self._task.done()
        if idle and directive.rollout != self._applied:
            self._task = asyncio.create_task(self._follow(directive.rollout), name="model-rollout")

    async def settled(self) -> None:
        """Wait for the change under way, if there is one."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])

    async def _follow(self, rollout: Rollout) -> None:
        try:
            for name in (rollout.serving, rollout.candidate):
                await self._have(name)
            await self._models.serve(
                model=rollout.serving or self._settings.model, experiment=self._experiment(rollout)
            )
        except (ModelError, Unavailable) as err:
            if self._failed != rollout:  # every beat tries again: say it once
                _log.error("a rollout cannot be followed: %s", err.detail, extra={"event": "rollout_failed"})
            self._failed = rollout
            return
        self._applied, self._failed = rollout, None
        _log.info(
            "serving %s, candidate %s",
            rollout.serving or "the model of the settings",
            rollout.candidate or "none",
            extra={"event": "rollout_applied", "share": rollout.share},
        )

    async def _have(self, name: str) -> None:
        if not name:
            return
        if not re.fullmatch(RELEASE_NAME, name):
            raise ModelMissing("a rollout names a release that cannot exist")
        folder = self._model_dir / name
        if not await asyncio.to_thread((folder / "model.json").is_file):
            await asyncio.to_thread(unpack_release, await self._releases.fetch(name), folder)

    def _experiment(self, rollout: Rollout) -> Experiment | None:
        """The rollout's candidate goes before an experiment of the settings: one at a time."""
        if not rollout.candidate:
            return self._settings.experiment
        arm = Arm(share=rollout.share, model=rollout.candidate, shadow=rollout.shadow)
        return Experiment(name=rollout.candidate, arms={CANDIDATE: arm})


def arms_for_heartbeat(arms: Arms) -> dict[str, Any]:
    """Fields of PopHeartbeat."""
    return {
        "model": arms.control.name,
        "arms": {
            label: ArmTally(events=mean.count, mean=mean.mean, squares=mean.squares)
            for label, mean in arms.tallies.items()
        },
        "stopped_arms": dict(arms.stops),
    }
