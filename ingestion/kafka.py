"""The way to the broker: one idempotent producer, polled by the event loop, one future per request.

Records are handed over once per turn of the event loop, those of all requests that came in it: one by one, each request
would wake the producer's thread and find cold caches. A request's records are delivered when the broker has
acknowledged the last of them, or one has failed. The loop asks for acknowledgements every millisecond while some are
missing: a thread that waited for them would fight it for the interpreter lock (decision 15).
A thread asks the broker for its topics; while it does not answer, requests are refused at once, not queued.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from contracts.metrics import Instruments
from contracts.problems import Problem
from contracts.topics import TALLIES
from ingestion.errors import RequestRefusedError
from ingestion.tally import Tally
from ingestion.validate import Record

Header = tuple[str, str | bytes | None]

_POLL_SECONDS: Final = 0.001
_LAST_TALLY_SECONDS: Final = 1.0
_IDLE_POLL_SECONDS: Final = 0.1
"""While nothing is under way; the producer's complaints come by polling too."""

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


class _Delivery:
    """The records of one request on their way."""

    __slots__ = ("_done", "error", "future", "headers", "pending", "records")

    def __init__(
        self,
        records: Sequence[Record],
        headers: list[Header],
        future: "asyncio.Future[None]",
        done: list["_Delivery"],
    ) -> None:
        self.records = records
        self.headers = headers
        self.future = future
        self.pending = len(records)
        self.error: KafkaError | None = None
        self._done = done

    def acknowledge(self, error: KafkaError | None, _message: object) -> None:
        """librdkafka's report on one record."""
        if error is not None:
            self.error = error
        self.pending -= 1
        if self.pending == 0:
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
        self._names = {topic: prefix + topic for topic in (*topics, TALLIES.name)}
        self._check_seconds = check_seconds
        self._stopping = threading.Event()
        self._checked = threading.Event()
        self._tally = Tally()
        self._waiting: list[_Delivery] = []
        """Not handed over yet."""
        self._done: list[_Delivery] = []
        self._idle = True
        self._failures = instruments.counter("millrace_gateway_kafka_delivery_failures_total")
        self._ack_seconds = instruments.histogram("millrace_gateway_ack_seconds")
        self._up = instruments.gauge("millrace_gateway_kafka_up")
        self._up.set(0)
        self.failed = threading.Event()
        """Set once the producer can never deliver again; the process must be replaced."""
        self.unavailable: str | None = "the broker has not answered yet"
        """Why nothing can be delivered; None while all is well."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start polling and checking; everything else is called in `loop`."""
        self._loop = loop
        self._timer = loop.call_soon(self._poll)
        self._checker = threading.Thread(target=self._check, name="kafka-check", daemon=True)
        self._checker.start()

    def wait_for_first_check(self) -> None:
        """Block until it is known whether the broker is there; a new worker takes no request just to refuse it."""
        self._checked.wait(2 * self._check_seconds + 1)

    @property
    def queued(self) -> int:
        """Records handed over and not yet reported on."""
        return len(self._producer)

    async def deliver(self, records: Sequence[Record], headers: list[Header]) -> None:
        """Hand records over and wait for the broker's word on every one.

        Raises RequestRefusedError unless all were acknowledged; some may have been stored all the same.
        """
        if self.unavailable is not None:
            raise RequestRefusedError(Problem.BROKER_UNAVAILABLE, f"Not now: {self.unavailable}.")
        begun_at = time.perf_counter()
        delivery = _Delivery(records, headers, self._loop.create_future(), self._done)
        if not self._waiting:
            self._loop.call_soon(self._hand_over)
        self._waiting.append(delivery)
        await delivery.future
        self._ack_seconds.observe(time.perf_counter() - begun_at)
        if delivery.error is not None:
            self._failures.labels(delivery.error.name()).inc()
            raise _refused(delivery.error)

    def tell_tally(self) -> None:
        """Tell the books how much was acknowledged by now, if it has become more."""
        tally = self._tally.news()
        if tally is None or self.unavailable is not None:
            return

        def acknowledge(error: KafkaError | None, _message: object) -> None:
            if error is None:
                self._tally.told(tally)

        with suppress(BufferError, KafkaException):  # the next one says all that this one would have said
            self._producer.produce(self._names[TALLIES.name], tally, self._tally.worker, on_delivery=acknowledge)

    async def stop(self, timeout_seconds: float) -> int:
        """Wait for what is under way, then stop. Returns the records that were never acknowledged.

        Whoever waits for such a record gets an error, never a 2xx.
        """
        deadline = time.monotonic() + timeout_seconds
        self._hand_over()
        while len(self._producer) and time.monotonic() < deadline:  # noqa: ASYNC110 - librdkafka tells nobody
            await asyncio.sleep(0.01)
        left = len(self._producer)
        self._poll()
        self.tell_tally()
        self._producer.flush(_LAST_TALLY_SECONDS if not left else 0)
        if left:
            self._producer.purge()
            self._producer.poll(0.1)  # the reports of it
        self._poll()
        self._timer.cancel()
        self._stopping.set()
        await asyncio.to_thread(self._checker.join, 2 * self._check_seconds + 1)
        return left

    def _hand_over(self) -> None:
        produce, names = self._producer.produce, self._names
        waiting, self._waiting = self._waiting, []
        for delivery in waiting:
            headers, acknowledge = delivery.headers, delivery.acknowledge
            try:
                for record in delivery.records:
                    produce(names[record.topic], record.value, record.key, on_delivery=acknowledge, headers=headers)
            except Exception as error:  # that request's; the others must not wait for ever
                if not delivery.future.done():
                    delivery.future.set_exception(_not_taken(error))
        if self._idle and waiting:
            self._idle = False
            self._poll_in(_POLL_SECONDS)

    def _poll(self) -> None:
        try:
            self._producer.poll(0)
            for delivery in self._done:
                if delivery.error is None:
                    self._tally.count(delivery.records)
                if not delivery.future.done():
                    delivery.future.set_result(None)
            self._done.clear()
        finally:  # whatever happens, the next request wants its acknowledgements
            self._idle = not len(self._producer)
            self._poll_in(_IDLE_POLL_SECONDS if self._idle else _POLL_SECONDS)

    def _poll_in(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._poll)

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


_PERMANENT: Final = frozenset({
    KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.INVALID_RECORD, KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
    KafkaError.POLICY_VIOLATION,
})  # fmt: skip
"""Errors that sending the same records again will meet again."""


def _not_taken(error: Exception) -> Exception:
    if isinstance(error, KafkaException):
        return _refused(error.args[0])
    if isinstance(error, BufferError):
        return RequestRefusedError(Problem.OVERLOADED, "The queue to the event log is full; try again.")
    return error


def _refused(error: KafkaError) -> RequestRefusedError:
    if error.code() in _PERMANENT:
        return RequestRefusedError(Problem.BROKER_REFUSED, f"The broker said {error.name()}.")
    return RequestRefusedError(Problem.BROKER_UNAVAILABLE, f"Not acknowledged ({error.name()}); send it again.")
