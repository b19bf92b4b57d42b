"""The JavaScript SDKs of `integration/sdk/package-lock.json`."""

from pathlib import Path

from tests import npm

FOLDER = Path(__file__).resolve().parent / "integration" / "sdk"


def node_modules(cache: Path) -> Path:
    """Folder of the installed packages."""
    return npm.node_modules(FOLDER, cache)
