"""Traffic and proof: the simulated shop, recorded traffic, load, freshness, and the oracle that checks the numbers.

Talks to the rest over the wire only (gateway HTTP, GraphQL); what it sent, it writes to a client log, and every
number the product serves can be computed again from that log by `loadtest.oracle`.
"""

from contracts.imports import without_pandas

without_pandas()
