"""What keeps the tables small and quick to read beside the stream: roll-ups, retention, compaction, gold tables.

Nothing here changes a number. What it writes into Postgres is written by the epochs' own thread, between two epochs,
through the one writing connection; what it does to Delta tables has a thread of its own.
"""
