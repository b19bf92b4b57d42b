"""Alerting: what people should know of, and how they come to know it. Its tables stand in `contracts.alerts`.

firings (from flags, rules and faults of the data) → alerts (opened, changed, resolved) → deliveries in the outbox, all
in one transaction; then the sender, at its own pace, to the destinations.
"""
