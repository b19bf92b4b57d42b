"""What is installed for a few processes is not imported by the others because it happens to be there."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Without(MetaPathFinder):
    """Says of a package that it is not installed."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `MetaPathFinder`. Raises ModuleNotFoundError for the package."""
        if fullname == self._package:
            raise ModuleNotFoundError(f"{fullname} is left out here, see contracts.imports", name=fullname)
        return None


_PANDAS = _Without("pandas")


def without_pandas() -> None:
    """Have PyArrow do without pandas, which it imports wherever it finds it: half a second and 35 MB per process.

    Only training needs pandas, and says so by `with_pandas`.
    """
    if _PANDAS not in sys.meta_path:
        sys.meta_path.insert(0, _PANDAS)


def with_pandas() -> None:
    """Let it be imported again. Call it before importing what is built on pandas."""
    if _PANDAS in sys.meta_path:
        sys.meta_path.remove(_PANDAS)
