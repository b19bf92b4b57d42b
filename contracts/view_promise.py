"""What readers of Postgres were promised: `views.promised.json` has each view's columns with their types, in order.

A column that was promised stays where it is, of its type; new ones come behind. What is served is promised in the same
commit, by `python -m contracts promise`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from contracts.views import VIEWS

PROMISED: Final = Path(__file__).with_name("views.promised.json")

Views = dict[str, dict[str, str]]
"""By view, each column's type by its name, in order."""


def served() -> Views:
    """The views as they are."""
    return {view.name: {name: column.type for name, column in view.columns.items()} for view in VIEWS}


def broken(promised: Views, views: Views) -> list[str]:
    """What the views break of the promised ones, each with the name of view and column."""
    return list(_broken(promised, views))


def _broken(promised: Views, views: Views) -> Iterator[str]:
    for view, columns in promised.items():
        if view not in views:
            yield f"{view} was promised and is gone"
            continue
        held = views[view]
        for place, (column, kind) in enumerate(columns.items()):
            if column not in held:
                yield f"{view}.{column} was promised and is gone"
            elif held[column] != kind:
                yield f"{view}.{column} was promised as {kind} and is {held[column]}"
            elif list(held)[place] != column:
                yield f"{view}.{column} was promised as column {place + 1} and is {list(held).index(column) + 1}"


def promise(path: Path = PROMISED) -> list[str]:
    """Promise the views as they are. What would take a promise back is told, and nothing is written then."""
    views = served()
    broke = broken(json.loads(path.read_text("utf-8")), views) if path.exists() else []
    if not broke:
        path.write_text(json.dumps(views, indent=2) + "\n", "utf-8")
    return broke
