"""The log in slices, so that what is compared at a time fits in memory however long the log is.

A slice has whole rows: every event of a row, and the row as it is served, have the same hash of `Check.by`.
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from processing.batch import EVENT_LOG
from processing.verification.check import Check


class Slices:
    """Makes slices of the view `log`, in files below `folder`."""

    def __init__(self, duck: duckdb.DuckDBPyConnection, folder: Path, count: int) -> None:
        self._duck = duck
        self._folder = folder
        self._count = count

    def of(self, check: Check) -> Iterator[None]:
        """For each slice in turn, `log` is its events and `served` its rows of the table `served_<name>`.

        At the end `log` is whole again, and what was served of this table is gone.
        """
        by_event, by_row = check.by
        for number in self._logs(by_event, check.members + check.expected):
            rows = "true" if self._count == 1 else f"hash({by_row}) % {self._count} = {number}"
            with self._served(check, rows):
                yield
        self._duck.execute(f"DROP TABLE served_{check.name}")

    def gather(self, by: str, rows: str) -> None:
        """Make the table `gathered` of what the SELECT `rows` gives for all slices."""
        for number in self._logs(by, rows):
            self._duck.execute(f"CREATE TABLE gathered AS {rows}" if number == 0 else f"INSERT INTO gathered {rows}")

    def gathered(self, checks: Iterable[Check]) -> Iterator[Check]:
        """For each check in turn, `served` is all that was served of its table. At the end `gathered` is gone."""
        for check in checks:
            with self._served(check, "true"):
                yield check
            self._duck.execute(f"DROP TABLE served_{check.name}")
        self._duck.execute("DROP TABLE gathered")

    @contextmanager
    def _served(self, check: Check, rows: str) -> Iterator[None]:
        self._duck.execute(
            f"CREATE OR REPLACE TEMP VIEW served AS FROM served_{check.name} WHERE {rows} AND {check.kept}"
        )
        yield
        self._duck.execute("DROP VIEW served")

    def _logs(self, by: str, sql: str) -> Iterator[int]:
        """Numbers of the slices; `log` has what the SQL reads of each in its turn."""
        if self._count == 1:
            yield 0
            return
        self._duck.execute("ALTER VIEW log RENAME TO all_slices")
        words = set(re.findall(r"\w+", sql))
        columns = ", ".join(name for name in EVENT_LOG.names if name in words)
        self._duck.execute(
            f"COPY (SELECT {columns}, hash({by}) % {self._count} AS slice FROM all_slices)"
            f" TO '{_quoted(self._folder)}' (FORMAT parquet, PARTITION_BY slice)"
        )
        for number in range(self._count):
            self._open(number, columns)
            yield number
        shutil.rmtree(self._folder)
        self._duck.execute("DROP VIEW log")
        self._duck.execute("ALTER VIEW all_slices RENAME TO log")

    def _open(self, number: int, columns: str) -> None:
        files = self._folder / f"slice={number}"
        source = f"read_parquet('{_quoted(files)}/*.parquet')" if files.exists() else "all_slices WHERE false"
        self._duck.execute(f"CREATE OR REPLACE TEMP VIEW log AS SELECT {columns} FROM {source}")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
