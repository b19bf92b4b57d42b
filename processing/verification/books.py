"""The books against the log: each applied event is one row of the log and was counted once."""

from typing import Any, Final

import duckdb

from processing.verification.compare import Cell, Evidence, Mismatch, Verdict
from processing.verification.served import Served

NAME: Final = "books"
_SHOWN: Final = 5


def check_books(duck: duckdb.DuckDBPyConnection, served: Served) -> Verdict:
    """Applied, less erased, against the rows in the view `log` and against the events in the minutes of the site."""
    duck.register("applied_by_epoch", served.applied_by_epoch)
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE logged_by_epoch AS SELECT epoch, count(*) AS logged FROM log GROUP BY ALL"
    )
    ((logged,),) = duck.execute("SELECT coalesce(sum(logged), 0)::BIGINT FROM logged_by_epoch").fetchall()
    off = duck.execute(
        "SELECT epoch, coalesce(applied, 0), coalesce(logged, 0) FROM applied_by_epoch FULL JOIN logged_by_epoch"
        " USING (epoch) WHERE coalesce(applied, 0) <> coalesce(logged, 0) ORDER BY epoch"
    ).fetchall()
    wanted = served.applied - served.erased
    found = {"rows in the event log": logged, "events in site_minutes": served.in_site_minutes}
    wrong = [_mismatch({"sum": name}, wanted, sum_) for name, sum_ in found.items() if sum_ != wanted]
    if not served.erased:  # erased events are still in their epochs' counts; then only the sums can tell
        wrong += [_mismatch({"epoch": epoch}, applied, rows) for epoch, applied, rows in off]
    return Verdict(NAME, len(found) + served.applied_by_epoch.num_rows, len(wrong), wrong[:_SHOWN])


def _mismatch(key: dict[str, Any], wanted: int, found: int) -> Mismatch:
    return Mismatch(NAME, key, "different", [Cell("events", wanted, found)], Evidence())
