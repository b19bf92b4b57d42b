"""What serving counts about itself, for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.feed import EpochFeed


class Metrics:
    """One registry per server, so that two in a process never share numbers."""

    def __init__(self, feed: EpochFeed) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "millrace_serving_requests",
            "GraphQL requests by outcome: data, errors, invalid (could not be run), refused.",
            ["outcome"],
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "millrace_serving_request_seconds",
            "Time from a GraphQL request's arrival to its answer.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self._registry,
        )
        Gauge("millrace_serving_subscriptions", "Subscriptions being read.", registry=self._registry).set_function(
            lambda: feed.readers
        )
        Gauge(
            "millrace_serving_feed_connected", "1 while the epoch feed listens.", registry=self._registry
        ).set_function(lambda: int(feed.connected))
        Gauge(
            "millrace_serving_epoch", "Newest epoch heard of, 0 before the first.", registry=self._registry
        ).set_function(lambda: feed.newest or 0)
        Gauge("millrace_serving_start_time_seconds", "When this process started.", registry=self._registry).set(
            time.time()
        )

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)
