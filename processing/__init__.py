"""The one query: read the log, decode, dedupe, fold every projection, keep the ledger.

An epoch is one micro-batch. Its projections and its ledger row commit in one Postgres transaction, and the ledger is
also the checkpoint: a start, a crash or a lost disk resumes from the offsets that the ledger has committed.
"""

import os
from typing import Final

from contracts.imports import without_pandas

_MEMORY_KEPT_MS: Final = 60_000
"""How long Arrow keeps memory that is free. By itself it gives it back after milliseconds, and the next epoch waits for
the kernel to zero it again: a sixth of what an epoch cost (decision 23)."""

without_pandas()
os.environ.setdefault("MIMALLOC_PURGE_DELAY", str(_MEMORY_KEPT_MS))  # read when Arrow is loaded
