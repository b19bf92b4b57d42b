"""Sessions folded by serving from the event log are those that processing's own fold keeps."""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.past_sessions import sessions_of
from serving.queries import ResultRow, rows_of
from tests.examples import examples
from tests.processing.folding import PROJECTIONS, folded
from tests.processing.log_rows import Row, logs

pytestmark = pytest.mark.unit

GAP = timedelta(minutes=30)
(SESSIONS,) = (projection for projection in PROJECTIONS if projection.name == "sessions")


def as_told(rows: list[Row]) -> list[ResultRow]:
    return [*rows_of(list(rows[0]), [list(row.values()) for row in rows])]


def comparable(session: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Steps are compared by what they say: a control character has two spellings in JSON."""
    return {name: session[name] or None for name in names} | {"path": [*map(json.loads, session["path"])]}


@settings(deadline=None, max_examples=examples(8))
@given(logs().filter(bool), st.randoms())
def test_sessions_are_what_processing_folds(log: list[Row], dice: Any) -> None:
    kept = folded([log], [SESSIONS])["sessions"].to_pylist()
    found: list[ResultRow] = []
    for name in sorted({row["session_id"] for row in log}):
        own = [row for row in log if row["session_id"] == name]
        dice.shuffle(own)
        found += sessions_of(as_told(own), GAP)
    assert len(found) == len(kept)
    by_key = {(row["session_id"], row["started_at"]): row for row in kept}
    for one in found:
        wanted = by_key[one.session_id, one.started_at]
        told = dict(zip(one._fields, one, strict=True))
        assert comparable(told, told) == comparable(wanted, told)
