"""The arrows of docs/architecture.md, held against the imports."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "schemas_avro": set(),
    "contracts": {"schemas_avro"},
    "ingestion": {"schemas_avro", "contracts"},
    "processing": {"schemas_avro", "contracts"},
    "serving": {"contracts"},
    "loadtest": {"schemas_avro", "contracts"},
}
OURS = {*MAY_IMPORT, "stack", "tests"}


def _imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names} & OURS


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_a_stage_imports_only_what_the_architecture_page_allows(folder: str) -> None:
    files = sorted((REPOSITORY / folder).rglob("*.py"))
    assert files
    for path in files:
        foreign = _imported(path) - {folder} - MAY_IMPORT[folder]
        assert not foreign, f"{path.relative_to(REPOSITORY)} imports {foreign}"


def test_nothing_connects_or_starts_on_import() -> None:
    """Only `__main__` modules and test fixtures build real objects; no module does at its top level."""
    builders = {"build_spark", "Producer", "Store", "create_async_engine", "connect", "run"}
    for folder in MAY_IMPORT:
        for path in (REPOSITORY / folder).rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            for node in tree.body:
                if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) and isinstance(node.value, ast.Call):
                    called = node.value.func
                    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                    assert name not in builders, f"{path.relative_to(REPOSITORY)} calls {name} on import"
