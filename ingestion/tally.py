"""What a worker has answered for: records acknowledged, by topic, told to the topic `gateway-tallies` for the books.

Counted when a request's last record is acknowledged and none has failed, so never more than Kafka has: a tally that is
larger than its topic says that Kafka has lost what was accepted.
"""

import uuid
from collections import Counter
from collections.abc import Iterable

import msgspec

from ingestion.validate import Record


class Tally:
    """Of one worker, from its start."""

    def __init__(self) -> None:
        self.worker = uuid.uuid4().hex.encode()
        """Key of its records."""
        self._acknowledged: Counter[str] = Counter()
        self._told = b"{}"

    def count(self, records: Iterable[Record]) -> None:
        """Count records that were acknowledged."""
        for record in records:
            self._acknowledged[record.topic] += 1

    def news(self) -> bytes | None:
        """The tally as it is told, or None if it was told already. Told again until the caller calls `told`."""
        tally = msgspec.json.encode(self._acknowledged, order="sorted")
        return None if tally == self._told else tally

    def told(self, tally: bytes) -> None:
        """The broker has this one."""
        self._told = tally
