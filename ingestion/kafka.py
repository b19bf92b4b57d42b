"""The way to the broker: one idempotent producer, one thread that polls it, one future per request.

A `Delivery` is all records of one request; it is done when the broker has acknowledged the last of them or one has
failed. Acknowledgements are collected in the polling thread and handed to the event loop in one wake-up per poll.
A second thread asks the broker for its topics; while it does not answer, requests are refused at once, not queued.
"""

import asyncio
import logging
import threading
import time
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from contracts.metrics import Instruments
from ingestion.errors import Problem, RequestRefusedError

Header = tuple[str, str | bytes | None]

_log = structlog.get_logger()
_quiet: Final = logging.getLogger(
    "ingestion.librdkafka"
)  # a line per reconnect attempt; we log the transitions instead
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def producer_configuration(bootstrap: str, *, delivery_timeout_ms: int, linger_ms: float, queue_messages: int,
                           queue_kib: int) -> dict[str, Any]:  # fmt: skip
    """librdkafka's settings: acknowledged by all in-sync replicas, no duplicates by retries, bounded memory."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": "millrace-gateway",
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": linger_ms,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",  # what Java clients use: the same key lands in the same partition
        "message.timeout.ms": delivery_timeout_ms,
        "queue.buffering.max.messages": queue_messages,
        "queue.buffering.max.kbytes": queue_kib,
        "message.max.bytes": 2 * 1024 * 1024,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 10_000,
        "log.connection.close": False,
    }


class Delivery:
    """The records of one request on their way. Made and awaited in the event loop, completed in the polling thread."""

    __slots__ = ("_done", "_pending", "begun_at", "error", "future")

    def __init__(self, records: int, future: "asyncio.Future[None]", done: list["Delivery"]) -> None:
        self._pending = records
        self._done = done
        self.future = future
        self.error: KafkaError | None = None
        self.begun_at = time.perf_counter()

    def acknowledge(self, error: KafkaError | None, _message: object) -> None:
        """librdkafka's report on one record."""
        if error is not None:
            self.error = error
        self._pending -= 1
        if self._pending == 0:
            self._done.append(self)


class Broker:
    """Delivers records and knows whether the broker is there. `start` it before use."""

    def __init__(
        self,
        configuration: dict[str, Any],
        topics: tuple[str, ...],
        prefix: str,
        check_seconds: float,
        instruments: Instruments,
    ) -> None:
        self._producer = Producer({**configuration, "error_cb": self._on_error}, logger=_quiet)
        self._names = {topic: prefix + topic for topic in topics}
        self._check_seconds = check_seconds
        self._stopping = threading.Event()
        self._checked = threading.Event()
        self._done: list[Delivery] = []
        self._threads: list[threading.Thread] = []
        self._failures = instruments.counter("millrace_gateway_kafka_delivery_failures_total")
        self._ack_seconds = instruments.histogram("millrace_gateway_ack_seconds")
        self._up = instruments.gauge("millrace_gateway_kafka_up")
        self._up.set(0)
        self.failed = threading.Event()
        """Set once the producer can never deliver again; the process must be replaced."""
        self.unavailable: str | None = "the broker has not answered yet"
        """Why nothing can be delivered; None while all is well."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start polling and checking; deliveries complete in `loop`."""
        self._loop = loop
        for name, work in (("kafka-poll", self._poll), ("kafka-check", self._check)):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def wait_for_first_check(self) -> None:
        """Block until it is known whether the broker is there; a new worker takes no request just to refuse it."""
        self._checked.wait(2 * self._check_seconds + 1)

    @property
    def queued(self) -> int:
        """Records handed over and not yet reported on."""
        return len(self._producer)

    def begin(self, records: int) -> Delivery:
        """A delivery of exactly `records` records, which must then be sent. Raises RequestRefusedError."""
        if self.unavailable is not None:
            raise RequestRefusedError(Problem.BROKER_UNAVAILABLE, f"Not now: {self.unavailable}.")
        return Delivery(records, self._loop.create_future(), self._done)

    def send(self, delivery: Delivery, topic: str, key: bytes | None, value: bytes, headers: list[Header]) -> None:
        """Hand one record over. Raises RequestRefusedError when the queue is full; the rest must not be sent then."""
        try:
            self._producer.produce(self._names[topic], value, key, on_delivery=delivery.acknowledge, headers=headers)
        except BufferError as error:
            raise RequestRefusedError(Problem.OVERLOADED, "The queue to the event log is full; try again.") from error
        except KafkaException as error:
            raise _refused(error.args[0]) from error

    async def finish(self, delivery: Delivery) -> None:
        """Wait for the broker's word on every record. Raises RequestRefusedError unless all were acknowledged."""
        await delivery.future
        self._ack_seconds.observe(time.perf_counter() - delivery.begun_at)
        if delivery.error is not None:
            self._failures.labels(delivery.error.name()).inc()
            raise _refused(delivery.error)

    def stop(self, timeout_seconds: float) -> int:
        """Wait for what is under way, then stop the threads. Returns the records that were never acknowledged.

        Blocks; call it outside the event loop. Whoever waits for such a record gets an error, never a 2xx.
        """
        deadline = time.monotonic() + timeout_seconds
        while (
            len(self._producer) and time.monotonic() < deadline
        ):  # not `flush`: reports are for the polling thread alone
            time.sleep(0.01)
        left = len(self._producer)
        if left:
            self._producer.purge()
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * self._check_seconds + 1)
        return left

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)
            self._hand_over()
        self._producer.poll(0.1)  # the reports of a purge
        self._hand_over()

    def _hand_over(self) -> None:
        if self._done:
            self._loop.call_soon_threadsafe(_complete, self._done.copy())
            self._done.clear()

    def _check(self) -> None:
        while not self._stopping.is_set():
            self._note(self._ask())
            self._checked.set()
            self._stopping.wait(self._check_seconds)

    def _ask(self) -> str | None:
        try:
            known = self._producer.list_topics(timeout=2 * self._check_seconds).topics
        except KafkaException as error:
            return f"the broker does not answer ({error.args[0].name()})"
        missing = [topic for topic in self._names.values() if topic not in known or known[topic].error is not None]
        return f"the broker lacks the topic {', '.join(missing)}" if missing else None

    def _note(self, unavailable: str | None) -> None:
        if (unavailable is None) != (self.unavailable is None):
            if unavailable is None:
                _log.info("broker_available")
            else:
                _log.warning("broker_unavailable", reason=unavailable)
        self.unavailable = unavailable
        self._up.set(0 if unavailable else 1)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():  # the idempotent producer cannot go on: a new one is needed, so this process ends
            self._note(f"the producer has failed for good ({error.name()})")
            _log.critical("producer_failed", error=error.name(), detail=str(error))
            self.failed.set()


def _complete(deliveries: list[Delivery]) -> None:
    for delivery in deliveries:
        if not delivery.future.done():
            delivery.future.set_result(None)


_PERMANENT: Final = frozenset({
    KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.INVALID_RECORD, KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
    KafkaError.POLICY_VIOLATION,
})  # fmt: skip
"""Errors that sending the same records again will meet again."""


def _refused(error: KafkaError) -> RequestRefusedError:
    if error.code() in _PERMANENT:
        return RequestRefusedError(Problem.BROKER_REFUSED, f"The broker said {error.name()}.")
    return RequestRefusedError(Problem.BROKER_UNAVAILABLE, f"Not acknowledged ({error.name()}); send it again.")
