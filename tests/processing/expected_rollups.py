"""What the roll-ups must hold of a log: for the minutes' coarser tables, what one delta by hour or day over all events
gives; for the others, plain Python over what the fine tables must hold.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise, product
from typing import Any

import pyarrow as pa

from contracts.rollups import COARSER, category_windows, delay_hours
from tests.processing.expected import Key, Rows, expected, spelled
from tests.processing.folding import ENGINE, PROJECTIONS
from tests.processing.log_rows import Row, log_table

HOUR, DAY, WINDOW = timedelta(hours=1), timedelta(days=1), timedelta(minutes=5)


def expected_rollups(log: Iterable[Row]) -> dict[str, Rows]:
    """The rows of every roll-up, all cells of it made."""
    rows = list(log)
    fine = expected(rows)
    return {
        **_in_one_delta(log_table(rows)),
        "category_windows": _windows(fine["category_minutes"]),
        "session_hours": _sessions(fine["sessions"]),
        **_moves(fine["sessions"]),
        "pair_hours": _viewed_together(fine["sessions"]),
        "conversion_hours": _conversions(fine["conversions"]),
    }


def _in_one_delta(events: pa.Table) -> dict[str, Rows]:
    by_name = {each.name: each for each in PROJECTIONS}
    coarse = []
    for name, (hours, days) in COARSER.items():
        for table, unit in ((hours, "hour"), (days, "day")):
            delta = by_name[name].delta.replace("date_trunc('minute', timestamp)", f"date_trunc('{unit}', timestamp)")
            coarse.append(replace(by_name[name], table=table, delta=delta.replace(" AS minute,", f" AS {unit},")))
    delta = by_name["delays"].delta.replace("date_trunc('minute', log_time)", "date_trunc('hour', log_time)")
    coarse.append(replace(by_name["delays"], table=delay_hours, delta=delta.replace(" AS minute,", " AS hour,")))
    return {each.name: spelled(each.name, rows) for each, rows in ENGINE.deltas(events, tuple(coarse))}


def _windows(minutes: Rows) -> Rows:
    names = [column.name for column in category_windows.columns if not column.primary_key]
    found: Rows = defaultdict(lambda: defaultdict(int))
    for (minute, category, bot), each in minutes.items():
        row = found[_floor(minute, WINDOW), category, bot]
        for name in names:
            row[name] = max(row[name], each[name]) if name == "last_epoch" else row[name] + each[name]
    return _plain(found)


def _sessions(sessions: Rows) -> Rows:
    found: Rows = defaultdict(lambda: defaultdict(int))
    for (_, started_at), session in sessions.items():
        row = found[_floor(started_at, HOUR), session["device"] or "", session["medium"] or "", session["bot"]]
        row["sessions"] += 1
        row["bounces"] += session["events"] == 1
        row["duration_ms"] += (session["ended_at"] - started_at) // timedelta(milliseconds=1)
        for name in ("events", "revenue", "late"):
            row[name] += session[name]
        for name, step in (("viewed", "viewed_at"), ("added", "added_at"), ("checkouts", "checkout_at")):
            row[name] += session[step] is not None
        row["purchased"] += (converted := session["purchased_at"] is not None)
        row["convert_ms"] += (
            (session["purchased_at"] - session["viewed_at"]) // timedelta(milliseconds=1) if converted else 0
        )
        row["last_epoch"] = max(row["last_epoch"], session["last_epoch"])
    return _plain(found)


def _moves(sessions: Rows) -> dict[str, Rows]:
    moves: Rows = defaultdict(lambda: defaultdict(int))
    steps: Rows = defaultdict(lambda: defaultdict(int))
    for (_, started_at), session in sessions.items():
        hour, bot = _floor(started_at, HOUR), session["bot"]
        labels = [step[1] for step in session["path"]]
        journey = [label for place, label in enumerate(labels) if place == 0 or labels[place - 1] != label]
        for (one, other), times in Counter(pairwise(journey)).items():
            moves[hour, bot, one, other]["transitions"] += times
            moves[hour, bot, one, other]["sessions"] += 1
        for label, visits in Counter(journey).items():
            row = steps[hour, bot, label]
            row["visits"] += visits
            row["sessions"] += 1
            row["entries"] += journey[0] == label
            row["exits"] += journey[-1] == label and session["events"] == len(labels)
            row["repeats"] += labels.count(label) - visits
    return {"journey_hours": _plain(moves), "step_hours": _plain(steps)}


def _viewed_together(sessions: Rows) -> Rows:
    found: Rows = defaultdict(lambda: defaultdict(int))
    for (_, started_at), session in sessions.items():
        viewed = {step[3] for step in session["path"] if step[1] in ("view", "page_view") and step[3] is not None}
        for one, other in product(viewed, viewed) if not session["bot"] else ():
            found[_floor(started_at, HOUR), one, other]["sessions"] += 1
    return _plain(found)


def _conversions(conversions: Rows) -> Rows:
    purchases = {key[:2] + key[3:4]: row for key, row in conversions.items() if key[4]}
    led_to: dict[Key, set[Key]] = defaultdict(set)
    found: Rows = defaultdict(lambda: defaultdict(int))
    for (user, product_id, at, _, is_purchase), click in conversions.items():
        if is_purchase:
            continue
        key = (_floor(at, WINDOW), product_id, click["bot"])
        found[key]["clicks"] += 1
        found[key]["converted"] += click["purchase_id"] is not None
        found[key]["late"] += click["late"]
        found[key]["last_epoch"] = max(found[key]["last_epoch"], click["last_epoch"])
        if click["purchase_id"] is not None:
            led_to[key].add((user, product_id, click["purchase_id"]))
    for key, row in found.items():
        row["purchases"] = len({purchase[2] for purchase in led_to[key]})
        row["late"] += len({purchase[2] for purchase in led_to[key] if purchases[purchase]["late"]})
    return _plain(found)


def _floor(instant: datetime, unit: timedelta) -> datetime:
    return instant - (instant - datetime(1970, 1, 1, tzinfo=instant.tzinfo)) % unit


def _plain(rows: dict[Any, Any]) -> Rows:
    return {key: dict(row) for key, row in rows.items()}
