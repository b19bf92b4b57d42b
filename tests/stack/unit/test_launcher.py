"""`./millrace` itself, with a stand-in for the interpreter that would fetch a hundred packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack.settings import REPOSITORY

pytestmark = pytest.mark.unit

# Makes an environment whose python says what it was asked; `pip` fails while the file `no-network` exists.
FAKE_VENV = """
import pathlib, sys
target = pathlib.Path(sys.argv[-1]); root = target.parent
with (root / "log").open("a") as log: log.write("venv " + " ".join(sys.argv[1:-1]) + "\\n")
(target / "bin").mkdir(parents=True, exist_ok=True)
python = target / "bin" / "python"
python.write_text(f'''#!/bin/sh
echo "$@" >> {root}/log
case "$2" in
  pip) test ! -e {root}/no-network || {{ echo "ERROR: no network"; exit 1; }} ;;
  stack) echo "stack PYTHONPATH=$PYTHONPATH $@" ;;
esac
''')
python.chmod(0o755)
"""

INSTALLED = ("pip requirements.lock", "compileall")
INSTALLED_TOOLS = ("pip requirements-dev.lock", "compileall")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "fakes").mkdir()
    (tmp_path / "fakes" / "venv.py").write_text(FAKE_VENV)
    for name in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / name).write_text("one==1 \\\n    --hash=sha256:00\n")
    (tmp_path / "millrace").write_text((REPOSITORY / "millrace").read_text("utf-8"))
    return tmp_path


def run(checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, checkout / "millrace", *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(checkout / "fakes")},
        capture_output=True,
        text=True,
        check=False,
    )


def steps(checkout: Path) -> list[str]:
    """What was done so far: venv, pip with its lock, compileall, stack."""
    told = []
    for line in (checkout / "log").read_text().splitlines():
        words = line.split()
        told.append(f"pip {Path(words[-1]).name}" if "pip" in words else words[0] if words[0] == "venv" else words[1])
    return told


def test_the_first_start_makes_the_environment_and_the_second_uses_it(checkout: Path) -> None:
    first = run(checkout, "status", "--json")
    assert first.stdout.startswith(f"stack PYTHONPATH={checkout}")
    assert first.stdout.endswith("-m stack status --json\n")
    run(checkout, "status")
    assert steps(checkout) == ["venv", *INSTALLED, "stack", "stack"]


def test_tests_need_the_tools_and_the_stack_is_content_with_them(checkout: Path) -> None:
    run(checkout, "up")
    run(checkout, "test")
    run(checkout, "up")
    assert steps(checkout) == ["venv", *INSTALLED, "stack", *INSTALLED_TOOLS, "stack", "stack"]


def test_a_changed_lock_is_installed(checkout: Path) -> None:
    run(checkout, "up")
    (checkout / "requirements.lock").write_text("one==2 \\\n    --hash=sha256:11\n")
    (checkout / "requirements-dev.lock").write_text("one==2 \\\n    --hash=sha256:11\n")
    run(checkout, "up")
    assert steps(checkout) == ["venv", *INSTALLED, "stack", *INSTALLED, "stack"]


def test_an_installation_that_failed_is_told_and_made_anew(checkout: Path) -> None:
    (checkout / "no-network").touch()
    failed = run(checkout, "up")
    assert failed.returncode == 1
    assert "requirements.lock could not be installed" in failed.stderr
    assert "ERROR: no network" in failed.stderr
    (checkout / "no-network").unlink()
    assert run(checkout, "up").returncode == 0
    log = (checkout / "log").read_text()
    assert log.count("venv --clear") == 1


def test_an_environment_that_somebody_else_made_is_filled_and_not_cleared(checkout: Path) -> None:
    run(checkout, "up")
    (checkout / ".venv" / ".millrace").unlink()
    (checkout / ".venv" / ".millrace-lock").unlink()
    run(checkout, "up")
    assert steps(checkout) == ["venv", *INSTALLED, "stack", *INSTALLED, "stack"]


def test_packages_are_fetched_by_several_pips_each_with_its_hashes_and_one_has_the_last_word(checkout: Path) -> None:
    blocks = [f"p{number}==1 \\\n    --hash=sha256:{number}{number}\n" for number in range(7)]
    (checkout / "requirements.lock").write_text("".join(blocks))
    fake = (checkout / "fakes" / "venv.py").read_text()
    keep = f"cat $(echo $@ | sed 's/.* //') >> {checkout}/fetched; case $@ in *part-*) exit 1 ;; esac; test"
    (checkout / "fakes" / "venv.py").write_text(fake.replace("pip) test", f"pip) {keep}"))
    assert run(checkout, "up").returncode == 0
    several = min(os.cpu_count() or 1, 4)
    parts = sorted(f"pip part-{number}.lock" for number in range(several)) if several > 1 else []
    done = steps(checkout)
    assert sorted(done[1 : 1 + len(parts)]) == parts
    assert done[1 + len(parts) :] == [*INSTALLED, "stack"]
    assert ("--force-reinstall" in (checkout / "log").read_text()) is bool(parts)  # since the others had failed
    fetched = (checkout / "fetched").read_text()
    assert all(fetched.count(block) == (2 if parts else 1) for block in blocks)
