"""What became of one event: where it came in, where it lies, and each number that it changed; or why it is not there.

The log says which events were applied. What an event changed is found by asking each projection for the delta of that
event alone: the rows of the table that the delta meets are the rows that the event is in.
"""

import json
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from contracts.payloads import spellings
from contracts.settings import PostgresSettings
from processing.batch import EVENT_LOG
from processing.deltas import DuckDeltas
from processing.log_files import LogFiles, LogUnreadableError, open_duck
from processing.merge import rows_met
from processing.projection import Projection
from processing.projections.sessions import FUNNEL
from processing.store import Transaction, one_transaction

_HIDDEN: Final = ("users", "buyers", "path")
"""Columns that say nothing to a reader: sketches, and the whole path of a session."""
_PAIRS: Final = {
    "conversions": ("a click", "converted_by", "the purchase that converted this click"),
    "carts": ("an addition to a cart", "bought_by", "the purchase of what was put into this cart"),
}
"""Of tables that pair events with purchases: the event, its purchase, and the purchase as seen from the event's row."""


@dataclass(frozen=True)
class Copy:
    """One record with the event's id, and what was decided about it."""

    verdict: str
    """applied, duplicate, conflict, rejected or quarantined."""
    topic: str
    partition: int
    offset: int
    epoch: int
    committed_at: datetime | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A row that the event is in."""

    table: str
    row: dict[str, Any]
    role: dict[str, Any] = field(default_factory=dict)
    """What the event is in that row, where it is more than one of many: step of the path or funnel, half of a pair."""


@dataclass(frozen=True)
class Explanation:
    """Everything that is known of an event id. Both lists are empty for an id that was never seen."""

    event_id: str
    as_of_epoch: int
    copies: list[Copy]
    changes: list[Change]
    unlogged_epochs: int
    """Epochs that the log does not have yet: an event in one of them is not found before its append, seconds later."""

    @property
    def verdict(self) -> str:
        """The best that happened to any copy, or `never seen`."""
        verdicts = {copy.verdict for copy in self.copies}
        order = ("applied", "duplicate", "conflict", "quarantined", "rejected")
        return next((verdict for verdict in order if verdict in verdicts), "never seen")

    def as_json(self) -> dict[str, Any]:
        """A JSON object; times become texts by `str`."""
        return {"verdict": self.verdict, **asdict(self)}


def explain(event_id: str, postgres: PostgresSettings, log: Path, projections: tuple[Projection, ...]) -> Explanation:
    """Look the id up, in one snapshot of the store. Reads the ids of the whole log: seconds for many millions."""
    with one_transaction(postgres, postgres.db_schema) as transaction:
        transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        (state,) = transaction.query("SELECT epoch, epoch - log_epoch AS unlogged FROM totals").to_pylist()
        # Read after the snapshot: the log may have more by now, and never less than the snapshot says.
        events = _logged(event_id, log, state["epoch"])
        copies = [
            *(_applied(transaction, event) for event in events.to_pylist()),
            *_kept(transaction, event_id),
        ]
        return Explanation(
            event_id=event_id,
            as_of_epoch=state["epoch"],
            copies=sorted(copies, key=lambda copy: (copy.epoch, copy.topic, copy.partition, copy.offset)),
            changes=[
                change
                for row in range(events.num_rows)
                for change in _changes(transaction, events.slice(row, 1), projections)
            ],
            unlogged_epochs=state["unlogged"],
        )


def _logged(event_id: str, log: Path, epoch: int) -> pa.Table:
    """The log's rows with this id: one, or one per topic. Raises LogUnreadableError once there must be a log."""
    try:
        files = LogFiles.of(log)
    except LogUnreadableError:
        if epoch == 0:
            return EVENT_LOG.empty_table()
        raise
    with tempfile.TemporaryDirectory() as folder, open_duck(Path(folder, "duck"), threads=2, memory="1GB") as duck:
        files.open_in(duck, "log")
        found = duck.sql(
            "SELECT * FROM log WHERE event_id = $id AND epoch <= $epoch", params={"id": event_id, "epoch": epoch}
        ).to_arrow_table()
    return found.select(EVENT_LOG.names).cast(EVENT_LOG)


