"""What the shop will do in the next hours, with an interval. It stands in the table `forecasts` (`contracts.models`).

outlook (a series → its next hours) → run (every series that is watched by the hour, written down). It is made by a
process of its own whenever an hour has closed; the watch starts it.
"""
