"""Verifications: what an independent computation over the event log says of the numbers that are served."""

import json
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any

import strawberry

from serving.cursors import VERIFICATIONS, Key
from serving.queries import ResultRow
from serving.queries.paging import Page
from serving.queries.verifications import verifications_page
from serving.schema.common import page_size
from serving.schema.connections import After, Before, Connection, First, Last, Which, connection
from serving.schema.context import Info
from serving.schema.scalars import Long


@strawberry.type(description="A column of a row's key.")
class KeyColumn:
    column: str = strawberry.field(description="Name of the column.")
    value: str = strawberry.field(description="A text as it is, everything else as JSON.")


@strawberry.type(description="A column in which a row is not as the log says.")
class DifferingColumn:
    column: str = strawberry.field(description="Name of the column.")
    expected: str = strawberry.field(description="What the log says; null as `null`.")
    found: str = strawberry.field(description="What was served.")


@strawberry.enum(description="How a row is not as the log says.")
class Difference(Enum):
    DIFFERENT = strawberry.enum_value("different", description="Some of its columns are others.")
    MISSING = strawberry.enum_value("missing", description="The log has it and the table has not.")
    EXTRA = strawberry.enum_value("extra", description="The table has it and the log has not.")


@strawberry.type(description="A row that is not as the log says.")
class Mismatch:
    table: str = strawberry.field(description="Name of the table.")
    difference: Difference = strawberry.field(description="What is wrong with it.")
    kind: str = strawberry.field(description="`difference` as a text.", deprecation_reason="Use `difference`.")
    key: list[KeyColumn] = strawberry.field(description="Which row it is.")
    columns: list[DifferingColumn] = strawberry.field(description="None where the row is missing or extra.")
    events: Long = strawberry.field(description="How many events the row is made of.")
    event_ids: list[str] = strawberry.field(description="A few of them; `millrace explain` tells more.")
    epochs: list[Long] = strawberry.field(description="A few of the epochs that applied them.")


@strawberry.type(description="A comparison of every table with what the event log says, computed anew by other code.")
class Verification:
    at: datetime = strawberry.field(description="When it was made.")
    epoch: Long = strawberry.field(description="The commit that the tables were read of.")
    from_: datetime | None = strawberry.field(name="from", description="Event time; null from the first event.")
    until: datetime | None = strawberry.field(description="Exclusive; null through the last event.")
    rows: Long = strawberry.field(description="Rows compared.")
    mismatches: Long = strawberry.field(description="Rows that differ; 0 where every number is right.")
    duration: timedelta = strawberry.field(description="How long it took.")
    seconds: float = strawberry.field(description="`duration` in seconds.", deprecation_reason="Use `duration`.")
    examples: list[Mismatch] = strawberry.field(description="A few of the rows that differ.")


async def verifications(
    info: Info, first: Annotated[int, strawberry.argument(description="Most outcomes wanted.")] = 10
) -> list[Verification]:
    """The newest outcomes, newest first."""
    rows = await info.context.snapshot.rows(verifications_page(Page(page_size("first", first, info))))
    return [_verification(row) for row in rows]


async def verifications_connection(
    info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
) -> Connection[Verification]:
    """The newest first."""
    which = Which(first, after, last, before)
    return await connection(
        info, VERIFICATIONS, which, verifications_page, key=lambda row: Key(row.id, ()), node=_verification
    )


def _verification(row: ResultRow) -> Verification:
    counts = ("at", "epoch", "until", "rows", "mismatches", "seconds")
    return Verification(
        from_=row._mapping["from"],
        examples=[_mismatch(each) for each in row.examples],
        duration=timedelta(seconds=row.seconds),
        **{name: row._mapping[name] for name in counts},
    )


def _mismatch(told: dict[str, Any]) -> Mismatch:
    """An example as processing keeps it (`processing.verification.results`)."""
    evidence = told["evidence"]
    return Mismatch(
        table=told["table"],
        difference=Difference(told["kind"]),
        kind=told["kind"],
        key=[KeyColumn(column=name, value=_text(value)) for name, value in told["key"].items()],
        columns=[
            DifferingColumn(column=cell["column"], expected=_text(cell["expected"]), found=_text(cell["found"]))
            for cell in told["cells"]
        ],
        events=Long(evidence["events"]),
        event_ids=evidence["event_ids"],
        epochs=evidence["epochs"],
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
