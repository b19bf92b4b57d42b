"""Empties the outbox: what is due, in order, again after growing pauses, until it is taken or refused for good.

Each destination is sent to by itself, so that one that hangs holds up nobody else's notices.

An attempt is noted before it is made, and its outcome after it. Between the two the process may die, or the answer be
lost: then the notice is sent again. So every notice that is not refused arrives at least once; once exactly where the
destination tells a repetition by the id that all attempts have in common.
"""

import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any, Final

import structlog

from contracts.settings import PostgresSettings
from processing.alerting.destinations import Destination, NotDeliveredError, Notice, RefusedError
from processing.store import Beside, one_transaction

log = structlog.get_logger()

_FIRST_PAUSE: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(minutes=10)
_PATIENCE_SECONDS: Final = 0.5
_TOLD: Final = ("key", "kind", "severity", "title", "members", "opened_at", "resolved_at", "source")
GIVEN_UP_AFTER: Final = timedelta(days=1)

_DUE: Final = """
    SELECT id, alert_id, destination, notice, body::text AS body, attempts,
      created_at < clock_timestamp() - make_interval(secs => $1::float8) AS last
    FROM deliveries d
    WHERE delivered_at IS NULL AND dropped_at IS NULL AND due_at <= clock_timestamp()
      AND destination <> ALL ($2::text[]) AND NOT EXISTS (
      SELECT FROM deliveries earlier WHERE earlier.alert_id = d.alert_id AND earlier.destination = d.destination
        AND earlier.id < d.id AND earlier.delivered_at IS NULL AND earlier.dropped_at IS NULL)
    ORDER BY id LIMIT 20
"""
"""A notice waits for those of the same alert before it: nobody hears of an end before the beginning."""


class Sender:
    """Sends what is due. Safe beside another one: an attempt belongs to who noted it."""

    def __init__(
        self,
        postgres: PostgresSettings,
        destinations: Mapping[str, Destination],
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._postgres = postgres
        self._outbox = Beside(postgres)
        self._destinations = destinations
        self._patience_seconds = patience_seconds
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(len(destinations) + 1, "sender")
        self._under_way: dict[str, Future[Counter[str]]] = {}
        """By destination, what it is being sent."""

    def run_once(self) -> dict[str, int]:
        """Try all that is due now, to destinations that are not being sent to still.

        Waits for them, though not for long. Returns how many notices were delivered, put off and dropped since the
        last call.
        """
        for name, rows in self._due().items():
            self._under_way[name] = self._pool.submit(self._attempt_all, rows)
        wait(self._under_way.values(), self._patience_seconds)
        outcomes: Counter[str] = Counter()
        for name in [name for name, sending in self._under_way.items() if sending.done()]:
            outcomes += self._under_way.pop(name).result()
        return dict(outcomes)

    def stop(self) -> None:
        """Begin no more attempts, and wait for those that were begun."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)
        self._outbox.close()

    def _due(self) -> dict[str, list[dict[str, Any]]]:
        """By destination, the notices to send now, in order."""
        with self._outbox.transaction() as transaction:
            if not transaction.query("SELECT FROM pg_class WHERE oid = to_regclass('deliveries')").num_rows:
                return {}
            rows = transaction.query(_DUE, (GIVEN_UP_AFTER.total_seconds(), list(self._under_way))).to_pylist()
        found: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault(row["destination"], []).append(row)
        return found

    def _attempt_all(self, rows: Sequence[dict[str, Any]]) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for row in rows:
            if self._stopping.is_set():
                break
            outcomes[self._attempt(row)] += 1
        return outcomes

    def _attempt(self, row: dict[str, Any]) -> str:
        if not self._claim(row):
            return "elsewhere"
        destination = self._destinations.get(row["destination"])
        if destination is None:
            return self._drop(row, "no such destination in the settings any more")
        try:
            destination.send(self._notice(row))
        except RefusedError as error:
            return self._drop(row, str(error))
        except NotDeliveredError as error:
            if row["last"]:
                return self._drop(row, f"given up after a day: {error}")
            return self._put_off(row, error)
        self._note("delivered_at = clock_timestamp(), error = NULL", row)
        log.info("delivered", destination=row["destination"], alert=row["alert_id"], notice=row["notice"])
        return "delivered"

    def _claim(self, row: dict[str, Any]) -> bool:
        """Note the attempt, and that the next one is due after the pause, should this one never be heard of again."""
        with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
            claimed = transaction.query(
                "UPDATE deliveries SET attempts = attempts + 1,"
                " due_at = clock_timestamp() + make_interval(secs => $1::float8)"
                " WHERE id = $2 AND attempts = $3 AND delivered_at IS NULL AND dropped_at IS NULL RETURNING id",
                (max(pause(row["attempts"] + 1), timedelta(seconds=30)).total_seconds(), row["id"], row["attempts"]),
            )
        return bool(claimed.num_rows == 1)

    def _put_off(self, row: dict[str, Any], error: NotDeliveredError) -> str:
        later = max(pause(row["attempts"] + 1), timedelta(seconds=min(error.after_seconds or 0, 3600)))
        self._note(
            "due_at = clock_timestamp() + make_interval(secs => $2::float8), error = $3",
            row,
            later.total_seconds(),
            str(error),
        )
        log.warning("not_delivered", destination=row["destination"], error=str(error), again_in=later.total_seconds())
        return "put_off"

    def _drop(self, row: dict[str, Any], error: str) -> str:
        self._note("dropped_at = clock_timestamp(), error = $2", row, error)
        log.error("delivery_dropped", destination=row["destination"], alert=row["alert_id"], error=error)
        return "dropped"

    def _note(self, change: str, row: dict[str, Any], *parameters: object) -> None:
        with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
            transaction.execute(f"UPDATE deliveries SET {change} WHERE id = $1", (row["id"], *parameters))

    def _notice(self, row: dict[str, Any]) -> Notice:
        body = json.loads(row["body"])
        return Notice(
            delivery_id=row["id"],
            notice=row["notice"],
            alert_id=row["alert_id"],
            **{name: body[name] for name in _TOLD},
        )


def pause(attempts: int) -> timedelta:
    """From the failed attempt of this number to the next."""
    return min(_FIRST_PAUSE * (1 << min(attempts - 1, 20)), _LONGEST_PAUSE)
