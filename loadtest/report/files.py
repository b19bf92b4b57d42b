"""The folder of a run, and what is written into it at the end."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from subprocess import DEVNULL, run
from typing import Any, Final

from loadtest.machine import describe_machine
from loadtest.report.page import page
from loadtest.summary import to_json

REPORTS: Final = Path("reports")
"""Below the working folder; git ignores it."""
_PACKAGES: Final = ("locust", "pyspark", "deltalake", "duckdb", "confluent-kafka", "granian", "strawberry-graphql")


def make_folder(name: str, wanted: Path | None) -> Path:
    """A new folder for a run: the one that is wanted, else one named by time and run.

    Raises FileExistsError where something is in it: what another run sent must not be taken for this one's.
    """
    folder = wanted or REPORTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; a report goes into a folder of its own")
    return folder


def circumstances(command: str) -> dict[str, Any]:
    """When, how, on what and by which versions."""
    return {
        "command": command,
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "versions": {"millrace": _commit(), **{name: version(name) for name in _PACKAGES}},
    }


def write_load(folder: Path, report: dict[str, Any]) -> None:
    """`report.json` and `report.html`."""
    (folder / "report.json").write_text(to_json(report), "utf-8")
    (folder / "report.html").write_text(page(report), "utf-8")


def _commit() -> str:
    """The commit that the code is of, with a mark where it was changed since; `unknown` outside of a repository."""
    root = Path(__file__).parents[2]
    told = run(  # noqa: S603 - no part of the command comes from outside
        ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=10"],  # noqa: S607
        stdin=DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "unknown"
