"""Failpoints: the process ends at the place that is armed, in its turn, and nowhere else."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).resolve().parents[3]
PROGRAM = "from processing.failpoints import at\nfor n in range(3): at('a'); at('b'); print(n, flush=True)"


@pytest.mark.parametrize(
    ("armed", "printed", "code"),
    [
        (None, "012", 0),
        ("", "012", 0),
        ("a", "", -signal.SIGKILL),
        ("b@2", "0", -signal.SIGKILL),
        ("a@3", "01", -signal.SIGKILL),
        ("a@4", "012", 0),
        ("c", "012", 0),
    ],
)
def test_the_process_ends_at_its_turn(armed: str | None, printed: str, code: int) -> None:
    environment = os.environ | ({} if armed is None else {"MILLRACE_FAILPOINTS": armed})
    ended = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM], cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, check=False
    )
    assert (ended.stdout.decode().split(), ended.returncode) == (list(printed), code)


def test_a_file_in_the_home_arms_one_start_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "failpoint").write_text("b@2\n")
    environment = os.environ | {"MILLRACE_HOME": str(tmp_path), "MILLRACE_FAILPOINTS": ""}
    for printed, code in ((["0"], -signal.SIGKILL), (["0", "1", "2"], 0)):
        ended = subprocess.run(
            [sys.executable, "-S", "-c", PROGRAM], cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, check=False
        )
        assert (ended.stdout.decode().split(), ended.returncode) == (printed, code)
