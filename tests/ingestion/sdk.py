"""The JavaScript SDKs of `integration/sdk/package-lock.json`, installed once into the cache folder."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent / "integration" / "sdk"
NPM = shutil.which("npm")
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NPM is None or NODE is None, reason="needs Node.js with npm on the PATH; CI has one")


def node_modules(cache: Path) -> Path:
    """Folder of the installed packages; `npm ci` holds them to the lock's checksums."""
    assert NPM is not None
    lock = FOLDER / "package-lock.json"
    made = cache / "npm" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as folder:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(FOLDER / name, folder)
            command = [NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=240)
            Path(folder).rename(made)
            Path(folder).mkdir()
    return made / "node_modules"
