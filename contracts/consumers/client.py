# ruff: noqa: E501
# Made by `python -m contracts`: make it anew rather than change it.
"""Questions to a Millrace GraphQL API, with types. Needs httpx and msgspec, and nothing of Millrace.

    with Client("http://127.0.0.1:7071/graphql") as api:
        answer = api.ask(an_operation(its=variables))

There is a function for each operation of the documents. Money is Decimal, times have a zone, durations are timedelta.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import httpx
import msgspec
from msgspec import Struct, field

T = TypeVar("T")

_JSON: Final = {"accept": "application/graphql-response+json", "content-type": "application/json"}
_STREAM: Final = {**_JSON, "accept": "text/event-stream"}
_STREAM_SECONDS: Final = 60.0
"""A stream that is silent for longer is lost: the server gives a sign of life every few seconds."""


@dataclass(frozen=True, kw_only=True)
class _Question(Generic[T]):
    """A GraphQL document with the variables of one of its operations, and what the answer is read into."""

    document: str
    name: str
    answer: type[T]
    variables: dict[str, object]

    def request(self) -> bytes:
        """The body to be sent. A variable that is None is left out, so that its default holds."""
        given = {name: value for name, value in self.variables.items() if value is not None}
        return msgspec.json.encode({"query": self.document, "operationName": self.name, "variables": given})


class Operation(_Question[T]):
    """A query or mutation: to be asked once."""


class Subscription(_Question[T]):
    """To be followed."""


class Fault(Struct, frozen=True):
    """One error of an answer."""

    message: str
    path: list[str | int] = []
    extensions: dict[str, Any] = {}


class ApiError(Exception):
    """There is no answer, or one with errors, or another one than the schema says. `code` says what to do:

    - one of the server's own (docs/graphql.md): as the first of the `faults` says;
    - `NOT_REACHED`: send it again later; nothing was answered;
    - `NOT_GRAPHQL`: look at the address and at what stands between; `status` is what it answered;
    - `UNEXPECTED`: make this client anew; the server's schema is another one.
    """

    def __init__(self, code: str, message: str, status: int | None = None, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.status, self.faults = code, status, faults

    @property
    def retry_after_seconds(self) -> float | None:
        """After how long the same may be sent again with hope; None where it has to be changed."""
        told = self.faults[0].extensions.get("retryAfterSeconds") if self.faults else None
        if told is None and self.code in {"NOT_REACHED", "TOO_MANY_REQUESTS"}:
            return 1.0
        return None if told is None else float(told)


class Client:
    """Asks and follows over connections that are kept until it is closed. A key is sent where one is given."""

    def __init__(self, url: str, key: str = "", *, timeout_seconds: float = 30.0, trust_env: bool = True) -> None:
        self._url = url
        self._http = httpx.Client(headers=_bearer(key), timeout=timeout_seconds, trust_env=trust_env)

    def ask(self, operation: Operation[T]) -> T:
        """The answer. Raises ApiError."""
        try:
            response = self._http.post(self._url, content=operation.request(), headers=_JSON)
        except httpx.TransportError as error:
            raise _not_reached(error) from error
        return _read(response.content, response.status_code, operation)

    def follow(self, subscription: Subscription[T]) -> Iterator[T]:
        """The answer now and after each change. Raises ApiError, also where the stream ends before it is complete."""
        body, events = subscription.request(), _Events()
        try:
            with self._http.stream("POST", self._url, content=body, headers=_STREAM, timeout=_STREAM_SECONDS) as told:
                if not _is_stream(told):
                    raise _refused(told.read(), told.status_code, subscription)
                for line in told.iter_lines():
                    if data := events.data(line):
                        yield _read(data, told.status_code, subscription)
                    if events.complete:
                        return
        except httpx.TransportError as error:
            raise _not_reached(error) from error
        raise ApiError("NOT_REACHED", "the stream ended before it was complete")

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncClient:
    """The same for asyncio."""

    def __init__(self, url: str, key: str = "", *, timeout_seconds: float = 30.0, trust_env: bool = True) -> None:
        self._url = url
        self._http = httpx.AsyncClient(headers=_bearer(key), timeout=timeout_seconds, trust_env=trust_env)

    async def ask(self, operation: Operation[T]) -> T:
        """The answer. Raises ApiError."""
        try:
            response = await self._http.post(self._url, content=operation.request(), headers=_JSON)
        except httpx.TransportError as error:
            raise _not_reached(error) from error
        return _read(response.content, response.status_code, operation)

    async def follow(self, subscription: Subscription[T]) -> AsyncIterator[T]:
        """The answer now and after each change. Raises ApiError, also where the stream ends before it is complete."""
        body, events = subscription.request(), _Events()
        try:
            async with self._http.stream(
                "POST", self._url, content=body, headers=_STREAM, timeout=_STREAM_SECONDS
            ) as told:
                if not _is_stream(told):
                    raise _refused(await told.aread(), told.status_code, subscription)
                async for line in told.aiter_lines():
                    if data := events.data(line):
                        yield _read(data, told.status_code, subscription)
                    if events.complete:
                        return
        except httpx.TransportError as error:
            raise _not_reached(error) from error
        raise ApiError("NOT_REACHED", "the stream ended before it was complete")

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()


class _Answer(Struct, Generic[T]):
    data: T | None = None
    errors: tuple[Fault, ...] = ()


class _Events:
    """What the lines of a stream of server-sent events say."""

    complete = False
    _name = ""

    def data(self, line: str) -> str:
        """The answer that a line brings; empty where it brings none."""
        field_, _, value = line.partition(": ")
        if field_ == "event":
            self._name = value
        self.complete = self._name == "complete"
        return value if field_ == "data" else ""


def _is_stream(response: httpx.Response) -> bool:
    return str(response.headers.get("content-type", "")).startswith("text/event-stream")


def _read(body: bytes | str, status: int, question: _Question[T]) -> T:
    try:
        answer: _Answer[T] = msgspec.json.decode(body, type=_Answer[question.answer])  # type: ignore[name-defined]
    except msgspec.ValidationError as error:
        raise ApiError("UNEXPECTED", f"{question.name} is not answered as the schema says: {error}", status) from error
    except msgspec.DecodeError as error:
        raise ApiError("NOT_GRAPHQL", f"status {status}, and no GraphQL answer: {error}", status) from error
    if answer.errors:
        first = answer.errors[0]
        raise ApiError(str(first.extensions.get("code", "UNEXPECTED")), first.message, status, answer.errors)
    if answer.data is None:
        raise ApiError("NOT_GRAPHQL", f"status {status}, with neither data nor errors", status)
    return answer.data


def _refused(body: bytes, status: int, subscription: Subscription[T]) -> ApiError:
    """Why there is no stream."""
    try:
        _read(body, status, subscription)
    except ApiError as error:
        return error
    return ApiError("NOT_GRAPHQL", f"status {status}, and no stream of events", status)


def _not_reached(error: httpx.TransportError) -> ApiError:
    return ApiError("NOT_REACHED", str(error) or type(error).__name__)


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


_TEXT_1: Final = """\
query FunnelBySource($range: TimeRange!) {
  funnel(range: $range, breakdown: SOURCE, first: 10) {
    isFinal
    segments { segment sessions steps { action sessions shareOfFirst shareOfPrevious medianTime } }
  }
  conversions(range: $range) { windowStart productId clicks convertedClicks rate }
}
"""


class FunnelAction(StrEnum):
    """What an event must be to reach a step of a funnel."""

    VIEW = "VIEW"
    """A page view or a product view."""
    PAGE_VIEW = "PAGE_VIEW"
    """A page view."""
    PRODUCT_VIEW = "PRODUCT_VIEW"
    """A product view: the action `view`."""
    SEARCH = "SEARCH"
    """A search."""
    CLICK = "CLICK"
    """A click."""
    SCROLL = "SCROLL"
    """A scroll."""
    ADD_TO_CART = "ADD_TO_CART"
    """An addition to a cart."""
    REMOVE_FROM_CART = "REMOVE_FROM_CART"
    """A removal from a cart."""
    CHECKOUT_START = "CHECKOUT_START"
    """A checkout begun."""
    PURCHASE = "PURCHASE"
    """An order line bought."""
    REFUND = "REFUND"
    """An order line refunded."""
    OTHER = "OTHER"
    """An action that has no name of its own."""


class FunnelBySourceFunnelSegmentsSteps(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step of a funnel."""

    action: FunnelAction
    """What reaches the step."""
    sessions: int
    """Sessions that reached it, by way of all the steps ahead of it."""
    share_of_first: float | None = field(name="shareOfFirst")
    """Share of the sessions that reached the first step: 0 to 1; null where none did."""
    share_of_previous: float | None = field(name="shareOfPrevious")
    """Share of the sessions that reached the step ahead: 0 to 1; null for the first step, and where none reached the
    one ahead.
    """
    median_time: timedelta | None = field(name="medianTime")
    """Median time from the first step to this one, of the sessions that reached it; null where none did."""


