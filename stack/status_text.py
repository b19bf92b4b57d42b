"""`millrace status` for people: a table of the parts, and a line for each thing that they tell."""

from rich.console import Console
from rich.table import Table

from stack.processing_figures import ProcessingFigures
from stack.state import State
from stack.status import Status, Watched


def print_status(answer: Status, state: State | None) -> None:
    """Print an answer; `state` is what the supervisor says, None where nothing supervises."""
    console = Console()
    table = Table("part", "pid", "port", "ready", "since", "restarts", "note")
    for part in answer.parts:
        told = state.parts.get(part.name) if state is not None else None
        table.add_row(
            part.name,
            str(part.pid or "-"),
            str(part.port or "-"),
            "yes" if part.ready else "no",
            (part.since or "-").replace("+00:00", "Z"),
            str(told.restarts if told else 0),
            told.note.partition("\n")[0] if told else "",
        )
    console.print(table)
    if state is None:
        console.print("Nothing supervises this stack; `millrace up` starts it and repairs what the last one left.")
    for name, url in answer.urls.items():
        console.print(f"{name}: {url}", highlight=False)
    lag = "unknown" if answer.freshness_seconds is None else f"{answer.freshness_seconds:.1f} s behind the log"
    console.print(f"freshness: {lag}", highlight=False)
    if answer.processing is not None:
        for line in processing_lines(answer.processing):
            console.print(line, highlight=False, soft_wrap=True)
    if answer.books is not None:
        console.print(f"books: {'close' if answer.books.close else f'off by {answer.books.residue}'}", highlight=False)
    if answer.verified is not None:
        rows = answer.verified.mismatches
        said = f"{rows} rows differ; millrace verify names them" if rows else "equal to the event log"
        console.print(f"verified: {said}, epoch {answer.verified.epoch}, {answer.verified.at}", highlight=False)
    if answer.alerts is not None:
        console.print(f"alerts: {answer.alerts.critical} critical, {answer.alerts.warning} warning", highlight=False)
    if answer.watched is not None:
        console.print(watched_line(answer.watched), highlight=False, soft_wrap=True)


def watched_line(told: Watched) -> str:
    """What the watch found, and what it knows."""
    models = f"models version {told.model_version}, {told.trained_at}" if told.model_version else "no models yet"
    forecast = f"forecast until {told.forecast_until}" if told.forecast_until else "no forecast yet"
    report = f"newest report {told.report_day}" if told.report_day else "no report yet"
    return f"watch: {told.odd} odd windows in the last hour; {models}; {forecast}; {report}"


def processing_lines(told: ProcessingFigures) -> list[str]:
    """Pace, epochs and memory of processing."""
    phases = ", ".join(f"{phase} {seconds:.3f}" for phase, seconds in told.epoch_seconds.items() if seconds >= 0.001)
    memory = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in told.resident_memory_bytes.items() if size)
    mark = "none yet" if told.watermark_lag_seconds is None else f"{told.watermark_lag_seconds:,.0f} s behind the clock"
    behind = "nobody knows how many" if told.behind_records is None else f"{told.behind_records:,}"
    return [
        f"processing: epoch {told.epoch:,}, {told.input_records_per_second:,.0f} records/s coming in,"
        f" {behind} behind Kafka's end, watermark {mark}, {told.errors} errors since its start",
        f"  an epoch takes {sum(told.epoch_seconds.values()):.3f} s in the mean: {phases or 'none yet'}",
        f"  {told.recent_ids:,} recent ids in {told.recent_ids_bytes / 2**20:,.1f} MiB; memory: {memory}",
    ]
