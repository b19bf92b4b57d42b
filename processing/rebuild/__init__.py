"""Rebuild: the projections made again from the event log, beside the live tables, and put in their place.

plan → shadow tables filled from the log → brought up to the ledger → compared → swapped. The stream runs all the while;
it waits only while the last epochs are folded in and the tables change places.
"""
