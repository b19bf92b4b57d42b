"""Serving: GraphQL, subscriptions and the page, read from the store that processing writes.

It only reads. It is live with Postgres down or empty, says so in `/health/ready`, and recovers by itself.
"""
