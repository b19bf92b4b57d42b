"""SQL, one statement per root: expressions and bound parameters only, no text put together.

Each module builds statements and runs none, so that what is asked can be read and tested without a database.
"""

from typing import Any

from sqlalchemy import Row, Select

Statement = Select[*tuple[Any, ...]]
"""A statement whose rows are read by name."""
ResultRow = Row[*tuple[Any, ...]]

__all__ = ["ResultRow", "Statement"]
