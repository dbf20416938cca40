"""Metrics of a service in Prometheus' format; no label holds a word that came with a request."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from mltfr.serve.loaded import LoadedRun

TEXT = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
HISTORIES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
UNMATCHED = "unmatched"
"""Route of requests for a path that there is not."""


class Metrics:
    """What is counted and measured, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        route = ("method", "route")
        self.requests = Counter(
            "mltfr_http_requests_total", "Requests that were answered.", (*route, "status"), registry=registry
        )
        self.seconds = Histogram(
            "mltfr_http_request_duration_seconds", "From a request's header to the end of its answer.", route,
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.in_progress = Gauge("mltfr_requests_in_progress", "Requests that are being answered.", registry=registry)
        self.queued = Gauge("mltfr_queue_requests", "Requests that wait for the model.", registry=registry)
        self.rejected = Counter(
            "mltfr_requests_rejected_total", "Requests that were refused or given up.", ("reason",), registry=registry
        )
        self.batches = Histogram(
            "mltfr_batch_histories", "Histories that went through the model together.", buckets=HISTORIES,
            registry=registry,
        )  # fmt: skip
        self.inference = Histogram(
            "mltfr_inference_duration_seconds", "Time of the inference thread for what it took from the queue.",
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.fallbacks = Counter(
            "mltfr_fallback_total", "Histories that got something else than the model's items.", ("reason",),
            registry=registry,
        )  # fmt: skip
        self.unknown = Counter(
            "mltfr_unknown_items_total", "Items of histories that the run does not know, skipped.", registry=registry
        )
        self.interactions = Gauge(
            "mltfr_new_interactions", "Interactions newer than the training that are kept.", registry=registry
        )
        self.dropped = Counter(
            "mltfr_new_interactions_dropped_total", "Such interactions that gave way to later ones.", registry=registry
        )
        self.reloads = Counter("mltfr_reloads_total", "Reloads, by what came of them.", ("outcome",), registry=registry)
        self.loaded = Gauge(
            "mltfr_run_loaded_timestamp_seconds", "When the run that answers was loaded.", registry=registry
        )
        self.run = Gauge(
            "mltfr_run_info", "The run that answers.", ("run", "backbone", "fusion", "protocol"), registry=registry
        )

    def show(self, run: LoadedRun) -> None:
        """Say which run answers."""
        config = run.fitted.config
        protocol = str(run.fitted.metrics.get("protocol_hash", ""))
        self.run.clear()
        self.run.labels(run.fingerprint, config.backbone.name, config.fusion.name, protocol).set(1)
        self.loaded.set(run.loaded)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        method = method if method in METHODS else "other"
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self.registry)
