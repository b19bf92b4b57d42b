"""Statements as asyncpg takes them: SQLAlchemy's made into SQL once, and the values of each run in their places."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.util import LRUCache

_MOST_KEPT: Final = 512
_DIALECT: Final = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


class _Known(NamedTuple):
    """What is worked out once for a statement that is run again and again."""

    compiled: SQLCompiler
    own: Sequence[Any] | None
    """Where the statement's own values are: another one of the same form may have been made into this SQL."""
    order: Sequence[str]
    writers: Mapping[str, Callable[[Any], Any]]


_compiled: Final[LRUCache[Any, Any]] = LRUCache(_MOST_KEPT)


def told(statement: ClauseElement, values: Mapping[str, Any] | None = None) -> tuple[str, list[Any]]:
    """The SQL of a statement with `$1`, `$2`, …, and the values for those.

    A statement that differs from an earlier one in values alone takes that one's SQL. Raises ValueError for one whose
    SQL would differ with the length of a list: give the list as one value (`= ANY`).
    """
    compiled, own, order, writers = _made(statement)
    found = compiled.construct_params(cast("Any", values), own, escape_names=False)
    if writers:
        for name, write in writers.items():
            found[name] = write(found[name])
    return compiled.string, [found[name] for name in order]


@lru_cache(_MOST_KEPT)
def _made(statement: ClauseElement) -> _Known:
    made, own, *_ = statement._compile_w_cache(_DIALECT, compiled_cache=_compiled, column_keys=[])
    compiled = cast("SQLCompiler", made)
    if compiled.post_compile_params:
        raise ValueError(f"a list is not given as one value: {compiled.string}")
    return _Known(compiled, own, compiled.positiontup or (), cast("Mapping[str, Any]", compiled._bind_processors))
