"""The audit of a run: what the clients were told, held against broker, event log, tables and answers."""