class FunnelBySourceFunnelSegments(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The funnel of some of the sessions."""

    segment: str | None
    """By what the breakdown tells them apart; null without one, and for sessions that do not say."""
    sessions: int
    """Sessions in it, whether or not they reached the first step."""
    steps: list[FunnelBySourceFunnelSegmentsSteps]
    """Its steps, in order."""


class FunnelBySourceFunnel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far the sessions that started in a range got, within their first 50 events."""

    is_final: bool = field(name="isFinal")
    """Whether the watermark has passed the range and every session in it is completed."""
    segments: list[FunnelBySourceFunnelSegments]
    """Most sessions first. Without a breakdown, exactly one."""


class FunnelBySourceConversions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Clicks on a product in a window, and what they led to: a click converts when its user buys the product within ten
    minutes, and is credited with the first such purchase. It is final when the watermark is ten minutes past its
    end. Windows without a click are left out.
    """

    window_start: datetime = field(name="windowStart")
    """First instant in the window."""
    product_id: str = field(name="productId")
    """Which product."""
    clicks: int
    """Clicks that named it."""
    converted_clicks: int = field(name="convertedClicks")
    """Clicks that a purchase followed within ten minutes."""
    rate: float
    """`convertedClicks` by `clicks`: 0 to 1."""


class FunnelBySource(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All roots of one operation read one snapshot: the commit that `asOf` names."""

    funnel: FunnelBySourceFunnel
    """How far the sessions that started in the range got on their way, step by step. No step has more sessions than the
    one ahead of it.  ```graphql {   funnel(     range: { from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z" }
    breakdown: SOURCE   ) {     segments {       segment       steps {         action         sessions
    shareOfPrevious         medianTime       }     }   } } ```
    """
    conversions: list[FunnelBySourceConversions]
    """Clicks on products that led to a purchase, by window (of the click's time) and product. Device and source are not
    kept with a click: `funnel` has them.  ```graphql {   conversions(     range: { from: "2026-03-01T09:00:00Z", to:
    "2026-03-01T10:00:00Z" }     window: "PT1H"   ) {     windowStart     productId     clicks     convertedClicks
    rate   } } ```
    """


class TimeRange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A half-open range of time, [from, to)."""

    from_: datetime = field(name="from")
    """First instant in it."""
    to: datetime
    """First instant after it."""


def funnel_by_source(
    *,
    range: TimeRange,
) -> Operation[FunnelBySource]:
    """`FunnelBySource` of marketing-site/funnel.graphql."""
    return Operation(
        document=_TEXT_1,
        name="FunnelBySource",
        answer=FunnelBySource,
        variables={
            "range": range,
        },
    )


_TEXT_2: Final = """\
query Journeys($range: TimeRange!) {
  journeys(range: $range, by: PAGE, depth: 4, first: 30) {
    journeys
    cut
    nodes { place label visits exits exitRate }
    transitions { fromLabel: from toLabel: to count }
  }
}
"""


class JourneysJourneysNodes(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step that journeys go through. Its visits are those that repeat nothing."""

    place: int | None
    """Place in the journey, from 1 on; null without `depth`."""
    label: str
    """The page or the action."""
    visits: int
    """How often journeys came to it; staying on it is the same visit."""
    exits: int
    """Journeys that ended with it, of those that are not cut."""
    exit_rate: float = field(name="exitRate")
    """`exits` by `visits`: 0 to 1."""


class JourneysJourneysTransitions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From one step to the next one that is different."""

    from_label: str = field(name="fromLabel")
    """Label of the step it leaves."""
    to_label: str = field(name="toLabel")
    """Label of the step it goes to."""
    count: int
    """How often."""


class JourneysJourneys(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the sessions that started in a range went from step to step, within their first 50 events."""

    journeys: int
    """Sessions with at least one step."""
    cut: int
    """Those with more than 50 events: where they went and left after is unknown."""
    nodes: list[JourneysJourneysNodes]
    """Most visits first."""
    transitions: list[JourneysJourneysTransitions]
    """Most frequent first."""


class Journeys(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All roots of one operation read one snapshot: the commit that `asOf` names."""

    journeys: JourneysJourneys
    """Which page or action follows which in the sessions that started in the range, where they enter and where they
    leave.  ```graphql {   journeys(     range: { from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z" }     by:
    PAGE     depth: 4   ) {     transitions {       place       from       to       count     }   } } ```
    """


def journeys(
    *,
    range: TimeRange,
) -> Operation[Journeys]:
    """`Journeys` of marketing-site/journeys.graphql."""
    return Operation(
        document=_TEXT_2,
        name="Journeys",
        answer=Journeys,
        variables={
            "range": range,
        },
    )


_TEXT_3: Final = """\
query Books {
  books { close residue totals { records applied duplicates quarantined rejected late } checks { name left right } }
}
"""


class BooksBooksTotals(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ledger summed over all epochs."""

    records: int
    """Records read from the log."""
    applied: int
    """Events that every table counts."""
    duplicates: int
    """Records whose event had been applied before."""
    quarantined: int
    """Records that do not decode to an event."""
    rejected: int
    """Records of events that the gateway refused."""
    late: int
    """Applied events that the watermark had passed."""


class BooksBooksChecks(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Two sums that must be equal."""

    name: str
    """Stable name of the check."""
    left: int
    """The sum that is checked."""
    right: int
    """What it must be."""


class BooksBooks(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Proof that no record is lost or counted twice: received = applied + duplicates + quarantined + rejected, and each
    table's own sum agrees. Late is a label, not a loss.
    """

    close: bool
    """Whether every check has residue 0."""
    residue: int
    """Sum of the checks' residues without their sign."""
    totals: BooksBooksTotals
    """What became of all records."""
    checks: list[BooksBooksChecks]
    """Sums that must be equal."""


class Books(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All roots of one operation read one snapshot: the commit that `asOf` names."""

    books: BooksBooks | None
    """Whether every record is accounted for; null before the first commit.  ```graphql {   books {     close
    residue     checks {       name       left       right     }   } } ```
    """


def books() -> Operation[Books]:
    """`Books` of shop-dashboard/books.graphql."""
    return Operation(
        document=_TEXT_3,
        name="Books",
        answer=Books,
        variables={},
    )


_TEXT_4: Final = """\
query Overview($range: TimeRange!) {
  asOf { epoch committedAt lag }
  realtime { activeUsers eventsPerSecond viewsPerMinute revenueToday purchasesToday currency conversionRate series { minute views revenue } }
  revenue(range: $range) { windowStart category count total isFinal revision }
  sales(range: $range, grain: HOUR) { windowStart revenue purchases uniqueCustomers averagePurchase }
}
"""


class OverviewAsOf(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The commit that every number of this answer belongs to."""

    epoch: int
    """Number of the newest committed epoch; it never goes back."""
    committed_at: datetime = field(name="committedAt")
    """When it was committed, by the database's clock."""
    lag: timedelta
    """Age of the newest committed event: now less the broker's time of that event. It grows while the stream is quiet
    as well as while processing is behind; `freshness` tells the two apart.
    """


class OverviewRealtimeSeries(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One minute of the shop."""

    minute: datetime
    """Its start."""
    views: int
    """Page views and product views."""
    revenue: Decimal
    """Money of the purchases; refunds are not taken off."""


class OverviewRealtime(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The shop just now. Now is `asOf.committedAt`, so that the same epoch always gives the same numbers; the minute of
    the commit has only just begun and is included.
    """

    active_users: int | None = field(name="activeUsers")
    """Distinct users seen over the minute of the last commit and the four before it. Never null."""
    events_per_second: float = field(name="eventsPerSecond")
    """Events over the minute of the last commit and the four before it, by the seconds from the start of the oldest of
    them to the commit.
    """
    views_per_minute: float = field(name="viewsPerMinute")
    """Views over the same time, by its minutes."""
    revenue_today: Decimal = field(name="revenueToday")
    """Money of the purchases since midnight in the time zone; refunds are not taken off."""
    purchases_today: int = field(name="purchasesToday")
    """Order lines bought since midnight in the time zone."""
    currency: str
    """ISO 4217 code of the shop's one currency."""
    conversion_rate: float | None = field(name="conversionRate")
    """Share of the distinct users seen who also bought, over the minute of the last commit and the 59 before it: 0 to
    1; null where no user was seen.
    """
    series: list[OverviewRealtimeSeries]
    """The same 60 minutes, oldest first, minutes without events as zero."""


class OverviewRevenue(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A category's revenue in a window. Windows without purchase or refund are left out."""

    window_start: datetime = field(name="windowStart")
    """First instant in the window."""
    category: str
    """Empty where the transactions named none."""
    count: int
    """Purchases: order lines bought."""
    total: Decimal
    """Money of the purchases; refunds are not taken off."""
    is_final: bool = field(name="isFinal")
    """Whether the watermark has passed the end: nothing on time can change it any more."""
    revision: int
    """How many events came into it after the watermark had passed them. It only grows, and where it has grown, numbers
    read earlier were corrected.
    """


class OverviewSales(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Sales of an hour or a day in a time zone; the days of clock changes have 23 and 25 hours."""

    window_start: datetime = field(name="windowStart")
    """First instant in the window."""
    revenue: Decimal
    """Money of the purchases; refunds are not taken off."""
    purchases: int
    """Order lines bought."""
    unique_customers: int | None = field(name="uniqueCustomers")
    """Distinct users who bought: exact up to 4,096, above that with a standard error of 1.6 %. Never null."""
    average_purchase: Decimal | None = field(name="averagePurchase")
    """`revenue` by `purchases`, to four places; null where there is no purchase."""


class Overview(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All roots of one operation read one snapshot: the commit that `asOf` names."""

    as_of: OverviewAsOf | None = field(name="asOf")
    """The commit this answer belongs to; null before the first.  ```graphql {   asOf {     epoch     committedAt
    watermark   } } ```
    """
    realtime: OverviewRealtime | None
    """The shop just now; null before the first commit. Minutes, which this is summed up from, know neither device nor
    source; `sessions`, `funnel` and `journeys` do.  ```graphql {   realtime(timeZone: "Europe/Berlin", compareWith:
    WEEK_BEFORE) {     activeUsers     revenueToday     currency     previous {       revenue     }   } } ```
    """
    revenue: list[OverviewRevenue]
    """Revenue by category in tumbling windows that start in the range, of all products or of some. By product it is in
    `productMetrics`. Minutes, which this is summed up from, know neither device nor source; `sessions`, `funnel` and
    `journeys` do.  ```graphql {   revenue(     range: { from: "2026-03-01T09:00:00Z", to: "2026-03-01T10:00:00Z" }
    window: "PT5M"     compareWith: WEEK_BEFORE   ) {     windowStart     category     count     total     average
    currency     previous {       total     }   } } ```
    """
    sales: list[OverviewSales]
    """Sales of every hour or day that starts in the range, empty ones as zero. Minutes, which this is summed up from,
    know neither device nor source; `sessions`, `funnel` and `journeys` do.  ```graphql {   sales(     range: { from:
    "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z" }     grain: HOUR     timeZone: "Europe/Berlin"   ) {
    windowStart     revenue     orders     averagePurchase     currency   } } ```
    """


def overview(
    *,
    range: TimeRange,
) -> Operation[Overview]:
    """`Overview` of shop-dashboard/overview.graphql."""
    return Operation(
        document=_TEXT_4,
        name="Overview",
        answer=Overview,
        variables={
            "range": range,
        },
    )


_TEXT_5: Final = """\
query BestSellers($range: TimeRange!) { topProducts(range: $range, by: UNITS, first: 5) { rank productId units categories } }
"""


class BestSellersTopProducts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A product's sums over a range, and its place."""

    rank: int
    """1 is the best."""
    product_id: str = field(name="productId")
    """Which product."""
    units: int
    """Pieces bought."""
    categories: list[str]
    """Categories its events named."""


class BestSellers(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All roots of one operation read one snapshot: the commit that `asOf` names."""

    top_products: list[BestSellersTopProducts] = field(name="topProducts")
    """The best products over the minutes that begin in the range; those with none of the measure are left out, ties go
    by product id. Minutes, which this is summed up from, know neither device nor source; `sessions`, `funnel` and
    `journeys` do.  ```graphql {   topProducts(     range: { from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"
    }     by: REVENUE     first: 5   ) {     rank     productId     units     revenue     currency   } } ```
    """


def best_sellers(
    *,
    range: TimeRange,
) -> Operation[BestSellers]:
    """`BestSellers` of warehouse-app/best-sellers.graphql."""
    return Operation(
        document=_TEXT_5,
        name="BestSellers",
        answer=BestSellers,
        variables={
            "range": range,
        },
    )


_TEXT_6: Final = """\
query LastSessions($after: String) {
  sessions(first: 10, after: $after, converted: true) {
    nodes { id userId startedAt status purchases revenue currency path { at action productId } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


class SessionStatus(StrEnum):
    """Whether a session can still go on."""

    ACTIVE = "ACTIVE"
    """An event on time could still join it."""
    COMPLETED = "COMPLETED"
    """The watermark is the session gap or more past its last event."""


class LastSessionsSessionsNodesPath(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a session."""

    at: datetime
    """Event time."""
    action: str
    """The clickstream's action, or `purchase` or `refund`."""
    product_id: str | None = field(name="productId")
    """The product it names; null where it names none."""


class LastSessionsSessionsNodes(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Events of one session id that are less than the session gap (30 minutes) apart in event time."""

    id: str
    """Global id: of the session id and its start. Opaque."""
    user_id: str = field(name="userId")
    """User of the first event."""
    started_at: datetime = field(name="startedAt")
    """Time of the first event."""
    status: SessionStatus
    """Whether it can still go on."""
    purchases: int
    """Order lines bought."""
    revenue: Decimal
    """Money of the purchases; refunds are not taken off."""
    currency: str
    """ISO 4217 code of the shop's one currency."""
    path: list[LastSessionsSessionsNodesPath]
    """Its first 50 events, in order."""


class LastSessionsSessionsPageInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Relay: where a page lies in the list."""

    has_next_page: bool = field(name="hasNextPage")
    """Whether rows follow the page."""
    end_cursor: str | None = field(name="endCursor")
    """Of its last row, for `after`; null where the page is empty."""


class LastSessionsSessions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of sessions."""

    nodes: list[LastSessionsSessionsNodes]
    """The sessions without their edges."""
    page_info: LastSessionsSessionsPageInfo = field(name="pageInfo")
    """Where the page lies in the list."""


class LastSessions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All roots of one operation read one snapshot: the commit that `asOf` names."""

    sessions: LastSessionsSessions
    """Sessions, newest start first (Relay): `first`/`after` towards older ones, `last`/`before` towards newer ones.
    ```graphql {   sessions(     range: { from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z" }     device:
    "mobile"     first: 50   ) {     nodes {       id       startedAt       duration       status     }     pageInfo
    {       hasNextPage       endCursor     }   } } ```
    """


def last_sessions(
    *,
    after: str | None = None,
) -> Operation[LastSessions]:
    """`LastSessions` of warehouse-app/last-sessions.graphql."""
    return Operation(
        document=_TEXT_6,
        name="LastSessions",
        answer=LastSessions,
        variables={
            "after": after,
        },
    )
