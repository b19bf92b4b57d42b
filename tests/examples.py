"""How many made-up cases a property is tried with."""

import os
from typing import Final

_TIMES: Final = float(os.environ.get("MILLRACE_EXAMPLES", "1"))


def examples(count: int) -> int:
    """So many in CI, where each costs a good part of a second; `MILLRACE_EXAMPLES=10` asks for ten times as many."""
    return max(1, round(count * _TIMES))
