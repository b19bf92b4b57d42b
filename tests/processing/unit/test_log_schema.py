"""A log of another version: columns that are missing are added; what this version does not write is refused by name."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from processing.batch import EVENT_LOG
from processing.errors import LogSchemaError
from processing.event_log import EventLog

pytestmark = pytest.mark.unit


def opened(home: Path, columns: pa.Schema) -> DeltaTable:
    """The log after an attempt to open it that had those columns."""
    DeltaTable.create(str(home / "events"), schema=columns, partition_by=["date"])
    EventLog(home, 0.0).open()
    return DeltaTable(str(home / "events"))


def columns_of(home: Path) -> list[str]:
    return [field.name for field in DeltaTable(str(home / "events")).schema().fields]


def test_a_column_of_another_version_is_refused_by_name_and_nothing_is_changed(tmp_path: Path) -> None:
    held = EVENT_LOG.remove(EVENT_LOG.get_field_index("campaign")).append(pa.field("campaign_id", pa.string()))
    with pytest.raises(LogSchemaError, match="column campaign_id is not one of this version's"):
        opened(tmp_path, held)
    assert columns_of(tmp_path) == held.names


def test_a_column_of_another_type_is_refused_by_name_and_nothing_is_changed(tmp_path: Path) -> None:
    place = EVENT_LOG.get_field_index("quantity")
    with pytest.raises(LogSchemaError, match=r"column quantity is .*string.*, and would be .*integer"):
        opened(tmp_path, EVENT_LOG.set(place, pa.field("quantity", pa.string())))
    assert DeltaTable(str(tmp_path / "events")).version() == 0


def test_a_column_that_an_older_version_did_not_have_is_added(tmp_path: Path) -> None:
    opened(tmp_path, EVENT_LOG.remove(EVENT_LOG.get_field_index("campaign")))
    assert sorted(columns_of(tmp_path)) == sorted(EVENT_LOG.names)
