"""Which alerts open, change and resolve, and of what people are told."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processing.alerting.anomalies import Flagged, firings
from processing.alerting.firing import Firing, Member, QuietHours
from processing.alerting.lifecycle import Alert, Changed, Opened, Resolved, Step, steps

pytestmark = pytest.mark.unit

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SITE, SHOES = Member("site", "", "says"), Member("category", "shoes", "says")


def firing(**changes: Any) -> Firing:
    told = Firing("rule:x", "shop", "warning", "X", (SITE,), NOON - 10 * MINUTE, NOON)
    return replace(told, **changes)


def alert(**changes: Any) -> Alert:
    kept = Alert(1, "rule:x", "shop", "warning", "X", (SITE,), None, NOON - 10 * MINUTE, NOON - 10 * MINUTE)
    return replace(kept, **changes)


FAULT = alert(id=9, key="data:rejected", kind="data")


def taken(alerts: list[Alert], found: list[Firing], faults: tuple[Alert, ...] = (), **unknown: Any) -> list[Step]:
    return steps(alerts, found, unknown.get("unknown", ()), faults, NOON)


def test_what_begins_to_hold_opens_and_is_told() -> None:
    (step,) = taken([], [firing()])
    assert isinstance(step, Opened)
    assert step.notify
    assert (step.alert.id, step.alert.opened_at, step.alert.members) == (None, NOON, (SITE,))


def test_what_goes_on_holding_is_told_once() -> None:
    (step,) = taken([alert()], [firing(members=(replace(SITE, says="other numbers"),))])
    assert isinstance(step, Changed)
    assert step.notice is None
    assert step.alert.members[0].says == "other numbers"


def test_what_holds_no_more_resolves_and_those_are_told_who_were_told_of_it() -> None:
    for notified, told in ((NOON, True), (None, False)):
        (step,) = taken([alert(notified_at=notified)], [])
        assert isinstance(step, Resolved)
        assert (step.notify, step.alert.resolved_at) == (told, NOON)


def test_an_alert_of_which_it_is_not_known_whether_it_holds_stays() -> None:
    assert taken([alert()], [], unknown={"rule:x"}) == []


def test_getting_worse_is_told_at_once_and_getting_better_is_not() -> None:
    (worse,) = taken([alert(notified_at=NOON - MINUTE)], [firing(severity="critical")])
    assert isinstance(worse, Changed)
    assert (worse.notice, worse.alert.severity) == ("changed", "critical")
    (better,) = taken([alert(severity="critical")], [firing()])
    assert isinstance(better, Changed)
    assert (better.notice, better.alert.severity) == (None, "critical")


@pytest.mark.parametrize(("minutes", "notice"), [(4, None), (5, "changed")])
def test_who_joins_is_told_but_not_one_by_one(minutes: int, notice: str | None) -> None:
    (step,) = taken([alert(notified_at=NOON - minutes * MINUTE)], [firing(members=(SITE, SHOES))])
    assert isinstance(step, Changed)
    assert step.notice == notice


def test_a_fault_of_the_data_explains_what_the_shop_says_of_the_same_time() -> None:
    (step,) = taken([], [firing()], (FAULT,))
    assert isinstance(step, Opened)
    assert (step.alert.explained_by, step.notify) == (9, False)


def test_a_fault_of_the_data_does_not_explain_another() -> None:
    (step,) = taken([], [firing(kind="data", key="data:books")], (FAULT,))
    assert isinstance(step, Opened)
    assert step.notify


@pytest.mark.parametrize(
    ("since", "until", "explained"),
    [
        (-120, -27, False),  # over before the fault can have begun: seen at -10, it began at -25 at the earliest
        (-120, -25, True),
        (-3, 0, True),
        (-2, 0, False),  # begun after the fault ended
    ],
)
def test_only_of_the_same_time(since: int, until: int, explained: bool) -> None:
    fault = replace(FAULT, resolved_at=NOON - 3 * MINUTE)
    (step,) = taken([], [firing(since=NOON + since * MINUTE, until=NOON + until * MINUTE)], (fault,))
    assert isinstance(step, Opened)
    assert (step.alert.explained_by is not None) is explained


def test_what_goes_on_after_its_explanation_has_ended_is_told_then() -> None:
    (step,) = taken([alert(explained_by=9, notified_at=None)], [firing()])
    assert isinstance(step, Changed)
    assert (step.notice, step.alert.explained_by) == ("opened", None)


def test_what_was_told_before_the_fault_goes_on_being_told() -> None:
    (step,) = taken([alert()], [firing(severity="critical")], (FAULT,))
    assert isinstance(step, Changed)
    assert (step.notice, step.alert.explained_by) == ("changed", None)


@pytest.mark.parametrize(
    ("start", "end", "now", "until"),
    [
        (time(22), time(7), NOON.replace(hour=21, minute=59), None),
        (time(22), time(7), NOON.replace(hour=22), NOON.replace(hour=7) + timedelta(days=1)),
        (time(22), time(7), NOON.replace(hour=3), NOON.replace(hour=7)),
        (time(22), time(7), NOON.replace(hour=7), None),
        (time(12), time(13), NOON, NOON.replace(hour=13)),
    ],
)
def test_quiet_hours_go_over_midnight(start: time, end: time, now: datetime, until: datetime | None) -> None:
    assert QuietHours(start, end, ZoneInfo("UTC")).until(now) == until


def test_quiet_hours_are_of_the_shops_zone() -> None:
    kolkata = QuietHours(time(22), time(7), ZoneInfo("Asia/Kolkata"))
    assert kolkata.until(NOON.replace(hour=17)) == (NOON + timedelta(days=1)).replace(hour=1, minute=30)


def flag(window: int, **changes: Any) -> Flagged:
    start = NOON + window * MINUTE
    told = Flagged("views", "site", "", "down", start, start + MINUTE, 100, 10, "warning", "iqr")
    return replace(told, **changes)


def test_an_alert_takes_two_flagged_windows_or_a_critical_one() -> None:
    assert firings([flag(0)]) == []
    assert [each.key for each in firings([flag(0), flag(2)])] == ["anomaly:views:down"]
    assert [each.severity for each in firings([flag(0, severity="critical")])] == ["critical"]
    assert firings([flag(0), flag(1, direction="up")]) == []
    assert firings([flag(0), flag(1, scope="category", subject="shoes")]) == []


def test_all_that_moved_in_one_direction_is_one_alert_the_site_first() -> None:
    shoes = {"scope": "category", "subject": "shoes", "severity": "critical"}
    books = {"scope": "category", "subject": "books", "severity": "critical", "observed": 99}
    (found,) = firings([flag(0, **books), flag(0, **shoes), flag(0, severity="critical"), flag(1, severity="critical")])
    assert [(each.scope, each.subject) for each in found.members] == [
        ("site", ""),
        ("category", "shoes"),
        ("category", "books"),
    ]
    assert "from 12:01 to 12:02 UTC, expected about 100" in found.members[0].says
    assert (found.since, found.until) == (NOON, NOON + 2 * MINUTE)
