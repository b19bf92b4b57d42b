"""Fault drills: a load, something broken in the middle of it, and the audit at the end."""
