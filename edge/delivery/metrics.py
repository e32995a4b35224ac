"""Every metric of delivery. They are read from the tallies when scraped: counting costs the fast lane nothing extra.

edge_requests_total{lane,outcome,status_class}   sum over all = requests; outcome tells a hit from each class of miss
edge_body_bytes_total{lane,outcome}
edge_collapsed_total                             requests that waited on another's fetch and shared its answer
edge_coded_total                                 bodies gzipped, once for all who take them so
edge_truncated_total                             bodies cut off because their rest could not be had
edge_cmcd_requests_total{state}                  what players say of themselves: starting, starved
edge_cache_bytes{tier}, edge_cache_objects       what is held now
edge_evictions_total{tier}, edge_disk_errors_total{kind}
edge_origin_failovers_total, edge_origin_slices_total, edge_prefetch_total{result}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

if TYPE_CHECKING:
    from edge.delivery.delivery import Delivery


class DeliveryMetrics(Collector):
    """Register one per delivery: `DeliveryMetrics(delivery).register(registry)`."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def register(self, registry: CollectorRegistry) -> None:
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        yield from self._traffic()
        yield from self._tiers()
        yield from self._upstream()

    def _traffic(self) -> Iterator[Metric]:
        tally = self._delivery.tally
        requests = CounterMetricFamily(
            "edge_requests", "Requests answered.", labels=["lane", "outcome", "status_class"]
        )
        fast = tally.fast
        requests.add_metric(["fast", "hit", "2xx"], fast.hits - fast.not_modified)
        requests.add_metric(["fast", "hit", "3xx"], fast.not_modified)
        for (outcome, status_class), count in tally.requests.items():
            requests.add_metric(["slow", outcome, f"{status_class}xx"], count)
        yield requests
        yield CounterMetricFamily("edge_fast_ranges", "Range requests answered by the fast lane.", value=fast.ranges)
        sent = CounterMetricFamily("edge_body_bytes", "Body bytes sent.", labels=["lane", "outcome"])
        sent.add_metric(["fast", "hit"], fast.bytes)
        for outcome, size in tally.body_bytes.items():
            sent.add_metric(["slow", outcome], size)
        yield sent
        yield CounterMetricFamily("edge_slow_lane_seconds", "Time spent answering, slow lane.", value=tally.seconds)
        yield CounterMetricFamily("edge_collapsed", "Requests that shared another's fetch.", value=tally.collapsed)
        cmcd = CounterMetricFamily("edge_cmcd_requests", "Requests with CMCD, by what they said.", labels=["state"])
        cmcd.add_metric(["any"], tally.cmcd_requests)
        cmcd.add_metric(["starting"], tally.cmcd_starting)
        cmcd.add_metric(["starved"], tally.cmcd_starved)
        yield cmcd
        yield CounterMetricFamily("edge_coded", "Bodies gzipped, once for all who take them so.", value=tally.coded)
        yield CounterMetricFamily("edge_truncated", "Bodies that had to be cut off.", value=tally.truncated)

    def _tiers(self) -> Iterator[Metric]:
        stats, shelves = self._delivery.stats(), self._delivery.shelves
        held = GaugeMetricFamily("edge_cache_bytes", "Bytes held.", labels=["tier"])
        held.add_metric(["ram"], stats.ram_bytes)
        held.add_metric(["disk"], stats.disk_bytes)
        yield held
        yield GaugeMetricFamily("edge_cache_objects", "Stored URLs in memory.", value=stats.objects)
        evicted = CounterMetricFamily("edge_evictions", "Slices evicted.", labels=["tier"])
        evicted.add_metric(["ram"], shelves.ram.evicted_slices)
        if (disk := shelves.disk) is not None:
            evicted.add_metric(["disk"], disk.counts.evicted)
            errors = CounterMetricFamily("edge_disk_errors", "Disk trouble, by kind.", labels=["kind"])
            errors.add_metric(["read"], disk.counts.read_errors)
            errors.add_metric(["write"], disk.counts.write_errors)
            errors.add_metric(["corrupt"], disk.counts.corrupt)
            errors.add_metric(["dropped_write"], disk.counts.dropped_writes)
            yield errors
        yield evicted

    def _upstream(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "edge_origin_failovers", "Requests taken to the next origin.", value=self._delivery.stats().failovers
        )
        yield CounterMetricFamily("edge_origin_slices", "Slices fetched.", value=self._delivery.source.fetched_slices)
        counts = self._delivery.prefetch_counts
        prefetch = CounterMetricFamily("edge_prefetch", "Prefetch orders, by result.", labels=["result"])
        for result in ("fetched", "present", "failed", "dropped", "cancelled"):
            prefetch.add_metric([result], getattr(counts, result))
        yield prefetch
