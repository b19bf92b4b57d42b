"""One look at what was committed, in one transaction of the watch's own: flags, then what people should know of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from time import monotonic
from zoneinfo import ZoneInfo

import structlog

from contracts.settings import ShopSettings
from processing.alerting import anomalies, data_faults, rules
from processing.alerting.book import AlertBook, open_keys
from processing.alerting.data_faults import Clock
from processing.alerting.firing import Firing
from processing.alerting.lifecycle import Changed, Opened, Resolved, Step
from processing.alerting.measures import Axis
from processing.alerting.rule_settings import Rule
from processing.detection.detector import Detector
from processing.detection.flags import Seen, find
from processing.detection.iqr import Iqr
from processing.detection.judging import Flag
from processing.detection.models import Models
from processing.detection.robust_z import RobustZ
from processing.detection.series import Series
from processing.detection.watches import Watch
from processing.store import Store, Transaction
from processing.watch.settings import WatchSettings
from processing.watch.state import read_committed, read_watched, tables_missing, write_watched
from schemas_avro import Registry

log = structlog.get_logger()


@dataclass(frozen=True)
class Looked:
    """What a look came to."""

    seen: Seen | None
    """What was looked at; None where there is nothing yet."""
    flags: Sequence[Flag] = ()
    steps: Sequence[Step] = ()
    waits: Sequence[float] = ()
    """Seconds from the commit that closed a window to its flags, for each end of such windows."""


class Watcher:
    """Looks, whenever it is told to."""

    def __init__(self, store: Store, options: WatchSettings, shop: ShopSettings, registry: Registry) -> None:
        self._store = store
        self._options = options
        self._zone = ZoneInfo(shop.time_zone)
        self._lateness = timedelta(seconds=shop.allowed_lateness_seconds)
        self._cart = timedelta(minutes=shop.cart_minutes)
        self._registry = registry
        self._models = Models(options.trained.thresholds)
        self._book = AlertBook(options.destinations, options.source)
        self._settled_at = -inf
        self._watching_since: datetime | None = None
        """By the database's clock. Of the silence before it nothing is known: the whole stack may have been off."""

    def look(self) -> Looked | None:
        """Judge what was committed since the last look, and settle alerts if it is time. None while tables are missing.

        Raises what the database raises; nothing was written then, and the next look does the same work.
        """
        with self._store.transaction() as transaction:
            if tables_missing(transaction):
                return None
            seen = read_committed(transaction)
            if seen is None:
                return Looked(None)
            flags, waits = self._flag(transaction, seen)
            # What was just flagged may be an alert, and need not wait for its turn.
            settles = bool(waits) or monotonic() - self._settled_at >= self._options.alert_seconds
            steps = self._settle(transaction, seen) if settles else []
        if settles:
            self._settled_at = monotonic()
        for step in steps:
            _tell(step)
        return Looked(seen, flags, steps, waits)

    def _flag(self, transaction: Transaction, now: Seen) -> tuple[list[Flag], list[float]]:
        """The flags, and how long those of windows that have closed since the last look were waited for."""
        before = read_watched(transaction)
        if now == before:
            return [], []
        if before is not None and now.epoch < before.epoch:
            before = None  # the store is an older one, restored: its windows are judged anew
        self._models.refresh(transaction)
        flags = find(transaction, before, now, timedelta(hours=self._options.look_back_hours), self._detectors_of)
        write_watched(transaction, now)
        waits = _waits(transaction, before, flags) if before else []
        if flags:
            windows = {(flag.scope, flag.subject, flag.metric, flag.window_start) for flag in flags}
            waited = {"seconds_after_close": round(max(waits), 3)} if waits else {}
            log.info("flagged", epoch=now.epoch, windows=len(windows), watermark=now.watermark.isoformat(), **waited)
        return flags, waits

    def _detectors_of(self, watch: Watch, series: Series) -> Sequence[Detector]:
        if watch.by_hour:
            return self._models.of(watch, series)
        return RobustZ(self._options.robust_z_threshold, watch.minimum), Iqr(self._options.iqr_threshold, watch.minimum)

    def _settle(self, transaction: Transaction, seen: Seen) -> list[Step]:
        (now,) = transaction.query("SELECT clock_timestamp() AS now")["now"].to_pylist()
        clock = Clock(now.astimezone(UTC), seen.watermark + self._lateness, seen.watermark - self._cart)
        self._watching_since = self._watching_since or clock.now
        found = list(data_faults.firings(transaction, self._options.data, clock, self._registry))
        found += rules.firings(transaction, self._rules("arrivals"), clock, self._zone)
        unknown: set[str] = set()
        if clock.now - self._watching_since < timedelta(seconds=self._options.data.silent_seconds):
            unknown.add(data_faults.SILENT)
            found = [firing for firing in found if firing.key != data_faults.SILENT]
        if clock.now - clock.seen_until > timedelta(minutes=self._options.alert_within_minutes):
            unknown |= {key for key in open_keys(transaction) if not key.startswith("data:")}
        else:
            found += self._of_the_shop(transaction, seen.watermark, clock)
        return self._book.settle(transaction, found, unknown, seen.epoch, clock.now)

    def _rules(self, axis: Axis) -> dict[str, Rule]:
        return {name: rule for name, rule in self._options.rules.items() if rule.enabled and rule.axis == axis}

    def _of_the_shop(self, transaction: Transaction, watermark: datetime, clock: Clock) -> Iterator[Firing]:
        yield from rules.firings(transaction, self._rules("events"), clock, self._zone)
        if self._options.anomaly_alerts:
            yield from anomalies.firings(anomalies.read(transaction, watermark))


def _waits(transaction: Transaction, before: Seen, flags: Sequence[Flag]) -> list[float]:
    """By end of the windows that were flagged for the first time: seconds since the commit that closed them."""
    ends = sorted({flag.window_end for flag in flags if flag.window_end > before.watermark})
    if not ends:
        return []
    found: list[float] = transaction.query(
        "SELECT extract(epoch FROM clock_timestamp() - min(committed_at))::float8 AS waited FROM epochs,"
        " unnest($2::timestamptz[]) AS ends (at) WHERE epoch > $1 AND watermark >= ends.at GROUP BY ends.at",
        (before.epoch, ends),
    )["waited"].to_pylist()
    return found


def _tell(step: Step) -> None:
    facts = {"key": step.alert.key, "severity": step.alert.severity, "title": step.alert.title}
    match step:
        case Opened():
            log.warning("alert_opened", **facts, explained_by=step.alert.explained_by)
        case Changed(notice=str()):
            log.warning("alert_changed", **facts, notice=step.notice)
        case Resolved():
            log.info("alert_resolved", **facts)
        case _:
            pass
