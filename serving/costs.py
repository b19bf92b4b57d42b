"""What an operation may cost before it is run: the rows that its roots are expected to read out, added up.

The estimate is from the arguments alone. It is rough on purpose: it tells thirty lists of ten thousand rows from one.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from graphql import FieldNode, GraphQLObjectType
from graphql.execution.values import VariableValues, get_argument_values

from serving.settings import ServingSettings

_UNNAMED_PRODUCTS: Final = 100
_UNNAMED_CATEGORIES: Final = 20
_PATH_STEPS: Final = 50
_OTHERWISE: Final = 100
Arguments = Mapping[str, Any]


def rows_of(name: str, arguments: Arguments, below: frozenset[str], settings: ServingSettings) -> int:
    """Rows that a root is expected to read out; `below` are the names of all fields under it."""
    estimate = _ROOTS.get(name)
    return estimate(arguments, below, settings) if estimate is not None else _listed(arguments, below, settings)


def arguments_of(kind: GraphQLObjectType | None, node: FieldNode, variables: VariableValues) -> Arguments:
    """The arguments of a root field of queries or mutations, coerced. Raises GraphQLError for such as do not fit."""
    field = kind.fields.get(node.name.value) if kind is not None else None
    return get_argument_values(field, node, variables) if field is not None else {}


def _points(arguments: Arguments, step: timedelta) -> int:
    span = arguments["range"]
    return max(0, (span["to"] - span["from"]) // step) if step > timedelta(0) else 0


def _product_windows(arguments: Arguments, _below: frozenset[str], settings: ServingSettings) -> int:
    points = _points(arguments, arguments.get("slide") or arguments["window"])
    most = arguments.get("limit")
    rows = points * (len(arguments["products"]) if arguments.get("products") is not None else _UNNAMED_PRODUCTS)
    return min(rows, settings.max_rows if most is None else max(0, most)) * _periods(arguments)


def _category_windows(arguments: Arguments, _below: frozenset[str], settings: ServingSettings) -> int:
    named = arguments.get("categories")
    points = _points(arguments, arguments["window"])
    rows = points * (len(named) if named is not None else _UNNAMED_CATEGORIES)
    return min(rows, settings.max_rows) * _periods(arguments)


def _conversions(arguments: Arguments, _below: frozenset[str], settings: ServingSettings) -> int:
    named = arguments.get("products")
    points = _points(arguments, arguments["window"])
    rows = points * (len(named) if named is not None else _UNNAMED_PRODUCTS)
    return min(rows, settings.max_rows) * _periods(arguments)


def _sales(arguments: Arguments, _below: frozenset[str], _settings: ServingSettings) -> int:
    return _points(arguments, timedelta(hours=1)) * _periods(arguments)


def _periods(arguments: Arguments) -> int:
    return 2 if arguments.get("compareWith") is not None else 1


def _listed(arguments: Arguments, below: frozenset[str], _settings: ServingSettings) -> int:
    size = arguments.get("first") if arguments.get("last") is None else arguments.get("last")
    rows = size if isinstance(size, int) and size >= 0 else _OTHERWISE
    return rows * (_PATH_STEPS if "path" in below else 1) * _periods(arguments)


_ROOTS: Final[dict[str, Callable[[Arguments, frozenset[str], ServingSettings], int]]] = {
    "productMetrics": _product_windows,
    "revenue": _category_windows,
    "conversions": _conversions,
    "sales": _sales,
    "forecast": _sales,
}
