"""What a check of one table is: SQL for DuckDB over the view `log`, in which each event of the log is once.

`{since}` and `{until}` stand for the span of time that is checked, the latter exclusive; `{gap}` for the session gap in
seconds. With a span, a table is checked by rows that begin in it, from all events that such a row may consist of.
"""

from dataclasses import dataclass

from sqlalchemy import Table


@dataclass(frozen=True)
class Cells:
    """The cells of the registry of roll-ups that a table's rows lie in. The view `cells` has the registry's rows."""

    grain: str
    time: str
    """The row's column."""
    are_rows: bool = False
    """Whether the rows are the roll-up's own, or those that it is made of and that may be dropped."""
    dropped_with: str = ""
    """The grain with whose finer rows the roll-up's own are dropped, if they are."""

    @property
    def read(self) -> str:
        """Condition: a row that readers read."""
        hour, of_grain = f"date_trunc('hour', {self.time})", "(SELECT starts_at FROM cells WHERE grain = '{}' AND {})"
        made = f"{hour} IN {of_grain.format(self.grain, 'NOT stale')}"
        if self.are_rows and not self.dropped_with:
            return made
        there = f"{hour} NOT IN {of_grain.format(self.dropped_with or self.grain, 'fine_gone')}"
        return f"{made} AND {there}" if self.are_rows else there


@dataclass(frozen=True)
class Check:
    """One table's."""

    table: Table
    members: str
    """SELECT of events with the key columns of the row that they count in. It may give more events than are checked.

    In a `Gathering`, of what stands for them in the table `gathered`."""
    expected: str
    """SELECT of the rows, over the view `members`; of columns that are sketches the list of members."""
    served: str
    """Condition, for Postgres, on the table's rows that are checked."""
    by: tuple[str, str] = ("", "")
    """What a row and all events that it consists of agree in: of an event, and of a row. Checks are sliced by it."""
    cells: "Cells | None" = None

    @property
    def name(self) -> str:
        return str(self.table.name)

    @property
    def kept(self) -> str:
        """Condition, for DuckDB: a row that readers read. Others are not checked."""
        return "true" if self.cells is None else self.cells.read

    @property
    def keys(self) -> list[str]:
        """The table's primary key."""
        return [column.name for column in self.table.primary_key]


@dataclass(frozen=True)
class Gathering:
    """Checks of tables whose rows consist of events that agree in nothing: the hours of sessions, and of clicks.

    What those rows are sums of is computed slice by slice and gathered: one row for each session, or click.
    """

    rows: str
    """SELECT of it, over the view `log`; with `timestamp`, `event_id` and `epoch` of an event that it stands for."""
    by: str
    """What all events that such a row consists of agree in."""
    checks: tuple[Check, ...]


MEASURES = """
    count(*) AS events,
    count(CASE WHEN action = 'view' OR action = 'page_view' THEN 1 END) AS views,
    count(CASE WHEN action = 'click' THEN 1 END) AS clicks,
    count(CASE WHEN action = 'search' THEN 1 END) AS searches,
    count(CASE WHEN action = 'add_to_cart' THEN 1 END) AS adds,
    count(CASE WHEN action = 'remove_from_cart' THEN 1 END) AS removes,
    count(CASE WHEN action = 'checkout_start' THEN 1 END) AS checkouts,
    count(CASE WHEN kind = 'purchase' THEN 1 END) AS purchases,
    sum(if(kind = 'purchase', quantity, 0))::BIGINT AS units,
    sum(if(kind = 'purchase', amount, 0)) AS revenue
"""
"""What minutes, sessions and users have in common."""

WITHIN = "{column} >= TIMESTAMPTZ '{{since}}' AND {column} < TIMESTAMPTZ '{{until}}'"


def within(column: str) -> str:
    """Condition: the time is in the span. For DuckDB and Postgres alike."""
    return WITHIN.format(column=column)
