"""Puts Locust's users together for one run. Run by `python -m loadtest load`, which passes the options."""

import time
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

import gevent
import orjson
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtest.load.readers import DashboardsCached, DashboardsCold, Subscriptions
from loadtest.load.results import Results
from loadtest.load.schedule import Schedule, steady
from loadtest.load.sent_log import SentLog, Supply
from loadtest.load.users import AvroBatch, Json, JsonBatch, SegmentBatch, SendingUser
from loadtest.load.workload import Workload

_SENDERS: Final[dict[str, type[SendingUser]]] = {
    "json": Json,
    "json_batch": JsonBatch,
    "avro_batch": AvroBatch,
    "segment_batch": SegmentBatch,
}
_READERS: Final = {"dashboards_cached": DashboardsCached, "dashboards_cold": DashboardsCold}
_HEAD_START_SECONDS: Final = 1.0
"""From the making of the users to the first request."""


def _arguments(parser: LocustArgumentParser) -> None:
    parser.add_argument("--workload-json", help="A workload, as `Workload.to_json` writes it.")
    parser.add_argument("--gateway-url", help="Scheme, host and port of the gateway.")
    parser.add_argument("--graphql-host", help="Scheme, host and port of GraphQL.")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--write-key", env_var="MILLRACE_SIMULATOR_WRITE_KEY", default="", is_secret=True)
    parser.add_argument("--run-folder", help="Where `sent.jsonl` and `results.json` go.")


def _prepare(environment: Environment, **_: Any) -> None:
    """Once: the pools, the schedules, the results."""
    options = _options(environment)
    workload = Workload.model_validate_json(options.workload_json)
    supply = Supply.fresh(options.seed)
    log = SentLog(Path(options.run_folder) / "sent.jsonl", supply)
    pools = supply.pools()
    # Timers count from the loop's cached time. Without this the run would be shorter by what the above took.
    gevent.get_hub().loop.update_now()
    results = Results(time.perf_counter() + _HEAD_START_SECONDS)
    chosen: list[type[Any]] = []
    for name, share in workload.senders().items():
        sender = _SENDERS[name]
        sender.schedule = Schedule(workload.stages, share.share / share.events_per_request)
        sender.events_per_request, sender.users = share.events_per_request, share.users
        sender.pool, sender.log, sender.key = pools[sender.segment], log, options.write_key
        sender.host = options.gateway_url
        chosen.append(sender)
    for name, readers in workload.readers().items():
        reader = _READERS[name]
        reader.schedule = steady(readers.requests_per_second, workload.seconds)
        reader.users, reader.host = readers.users, options.graphql_host
        chosen.append(reader)
    if workload.subscriptions:
        Subscriptions.users, Subscriptions.host = workload.subscriptions.users, options.graphql_host
        Subscriptions.seconds = workload.seconds
        chosen.append(Subscriptions)
    for kind in chosen:
        kind.fixed_count, kind.results, kind.started = kind.users, results, 0
    environment.user_classes = chosen

    def report(**_: Any) -> None:
        log.close()
        (Path(options.run_folder) / "results.json").write_bytes(orjson.dumps(results.figures()))

    _hooks.quitting.add_listener(report)


def _options(environment: Environment) -> Namespace:
    options = environment.parsed_options
    if not isinstance(options, Namespace):
        raise TypeError("run by the locust command, which parses the options")
    return options


_hooks: Any = events  # Locust's hooks are not annotated
_hooks.init_command_line_parser.add_listener(_arguments)
_hooks.init.add_listener(_prepare)
