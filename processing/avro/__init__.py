"""Avro by column: Kafka values to Arrow, a field at a time over all records (decision 8)."""
