"""What the clients of a run know: which events they sent, and what they were told about each."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from loadtest.client_log import Attempt, Verdict
from loadtest.facts import Fact, to_fact

Key = tuple[str, str]
"""Topic and event id: an id names one event per topic."""

SENT: Final = pa.schema(
    [("topic", pa.string()), ("event_id", pa.string()), ("accepted", pa.int64()), ("unknown", pa.int64())]
)


@dataclass
class Claims:
    """Attempts, added up per event."""

    facts: dict[Key, Fact] = field(default_factory=dict)
    """What each event says: by its first accepted attempt, else by its first one without a verdict."""
    accepted: dict[Key, int] = field(default_factory=dict)
    """Attempts answered 2xx: each has left a record."""
    unknown: dict[Key, int] = field(default_factory=dict)
    """Attempts without a verdict: each may have left one."""
    refused: int = 0
    """Attempts refused for good: none may ever count, each is kept as a refusal."""
    refused_unknown: int = 0
    """Attempts with an invalid event and without a verdict."""
    refused_ids: set[str] = field(default_factory=set)
    """Ids of events that nothing but refusals came back for."""

    def add(self, verdict: str, fact: Fact) -> None:
        """Count an attempt with a valid event."""
        key = fact.topic, fact.event_id
        if verdict == Verdict.ACCEPTED:
            if key not in self.accepted:
                self.facts[key] = fact
            self.accepted[key] = self.accepted.get(key, 0) + 1
        elif verdict == Verdict.UNKNOWN:
            self.facts.setdefault(key, fact)
            self.unknown[key] = self.unknown.get(key, 0) + 1
        else:
            self.refuse(fact.event_id)

    def refuse(self, event_id: str) -> None:
        """Count an attempt that was refused."""
        self.refused += 1
        self.refused_ids.add(event_id)

    def add_attempts(self, attempts: Iterable[Attempt]) -> None:
        """Count the attempts of a client log, in the order of their answers."""
        for attempt in attempts:
            if attempt.verdict == Verdict.REJECTED:
                self.refuse(attempt.event_id)
            elif attempt.verdict == Verdict.UNKNOWN and attempt.expected is not None:
                self.refused_unknown += 1
            else:
                self.add(attempt.verdict, to_fact(attempt.event))

    def table(self) -> pa.Table:
        """A row per event that may count; columns of `SENT`."""
        keys = list(self.facts)
        return pa.table(
            [
                [topic for topic, _ in keys],
                [event_id for _, event_id in keys],
                [self.accepted.get(key, 0) for key in keys],
                [self.unknown.get(key, 0) for key in keys],
            ],
            schema=SENT,
        )

    def definitely_refused(self) -> pa.Table:
        """Ids that were refused and never accepted or left open under any topic; column `event_id`."""
        open_ids = {event_id for _, event_id in self.facts}
        return pa.table({"event_id": pa.array(sorted(self.refused_ids - open_ids), pa.string())})
