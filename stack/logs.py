"""The parts' log files: set aside by size when a part starts, and read."""

import time
from collections.abc import Iterator
from pathlib import Path

_BLOCK_BYTES = 64 * 1024


def rotate(log: Path, max_bytes: int, keep: int) -> None:
    """Set a log of more than `max_bytes` aside as `<name>.1`, keeping `keep` of those.

    Only when a part starts: a process writes to the file it was given, under whatever name.
    """
    if not log.exists() or log.stat().st_size <= max_bytes:
        return
    for number in range(keep, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        newer = log if number == 1 else log.with_name(f"{log.name}.{number - 1}")
        if newer.exists():
            newer.replace(older)
    if keep == 0:
        log.unlink()


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log; none if there is no log."""
    if lines <= 0 or not log.exists():
        return []
    with log.open("rb") as file:
        position = file.seek(0, 2)
        text = b""
        while position > 0 and text.count(b"\n") <= lines:
            step = min(_BLOCK_BYTES, position)
            position = file.seek(position - step)
            text = file.read(step) + text
            file.seek(position)
    return text.decode("utf-8", "replace").splitlines()[-lines:]


def follow(log: Path, interval_seconds: float = 0.2) -> Iterator[str]:
    """Text appended to a log from now on, for ever; a log that is set aside is followed by its successor."""
    position = log.stat().st_size if log.exists() else 0
    while True:
        size = log.stat().st_size if log.exists() else 0
        if size < position:
            position = 0
        if size > position:
            with log.open("rb") as file:
                file.seek(position)
                text = file.read()
            position += len(text)
            yield text.decode("utf-8", "replace")
        else:
            time.sleep(interval_seconds)
