"""`millrace bench processing`: freshness at a rate, the drain of a backlog, and the batch verbs over what it left.

Records go straight into Kafka, as the gateway would write them, so that nothing but processing is measured. Freshness
is seen from outside, by a reader that polls Postgres: from when a record was handed to the producer until the poll that
finds its epoch committed. A processing part of its own is started for it, on topics, a schema and a folder of its own;
the broker and the database are those of the settings.
"""

import gc
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import psutil
from rich.progress import Progress

from contracts.settings import KafkaSettings, PostgresSettings
from loadtest.bench_batch import measure_batch
from loadtest.bench_freshness import EpochWatch, RecordSender
from loadtest.bench_ground import Ground, bench_ground
from loadtest.machine import describe_machine
from loadtest.records import RecordInWaiting, RecordMaker
from loadtest.shop import Shop
from schemas_avro import load_registry

_SAMPLED: Final = 20
"""Of so many records the freshness of one is measured."""


@dataclass(frozen=True)
class BenchPlan:
    """One run. A rate of 0 measures no freshness, a backlog of 0 no drain."""

    rate: float
    """Records per second."""
    seconds: float
    backlog: int
    """Records that are in Kafka before processing starts."""
    backlog_rate: float
    """Records per second of event time in the backlog: how long the outage was that made it."""
    batch: bool
    """Whether the batch verbs are measured over what the drain left."""
    seed: int


def run_bench(plan: BenchPlan, kafka: KafkaSettings, store: PostgresSettings, progress: Progress) -> dict[str, Any]:
    """Run it and give its figures. Raises BenchError."""
    figures: dict[str, Any] = {"machine": describe_machine(), "seed": plan.seed}
    if plan.rate:
        with bench_ground(kafka, store) as ground:
            figures["live"] = _live(plan, ground, progress)
    if plan.backlog:
        with bench_ground(kafka, store) as ground:
            figures["drain"] = _drain(plan, ground, progress)
            if plan.batch:
                figures["batch"] = measure_batch(ground, plan.backlog, progress)
    return figures


def _live(plan: BenchPlan, ground: Ground, progress: Progress) -> dict[str, Any]:
    count = int(plan.rate * plan.seconds)
    waiting = _made(plan, plan.rate, count, progress)
    with ground.processing(warm_up=True) as process:
        ground.await_query(process)
        epochs = EpochWatch(ground.postgres)
        sender = RecordSender(ground.kafka)
        before, began = _cpu_seconds(), time.time()
        task = progress.add_task(f"sending {plan.rate:,.0f}/s", total=count)
        start_ms = int(began * 1000)
        for number, record in enumerate(waiting):
            while (ahead := record.at_ms / 1000 - (time.time() - began)) > 0.005:
                sender.poll(min(ahead, 0.01))
            sender.send(record, start_ms, sampled=number % _SAMPLED == 0)
            if number % 5_000 == 0:
                sender.poll(0)
                progress.update(task, completed=number)
        sent_seconds = time.time() - began
        sender.flush()
        epochs.await_records(count)
        cpu = _since(before, _cpu_seconds())
        fresh = sorted(epochs.freshness(sender.sampled))
        memory = _memory(process)
    return {
        "rate": round(count / sent_seconds),
        "seconds": round(sent_seconds, 1),
        "records": count,
        "freshness_seconds": {name: round(_quantile(fresh, q), 3) for name, q in _QUANTILES.items()},
        "epochs": epochs.count,
        "phases_median_seconds": _phases(ground),
        "cpu_seconds_per_million": {name: round(value / count * 1e6, 1) for name, value in cpu.items()},
        "processing_rss_mib": memory,
    }


def _drain(plan: BenchPlan, ground: Ground, progress: Progress) -> dict[str, Any]:
    waiting = _made(plan, plan.backlog_rate, plan.backlog, progress)
    start_ms = int((time.time() - plan.backlog / plan.backlog_rate - 60) * 1000)
    sender = RecordSender(ground.kafka)
    for record in waiting:
        sender.send(record, start_ms, sampled=False)
    sender.flush()
    del waiting
    began = time.time()
    with ground.processing(warm_up=False) as process:
        ground.await_query(process)
        before, started = _cpu_seconds(), time.time()
        epochs = EpochWatch(ground.postgres)
        task = progress.add_task("draining", total=plan.backlog)
        epochs.await_records(plan.backlog, lambda records: progress.update(task, completed=records))
        ended = time.time()
        cpu, memory = _since(before, _cpu_seconds()), _memory(process)
    return {
        "records": plan.backlog,
        "seconds": round(ended - started, 2),
        "records_per_second": round(plan.backlog / (ended - started)),
        "with_start_seconds": round(ended - began, 2),
        "epochs": epochs.count,
        "phases_total_seconds": _phases(ground, total=True),
        "cpu_seconds_per_million": {name: round(value / plan.backlog * 1e6, 1) for name, value in cpu.items()},
        "processing_rss_mib": memory,
    }


def _made(plan: BenchPlan, rate: float, count: int, progress: Progress) -> list[RecordInWaiting]:
    maker, events = RecordMaker(load_registry()), Shop(plan.seed, products=1_000, regulars=50_000).events(rate)
    task = progress.add_task("making records", total=count)
    made = []
    gc.disable()  # a million records, none of them garbage: collecting took longer than making
    for number in range(count):
        made.append(maker.make(next(events)))
        if number % 5_000 == 0:
            progress.update(task, completed=number)
    gc.freeze()
    gc.enable()
    progress.update(task, completed=count)
    return made


_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _phases(ground: Ground, *, total: bool = False) -> dict[str, float]:
    spent: dict[str, list[float]] = defaultdict(list)
    for line in ground.lines():
        if line.get("event") == "epoch_committed":
            for phase, seconds in line["seconds"].items():
                spent[phase].append(seconds)
    return {
        phase: round(sum(values) if total else _quantile(sorted(values), 0.5), 3) for phase, values in spent.items()
    }


def _cpu_seconds() -> dict[str, float]:
    """CPU seconds so far by what ran: of processes that belong to the run."""
    spent: dict[str, float] = defaultdict(float)
    for process in psutil.process_iter(["cmdline", "cpu_times"]):
        times, line = process.info["cpu_times"], " ".join(process.info["cmdline"] or ())
        kind = _kind(line)
        if times is not None and kind is not None:
            spent[kind] += times.user + times.system
    return spent


def _kind(line: str) -> str | None:
    for part, mark in {
        "processing": "-m processing",
        "spark": "org.apache.spark.deploy",
        "kafka": "kafka.Kafka",
        "postgres": "postgres",
        "generator": "loadtest bench",
    }.items():
        if mark in line:
            return part
    return None


def _since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {kind: after[kind] - before.get(kind, 0.0) for kind in after}


def _memory(process: psutil.Process) -> int:
    members = [process, *process.children(recursive=True)]
    return round(sum(member.memory_info().rss for member in members) / 2**20)
