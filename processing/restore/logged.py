"""What the event log says of the ledger that it was written under: DuckDB over the log's files.

Within a partition an epoch reads the offsets that follow those of the epoch before. So every offset up to the last one
that is in the log was read by an epoch that is in the log too; those in between that are not in it were not applied.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final, NamedTuple, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa

from processing.batch import Batch
from processing.judge import identity
from processing.log_files import LogFiles
from processing.packed_ids import Ids
from processing.source import Ranges

Partition: TypeAlias = tuple[str, int]
"""Topic and number."""

_OF_LOG: Final = identity("epoch_ms(timestamp)")
_IDS_TOGETHER: Final = 500_000


class Part(NamedTuple):
    """What an epoch applied of a partition."""

    epoch: int
    topic: str
    partition: int
    until_offset: int
    """After the last event applied."""
    applied: int
    late: int
    imported: int
    event_ms: int
    """The newest event time, epoch milliseconds."""
    log_ms: int
    """The newest broker time."""


@dataclass(frozen=True)
class Hole:
    """Offsets that were read and not applied, of one partition, one after the other."""

    partition: Partition
    first: int
    until: int


class Logged:
    """The log's side of a restore. `duck` is an empty database of its own; not thread-safe."""

    def __init__(self, duck: duckdb.DuckDBPyConnection, log: LogFiles) -> None:
        self._duck = duck
        log.open_in(duck, "log")
        duck.execute(
            'CREATE TABLE unapplied (topic VARCHAR, partition INTEGER, "offset" BIGINT, epoch BIGINT,'
            " event_id VARCHAR, payload BIGINT)"
        )

    def parts(self) -> list[Part]:
        """What each epoch applied of each partition, oldest epoch first."""
        rows = self._duck.execute(
            'SELECT epoch, topic, partition, max("offset") + 1, count(*), count(*) FILTER (late),'
            " count(*) FILTER (imported), max(epoch_ms(timestamp)), max(epoch_ms(log_time))"
            " FROM log GROUP BY epoch, topic, partition ORDER BY ALL"
        ).fetchall()
        return [Part(*row) for row in rows]

    def first_offsets(self) -> dict[Partition, int]:
        """The first offset in the log, by partition."""
        rows = self._duck.execute('SELECT topic, partition, min("offset") FROM log GROUP BY ALL').fetchall()
        return {(topic, partition): first for topic, partition, first in rows}

    def find_holes(self, first: dict[Partition, int]) -> list[Hole]:
        """Every hole from these offsets on, by partition and offset."""
        self._duck.register("begins", _as_table([(*partition, offset) for partition, offset in first.items()]))
        self._duck.execute(
            'CREATE TABLE holes AS SELECT topic, partition, before + 1 AS first, "offset" AS until, epoch FROM ('
            '  SELECT l.topic, l.partition, l."offset", l.epoch, lag(l."offset", 1, b."offset" - 1) OVER ('
            '   PARTITION BY l.topic, l.partition ORDER BY l."offset") AS before'
            "  FROM log l JOIN begins b USING (topic, partition)) WHERE until > first"
        )
        rows = self._duck.execute("SELECT topic, partition, first, until FROM holes ORDER BY ALL").fetchall()
        return [Hole((topic, partition), begin, until) for topic, partition, begin, until in rows]

    def take(self, batch: Batch) -> pa.Table:
        """Take of records read again those that lie in holes. Returns the quarantined ones, with the epoch of each."""
        events = self._in_holes(batch.events.select(["topic", "partition", "offset", "event_id", "payload_hash"]))
        self._duck.register("taken", events)
        self._duck.execute(
            'INSERT INTO unapplied SELECT topic, partition, "offset", epoch, event_id, payload_hash & 4294967295'
            " FROM taken"
        )
        return self._in_holes(batch.quarantined)

    def duplicates(self) -> pa.Table:
        """Those taken whose id the log has: columns of the table `duplicates`."""
        self._duck.execute(
            "CREATE TABLE owners AS SELECT topic, event_id, epoch, (payload_hash & 4294967295)::BIGINT AS payload"
            f" FROM (SELECT topic, event_id, epoch, {_OF_LOG} FROM log SEMI JOIN unapplied USING (topic, event_id))"
        )
        found: pa.Table = self._duck.execute(
            'SELECT u.topic, u.partition, u."offset", u.epoch, u.event_id,'
            " u.payload <> arg_max(o.payload, o.epoch) AS conflict, max(o.epoch) AS first_epoch"
            " FROM unapplied u JOIN owners o ON u.topic = o.topic AND u.event_id = o.event_id AND o.epoch <= u.epoch"
            ' GROUP BY u.topic, u.partition, u."offset", u.epoch, u.event_id, u.payload'
        ).to_arrow_table()
        return found

    def ids(self, after_ms: int) -> Iterator[tuple[int, Ids]]:
        """The ids that each epoch saw first, as dedupe keeps them, of epochs with an event after that broker time."""
        reader: Any = self._duck.execute(
            f"SELECT epoch, {_OF_LOG} FROM log SEMI JOIN"
            " (SELECT epoch FROM log WHERE epoch_ms(log_time) > $1 GROUP BY epoch) USING (epoch) ORDER BY epoch",
            (after_ms,),
        ).to_arrow_reader(_IDS_TOGETHER)
        waiting: list[pa.Table] = []
        for batch in reader:
            rows = pa.Table.from_batches([batch])
            epochs = rows["epoch"].to_numpy()
            cuts = [0, *(np.flatnonzero(epochs[1:] != epochs[:-1]) + 1).tolist(), len(epochs)]
            for start, end in pairwise(cuts):
                part = rows.slice(start, end - start)
                if waiting and waiting[0]["epoch"][0] != part["epoch"][0]:
                    yield _packed(waiting)
                    waiting = []
                waiting.append(part)
        if waiting:
            yield _packed(waiting)

    def _in_holes(self, records: pa.Table) -> pa.Table:
        self._duck.register("records", records)
        try:
            found: pa.Table = self._duck.execute(
                "SELECT r.*, h.epoch FROM records r ASOF JOIN holes h"
                ' ON r.topic = h.topic AND r.partition = h.partition AND r."offset" >= h.first'
                ' WHERE r."offset" < h.until'
            ).to_arrow_table()
            return found
        finally:
            self._duck.unregister("records")


def spans(holes: list[Hole], together: int) -> Iterator[Ranges]:
    """Ranges of at most so many offsets that cover the holes, and what lies between near ones: one read for many."""
    for (topic, partition), of_partition in groupby(holes, key=lambda hole: hole.partition):
        begin = end = 0
        for hole in of_partition:
            at = hole.first
            while at < hole.until:
                if begin == end or at - begin >= together:
                    if begin < end:
                        yield {topic: {partition: (begin, end)}}
                    begin = at
                at = end = min(hole.until, begin + together)
        if begin < end:
            yield {topic: {partition: (begin, end)}}


def _packed(parts: list[pa.Table]) -> tuple[int, Ids]:
    rows = pa.concat_tables(parts)
    ids = Ids.of(rows)
    return int(rows["epoch"][0].as_py()), ids.take(np.lexsort((ids.checks, ids.keys)))


def _as_table(rows: list[tuple[str, int, int]]) -> pa.Table:
    topics, partitions, offsets = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "topic": pa.array(topics, pa.string()),
            "partition": pa.array(partitions, pa.int32()),
            "offset": pa.array(offsets, pa.int64()),
        }
    )
