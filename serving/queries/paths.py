"""Reading sessions' paths: each step is the JSON text of [epoch ms as 15 digits, action, event id, product id, page].

The time and the action never hold a quote, so they are cut out between the text's first quotes, which is much cheaper
than parsing it; what stands after the event id needs the parser.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, TableValuedAlias, Text, cast, column, func
from sqlalchemy.dialects.postgresql import JSONB

from serving.queries.measures import duration, moment
from serving.windows import ORIGIN

_MILLISECOND = timedelta(milliseconds=1)


def steps_of(path: ColumnElement[Any], name: str = "steps") -> TableValuedAlias:
    """A path's steps as rows: `step`, and its `place` from 1 on."""
    return func.unnest(path).table_valued(column("step", Text), with_ordinality="place", name=name).render_derived()


def millis(step: ColumnElement[Any]) -> ColumnElement[str]:
    """A step's time as text, whose order is the order of time."""
    return func.split_part(step, '"', 2, type_=Text)


def instant(millis_text: ColumnElement[Any]) -> ColumnElement[Any]:
    """The time that such a text stands for."""
    return moment(ORIGIN) + cast(millis_text, BigInteger) * duration(_MILLISECOND)


def action(step: ColumnElement[Any]) -> ColumnElement[str]:
    """A step's action."""
    return func.split_part(step, '"', 4, type_=Text)


def product_id(step: ColumnElement[Any]) -> ColumnElement[Any]:
    """A step's product id, or null."""
    return _element(step, 3)


def page(step: ColumnElement[Any]) -> ColumnElement[Any]:
    """A step's page, or null."""
    return _element(step, 4)


def _element(step: ColumnElement[Any], place: int) -> ColumnElement[Any]:
    found: ColumnElement[Any] = cast(step, JSONB)[place].astext
    return found
