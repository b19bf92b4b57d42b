"""Verify: what is served held against the event log, to the unit.

What the tables must hold is computed once more by SQL of its own over the Delta files, written from the definitions in
`contracts.projections` and not from the projections: the two have no line in common, so that a mistake must be made
twice to go unseen. Nothing here writes anything but the outcome.
"""
