"""Metrics of the feed; the pages by kind add up to all pages."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from edge.feed.hydrate import WIRE_SOURCE

_BUCKETS_S = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


class FeedMetrics:
    """Registered once per process on the registry it is given. What every request counts has its label looked up here,
    not each time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        pages = Histogram(
            "feed_page_seconds", "Time to make a page, by kind.", ["kind"], buckets=_BUCKETS_S, registry=registry
        )
        self.full_page_s, self.fallback_page_s = pages.labels("full"), pages.labels("fallback")
        items = Counter("feed_items_total", "Items served, by candidate source.", ["source"], registry=registry)
        self.items = {source: items.labels(name) for source, name in WIRE_SOURCE.items()}
        self.fallbacks = Counter("feed_fallbacks_total", "Pages made in a lesser way.", ["reason"], registry=registry)
        self.unranked = Counter(
            "feed_pages_unranked_total",
            "Pages in the order from before the last report, because too many were being made.",
            registry=registry,
        )
        lists = Counter(
            "feed_lists_total", "Lists made, by kind: anew, reordered, behind a page.", ["kind"], registry=registry
        )
        self.lists_anew, self.lists_reordered, self.lists_behind = map(lists.labels, ("anew", "reordered", "behind"))
        events = Counter("feed_watch_events_total", "Watch events by what became of them.", ["kind"], registry=registry)
        self.counted, self.repeated = events.labels("counted"), events.labels("repeated")
        self.shadow_overlap = Histogram(
            "feed_shadow_overlap_ratio",
            "Share of the first 20 places that a shadowed arm has in common with what was served.",
            buckets=[n / 10 for n in range(1, 11)],
            registry=registry,
        )
        self.shadow_failures = Counter(
            "feed_shadow_failures_total", "Lists of a shadowed arm that failed or fell back.", registry=registry
        )
        self.viral = Counter("feed_viral_alarms_total", "Videos that began to go viral here.", registry=registry)
        self.pools_s = Gauge("feed_pools_seconds", "Time the shared lists took to make.", registry=registry)
        self.waiting_rows = Gauge(
            "feed_index_waiting_rows", "Rows searched exactly until a rebuild.", registry=registry
        )
