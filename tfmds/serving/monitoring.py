"""What the service counts, for Prometheus."""

from typing import Any, TypeVar

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase

_Kind = TypeVar("_Kind", bound=MetricWrapperBase)


class Metrics:
    """Counters of one service, apart from those of others in the process."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self.requests = self._make(
            prometheus_client.Counter,
            "requests",
            "Requests by route, method and status code.",
            ("route", "method", "code"),
        )
        self.seconds = self._make(
            prometheus_client.Histogram,
            "request_seconds",
            "Time until a request was answered.",
            ("route",),
        )
        self.batched = self._make(
            prometheus_client.Histogram,
            "predict_batch_requests",
            "Requests that were answered in one batch with a :predict request.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
        )
        self.jobs = self._make(
            prometheus_client.Counter,
            "jobs",
            "Videos by their end.",
            ("end",),
        )
        self.results = self._make(
            prometheus_client.Counter,
            "results",
            "Videos that were done, by the status of their result.",
            ("status",),
        )
        self.job_seconds = self._make(
            prometheus_client.Histogram,
            "job_seconds",
            "Time a video was worked on.",
            buckets=(1, 2, 5, 10, 30, 60, 120, 300, 600, 1800),
        )
        self.queued = self._make(
            prometheus_client.Gauge, "jobs_queued", "Videos that wait."
        )
        self.running = self._make(
            prometheus_client.Gauge, "jobs_running", "Videos that are worked on."
        )
        self.workers = self._make(
            prometheus_client.Gauge,
            "worker_starts",
            "Worker processes started since the service was.",
        )

    def _make(
        self,
        kind: type[_Kind],
        name: str,
        text: str,
        labels: tuple[str, ...] = (),
        **options: Any,
    ) -> _Kind:
        return kind(f"tfmds_{name}", text, labels, registry=self.registry, **options)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return prometheus_client.generate_latest(self.registry)
