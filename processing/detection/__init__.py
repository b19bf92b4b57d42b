"""Detection: windows of metrics held against what came before them. What is flagged stands in `contracts.alerts`.

series (read from minutes or hours) → detectors (one file each) → flags with what contributed. Nothing here runs in the
stream's process: `processing.watch` does it beside the stream, over windows that the watermark has closed. Detectors of
hours are trained before (`training`), by a process of its own, and stored (`models`, `contracts.models`).
"""
