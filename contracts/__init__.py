"""What the stages promise one another: topics, tables, reasons, metrics, settings, API documents.

Stages meet here and in `schemas_avro`, and nowhere else; a test checks the imports.
"""
