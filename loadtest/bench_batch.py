"""What the batch verbs of processing take over the store and the log that a drain has left, one after another."""

import json
from typing import Any, Final

import adbc_driver_postgresql.dbapi as postgres
from rich.progress import Progress

from loadtest.bench_errors import BenchError
from loadtest.bench_ground import Ground

_VERBS: Final = {
    "rebuild_check": ("rebuild", "--check", "--json"),
    "rebuild": ("rebuild", "--json"),
    "verify": ("verify", "--all", "--json"),
    "explain": ("explain", "{event}", "--json"),
    "erase": ("erase", "--user", "{user}", "--yes", "--json"),
    "verify_after_erase": ("verify", "--all", "--json"),
}


def measure_batch(ground: Ground, events: int, progress: Progress) -> dict[str, Any]:
    """Seconds with their start, CPU seconds and memory of each verb. Raises BenchError where one finds a difference."""
    user, event = _somebody(ground)
    task = progress.add_task("batch", total=len(_VERBS))
    figures: dict[str, dict[str, Any]] = {}
    for name, words in _VERBS.items():
        run = ground.run_verb(*(word.format(user=user, event=event) for word in words))
        if run.code:
            raise BenchError(f"{name} ended with {run.code}: {run.output[-1000:]}{run.errors[-1000:]}")
        figures[name] = {
            "seconds": round(run.seconds, 2),
            "events_per_second": round(events / run.seconds),
            "cpu_seconds": round(run.cpu_seconds, 1),
            "rss_mib": run.rss_mib,
        }
        if name.startswith("rebuild"):
            figures[name]["steps"] = {
                step: round(spent, 2) for step, spent in json.loads(run.output)["seconds"].items()
            }
        progress.update(task, advance=1)
    return figures


def _somebody(ground: Ground) -> tuple[str, str]:
    """The user with the most events, and an event."""
    store = ground.postgres
    with postgres.connect(store.url.get_secret_value()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', $1, false)", (store.db_schema,))
        cursor.execute("SELECT user_id FROM users ORDER BY events DESC LIMIT 1")
        (user,) = cursor.fetchone()
        cursor.execute("SELECT event_id FROM conversions LIMIT 1")
        (event,) = cursor.fetchone()
    return str(user), str(event)
