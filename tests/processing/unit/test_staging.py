"""Rows staged without room for long values: none can be longer than a page of Postgres, whatever events say."""

import pytest
from sqlalchemy import Column, Text

from processing.judge import LONGEST
from processing.projection import Projection
from tests.processing.folding import PROJECTIONS

pytestmark = pytest.mark.unit

PAGE_BYTES = 8_000
ID_CHARACTERS = 128
SMALL = [projection for projection in PROJECTIONS if projection.fits_a_page]


def most_bytes(column: "Column[object]") -> int:
    """Of its values: texts in UTF-8, and anything else a number, a time or a sum of money."""
    return 4 * LONGEST.get(column.name, ID_CHARACTERS) if isinstance(column.type, Text) else 24


@pytest.mark.parametrize("projection", SMALL, ids=[projection.name for projection in SMALL])
def test_a_row_of_ids_and_categories_fits_a_page(projection: Projection) -> None:
    assert sum(map(most_bytes, projection.table.columns)) < PAGE_BYTES


@pytest.mark.parametrize("projection", PROJECTIONS, ids=[projection.name for projection in PROJECTIONS])
def test_what_a_row_is_met_by_fits_a_page(projection: Projection) -> None:
    named = {*projection.fold.meeting, *projection.keys}
    assert sum(most_bytes(column) for column in projection.table.columns if column.name in named) < PAGE_BYTES


def test_what_has_sketches_paths_or_weeks_is_given_room() -> None:
    others = {projection.name for projection in PROJECTIONS} - {projection.name for projection in SMALL}
    assert others == {"product_minutes", "category_minutes", "site_minutes", "sessions", "users"}
