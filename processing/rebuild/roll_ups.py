"""Rebuilt rows beside the roll-ups made of them, some of which are all there is: their finer rows were dropped.

A rebuild of everything that a grain is made of brings the dropped rows back, and every cell is made again of them;
retention drops them once more. A rebuild of less than that leaves dropped rows dropped, and those cells as they are.
"""

from typing import Final

from contracts.rollups import roll_ups
from processing.projection import Projection
from processing.rebuild.plan import Plan, RebuildError
from processing.store import Transaction

_OF_MINUTES: Final = frozenset({"product_minutes", "category_minutes", "site_minutes"})
_MADE_OF: Final = {
    "hour": _OF_MINUTES,
    "day": _OF_MINUTES,
    "window_hour": frozenset({"category_minutes"}),
    "session_hour": frozenset({"sessions"}),
    "conversion_hour": frozenset({"conversions", "carts"}),
    "delay_hour": frozenset({"delays"}),
}
"""The projections that each grain is made of, or that are dropped with its rows."""
_TIMES: Final = {"sessions": "started_at", "conversions": "happened_at", "carts": "happened_at"}


class RollUpsBeside:
    """The roll-ups as far as a plan concerns them."""

    def __init__(self, plan: Plan) -> None:
        self._projections = plan.projections
        self._span = plan.span
        names = {projection.name for projection in plan.projections}
        touched = sorted(grain for grain, made_of in _MADE_OF.items() if made_of & names)
        self._whole = [grain for grain in touched if plan.span is None and _MADE_OF[grain] <= names]
        """Grains of which all rows are rebuilt."""
        self._parts = [grain for grain in touched if grain not in self._whole]

    def check(self, transaction: Transaction, stale: set[str]) -> None:
        """Raise RebuildError where cells would stay that other definitions of the projections `stale` have made."""
        left = [grain for grain in self._parts if _MADE_OF[grain] & stale]
        gone = transaction.query(f"SELECT grain FROM {roll_ups.name} WHERE fine_gone")["grain"].to_pylist()
        if set(left) & set(gone):
            together = sorted(set().union(*(_MADE_OF[grain] for grain in left)))
            raise RebuildError(f"rows were dropped that are only made again together: rebuild {', '.join(together)}")

    def drop_again(self, transaction: Transaction, *, for_comparison: bool) -> None:
        """Drop from the new tables what retention has dropped from the live ones and is to stay so.

        For a comparison with the live tables that is everything.
        """
        for grain in self._parts + self._whole * for_comparison:
            for projection in self._projections:
                if projection.name in _MADE_OF[grain]:
                    _drop(transaction, projection, grain)

    def make_again(self, transaction: Transaction) -> None:
        """In the swap's transaction: have cells made again. Until they are, readers read the rows themselves."""
        for grain in self._whole:
            transaction.execute(
                f"UPDATE {roll_ups.name} SET stale = true, marks = marks + 1, fine_gone = false WHERE grain = $1",
                (grain,),
            )
        start, until = (self._span.start, self._span.until) if self._span else ("-infinity", "infinity")
        for grain in self._parts:
            transaction.execute(
                f"UPDATE {roll_ups.name} SET stale = true, marks = marks + 1 WHERE NOT fine_gone AND grain = $1"
                " AND starts_at + interval '24 hours' > $2::text::timestamptz AND starts_at < $3::text::timestamptz",
                (grain, str(start), str(until)),
            )


def _drop(transaction: Transaction, projection: Projection, grain: str) -> None:
    name, time = projection.name, _TIMES.get(projection.name, "minute")
    gone = f"r.grain = $1 AND r.fine_gone AND t.{time} >= r.starts_at AND t.{time} < r.starts_at + interval '1 hour'"
    if name == "sessions":  # of these it is only the path
        sql = f"UPDATE {name} t SET path = '{{}}' FROM {roll_ups.name} r WHERE {gone} AND t.path <> '{{}}'"
    else:
        sql = f"DELETE FROM {name} t USING {roll_ups.name} r WHERE {gone}"
    transaction.execute(sql, (grain,))
