"""A statement is made into SQL once, whatever the values; each run has its own values in the SQL's places."""

import gc
from datetime import UTC, datetime
from weakref import ref

import pytest
from sqlalchemy import Integer, Text, any_, bindparam, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from contracts.projections import sessions
from serving.queries.measures import moment
from serving.statements import told

pytestmark = pytest.mark.unit


def _of(user: str, at: datetime) -> tuple[str, list[object]]:
    return told(select(sessions.c.session_id).where(sessions.c.user_id == user, sessions.c.started_at < moment(at)))


def test_statements_of_one_form_share_their_sql_and_keep_their_values() -> None:
    march, april = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    first, values = _of("u-1", march)
    second, others = _of("u-2", april)
    assert first is second
    assert "$1" in first
    assert "$2" in first
    assert (values, others) == (["u-1", march], ["u-2", april])


def test_values_are_given_when_it_is_run() -> None:
    statement = select(sessions.c.user_id).where(
        sessions.c.events > bindparam("least", type_=Integer),
        sessions.c.session_id == any_(literal(["a"], ARRAY(Text))),
    )
    sql, values = told(statement, {"least": 3, "not in it": 1})
    assert values == [3, ["a"]]
    assert told(statement, {"least": 4}) == (sql, [4, ["a"]])


def test_values_are_written_as_their_types_are() -> None:
    _, values = told(select(literal({"a": [1]}, JSONB)))
    assert values == ['{"a": [1]}']


def test_sql_that_would_differ_with_the_length_of_a_list_is_refused() -> None:
    with pytest.raises(ValueError, match="one value"):
        told(select(sessions.c.user_id).where(sessions.c.session_id.in_(["a", "b"])))


def test_statements_that_are_asked_no_more_are_forgotten() -> None:
    def ask(form: int) -> ref[object]:
        statement = select(sessions.c.session_id.label(f"column_{form}"))
        told(statement)
        return ref(statement)

    first, *_, last = [ask(form) for form in range(1000)]
    gc.collect()
    assert first() is None
    assert last() is not None
