"""Builds one worker's real objects and runs it until SIGTERM: readiness goes first, then the door, then the rest."""

import asyncio
import gc
import os
import resource
import signal
from contextlib import suppress

import structlog
import uvloop
from granian.constants import HTTPModes
from granian.http import HTTP1Settings
from granian.server.embed import Server
from prometheus_client import CollectorRegistry, multiprocess

from contracts.metrics import GATEWAY, Instruments
from contracts.settings import KafkaSettings, ShopSettings
from contracts.topics import ALL, EVENT_TOPICS, REJECTED
from ingestion.adapters import make_adapters, make_pages
from ingestion.errors import StartRefusedError
from ingestion.http import Application, State
from ingestion.intake import Intake
from ingestion.kafka import Broker, producer_configuration
from ingestion.keys import KeyRing
from ingestion.registry_api import RegistryApi
from ingestion.sender import Senders, read_salt
from ingestion.settings import GatewaySettings
from ingestion.validate import Rules, Validator
from schemas_avro import load_registry

_log = structlog.get_logger()
_HOUSEKEEPING_SECONDS = 1.0
_OTHER_FILES = 256
"""What a worker has open besides connections: the broker, logs, libraries."""
_DAY_MS = 24 * 60 * 60 * 1000


class Worker:
    """Everything one process serves with."""

    def __init__(
        self, settings: GatewaySettings, shop: ShopSettings, kafka: KafkaSettings, lifeline: int | None
    ) -> None:
        registry = load_registry()
        prometheus = CollectorRegistry()
        instruments = Instruments(GATEWAY, prometheus)
        rules = Rules(shop.currency, shop.future_tolerance_seconds * 1000, int(settings.max_age_days * _DAY_MS))
        self._lifeline = lifeline
        self.settings = settings
        self.keys = KeyRing(settings.keys_file)
        senders = Senders(settings.client_ip, settings.trusted_proxies, read_salt(settings.salt_file))
        self.broker = Broker(
            producer_configuration(
                kafka.bootstrap,
                delivery_timeout_ms=settings.delivery_timeout_ms,
                linger_ms=settings.linger_ms,
                queue_messages=settings.queue_messages,
                queue_kib=settings.queue_kib,
            ),
            tuple(topic.name for topic in (*EVENT_TOPICS, REJECTED)),
            kafka.topic_prefix,
            settings.broker_check_seconds,
            instruments,
        )
        intake = Intake(
            settings=settings,
            registry=registry,
            keys=self.keys,
            senders=senders,
            validator=Validator(rules, registry),
            broker=self.broker,
            instruments=instruments,
        )
        self.application = Application(
            adapters=make_adapters(settings, registry, senders),
            pages=(
                *RegistryApi(registry, ALL, kafka.topic_prefix, settings.read_timeout_seconds).routes(),
                *make_pages(settings, self.keys),
            ),
            intake=intake,
            senders=senders,
            broker=self.broker,
            instruments=instruments,
            collect=lambda: _collected(prometheus),
            retry_after_seconds=settings.retry_after_seconds,
        )

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT. Returns the exit code: 1 if the producer failed for good."""
        _settle_garbage_collector()
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        if (lifeline := self._lifeline) is not None:
            loop.add_reader(lifeline, stop.set)
        self.broker.start(loop)
        await asyncio.to_thread(self.broker.wait_for_first_check)
        server = self._server()
        serving = asyncio.create_task(server.serve())
        housekeeping = asyncio.create_task(self._keep_house(stop))
        _log.info("gateway_started", host=self.settings.host, port=self.settings.port, pid=os.getpid())
        await asyncio.wait({serving, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        housekeeping.cancel()
        if lifeline is not None:
            loop.remove_reader(lifeline)
        if serving.done():  # the server ended by itself: its error says why
            await serving
        await self._drain(server, serving)
        return 1 if self.broker.failed.is_set() else 0

    async def _drain(self, server: Server, serving: "asyncio.Task[None]") -> None:
        self.application.state = State.DRAINING
        await asyncio.sleep(self.settings.drain_seconds)
        server.stop()  # type: ignore[no-untyped-call] # granian leaves it untyped
        with suppress(TimeoutError):
            await asyncio.wait_for(serving, self.settings.shutdown_seconds)
        left = await self.broker.stop(self.settings.shutdown_seconds)
        await asyncio.sleep(0)
        _log.info("gateway_stopped", unacknowledged=left)

    def _server(self) -> Server:
        return Server(
            self.application,
            self.settings.host,
            self.settings.port,
            log_enabled=False,
            http=HTTPModes.http1,  # telling HTTP/2 apart would wait for the first byte without a limit
            websockets=False,
            backlog=1024,
            backpressure=_allowed_connections(self.settings.max_connections),
            http1_settings=HTTP1Settings(
                header_read_timeout=int(self.settings.read_timeout_seconds * 1000),
                max_buffer_size=self.settings.max_head_bytes,
            ),
        )

    async def _keep_house(self, stop: asyncio.Event) -> None:
        complaint = ""
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            try:
                if self.keys.reload():
                    _log.info("keys_reloaded")
                complaint = ""
            except StartRefusedError as error:  # the last good keys stay in force
                if str(error) != complaint:
                    complaint = str(error)
                    _log.error("keys_not_reloaded", reason=complaint)
            self.application.refresh_gauges()
            self.broker.tell_tally()
            if self.broker.failed.is_set():
                stop.set()


def _settle_garbage_collector() -> None:
    """Leave what was made at start out of every collection, and collect seldom: requests make no cycles.

    Collecting every 700 objects was 5 % of what a single event cost.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _allowed_connections(wanted: int) -> int:
    """As many as wanted, or as the system's limit of open files allows; the soft limit is raised as far as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < needed:
            _log.warning("connections_limited", wanted=wanted, allowed=soft - _OTHER_FILES)
            return max(1, soft - _OTHER_FILES)
    return wanted


def _collected(own: CollectorRegistry) -> CollectorRegistry:
    """This process's metrics, or all workers' where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return own
    everyone = CollectorRegistry()
    multiprocess.MultiProcessCollector(everyone)  # type: ignore[no-untyped-call] # prometheus_client leaves it untyped
    return everyone


def serve(settings: GatewaySettings, shop: ShopSettings, kafka: KafkaSettings, lifeline: int | None = None) -> int:
    """Run one worker in this process; returns its exit code. Raises StartRefusedError.

    A lifeline is a pipe (its file descriptor) that ends when the worker's supervisor is gone: then the worker stops.
    """
    worker = Worker(settings, shop, kafka, lifeline)
    return uvloop.run(worker.run())
