"""Restore: a lost ledger made again from the event log, and from Kafka where that has what the log does not hold.

Offsets, counts and watermark of each epoch come from the rows of the log; duplicates and quarantined records from the
offsets between them, read again; rejected events are read again by the stream. The projections are then rebuilt.
"""
