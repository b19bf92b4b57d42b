"""The log in slices, so that what is compared at a time fits in memory however long the log is.

A slice has whole rows: every event of a row, and the row as it is served, have the same hash of `Check.by`.
"""

import re
import shutil
from collections.abc import Iterator
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
        served, (by_event, by_row) = f"served_{check.name}", check.by
        if self._count == 1:
            self._duck.execute(f"CREATE OR REPLACE TEMP VIEW served AS FROM {served} WHERE {check.kept}")
            yield
        else:
            self._duck.execute("ALTER VIEW log RENAME TO all_slices")
            words = set(re.findall(r"\w+", check.members + check.expected))
            columns = ", ".join(name for name in EVENT_LOG.names if name in words)
            self._duck.execute(
                f"COPY (SELECT {columns}, hash({by_event}) % {self._count} AS slice FROM all_slices)"
                f" TO '{_quoted(self._folder)}' (FORMAT parquet, PARTITION_BY slice)"
            )
            for number in range(self._count):
                rows = f"hash({by_row}) % {self._count} = {number} AND {check.kept}"
                self._duck.execute(f"CREATE OR REPLACE TEMP VIEW served AS FROM {served} WHERE {rows}")
                self._open(number, columns)
                yield
            shutil.rmtree(self._folder)
            self._duck.execute("DROP VIEW log")
            self._duck.execute("ALTER VIEW all_slices RENAME TO log")
        self._duck.execute("DROP VIEW served")
        self._duck.execute(f"DROP TABLE {served}")

    def _open(self, number: int, columns: str) -> None:
        files = self._folder / f"slice={number}"
        source = f"read_parquet('{_quoted(files)}/*.parquet')" if files.exists() else "all_slices WHERE false"
        self._duck.execute(f"CREATE OR REPLACE TEMP VIEW log AS SELECT {columns} FROM {source}")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
