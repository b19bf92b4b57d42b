"""Load: users as real clients by Locust in a process of its own, the freshness probe beside it, the report."""
