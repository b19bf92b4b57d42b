"""What serving counts about itself, for Prometheus; the names and meanings stand in `contracts.metrics`."""

from functools import partial

from prometheus_client import CollectorRegistry, generate_latest

from contracts.metrics import SERVING, Instruments
from serving.answers import Answers
from serving.feed import EpochFeed


class Metrics:
    """One registry per server, so that two in a process never share numbers."""

    def __init__(self, feed: EpochFeed, answers: Answers) -> None:
        self._registry = CollectorRegistry()
        instruments = Instruments(SERVING, self._registry)
        self.requests = instruments.counter("millrace_serving_requests_total")
        self.request_seconds = instruments.histogram("millrace_serving_request_seconds")
        self.shared_answers = instruments.counter("millrace_serving_shared_answers_total")
        for result in ("hits", "misses", "shared"):
            told = partial(getattr, answers, result)
            instruments.gauge("millrace_serving_answers").labels(result=result).set_function(told)
        instruments.gauge("millrace_serving_subscriptions").set_function(lambda: feed.readers)
        instruments.gauge("millrace_serving_feed_connected").set_function(lambda: int(feed.connected))
        instruments.gauge("millrace_serving_epoch").set_function(lambda: feed.newest or 0)

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)
