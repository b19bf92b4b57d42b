"""Locust users of the gateway, in an open model: every request has its intended time, met or not.

A user that is behind sends at once, and its latency counts from the intended time, so that a slow gateway cannot
hide its slowness by slowing down the generator. Runs by `python -m loadtest load`, or alone:

    locust -f loadtest/locustfile.py --headless --host http://127.0.0.1:7070 --events-per-second 2000 -t 60s
"""

import resource
import secrets
import time
from argparse import Namespace
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final

import gevent
import orjson
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtest.latency import Latencies
from loadtest.payloads import Pool
from loadtest.shop import Shop
from loadtest.workload import UserShare, read_workload

_POOL_EVENTS: Final = 20_000


class Results:
    """What this process did."""

    def __init__(self, asked_per_second: float) -> None:
        self.asked_per_second = asked_per_second
        self.started = 0.0
        self.finished = 0.0
        self.cpu_at_start = 0.0
        self.requests = 0
        self.events = 0
        """Acknowledged."""
        self.errors: Counter[str] = Counter()
        self.latencies: dict[str, Latencies] = {}
        self.send_lag = Latencies()
        """How late requests left: the generator's own share of the latency."""

    def figures(self) -> dict[str, Any]:
        """As the result file has them."""
        seconds = max(self.finished - self.started, 1e-9)
        return {
            "asked_per_second": self.asked_per_second,
            "achieved_per_second": round(self.events / seconds, 1),
            "seconds": round(seconds, 3),
            "requests": self.requests,
            "events": self.events,
            "errors": dict(self.errors),
            "latency_ms": {name: latencies.summary_ms() for name, latencies in self.latencies.items()},
            "send_lag_ms": self.send_lag.summary_ms(),
            "generator_cores": round((_cpu_seconds() - self.cpu_at_start) / seconds, 3),
        }


def _arguments(parser: LocustArgumentParser) -> None:
    parser.add_argument("--events-per-second", type=float, default=2000.0, help="Over all users.")
    parser.add_argument("--workload", default="mixed", help="Name of a workload, or a .toml file.")
    parser.add_argument("--write-key", env_var="MILLRACE_SIMULATOR_WRITE_KEY", default="", is_secret=True)
    parser.add_argument("--result-file", default="", help="Write the figures of this process here.")


def _prepare(environment: Environment, **_: Any) -> None:
    """Once per process: the pool, the shares, the results."""
    options = _options(environment)
    workload = read_workload(options.workload)
    run = secrets.token_hex(4)
    shop = Shop(secrets.randbelow(2**32))
    GatewayUser.pool = Pool((e.stamped(0) for e in islice(shop.events(50), _POOL_EVENTS)), run)
    GatewayUser.results = Results(options.events_per_second)
    GatewayUser.key = options.write_key
    shares = workload.shares()
    for user_class in (JsonUser, AvroBatchUser):
        share = shares.get(user_class.__name__)
        user_class.plan = share
        user_class.fixed_count = share.users if share else 0
        user_class.started = 0
    # Timers count from the loop's cached time. Without this the run would be shorter by what the above took.
    gevent.get_hub().loop.update_now()
    environment.user_classes = [cls for cls in (JsonUser, AvroBatchUser) if cls.plan]


def _report(environment: Environment, **_: Any) -> None:
    path = _options(environment).result_file
    if path:
        Path(path).write_bytes(orjson.dumps(GatewayUser.results.figures()))


def _options(environment: Environment) -> Namespace:
    options = environment.parsed_options
    if not isinstance(options, Namespace):
        raise TypeError("run by the locust command, which parses the options")
    return options


_hooks: Any = events  # Locust's hooks are not annotated
_hooks.init_command_line_parser.add_listener(_arguments)
_hooks.init.add_listener(_prepare)
_hooks.quitting.add_listener(_report)


class GatewayUser(FastHttpUser):
    """Sends on schedule. What it sends is up to the subclass."""

    abstract = True
    connection_timeout = 10.0
    network_timeout = 30.0
    pool: ClassVar[Pool]
    results: ClassVar[Results]
    key: ClassVar[str]
    plan: ClassVar[UserShare | None] = None
    started: ClassVar[int] = 0
    content_type: ClassVar[str]

    def on_start(self) -> None:
        """Fix the schedule: the users of a class take turns evenly."""
        cls, share = type(self), self.plan
        if share is None:
            raise RuntimeError(f"{cls.__name__} has no share in the workload")
        self._interval = share.interval_seconds(self.results.asked_per_second)
        self._due = time.perf_counter() + self._interval * cls.started / share.users
        cls.started += 1
        if not self.results.started:
            self.results.started, self.results.cpu_at_start = self._due, _cpu_seconds()
        self._headers = {"content-type": self.content_type}
        if self.key:
            self._headers["authorization"] = f"Bearer {self.key}"
        time.sleep(max(0.0, self._due - time.perf_counter()))

    def wait_time(self) -> float:
        """Until the next intended time; nothing when behind."""
        return max(0.0, self._due - time.perf_counter())

    def body(self, events_per_request: int, now_ms: int) -> bytes:
        """A request body with this many events of this time."""
        raise NotImplementedError

    @task
    def send(self) -> None:
        """One request."""
        due, self._due = self._due, self._due + self._interval
        results, count = self.results, self.plan.events_per_request if self.plan else 0
        results.send_lag.add(max(0.0, time.perf_counter() - due))
        body = self.body(count, time.time_ns() // 1_000_000)
        name = type(self).__name__
        with self.client.post(
            "/v1/events",
            data=body,  # type: ignore[arg-type]  # bytes are sent as they are; Locust's annotation leaves them out
            headers=self._headers,
            name=name,
            catch_response=True,
        ) as response:
            now = time.perf_counter()
            response.request_meta["response_time"] = (now - due) * 1000
            problem = _problem(response.status_code, response.content, count)
            if problem:
                results.errors[problem] += 1
                response.failure(problem)
            else:
                results.events += count
                response.success()
        results.requests += 1
        results.finished = now
        results.latencies.setdefault(name, Latencies()).add(now - due)


class JsonUser(GatewayUser):
    """A browser: JSON, few events at a time."""

    content_type = "application/json"

    def body(self, events_per_request: int, now_ms: int) -> bytes:
        return self.pool.json(events_per_request, now_ms)


class AvroBatchUser(GatewayUser):
    """A server: Avro in Confluent framing, many events at a time."""

    content_type = "application/avro"

    def body(self, events_per_request: int, now_ms: int) -> bytes:
        return self.pool.avro(events_per_request, now_ms)


def _cpu_seconds() -> float:
    """Processor time this process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _problem(status: int, content: bytes | None, count: int) -> str | None:
    """Why this is not `count` events acknowledged; None if it is. Few different texts, so that they can be counted."""
    if status == 0:
        return "no answer"
    if status != 200:
        return f"status {status}"
    accepted = orjson.loads(content or b"{}").get("accepted")
    return None if accepted == count else f"{accepted} of {count} accepted"
