"""Reports as rows of the table `reports`: one a day, the last one made of it."""

import json
from datetime import date

from contracts.settings import PostgresSettings
from contracts.tables import reports
from processing import ledger
from processing.reporting.figures import Report
from processing.store import one_transaction


class Kept:
    """The table."""

    def __init__(self, postgres: PostgresSettings) -> None:
        self._postgres = postgres

    def keep(self, report: Report) -> None:
        """Put it in the place of an older one of its day; readers are told that something has changed."""
        with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
            transaction.execute(
                f"INSERT INTO {reports.name} AS r (day, time_zone, epoch, is_final, figures, made_at)"
                " VALUES ($1, $2, $3, $4, $5::text::jsonb, clock_timestamp()) ON CONFLICT (day) DO UPDATE SET"
                " time_zone = excluded.time_zone, epoch = excluded.epoch, is_final = excluded.is_final,"
                " figures = excluded.figures, made_at = excluded.made_at WHERE r.epoch <= excluded.epoch",
                (report.day, report.time_zone, report.epoch, report.is_final, json.dumps(report.as_json())),
            )
            ledger.tell_change(transaction)

    def final(self) -> set[date]:
        """The days whose report is final."""
        return self._days("is_final")

    def mailed(self) -> set[date]:
        """The days whose report was mailed."""
        return self._days("mailed_at IS NOT NULL")

    def note_mailed(self, report: Report) -> None:
        """The report of the day was taken by every mailbox."""
        with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
            transaction.execute(
                f"UPDATE {reports.name} SET mailed_at = clock_timestamp() WHERE day = $1", (report.day,)
            )

    def _days(self, condition: str) -> set[date]:
        with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
            rows = transaction.query(f"SELECT day FROM {reports.name} WHERE {condition}")
        return {date.fromisoformat(day) for day in rows["day"].to_pylist()}
