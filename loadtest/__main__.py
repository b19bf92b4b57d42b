"""`python -m loadtest VERB`."""

from contracts.logging import configure_logging
from loadtest.cli import app

if __name__ == "__main__":
    configure_logging("loadtest")
    app(prog_name="python -m loadtest")
