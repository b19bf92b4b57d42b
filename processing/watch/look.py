"""One look at what was committed, in one transaction of the watch's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from processing.detection.detector import Detector
from processing.detection.flags import Seen, find
from processing.detection.judging import Flag
from processing.store import Store
from processing.watch.state import read_committed, read_watched, tables_missing, write_watched

log = structlog.get_logger()


@dataclass(frozen=True)
class Looked:
    """What a look came to."""

    seen: Seen | None
    """What was looked at; None where there is nothing yet."""
    flags: Sequence[Flag] = ()


class Watcher:
    """Looks, whenever it is told to."""

    def __init__(self, store: Store, detectors: Sequence[Detector], look_back: timedelta) -> None:
        self._store = store
        self._detectors = detectors
        self._look_back = look_back

    def look(self) -> Looked | None:
        """Judge what was committed since the last look. None while processing has not made the tables.

        Raises what the database raises; nothing was written then, and the next look does the same work.
        """
        with self._store.transaction() as transaction:
            if tables_missing(transaction):
                return None
            now, before = read_committed(transaction), read_watched(transaction)
            if now is None or now == before:
                return Looked(now)
            if before is not None and now.epoch < before.epoch:
                before = None  # the store is an older one, restored: its windows are judged anew
            flags = find(transaction, before, now, self._look_back, self._detectors)
            write_watched(transaction, now)
        if flags:
            windows = {(flag.scope, flag.subject, flag.metric, flag.window_start) for flag in flags}
            log.info("flagged", epoch=now.epoch, windows=len(windows), watermark=now.watermark.isoformat())
        return Looked(now, flags)
