"""Windows and hours made from minutes, days from hours: the fold of the minute projection over a coarser time.

A cell is made anew from all its finer rows, in slices of a bounded size, so that no epoch waits long for it.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

import pyarrow as pa
from sqlalchemy import LargeBinary, Table

from contracts.rollups import COARSER, DAY, HOUR, WINDOW_MINUTES, category_windows, delay_hours
from processing.arrow_types import typed
from processing.maintenance.cells import Cell
from processing.maintenance.making import Piece
from processing.projection import KeyedFold, Projection
from processing.store import Transaction

Span: TypeAlias = tuple[str, str]
"""First and last key of a slice, both in it, in the database's order."""

_SLICE_BYTES: Final = 8_000_000
"""Finer rows of one slice; uniting their sketches takes some tenths of a second."""
_ROW_BYTES: Final = 200
"""About what a row takes beside its sketches."""
_STEPS: Final = {
    "minute": timedelta(minutes=1),
    "window_start": timedelta(minutes=WINDOW_MINUTES),
    "hour": HOUR,
    "day": DAY,
}
"""How long it is from one row to the next, by the column that has the time."""


@dataclass(frozen=True)
class RollUp:
    """One table made from a finer one."""

    fine: Table
    coarse: Table
    fold: KeyedFold
    """Makes one row of all that have the same keys, by the coarse table's time."""

    def combined(self, finer: pa.Table) -> pa.Table:
        """Rows of the coarse table, from rows of the finer one with the coarse time in the place of their own."""
        return typed(self.fold.combine(typed(finer, self.coarse)), self.coarse)

    @property
    def columns(self) -> str:
        """What the coarse table has, all but the time."""
        return ", ".join(f'"{column.name}"' for column in list(self.coarse.columns)[1:])

    @property
    def split_by(self) -> str | None:
        """The key by which a cell can be cut into slices: the text that comes after the time."""
        key = list(self.fine.primary_key)[1].name
        return key if key in ("product_id", "category") else None

    @property
    def coarse_time(self) -> str:
        """SQL for the coarse table's time of one of `finer_rows`."""
        return f"date_bin({_seconds(self.coarse)} * interval '1 second', at, $1)"

    @property
    def finer_rows(self) -> str:
        """SQL for a cell's finer rows, looked up time by time, so that a condition on the next key narrows each."""
        return (
            f"generate_series($1::timestamptz, $2::timestamptz, {_seconds(self.fine)} * interval '1 second') AS at"
            f" JOIN {self.fine.name} ON {_time(self.fine)} = at"
        )

    def times(self, cell: Cell) -> tuple[object, ...]:
        """The parameters of `finer_rows`."""
        return cell.starts_at, cell.ends_at - _STEPS[_time(self.fine)]


def roll_ups(projections: tuple[Projection, ...]) -> dict[str, tuple[RollUp, ...]]:
    """The roll-ups of each grain that is made from finer rows with its columns."""
    by_name = {each.name: each for each in projections}

    def of(projection: str, fine: Table, coarse: Table) -> RollUp:
        fold = by_name[projection].fold
        assert isinstance(fold, KeyedFold)
        rules = {name: rule for name, rule in fold.rules.items() if name in coarse.columns}
        return RollUp(fine, coarse, KeyedFold(tuple(key.name for key in coarse.primary_key), rules))

    return {
        "hour": tuple(of(name, by_name[name].table, hours) for name, (hours, _) in COARSER.items()),
        "day": tuple(of(name, hours, days) for name, (hours, days) in COARSER.items()),
        "window_hour": (of("category_minutes", by_name["category_minutes"].table, category_windows),),
        "delay_hour": (of("delays", by_name["delays"].table, delay_hours),),
    }


def plan(of_grain: tuple[RollUp, ...], transaction: Transaction, cell: Cell) -> list[Piece]:
    """See `processing.maintenance.making.Plan`."""
    pieces: list[Piece] = []
    for each in of_grain:
        transaction.execute(
            f"DELETE FROM {each.coarse.name} WHERE {_time(each.coarse)} >= $1 AND {_time(each.coarse)} < $2",
            (cell.starts_at, cell.ends_at),
        )
        pieces += [partial(_make, each, cell, span) for span in _slices(transaction, each, cell)]
    return pieces


def _make(roll_up: RollUp, cell: Cell, span: Span | None, transaction: Transaction) -> None:
    """One slice of one table."""
    within = f" WHERE {roll_up.split_by} BETWEEN $3 AND $4" if span is not None else ""
    finer = transaction.query(
        f"SELECT {roll_up.coarse_time} AS {_time(roll_up.coarse)}, {roll_up.columns} FROM {roll_up.finer_rows}{within}",
        (*roll_up.times(cell), *(span or ())),
    )
    made = roll_up.combined(finer)
    staged = f"made_{roll_up.coarse.name}"
    transaction.load(staged, made)
    names = ", ".join(f'"{name}"' for name in made.column_names)
    transaction.execute(
        f"WITH made AS (DELETE FROM {staged} RETURNING {names})"
        f" INSERT INTO {roll_up.coarse.name} ({names}) SELECT {names} FROM made"
    )


def _slices(transaction: Transaction, roll_up: RollUp, cell: Cell) -> list[Span | None]:
    """The cell's slices, each of about so many bytes; None for all of it."""
    if roll_up.split_by is None:
        return [None]
    sketches = [column.name for column in roll_up.coarse.columns if isinstance(column.type, LargeBinary)]
    size = " + ".join([str(_ROW_BYTES), *(f"octet_length({name})" for name in sketches)])
    keys = transaction.query(
        f"SELECT {roll_up.split_by} AS key, sum({size})::bigint AS bytes FROM {roll_up.finer_rows}"
        " GROUP BY 1 ORDER BY 1",
        roll_up.times(cell),
    ).to_pylist()
    slices: list[list[str]] = [[]]
    room = _SLICE_BYTES
    for each in keys:
        if room <= 0:
            slices.append([])
            room = _SLICE_BYTES
        slices[-1].append(each["key"])
        room -= each["bytes"]
    return [(keys_of[0], keys_of[-1]) for keys_of in slices if keys_of]


def _time(table: Table) -> str:
    return str(table.columns[0].name)


def _seconds(table: Table) -> int:
    return _STEPS[_time(table)] // timedelta(seconds=1)
