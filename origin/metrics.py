"""The metrics of a packager worker."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class WorkerMetrics:
    """What a packager worker counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.jobs = Counter(
            "origin_jobs_total", "Jobs ended, by kind and outcome.", ["kind", "outcome"], registry=registry
        )
        self.jobs_waiting = Gauge(
            "video_processing_queue_depth", "Jobs by kind and state.", ["kind", "state"], registry=registry
        )
        self.publish_s = Histogram(
            "video_time_to_publish_seconds",
            "Claim of the job to the first rung published.",
            buckets=(1, 2, 4, 8, 15, 30, 60, 120, 300),
            registry=registry,
        )
        self.complete_s = Histogram(
            "video_time_to_complete_seconds",
            "Claim of the job to the last rung published.",
            buckets=(1, 2, 4, 8, 15, 30, 60, 120, 300, 600),
            registry=registry,
        )
