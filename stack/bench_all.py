"""`millrace bench all`: every bench, one after the other, on a stack that is made for it and gone afterwards.

Parts are measured with only broker and database beside them, then the whole stack by `bench rate`. A bench that cannot
be done is told, and the others are done all the same.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from stack.errors import PartFailedError
from stack.settings import REPOSITORY

Run = Callable[[Sequence[str]], tuple[int, str]]
"""A `millrace` command: its exit code, and what it printed; of one that failed, what it said of it."""


@dataclass(frozen=True)
class Bench:
    """One bench, and how it is made short where nobody wants its numbers."""

    name: str
    whole: bool = False
    """Needs the whole stack; else broker and database."""
    quickly: tuple[str, ...] = ()


BENCHES: Final = (
    Bench("gateway", quickly=("--seconds", "0.5", "--connections", "4")),
    Bench("processing", quickly=("--rate", "0", "--backlog", "20000")),
    Bench("serving", quickly=("--seconds", "0.5", "--connections", "2", "--minutes", "4000", "--sessions", "1000")),
    Bench("state", quickly=("--rate", "100", "--horizon", "60")),
    Bench("detect", quickly=("--days", "2", "--weeks", "0")),
    Bench("forecast", quickly=("--weeks", "6")),
    Bench("rate", whole=True, quickly=("--start", "50", "--highest", "50", "--seconds", "10", "--hold", "0")),
)


def chosen(only: str) -> tuple[Bench, ...]:
    """The benches named, comma-separated; all where none is. Raises typer.BadParameter."""
    names = [name for name in only.split(",") if name]
    known = [bench.name for bench in BENCHES]
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"{', '.join(unknown)}: the benches are {', '.join(known)}", param_hint="--only")
    return tuple(bench for bench in BENCHES if not names or bench.name in names)


def run_all(benches: Sequence[Bench], run: Run, say: Callable[[str], None], *, quick: bool = False) -> dict[str, Any]:
    """By bench: its figures and seconds, or what went wrong. The stack is up for as long as one needs it.

    Raises PartFailedError where it does not come up.
    """
    results: dict[str, Any] = {}
    for whole in (False, True):
        due = [bench for bench in benches if bench.whole is whole]
        if not due:
            continue
        try:
            code, said = run(("up", "--detach", "--no-demo", *(() if whole else ("--only", "kafka,postgres"))))
            if code:
                raise PartFailedError(f"The stack to be measured did not start:\n{said}")
            for bench in due:
                say(f"{bench.name} …")
                results[bench.name] = _result(bench, run, quick=quick)
        finally:
            run(("down",))
    return results


def _result(bench: Bench, run: Run, *, quick: bool) -> dict[str, Any]:
    started = time.monotonic()
    code, said = run(("bench", bench.name, "--json", *(bench.quickly if quick else ())))
    seconds = round(time.monotonic() - started, 1)
    try:
        figures = json.loads(said if code == 0 else "")
    except ValueError:
        return {"done": False, "seconds": seconds, "why": said.strip()[-2000:] or f"exit code {code}"}
    return {"done": True, "seconds": seconds, "figures": figures}


def run_on_own_stack(
    benches: Sequence[Bench], environ: Mapping[str, str], base_port: int, say: Callable[[str], None], *, quick: bool
) -> dict[str, Any]:
    """`run_all` on a stack in a home of its own."""
    home = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    home.chmod(0o755)  # root's Postgres runs as another account and must get through
    environment = {
        **{name: value for name, value in environ.items() if not name.startswith("MILLRACE_") or "CACHE" in name},
        "MILLRACE_HOME": str(home),
        "MILLRACE_STACK_BASE_PORT": str(base_port),
    }

    def run(arguments: Sequence[str]) -> tuple[int, str]:
        done = subprocess.run(
            (sys.executable, "-m", "stack", *arguments),
            env={**environment, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), environ.get("PYTHONPATH", "")])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr if done.returncode else done.stdout

    try:
        return run_all(benches, run, say, quick=quick)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def bench_all(
    *,
    only: Annotated[str, typer.Option(help="Only these, comma-separated: gateway,serving")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Seconds each: to see that it works, not how fast.")] = False,
    base_port: Annotated[int, typer.Option(min=1024, max=65000, help="Of the stack that is made.")] = 7320,
    report: Annotated[Path | None, typer.Option(help="File of the report. Default: one below reports/.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report, too.")] = False,
) -> None:
    """Every bench, on a stack made for it and gone after. Takes an hour, and a machine with nothing else to do.

    Exit code 1 if one of them could not be done.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ctrl-C: the stack that was made goes
    benches, started, load = chosen(only), datetime.now(UTC), os.getloadavg()
    path = report or Path("reports") / f"{started:%Y%m%dT%H%M%SZ}-bench.json"
    results = run_on_own_stack(benches, os.environ, base_port, lambda line: typer.echo(line, err=True), quick=quick)
    told = {"command": " ".join(["millrace", *sys.argv[1:]]), "began_at": started.isoformat("T", "seconds"),
            "quick": quick, "load_average_before": load, "benches": results}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    if as_json:
        typer.echo(json.dumps(told))
    for name, result in results.items():
        said = "done" if result["done"] else f"NOT DONE: {result['why']}"
        typer.echo(f"{name:<12}{result['seconds']:>9,.1f} s  {said}", err=as_json)
    typer.echo(f"figures: {path}", err=True)
    raise typer.Exit(0 if all(result["done"] for result in results.values()) else 1)
