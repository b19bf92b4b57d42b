"""The one query: read the log, decode, dedupe, fold every projection, keep the ledger.

An epoch is one micro-batch. Its projections and its ledger row commit in one Postgres transaction, and the ledger is
also the checkpoint: a start, a crash or a lost disk resumes from the offsets that the ledger has committed.
"""

from contracts.imports import without_pandas

without_pandas()
