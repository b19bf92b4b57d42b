"""A processor with everything around it: its traffic, and a reader of what it writes."""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from processing.batch import EVENT_LOG
from tests.processing.integration.processor import Processor, eventually
from tests.processing.integration.reader import Reader
from tests.processing.integration.traffic import Traffic


@dataclass
class Bench:
    """Made by the fixture `make_bench`."""

    processor: Processor
    traffic: Traffic
    reader: Reader
    facts: dict[str, Any] = field(default_factory=dict)

    def settle(self) -> None:
        """Wait until everything sent has been read."""
        self.traffic.flush()
        eventually(lambda: self.reader.has_read(self.traffic.records), f"{self.traffic.records} records in the ledger")

    def logged_events(self) -> pa.Table:
        """The event log."""
        return DeltaTable(str(self.processor.delta / "events")).to_pyarrow_table().select(EVENT_LOG.names)
