"""One machine: Java, jars, Kafka, Postgres, the supervisor and the `millrace` command.

The stages know nothing of this package; it starts them as processes and tells them by environment where the others are.
"""
