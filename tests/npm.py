"""Packages of npm that tests run, unmodified: installed once into the cache folder, from a lock with checksums."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

NPM = shutil.which("npm")
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NPM is None or NODE is None, reason="needs Node.js with npm on the PATH; CI has one")


def node_modules(folder: Path, cache: Path) -> Path:
    """Where the packages of a folder's `package-lock.json` are installed; `npm ci` holds them to its checksums."""
    assert NPM is not None
    lock = folder / "package-lock.json"
    made = cache / "npm" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as fresh:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(folder / name, fresh)
            command = [NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(command, cwd=fresh, check=True, capture_output=True, timeout=240)
            Path(fresh).rename(made)
            Path(fresh).mkdir()
    return made / "node_modules"
