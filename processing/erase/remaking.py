"""The cells that a person was in, made again from the events of everyone else, by the projections' own definitions."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from contracts.rollups import roll_ups
from contracts.settings import PostgresSettings
from processing import ledger
from processing.arrow_types import typed
from processing.batch import EVENT_LOG
from processing.deltas import DuckDeltas
from processing.duck import Duck
from processing.erase import scopes
from processing.erase.scopes import Scope, Touched
from processing.log_files import LogFiles, batches, open_duck
from processing.merge import Merged
from processing.projection import Projection
from processing.rebuild.parts import Parts
from processing.store import Transaction, one_transaction

_TOGETHER: Final = 500_000
"""Events whose deltas are computed at a time."""
_PART: Final = 1_500_000
"""Events whose rows are combined at a time, on average."""
_MEMORY: Final = "1GB"

_OF_MINUTES: Final = {"hour": scopes.MINUTES, "delay_hour": scopes.ARRIVALS}
"""Roll-ups whose minutes are made again too, where they were dropped. The others count nobody in particular."""


@dataclass
class Replaced:
    """What was put in the place of what."""

    epoch: int
    events: int = 0
    """How many events of the person the tables held."""
    gone: dict[str, int] = field(default_factory=dict)
    """Rows by table, of which some were written again."""
    written: dict[str, int] = field(default_factory=dict)
    merged: list[Merged] = field(default_factory=list)


class Remaking:
    """Cells made again once. First the log is folded while the stream goes on, then, with the gate shut, the rest."""

    def __init__(
        self,
        postgres: PostgresSettings,
        log_path: Path,
        folder: Path,
        projections: tuple[Projection, ...],
        *,
        user_id: str,
        touched: Touched,
    ) -> None:
        self._postgres = postgres
        self._log_path = log_path
        self._folder = folder
        self._projections = {projection.name: projection for projection in projections}
        self._user_id = user_id
        with one_transaction(postgres, postgres.db_schema) as transaction:
            self._dropped = _dropped(transaction)
        self._touched = scopes.whole_hours(touched, self._dropped)
        self._engine = DuckDeltas()
        self._duck = Duck()
        self._parts: dict[str, Parts] = {}
        self._epoch = 0

    def fold_log(self) -> None:
        """Fold what the log holds now. It must hold no event of the person."""
        log = LogFiles.of(self._log_path)
        with self._reading(log) as duck:
            for scope in scopes.SCOPES:
                where = scopes.events_of_others(scope, self._touched)
                ((count,),) = duck.sql(f"SELECT count(*) FROM log WHERE {where}").fetchall()
                folder = self._folder / scope.name
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                self._parts[scope.name] = Parts(folder, 1 + count // _PART)
                self._fold(duck, scope, where)
        self._epoch = log.epoch

    def still_holds(self, transaction: Transaction) -> bool:
        """Whether minutes were dropped since, of which an hour would now be made in part."""
        return _dropped(transaction) == self._dropped

    def replace(self, transaction: Transaction) -> Replaced:
        """With the gate shut and the log complete: fold the rest, and replace the rows of all cells."""
        log = LogFiles.of(self._log_path).after(self._epoch)
        with self._reading(log) as duck:
            for scope in scopes.SCOPES:
                self._fold(duck, scope, f"epoch > {self._epoch} AND {scopes.events_of_others(scope, self._touched)}")
        replaced = Replaced(ledger.read_position(transaction).epoch)
        for scope in scopes.SCOPES:
            staged = f"erased_{scope.name}"
            transaction.load(staged, pa.table({"cell": scopes.cells(scope, self._touched)}))
            for name in scope.projections:
                if name in self._projections:
                    self._replace(transaction, self._projections[name], scope, staged, replaced)
        transaction.execute("UPDATE totals SET erased = erased + $1", (replaced.events,))
        self._mark_stale(transaction, replaced)
        return replaced

    def _replace(
        self, transaction: Transaction, projection: Projection, scope: Scope, staged: str, replaced: Replaced
    ) -> None:
        name, keys = projection.name, list(projection.keys)
        listed = ", ".join([*keys, "events"] if name == "users" else keys)
        there = transaction.query(
            f"DELETE FROM {name} WHERE {scope.column} IN (SELECT cell FROM {staged}) RETURNING {listed}"
        )
        if name == "users":
            replaced.events = sum(there["events"].to_pylist())
        gone, written = typed(there.select(keys), projection.table), 0
        for rows in self._parts[scope.name].take(projection):
            final = typed(projection.fold.combine(rows), projection.table)
            transaction.append(self._postgres.db_schema, name, final)
            written += final.num_rows
            gone = self._duck.query(
                f"SELECT * FROM gone ANTI JOIN final USING ({', '.join(keys)})", gone=gone, final=final.select(keys)
            )
            replaced.merged.append(Merged(projection, final, gone.slice(0, 0)))
        replaced.merged.append(Merged(projection, gone.slice(0, 0), gone))
        replaced.gone[name], replaced.written[name] = there.num_rows, written

    def _mark_stale(self, transaction: Transaction, replaced: Replaced) -> None:
        """Have the roll-ups of the touched hours made again, of which all minutes are there."""
        minutes, arrivals = (scopes.cells(scope, self._touched) for scope in (scopes.MINUTES, scopes.ARRIVALS))
        parts = {"hour": [minutes], "day": [minutes], "window_hour": [minutes], "delay_hour": [arrivals]}
        for grain, name, time in (
            ("session_hour", "sessions", "started_at"),
            ("conversion_hour", "conversions", "happened_at"),
        ):
            parts[grain] = [
                rows[time].combine_chunks()
                for each in replaced.merged
                if each.projection.name == name
                for rows in (each.written, each.gone)
            ]
        for grain, instants in parts.items():
            staged = f"erased_{grain}"
            transaction.load(staged, pa.table({"at": pa.concat_arrays(instants) if instants else minutes[:0]}))
            unit = "day" if grain == "day" else "hour"
            which = "NOT fine_gone" if grain in {"session_hour", "conversion_hour"} else "true"
            transaction.execute(
                f"UPDATE {roll_ups.name} SET stale = true, marks = marks + 1, fine_gone = false"
                f" WHERE grain = $1 AND {which} AND starts_at IN (SELECT date_trunc('{unit}', at) FROM {staged})",
                (grain,),
            )

    def _fold(self, duck: duckdb.DuckDBPyConnection, scope: Scope, where: str) -> None:
        projections = tuple(self._projections[name] for name in scope.projections if name in self._projections)
        words = set(re.findall(r"\w+", " ".join(projection.delta for projection in projections)))
        columns = tuple(name for name in EVENT_LOG.names if name in words or name == "epoch")
        for events in batches(duck, "log", columns, where, _TOGETHER):
            for projection, delta in self._engine.deltas(events, projections):
                self._parts[scope.name].add(projection, delta)

    @contextmanager
    def _reading(self, log: LogFiles) -> Iterator[duckdb.DuckDBPyConnection]:
        with open_duck(self._folder / "reading", threads=2, memory=_MEMORY) as duck:
            log.open_in(duck, "log")
            for scope in scopes.SCOPES:
                duck.register(scope.cells, pa.table({"cell": scopes.cells(scope, self._touched)}))
            duck.register("person", pa.table({"id": [self._user_id]}))
            yield duck


def _dropped(transaction: Transaction) -> dict[str, set[int]]:
    """Hours since 1970 whose minutes were dropped, by scope."""
    rows = transaction.query(
        "SELECT grain, (extract(epoch FROM starts_at) / 3600)::bigint AS hour"
        f" FROM {roll_ups.name} WHERE fine_gone AND grain IN ('hour', 'delay_hour')"
    ).to_pylist()
    return {scope.name: {row["hour"] for row in rows if row["grain"] == grain} for grain, scope in _OF_MINUTES.items()}
