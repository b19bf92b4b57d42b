"""Named places where a test can have the process killed, one at each side of every side effect of an epoch.

`MILLRACE_FAILPOINTS=merged:sessions@3` kills the process (SIGKILL, as a power cut would) the third time it comes to
that place. A file `failpoint` in the home does the same once: it is taken away when it is read, so that the start after
the kill is not armed. Without either a place costs one comparison with None.
"""

import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

DECODED: Final = "decoded"
IDS_WRITTEN: Final = "ids_written"
MERGED: Final = "merged"
"""With the projection: `merged:sessions`."""
ENTRY_WRITTEN: Final = "entry_written"
COMMITTED: Final = "committed"
APPENDED: Final = "appended"
APPEND_NOTED: Final = "append_noted"
PUBLISHED: Final = "published"


def _armed() -> tuple[str, int] | None:
    text = os.environ.get("MILLRACE_FAILPOINTS") or _taken()
    if not text:
        return None
    name, _, turn = text.partition("@")
    return name, int(turn or 1)


def _taken() -> str:
    """What the file says, which is gone then. Without a home in the environment there is none."""
    home = os.environ.get("MILLRACE_HOME")
    if home:
        with suppress(FileNotFoundError):
            path = Path(home) / "failpoint"
            text = path.read_text("utf-8").strip()
            path.unlink()
            return text
    return ""


_ARMED: Final = _armed()
_SEEN: Final = Counter[str]()


def at(name: str) -> None:
    """The process is at this place; if it is armed and this is its turn, the process ends here."""
    if _ARMED is None or _ARMED[0] != name:
        return
    _SEEN[name] += 1
    if _SEEN[name] == _ARMED[1]:
        os.kill(os.getpid(), signal.SIGKILL)
