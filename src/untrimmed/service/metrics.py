"""What Prometheus is told of a service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one service, with a registry of their own.

    Attributes:
        requests: that were answered, by path and by status; 499 is a client that went before its answer.
        held: requests and jobs from their first byte to their end.
        waiting: recordings that wait for the model.
        batch: recordings that the model was given at once.
        seconds: that were needed for the stages `body`, `features` (checking them), `video` and `model` (with the wait
            for it).
        received: bytes of bodies.
        jobs: that ended, by how.
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        name = "untrimmed"
        self.requests = Counter("requests", "Answered requests", ["path", "status"], namespace=name, registry=registry)
        self.held = Gauge("held", "Requests and jobs that are held", namespace=name, registry=registry)
        self.waiting = Gauge("waiting", "Recordings that wait for the model", namespace=name, registry=registry)
        self.batch = Histogram(
            "batch_size", "Recordings in a batch", namespace=name, registry=registry, buckets=BATCHES
        )
        self.seconds = Histogram(
            "seconds", "Seconds of a stage", ["stage"], namespace=name, registry=registry, buckets=SECONDS
        )
        self.received = Counter("received_bytes", "Bytes of bodies", namespace=name, registry=registry)
        self.jobs = Counter("jobs", "Ended jobs", ["status"], namespace=name, registry=registry)
        ProcessCollector(registry=registry)

    def text(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return generate_latest(self._registry)
