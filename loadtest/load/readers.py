"""Locust's users who read: dashboards that ask, and frontends that are told of every commit."""

import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar, Final

import gevent
import orjson
from locust import User, task
from locust.exception import StopUser
from websockets.exceptions import ConnectionClosedOK, WebSocketException
from websockets.sync.client import ClientConnection, connect

from contracts.settings import GraphqlSettings
from loadtest.load.results import Results
from loadtest.load.users import ScheduledUser

_KEY: Final = GraphqlSettings().headers
_JSON: Final = {"content-type": "application/json", "accept": "application/json", **_KEY}
_DASHBOARD: Final = """query Dashboard($range: TimeRange!) {
  asOf { epoch }
  realtime { activeUsers eventsPerSecond viewsPerMinute revenueToday purchasesToday conversionRate }
  topProducts(range: $range, by: VIEWS, first: 10) { rank productId views purchases revenue }
  revenue(range: $range) { windowStart category count total }
  sales(range: $range, grain: HOUR) { windowStart revenue purchases uniqueCustomers }
  books { close residue }
}"""
_PUSHED: Final = "subscription { epochs { epoch committedAt } }"
_RECONNECT_SECONDS: Final = 1.0


class DashboardsCached(ScheduledUser):
    """Dashboards of the same hour: within an epoch all ask the same."""

    def request(self, due: float) -> None:
        start, end = self.range()
        variables = {"range": {"from": start.isoformat(), "to": end.isoformat()}}
        body = orjson.dumps({"query": _DASHBOARD, "variables": variables})
        status, content, now = self.post("/graphql", body, _JSON, due)
        self.results.done(self.kind(), due, now, problem=_problem(status, content))

    def range(self) -> tuple[datetime, datetime]:
        """What is looked at: this hour and the one before."""
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        return hour - timedelta(hours=1), hour + timedelta(hours=1)


class DashboardsCold(DashboardsCached):
    """Dashboards that nobody has asked for before."""

    _asked: ClassVar[Any] = count()

    def range(self) -> tuple[datetime, datetime]:
        start, end = super().range()
        return start - timedelta(minutes=next(self._asked) % 600), end


class Subscriptions(User):
    """A frontend with an open subscription. A request is a push: its latency counts from the commit it tells of."""

    results: ClassVar[Results]
    users: ClassVar[int]
    seconds: ClassVar[float]
    """Length of the run. Locust would wait half a minute for a reader that does not end by itself."""

    @classmethod
    def kind(cls) -> str:
        """Its name in figures."""
        return cls.__name__

    @task
    def watch(self) -> None:
        """Be told until the connection ends; then it is opened again. Ends with the run."""
        if self._left() <= 0:
            raise StopUser
        try:
            with connect(
                f"{str(self.host).replace('http', 'ws', 1)}/graphql",
                subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]  # a str is one; the type is a NewType
                additional_headers=_KEY,
                proxy=None,
            ) as socket:
                self._read(socket)
        except (WebSocketException, OSError) as error:
            now = time.perf_counter()
            self.results.done(self.kind(), now, now, problem=type(error).__name__)
            gevent.sleep(_RECONNECT_SECONDS)

    def _left(self) -> float:
        """Seconds of the run."""
        return self.results.began + self.seconds - time.perf_counter()

    def _read(self, socket: ClientConnection) -> None:
        socket.send('{"type":"connection_init"}')
        socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": {"query": _PUSHED}}).decode())
        last: int | None = None
        while (left := self._left()) > 0:
            try:
                message = socket.recv(timeout=left)
            except (TimeoutError, ConnectionClosedOK):
                return
            now = time.perf_counter()
            told = orjson.loads(message)
            if told["type"] == "ping":
                socket.send('{"type":"pong"}')
            elif told["type"] != "next":
                continue
            elif told["payload"].get("errors"):
                self.results.done(self.kind(), now, now, problem="errors")
            else:
                as_of = told["payload"]["data"]["epochs"]
                if last is not None:  # the first one tells of a commit before the subscription
                    age = datetime.now(UTC) - datetime.fromisoformat(as_of["committedAt"])
                    problem = "an epoch went back" if as_of["epoch"] < last else None
                    self.results.done(self.kind(), now - max(0.0, age.total_seconds()), now, problem=problem)
                last = as_of["epoch"]


def _problem(status: int, content: bytes) -> str | None:
    if status == 0:
        return "no answer"
    if status != 200:
        return f"status {status}"
    return "errors" if orjson.loads(content).get("errors") else None
