"""Which cells have been made, which are stale, and which wait: the table `roll_ups` and what is remembered of it.

Memory holds every cell that has a row in the registry (a year is 10,000 hours and days per grain), so that an epoch
knows without asking whether it touches one. It may hold too much and never too little: what an epoch touches and memory
does not know to be registered is waiting to be made, and is of no concern to a reader.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from contracts.rollups import roll_ups
from processing.maintenance.cells import Cell, Grain
from processing.merge import Merged
from processing.store import Transaction


class Registry:
    """The registry, as seen from its one writer."""

    def __init__(self, grains: Sequence[Grain]) -> None:
        self._grains = {grain.name: grain for grain in grains}
        self._loaded = False
        self._registered: set[Cell] = set()
        self._fine_gone: set[Cell] = set()
        self._until: dict[Cell, datetime] = {}
        self.waiting: set[Cell] = set()
        """Cells that have rows and are not registered."""

    def forget(self) -> None:
        """Forget all that is remembered; it is read again. Call when a transaction may not have done what it seemed."""
        self._loaded = False

    def note(self, transaction: Transaction, merged: Sequence[Merged]) -> None:
        """Mark stale what an epoch has touched, in the epoch's own transaction, after its merges."""
        self.load(transaction)
        touched: dict[Cell, datetime | None] = {}
        for grain in self._grains.values():
            for each in merged:
                if each.projection.name == grain.source.name:
                    touched |= {Cell(at, grain.name): until for at, until in grain.touched_by(each).items()}
        for cell, until in touched.items():
            if until is not None:
                self._until[cell] = max(until, self._until.get(cell, until))
        self.waiting |= touched.keys() - self._registered
        for name, starts in _by_grain(touched.keys() & self._registered).items():
            transaction.execute(
                f"UPDATE {roll_ups.name} SET stale = true, marks = marks + 1"
                " WHERE grain = $1 AND starts_at = ANY($2) AND NOT fine_gone",
                (name, starts),
            )

    def without_fine_rows(self, transaction: Transaction, grain: str, cells: Iterable[datetime]) -> list[datetime]:
        """Those of the cells whose fine rows have been dropped."""
        self.load(transaction)
        perhaps = [at for at in cells if Cell(_utc(at), grain) in self._fine_gone]
        if not perhaps:
            return []
        rows = transaction.query(
            f"SELECT starts_at FROM {roll_ups.name} WHERE grain = $1 AND starts_at = ANY($2) AND fine_gone",
            (grain, perhaps),
        )
        return [_utc(at) for at in rows["starts_at"].to_pylist()]

    def fine_rows_dropped(self, transaction: Transaction, cell: Cell) -> None:
        """The cell is all there is now."""
        transaction.execute(
            f"UPDATE {roll_ups.name} SET fine_gone = true WHERE grain = $1 AND starts_at = $2",
            (cell.grain, cell.starts_at),
        )
        self._fine_gone.add(cell)

    def load(self, transaction: Transaction) -> None:
        """Read what is remembered, if nothing is."""
        if self._loaded:
            return
        rows = transaction.query(f"SELECT grain, starts_at, fine_gone FROM {roll_ups.name}").to_pylist()
        self._registered = {Cell(_utc(row["starts_at"]), row["grain"]) for row in rows}
        self._fine_gone = {Cell(_utc(row["starts_at"]), row["grain"]) for row in rows if row["fine_gone"]}
        self._until.clear()
        found = {Cell(at, grain.name) for grain in self._grains.values() for at in _cells_with_rows(transaction, grain)}
        self.waiting = found - self._registered
        self._loaded = True

    def due(self, transaction: Transaction, watermark: datetime, again_seconds: float) -> list[Cell]:
        """The cells to be made, the first of them first: hours before days, the newest before older ones.

        A cell that was made and has gone stale comes again when it was made so many seconds ago.
        """
        self.load(transaction)
        rows = transaction.query(
            f"SELECT grain, starts_at FROM {roll_ups.name} WHERE stale"
            " AND made_at < clock_timestamp() - $1 * interval '1 second'",
            (again_seconds,),
        ).to_pylist()
        stale = {Cell(_utc(row["starts_at"]), row["grain"]) for row in rows}
        settled = [cell for cell in self.waiting | stale if self.is_settled(cell, watermark)]
        return sorted(settled, key=lambda cell: (cell.grain != "day", cell), reverse=True)

    def is_ready(self, transaction: Transaction, cell: Cell, watermark: datetime) -> bool:
        """Whether a cell that was due can be made: nothing it is made of is still to change, or to be made."""
        if cell.grain != "day":
            return self.is_settled(cell, watermark)
        if any(other.grain == "hour" and _day(other.starts_at) == cell.starts_at for other in self.waiting):
            return False
        stale = transaction.query(
            f"SELECT FROM {roll_ups.name} WHERE stale AND grain = 'hour' AND starts_at >= $1 AND starts_at < $2",
            (cell.starts_at, cell.ends_at),
        )
        return not stale.num_rows

    def is_settled(self, cell: Cell, watermark: datetime) -> bool:
        """Whether its rows only change if something comes late."""
        grain = self._grains[cell.grain]
        return max(cell.ends_at, self._until.get(cell, cell.ends_at)) + grain.settles <= watermark

    def reaches(self, cell: Cell, until: datetime) -> None:
        """Note that a row of the cell reaches on until then."""
        self._until[cell] = max(until, self._until.get(cell, until))

    def claim(self, transaction: Transaction, cell: Cell) -> int:
        """Register a cell that is about to be made, stale until it is. Returns its marks, by which to `settle` it."""
        rows = transaction.query(
            f"INSERT INTO {roll_ups.name} AS r (grain, starts_at, stale, marks, made_at, fine_gone)"
            " VALUES ($1, $2, true, 0, clock_timestamp(), false) ON CONFLICT (grain, starts_at)"
            " DO UPDATE SET stale = true, made_at = excluded.made_at RETURNING marks",
            (cell.grain, cell.starts_at),
        )
        self._registered.add(cell)
        self.waiting.discard(cell)
        return int(rows["marks"][0].as_py())

    def is_untouched(self, transaction: Transaction, cell: Cell, marks: int) -> bool:
        """Whether nobody has marked the cell since it was claimed."""
        rows = transaction.query(
            f"SELECT FROM {roll_ups.name} WHERE grain = $1 AND starts_at = $2 AND marks = $3",
            (cell.grain, cell.starts_at, marks),
        )
        return bool(rows.num_rows)

    def settle(self, transaction: Transaction, cell: Cell, epoch: int) -> None:
        """The cell is made, of rows as they are after this epoch. The hour's day is to be made again."""
        transaction.execute(
            f"UPDATE {roll_ups.name} SET stale = false, made_at_epoch = $3, made_at = clock_timestamp(),"
            f" making = (SELECT coalesce(max(making), 0) + 1 FROM {roll_ups.name}) WHERE grain = $1 AND starts_at = $2",
            (cell.grain, cell.starts_at, epoch),
        )
        self._until.pop(cell, None)


