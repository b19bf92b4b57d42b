"""What every command of `millrace` waits for before it does anything."""

import subprocess
import sys

import pytest

from contracts.tables import rejected_events
from stack.rejected import COLUMNS, TABLE

pytestmark = pytest.mark.unit

SLOW = ("sqlalchemy", "pyarrow", "pandas", "pyspark", "duckdb", "deltalake", "locust")


def test_no_package_is_imported_that_takes_long() -> None:
    program = f"import sys, stack.cli; print(*[name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_table_of_rejections_is_called_as_the_contract_says() -> None:
    assert rejected_events.name == TABLE
    assert set(COLUMNS) <= set(rejected_events.columns.keys())
