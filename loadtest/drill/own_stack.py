"""A stack that is there only to be broken: a home of its own, links in front of its parts, gone at the end.

It is driven by the `millrace` command, as a person would.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from contracts.settings import GraphqlSettings, KafkaSettings, PostgresSettings, home
from loadtest.drill.catalogue import DISKS, Stack
from loadtest.drill.faults.clock_step import CLOCK, set_clock
from loadtest.drill.ground import DrillError, Ground
from loadtest.drill.link import Link
from loadtest.drill.run import Place
from loadtest.settings import SimulatorSettings

_LINKS: Final = {"kafka": 20, "postgres": 21, "gateway": 22}
"""Port of the link in front of a part, counted from the stack's base port."""
_PARTS: Final = {"gateway": 0, "kafka": 3, "postgres": 5}
"""Port of the part itself."""
_SMALL_DISK_MB: Final = 1536
_CLOCK_SOURCE: Final = Path(__file__).with_name("clock.c")


def running_stack() -> Place:
    """The stack of this home as the environment names it, without links."""
    simulator = SimulatorSettings()
    ground = Ground(home(), KafkaSettings(), PostgresSettings())
    return Place(ground, simulator.gateway_url, GraphqlSettings().url, simulator.write_key)


@asynccontextmanager
async def own_stack(base_port: int, made: Stack) -> AsyncIterator[Place]:
    """Start a stack for the length of the block. Raises DrillError where it does not start."""
    folder = _new_home()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_") or "CACHE" in name},
        "MILLRACE_HOME": str(folder),
        "MILLRACE_STACK_BASE_PORT": str(base_port),
        "MILLRACE_STACK_KAFKA_VIA_PORT": str(base_port + _LINKS["kafka"]),
        "MILLRACE_STACK_POSTGRES_VIA_PORT": str(base_port + _LINKS["postgres"]),
        "MILLRACE_STACK_GATEWAY_WORKERS": "2",  # one serves by itself, and has no worker that could be killed
        "MILLRACE_STACK_RESTART_LIMIT": "1000",
        "MILLRACE_STACK_RESTART_PAUSE_SECONDS": "1",
        "MILLRACE_STACK_MINIMUM_FREE_DISK_MB": "256",
    }
    async with AsyncExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        for disk in _disks(folder, made):
            _mount(disk)
            cleanup.callback(_command, "umount", "--lazy", str(disk))
        if made is Stack.SMALL_DISKS:
            environment["MILLRACE_STACK_POSTGRES_FOLDER"] = str(folder / "postgres-disk" / "data")
        if made is Stack.OWN_CLOCK:
            environment |= _own_clock(folder)
        try:
            links = {
                part: await cleanup.enter_async_context(Link(base_port + offset, base_port + _PARTS[part]))
                for part, offset in _LINKS.items()
            }
        except OSError as error:
            raise DrillError(f"{error}; choose other ports with --base-port") from error
        cleanup.push_async_callback(_millrace, environment, "down")
        code, out = await _millrace(environment, "up", "--detach", "--no-demo")
        if code:
            raise DrillError(f"the stack to be broken did not start:\n{out[-2000:]}")
        _, told = await _millrace(environment, "env", "--json")
        os.environ.update(json.loads(told))
        place = running_stack()
        ground = Ground(folder, place.ground.kafka, place.ground.postgres, links)
        by_link = f"http://127.0.0.1:{base_port + _LINKS['gateway']}"
        yield Place(ground, by_link, place.graphql_url, place.write_key)


def _new_home() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="millrace-drill-"))
    folder.chmod(0o755)  # root's Postgres runs as another account and must get through
    return folder


async def _millrace(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """A command of `millrace`: its exit code and what it printed (of a failure, its errors)."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stack", *arguments),
        env=environment,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await process.communicate()
    return process.returncode or 0, (errors if process.returncode else out).decode()


def _disks(folder: Path, made: Stack) -> list[Path]:
    """What has to be a small file system of its own."""
    if made is Stack.SMALL_DISKS:
        return [folder / name for name in DISKS]
    return [folder] if made is Stack.SMALL_DISK else []


def _mount(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    size = f"size={_SMALL_DISK_MB}m,mode=755"
    if _command("mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)):
        raise DrillError("a small disk could not be mounted; this drill needs root")


def _own_clock(folder: Path) -> dict[str, str]:
    """What makes every process go by a clock in the folder; clients, whose clocks are right, may be ahead of it."""
    library, clock = folder / "clock.so", folder / CLOCK
    if _command("cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_CLOCK_SOURCE), "-ldl"):
        raise DrillError("the clock could not be compiled; this drill needs a C compiler named cc and glibc's headers")
    set_clock(clock, 0)
    tolerance = {"MILLRACE_SHOP_FUTURE_TOLERANCE_SECONDS": "7200"}
    return {"LD_PRELOAD": str(library), "MILLRACE_DRILL_CLOCK": str(clock), **tolerance}


def _command(*arguments: str) -> int:
    try:
        return subprocess.run(arguments, check=False, capture_output=True).returncode  # noqa: S603 - ours
    except FileNotFoundError:
        return 127
