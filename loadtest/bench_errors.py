"""What a bench can fail with."""


class BenchError(Exception):
    """The run could not be made, or what was acknowledged is not where it should be."""