def _applied(transaction: Transaction, event: dict[str, Any]) -> Copy:
    (epoch,) = transaction.query(
        "SELECT committed_at, log_version FROM epochs WHERE epoch = $1", (event["epoch"],)
    ).to_pylist()
    names = ("source", "received_at", "log_time", "timestamp", "late", "imported", "bot", "bot_reason")
    return Copy(
        verdict="applied",
        **_place(event),
        committed_at=epoch["committed_at"],
        detail={name: event[name] for name in names} | {"delta_version": epoch["log_version"]},
    )


def _kept(transaction: Transaction, event_id: str) -> list[Copy]:
    """Copies that were not applied. A quarantined record may not have an id: those with the text in them are told."""
    spelled = spellings(event_id)
    holds = " OR ".join(f"position(${number} in q.raw) > 0" for number in range(1, len(spelled) + 1))
    duplicates = transaction.query(
        'SELECT d.topic, d.partition, d."offset", d.epoch, e.committed_at, d.conflict, d.first_epoch'
        " FROM duplicates d JOIN epochs e USING (epoch) WHERE d.event_id = $1",
        (event_id,),
    ).to_pylist()
    rejected = transaction.query(
        'SELECT r.topic, r.partition, r."offset", r.epoch, e.committed_at, r.received_at, r.source, r.reason,'
        " r.pointer, r.detail, r.rejection_id FROM rejected_events r JOIN epochs e USING (epoch) WHERE r.event_id = $1",
        (event_id,),
    ).to_pylist()
    quarantined = transaction.query(
        'SELECT q.topic, q.partition, q."offset", q.epoch, e.committed_at, q.log_time, q.reason'
        f" FROM quarantine q JOIN epochs e USING (epoch) WHERE {holds}",
        spelled,
    ).to_pylist()
    return [
        *(_copy("conflict" if row["conflict"] else "duplicate", row) for row in duplicates),
        *(_copy("rejected", row) for row in rejected),
        *(_copy("quarantined", row) for row in quarantined),
    ]


def _copy(verdict: str, row: dict[str, Any]) -> Copy:
    place = _place(row)
    rest = {name: value for name, value in row.items() if name not in (*place, "committed_at")}
    return Copy(verdict, **place, committed_at=row["committed_at"], detail=rest)


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("topic", "partition", "offset", "epoch")}


def _changes(transaction: Transaction, event: pa.Table, projections: tuple[Projection, ...]) -> list[Change]:
    (told,) = event.to_pylist()
    changes = []
    for projection, delta in DuckDeltas().deltas(event, projections):
        if delta.num_rows == 0:
            continue
        for row in _rows(transaction, projection, delta, told["topic"]):
            role = _role(projection.name, told, row)
            if projection.name not in _PAIRS or role:
                changes.append(Change(projection.name, {k: v for k, v in row.items() if k not in _HIDDEN}, role))
    return changes


def _rows(transaction: Transaction, projection: Projection, delta: pa.Table, topic: str) -> list[dict[str, Any]]:
    """The rows that the delta meets, and those that have its very key: a click does not meet itself."""
    staged = f"explained_{projection.name}_{topic}"
    transaction.load(staged, delta.select(sorted({*projection.fold.meeting, *projection.keys})))
    shown = [column.name for column in projection.table.columns if not column.name.endswith("_key")]
    met = transaction.query(rows_met(projection, staged, shown)).to_pylist()
    same = " AND ".join(f"t.{key} = d.{key}" for key in projection.keys)
    listed = ", ".join(f't."{name}"' for name in shown)
    own = transaction.query(f"SELECT {listed} FROM {staged} d JOIN {projection.name} t ON {same}").to_pylist()
    return [*own, *(row for row in met if row not in own)]


def _role(table: str, event: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    if table == "sessions":
        acted = event["action"] or event["kind"]
        steps = [json.loads(step)[1:3] for step in row["path"]]
        step = steps.index([acted, event["event_id"]]) + 1 if [acted, event["event_id"]] in steps else None
        reached = [name for name, actions in FUNNEL.items() if acted in actions and row[name] == event["timestamp"]]
        return {"step": step} | ({"funnel": reached} if reached else {})
    if table in _PAIRS:
        what, by, as_purchase = _PAIRS[table]
        is_purchase = event["kind"] == "purchase"
        if row["event_id"] == event["event_id"] and row["is_purchase"] == is_purchase:
            return {"is": "a purchase"} if is_purchase else {"is": what, by: row["purchase_id"]}
        if is_purchase and row["purchase_id"] == event["event_id"]:
            return {"is": as_purchase}
    return {}