def mark_stale(transaction: Transaction, since: datetime | None = None, until: datetime | None = None) -> None:
    """Have every cell between these instants (all, without) made again.

    For whoever has replaced fine rows by others: by all that there are, those once dropped included.
    """
    transaction.execute(
        f"UPDATE {roll_ups.name} SET stale = true, marks = marks + 1, fine_gone = false"
        " WHERE ($1::timestamptz IS NULL OR starts_at + interval '24 hours' > $1)"
        " AND ($2::timestamptz IS NULL OR starts_at < $2)",
        (since, until),
    )


def _cells_with_rows(transaction: Transaction, grain: Grain) -> list[datetime]:
    """One look into the index per cell that there is: the rows are far more."""
    unit, table, time = "day" if grain.length > timedelta(hours=1) else "hour", grain.source.name, grain.time
    rows = transaction.query(
        f"WITH RECURSIVE cells AS (SELECT date_trunc('{unit}', min({time})) AS at FROM {table} UNION ALL SELECT ("
        f"SELECT date_trunc('{unit}', {time}) FROM {table} WHERE {time} >= cells.at + $1 * interval '1 second'"
        f" ORDER BY {time} LIMIT 1) FROM cells WHERE cells.at IS NOT NULL)"
        " SELECT at FROM cells WHERE at IS NOT NULL",
        (grain.length.total_seconds(),),
    )
    return [_utc(at) for at in rows["at"].to_pylist()]


def _by_grain(cells: Iterable[Cell]) -> dict[str, list[datetime]]:
    starts: dict[str, list[datetime]] = defaultdict(list)
    for cell in cells:
        starts[cell.grain].append(cell.starts_at)
    return starts


def _day(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)
