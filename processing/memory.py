"""Resident memory of the part: this process, Spark's Java below it, and whatever works in the background."""

from typing import Final

import psutil

KINDS: Final = ("python", "java", "background")


def resident_bytes(kind: str) -> int:
    """Of all processes of a kind of `KINDS`, now; 0 where there is none."""
    own = psutil.Process()
    if kind == "python":
        return int(own.memory_info().rss)
    total = 0
    for child in own.children(recursive=True):
        try:
            if (child.name() == "java") == (kind == "java"):
                total += child.memory_info().rss
        except psutil.Error:  # it has ended since
            continue
    return total
