"""`python -m origin.worker --config FILE`: a packager worker with /healthz, /readyz and /metrics on `listen`."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from aiohttp import web

from foundation.http.server import new_app, run_service
from foundation.stores.job_queue import JobQueue, RetryPolicy
from foundation.tasks import end_tasks, until_done
from foundation.telemetry.metrics import new_registry
from origin.accounts.access import AccessStore
from origin.accounts.account_store import AccountStore
from origin.accounts.erasure import Erasure
from origin.lifecycle.remix import Remix
from origin.lifecycle.video_store import VideoStore
from origin.metrics import WorkerMetrics
from origin.packaging.embedding import Embedding, load_embedder
from origin.packaging.erasing import Erasing
from origin.packaging.materials import MaterialFetcher
from origin.packaging.pipeline import Package, Pipeline
from origin.packaging.runner import Runner
from origin.packaging.scratch import Scratch
from origin.packaging.sound_making import SoundMaking
from origin.settings import OriginSettings
from origin.shards import keep_map_fresh
from origin.social.social_store import SocialStore
from origin.sounds.forgetting import SoundForgetting
from origin.sounds.sound_store import SoundStore
from origin.stores import Stores, open_stores
from packager.engine import package, prepare_sound
from packager.limits import Limits


@asynccontextmanager
async def compose(settings: OriginSettings, *, encoder: Package = package) -> AsyncIterator[web.Application]:
    """settings -> stores -> pipeline -> runner; stopping hands the jobs under way back to the queue."""
    registry = new_registry()
    metrics = WorkerMetrics(registry)
    embedder = await asyncio.to_thread(load_embedder, settings.model_dir)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed") as pool:
        async with open_stores(settings) as stores:
            videos = VideoStore(stores.shards)
            embedding = Embedding(
                embedder=embedder, videos=videos, objects=stores.objects, shards=stores.shards, pool=pool
            )
            runner = _runner(settings, stores, metrics, videos, embedding, encoder)
            duties: dict[str, Callable[[], Awaitable[None]]] = {
                **{f"listen {name}": listener.run for name, listener in stores.listeners.items()},
                "shard map": lambda: keep_map_fresh(stores.shards),
                "jobs": runner.run,
            }
            tasks = [asyncio.create_task(until_done(name, run)) for name, run in duties.items()]
            try:
                yield new_app("worker", ready=lambda: _ready(stores), registry=registry)
            finally:
                await end_tasks(tasks)


def _runner(
    settings: OriginSettings,
    stores: Stores,
    metrics: WorkerMetrics,
    videos: VideoStore,
    embedding: Embedding,
    encoder: Package,
) -> Runner:
    accounts = AccountStore(stores.shards)
    sounds = SoundStore(stores.shards)
    remix = Remix(videos=videos, sounds=sounds, access=AccessStore(stores.shards, accounts))
    scratch = Scratch(settings.scratch_dir)
    limits = Limits(
        max_bytes=settings.max_file_bytes,
        max_duration_s=settings.max_duration_ms / 1000,
        frame_memory_bytes=settings.frame_memory_bytes,
        frame_disk_bytes=settings.frame_disk_bytes,
    )
    queue = JobQueue(
        stores.shards,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        lease_s=settings.lease_s,
        policy=RetryPolicy(max_attempts=settings.job_tries, first_delay_s=settings.job_first_delay_s),
    )
    pipeline = Pipeline(
        videos=videos,
        accounts=accounts,
        objects=stores.objects,
        shards=stores.shards,
        embedding=embedding,
        package=encoder,
        limits=limits,
        materials=MaterialFetcher(remix=remix, objects=stores.objects, max_bytes=settings.max_material_bytes),
        scratch=scratch,
        timeout_s=settings.packaging_timeout_s,
        sweep_delay_s=settings.sweep_delay_s,
        metrics=metrics,
    )
    return Runner(
        queue=queue,
        pipeline=pipeline,
        sound_making=SoundMaking(
            sounds=sounds,
            objects=stores.objects,
            scratch=scratch,
            prepare=prepare_sound,
            limits=limits,
            timeout_s=settings.packaging_timeout_s,
        ),
        scratch=scratch,
        erasure=Erasure(
            shards=stores.shards,
            videos=videos,
            social=SocialStore(stores.shards),
            objects=stores.objects,
            settle_s=settings.erase_settle_s,
        ),
        erasing=Erasing(
            shards=stores.shards,
            objects=stores.objects,
            videos=videos,
            queue=queue,
            sounds=SoundForgetting(shards=stores.shards, accounts=accounts),
        ),
        videos=videos,
        accounts=accounts,
        listeners=list(stores.listeners.values()),
        metrics=metrics,
        at_once=settings.jobs_at_once,
    )


async def _ready(stores: Stores) -> None:
    async with stores.shards.control() as connection:
        await connection.fetchval("select 1")


def main() -> None:
    run_service("worker", OriginSettings, compose)


if __name__ == "__main__":
    main()
