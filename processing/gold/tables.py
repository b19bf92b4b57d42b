"""What the gold tables are: one per roll-up that stays, with its columns, but that sketches are told as numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import TableNotFoundError
from sqlalchemy import BigInteger, LargeBinary, Numeric, Table

from contracts.rollups import TABLES
from processing import sketches
from processing.arrow_types import arrow_type

FOLDER: Final = "gold"
"""Below the folder of the event log."""

_COUNTED: Final = {
    "users": "different users, estimated: exact up to 4,096, standard error 1.6 % above; not additive",
    "buyers": "different users with a purchase, estimated in the same way; not additive",
}
"""Sketches, told as the size of the set."""
_MEANINGS: Final = {
    "hour": "start of the hour, UTC",
    "day": "day, UTC",
    "product_id": "product",
    "events": "events of any kind",
    "views": "page views and views of products",
    "clicks": "clicks",
    "searches": "searches",
    "adds": "additions to a cart",
    "removes": "removals from a cart",
    "checkouts": "starts of a checkout",
    "purchases": "lines bought",
    "units": "units bought",
    "refunds": "lines refunded",
    "device": "device; empty where it is not known",
    "sessions": "sessions",
    "revenue": "sum of purchases in the shop's one currency",
    "transitions": "moves from the one to the other",
    "visits": "visits, repetitions of one action counted once",
    "bot": "whether bots did it; what people did is in rows of its own",
    "late": "events that came after the watermark had passed them",
    "last_epoch": "the newest epoch that touched it",
}
"""Of columns whose names say enough to those who know the code."""
_CONFIGURATION: Final = {
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 1 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}


@dataclass(frozen=True)
class GoldTable:
    """One table."""

    grain: str
    source: Table

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def time(self) -> str:
        """The column that says in which cell a row is."""
        return str(self.source.columns[0].name)

    @property
    def partition(self) -> str:
        """`month` for days and `date` for whatever is shorter: a partition has some hundred rows or more."""
        return "month" if self.grain == "day" else "date"

    @property
    def columns(self) -> pa.Schema:
        """The columns; the partition first."""
        fields = [(self.partition, pa.string() if self.partition == "month" else pa.date32())]
        for column in self.source.columns:
            counted = isinstance(column.type, LargeBinary)
            fields.append((column.name, pa.int64() if counted else arrow_type(column)))
        return pa.schema(fields)

    @property
    def comments(self) -> dict[str, str]:
        """What the columns mean."""
        meaning = "month of `day`, as 2026-03" if self.partition == "month" else f"day of `{self.time}`, UTC"
        comments = {self.partition: f"{meaning}; the table is partitioned by it"}
        for column in self.source.columns:
            counted = isinstance(column.type, LargeBinary)
            comments[column.name] = _COUNTED[column.name] if counted else column.comment or _MEANINGS[column.name]
        return comments

    @property
    def schema(self) -> Schema:
        """The columns as Delta has them, with their meanings."""
        plain = Schema.from_arrow(self.columns)
        return Schema(
            [Field(each.name, each.type, metadata={"comment": self.comments[each.name]}) for each in plain.fields]
        )

    @property
    def description(self) -> str:
        """What the table is."""
        return f"{self.source.comment} A cell is here once it is final, and is replaced when it has changed."

    @property
    def constraints(self) -> dict[str, str]:
        """What holds of every row. Written so that Spark and delta-rs read them alike."""
        amounts = [
            column.name
            for column in self.source.columns
            if isinstance(column.type, BigInteger | Numeric | LargeBinary)
            and not column.primary_key
            and not column.nullable  # where it is null a constraint would not hold
        ]
        return {f"{name}_not_negative": f"{name} >= 0" for name in amounts}

    def open(self, log_path: Path) -> DeltaTable:
        """The table, made if it is not there; columns that it has had since it was made are added."""
        path = str(log_path / FOLDER / self.name)
        try:
            table = DeltaTable(path)
        except TableNotFoundError:
            table = DeltaTable.create(
                path,
                schema=self.schema,
                partition_by=[self.partition],
                name=self.name,
                description=self.description,
                configuration=_CONFIGURATION,
            )
        if table.version() == 0:
            table.alter.add_constraint(self.constraints)
        held = {each.name for each in table.schema().fields}
        if missing := [each for each in self.schema.fields if each.name not in held]:
            table.alter.add_columns(missing)
        return table

    def rows(self, held: pa.Table) -> pa.Table:
        """Rows of the source as rows of the table."""
        times = held[self.time].cast(pa.timestamp("us"))
        day = pc.strftime(times, "%Y-%m") if self.partition == "month" else times.cast(pa.date32())
        columns = {self.partition: day}
        for column in self.source.columns:
            values = held[column.name]
            if isinstance(column.type, LargeBinary):
                sizes = [round(sketches.estimate(sketch)) for sketch in values.to_pylist()]
                columns[column.name] = pa.array(sizes, pa.int64())
            else:
                columns[column.name] = values.cast(arrow_type(column))
        return pa.table(columns, schema=self.columns)


GOLD: Final = tuple(
    GoldTable(grain, table) for grain, tables in TABLES.items() if grain != "window_hour" for table in tables
)
"""Every gold table. Windows of minutes have none: they go when the minutes do, and gold stays."""
