"""Users who were erased: their events are taken no further. Their ids are known by hash only."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from contracts.people import hash_of
from contracts.rejections import Reason
from processing.batch import Batch
from processing.store import Transaction

_NAMES: Final = frozenset(("userid", "anonymousid", "previousid", "uid", "duid", "tnuid"))
"""Members of JSON that name a person, in the protocols that the gateway speaks; in lower case, without `_`."""
_NAMED: Final = re.compile(
    rb'"(?:user_?id|anonymous_?id|previous_?id|uid|duid|tnuid)"\s*:\s*("(?:[^"\\]|\\.)*"|[\d.]+)', re.I
)


class ErasedUsers:
    """The table `erased_users` in memory, brought up to date inside the transactions that depend on it."""

    def __init__(self) -> None:
        self._hashes: set[bytes] = set()
        self._last = 0

    def learn(self, transaction: Transaction) -> bool:
        """Read who was added since the last time; whether anybody was.

        An erasure adds while the gate is shut (`processing.gate`). Whoever has passed the gate reads all there are.
        """
        news = transaction.query("SELECT number, user_hash FROM erased_users WHERE number > $1", (self._last,))
        if news.num_rows:
            self._hashes.update(news["user_hash"].to_pylist())
            self._last = pc.max(news["number"]).as_py()
        return bool(news.num_rows)

    def sift(self, batch: Batch) -> Batch:
        """The batch with these users' events in quarantine, and without what the gateway kept of them."""
        if not self._hashes:
            return batch
        theirs = self._theirs(batch.events)
        if pc.any(theirs).as_py():
            records = batch.events.filter(theirs)
            taken = pa.table(
                {
                    **{name: records[name] for name in ("topic", "partition", "offset", "log_time")},
                    "quarantine": pa.repeat(str(Reason.USER_ERASED), records.num_rows),
                    "raw": pa.repeat(b"", records.num_rows),
                }
            )
            quarantined = pa.concat_tables([batch.quarantined, taken.cast(batch.quarantined.schema)])
            batch = replace(batch, events=batch.events.filter(pc.invert(theirs)), quarantined=quarantined)
        return replace(batch, rejected=self._blanked(batch.rejected))

    def without(self, events: pa.Table) -> pa.Table:
        """The events of everyone else."""
        return events.filter(pc.invert(self._theirs(events))) if self._hashes else events

    def _theirs(self, events: pa.Table) -> pa.ChunkedArray:
        ids = events["user_id"]
        erased = [user_id for user_id in pc.unique(ids).to_pylist() if hash_of(user_id) in self._hashes]
        return pc.is_in(ids, value_set=pa.array(erased, pa.string()))

    def _blanked(self, rejected: pa.Table) -> pa.Table:
        """What the gateway refused stays a row, by which it is counted; what it says of these users does not."""
        theirs = [any(hash_of(one) in self._hashes for one in ids_in(raw)) for raw in rejected["raw"].to_pylist()]
        if not any(theirs):
            return rejected
        for name, blank in BLANK.items():
            column = rejected[name]
            values = pc.if_else(pa.array(theirs), pa.scalar(blank, column.type), column)
            rejected = rejected.set_column(rejected.schema.get_field_index(name), name, values)
        return rejected


BLANK: Final[dict[str, Any]] = {"raw": b"", "detail": "erased", "event_id": None}
"""What is left in the columns of a rejected event that can say something of a person."""


def ids_in(raw: bytes) -> set[str]:
    """The ids of persons that a payload of JSON names, torn or not. Of any other payload, none."""
    try:
        document = json.loads(raw)
    except ValueError:
        return {_text(value) for value in _NAMED.findall(raw)}
    return set(_named(document))


def _named(value: Any) -> Iterable[str]:
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name.replace("_", "").lower() in _NAMES and isinstance(item, str | int | float):
                yield str(item)
            yield from _named(item)


def _text(value: bytes) -> str:
    try:
        return str(json.loads(value))
    except ValueError:
        return value.decode(errors="replace").strip('"')
