"""Every number the product serves, computed once more in plain Python from what was sent and acknowledged.

Written from the definitions (docs, `contracts`), not from the code that serves the numbers, so that a mistake would
have to be made twice. It holds all events in memory: a judge for test runs, not a second product.

    oracle = Oracle.from_log(Path("client.jsonl"))
    oracle.product_minutes[minute, "sku-0001", "books"].revenue
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final, Literal, Self
from zoneinfo import ZoneInfo

from loadtest.client_log import Attempt, Verdict, read_log
from loadtest.facts import Fact, Measures, from_epoch_ms, measured, to_fact

MINUTE: Final = timedelta(minutes=1)
SESSION_GAP: Final = timedelta(minutes=30)
_LONGEST_PATH: Final = 50


@dataclass(frozen=True)
class Books:
    """What was sent, by what became of it."""

    accepted: int
    """Attempts answered `accepted`: each left a record in the log."""
    applied: int
    """Different events among them."""
    duplicates: int
    """accepted - applied."""
    conflicts: int
    """Duplicates whose payload is another one."""
    rejected: int
    reasons: dict[str | None, int]
    """Rejected, by reason code."""
    unanswered: int
    """Attempts without a verdict: each may have left one record more, a duplicate if its retry was accepted."""
    undecided: frozenset[str]
    """Ids of events that never had a verdict: they may or may not count."""


@dataclass(frozen=True)
class Session:
    """Events of one session id, each less than the gap after the one before."""

    session_id: str
    started_at: datetime
    ended_at: datetime
    user_id: str
    """Of the first event."""
    measures: Measures
    entry_page: str | None
    """Page of the first event that has one."""
    exit_page: str | None
    path: tuple[tuple[int, str, str, str | None, str | None], ...]
    """First 50 steps: epoch ms, action, event id, product id, page; in the order of these."""

    @property
    def duration(self) -> timedelta:
        """From the first event to the last."""
        return self.ended_at - self.started_at

    @property
    def bounced(self) -> bool:
        """Exactly one event."""
        return self.measures.events == 1

    def completed(self, watermark: datetime) -> bool:
        """No event can join it any more; until then it is active."""
        return self.ended_at + SESSION_GAP <= watermark


@dataclass(frozen=True)
class RevenueWindow:
    """What was sold in one window."""

    count: int
    total: Decimal

    @property
    def average(self) -> Decimal:
        """Per order line, not rounded beyond the decimal context."""
        return self.total / self.count


class Oracle:
    """All answers about one set of applied events."""

    def __init__(self, facts: Iterable[Fact], books: Books | None = None) -> None:
        self.facts = sorted(facts, key=lambda fact: (fact.at_ms, fact.event_id, fact.action))
        self.books = books
        self.product_minutes = self.windows(_product_and_category, MINUTE)
        self.category_minutes = self.windows(lambda fact: (fact.category or "",), MINUTE)
        self.site_minutes = self.windows(lambda _: (), MINUTE)
        self.sessions = {(session.session_id, session.started_at): session for session in self._sessions()}

    @classmethod
    def from_log(cls, path: Path) -> Self:
        """Judge by a client log. Raises ValueError where the file is no client log."""
        return cls.from_attempts(read_log(path))

    @classmethod
    def from_attempts(cls, attempts: Iterable[Attempt]) -> Self:
        """Judge by attempts in the order of their answers: of one id, the first accepted counts."""
        first: dict[tuple[str, str], Fact] = {}
        tally: Counter[str] = Counter()
        reasons: Counter[str | None] = Counter()
        unanswered: dict[str, None] = {}
        answered: set[str] = set()
        for attempt in attempts:
            tally[attempt.verdict] += 1
            if attempt.verdict == Verdict.UNKNOWN:
                unanswered[attempt.event_id] = None
                continue
            answered.add(attempt.event_id)
            if attempt.verdict == Verdict.REJECTED:
                reasons[attempt.code] += 1
                continue
            fact = to_fact(attempt.event)
            if first.setdefault((fact.topic, fact.event_id), fact) != fact:
                tally["conflict"] += 1
        accepted = tally[Verdict.ACCEPTED]
        books = Books(
            accepted=accepted,
            applied=len(first),
            duplicates=accepted - len(first),
            conflicts=tally["conflict"],
            rejected=tally[Verdict.REJECTED],
            reasons=dict(reasons),
            unanswered=tally[Verdict.UNKNOWN],
            undecided=frozenset(unanswered.keys() - answered),
        )
        return cls(first.values(), books)

    def windows(
        self, key: Callable[[Fact], tuple[str, ...] | None], size: timedelta, slide: timedelta | None = None
    ) -> dict[tuple[datetime | str, ...], Measures]:
        """Measures by (window start, *key) over windows `[start, start + size)`, starts counted from the epoch.

        `slide` is the distance between starts (default: `size`). Events whose key is None are left out.
        """
        size_ms, slide_ms = _ms(size), _ms(slide or size)
        windows: dict[tuple[datetime | str, ...], Measures] = defaultdict(Measures)
        for fact in self.facts:
            keyed = key(fact)
            if keyed is None:
                continue
            start_ms = fact.at_ms - fact.at_ms % slide_ms
            while start_ms > fact.at_ms - size_ms:
                windows[from_epoch_ms(start_ms), *keyed].add(fact)
                start_ms -= slide_ms
        return dict(windows)

    def product_windows(
        self, size: timedelta, slide: timedelta | None = None
    ) -> dict[tuple[datetime | str, ...], Measures]:
        """By (window start, product id), over all categories a product was seen in."""
        return self.windows(lambda fact: None if fact.product_id is None else (fact.product_id,), size, slide)

    def revenue(self, size: timedelta = timedelta(minutes=5)) -> dict[tuple[datetime | str, ...], RevenueWindow]:
        """By (window start, category); only windows in which something was bought."""
        by_category = self.windows(lambda fact: (fact.category or "",), size)
        return {
            key: RevenueWindow(measures.purchases, measures.revenue)
            for key, measures in by_category.items()
            if measures.purchases
        }

    def between(self, start: datetime, end: datetime) -> Measures:
        """The whole site in `[start, end)`."""
        return measured(fact for fact in self.facts if start <= fact.at < end)

    def top_products(self, by: str, start: datetime, end: datetime, count: int = 10) -> list[tuple[str, int | Decimal]]:
        """The `count` products with most of one measure in `[start, end)`, ties by product id; none with nothing."""
        products: dict[str, Measures] = defaultdict(Measures)
        for fact in self.facts:
            if fact.product_id is not None and start <= fact.at < end:
                products[fact.product_id].add(fact)
        values = ((product_id, getattr(measures, by)) for product_id, measures in products.items())
        ranked = sorted(((p, value) for p, value in values if value), key=lambda row: (-row[1], row[0]))
        return ranked[:count]

    def sales(self, grain: Literal["hour", "day"], time_zone: str = "UTC") -> dict[datetime, Measures]:
        """The whole site by local hour or day, keyed by the bucket's first instant in UTC."""
        zone = ZoneInfo(time_zone)
        buckets: dict[datetime, Measures] = defaultdict(Measures)
        for fact in self.facts:
            buckets[_bucket_start(fact.at, grain, zone)].add(fact)
        return dict(buckets)

    def _sessions(self) -> Iterable[Session]:
        by_session = sorted(self.facts, key=attrgetter("session_id"))
        for _, facts in groupby(by_session, key=attrgetter("session_id")):
            island: list[Fact] = []
            for fact in facts:
                if island and fact.at - island[-1].at >= SESSION_GAP:
                    yield _session(island)
                    island = []
                island.append(fact)
            yield _session(island)


def _session(island: list[Fact]) -> Session:
    pages = [fact.page for fact in island if fact.page is not None]
    path = sorted(island, key=lambda fact: (fact.at_ms, fact.action, fact.event_id))[:_LONGEST_PATH]
    return Session(
        session_id=island[0].session_id,
        started_at=island[0].at,
        ended_at=island[-1].at,
        user_id=island[0].user_id,
        measures=measured(island),
        entry_page=pages[0] if pages else None,
        exit_page=pages[-1] if pages else None,
        path=tuple((f.at_ms, f.action, f.event_id, f.product_id, f.page) for f in path),
    )


def _product_and_category(fact: Fact) -> tuple[str, ...] | None:
    return None if fact.product_id is None else (fact.product_id, fact.category or "")


def _bucket_start(at: datetime, grain: Literal["hour", "day"], zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    if grain == "day":
        # The first of two midnights, should the clock be set back over it.
        local = local.replace(hour=0, fold=0)
    return local.astimezone(UTC)


def _ms(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)
