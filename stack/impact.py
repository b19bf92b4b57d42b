"""What a changed schema touches: adapters that fill a field, projections that read it, GraphQL roots that read those.

Found in the code itself: adapters and serving by their syntax trees, projections by the SQL of their deltas. A field
that is read only as part of the whole event (the event log keeps all of them) is named with no projection.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphql import GraphQLObjectType, build_schema

from contracts.schema_promise import PROMISED
from contracts.settings import ShopSettings
from contracts.tables import metadata
from processing.projections import build_projections
from schemas_avro.evolution import check_full_transitive
from schemas_avro.registry import FOLDER, schema_files
from stack.errors import StackError
from stack.settings import REPOSITORY


class SchemaFileError(StackError):
    """The file is no schema of a subject that there is."""


@dataclass(frozen=True)
class FieldImpact:
    """One field that is not as it was."""

    field: str
    change: str
    """added, removed, or changed."""
    producers: list[str]
    """Adapters of the gateway that name it."""
    projections: list[str]
    roots: list[str]
    """Of GraphQL: queries that read one of the projections."""


@dataclass(frozen=True)
class Impact:
    """What a file would change."""

    subject: str
    against: int
    """The version that it is compared with: the one before it."""
    conflicts: list[str]
    """Why it may not live beside the other versions."""
    fields: list[FieldImpact]


def impact_of(path: Path) -> Impact:
    """Compare a schema file with the version before it, or where it is no version yet, with the newest.

    Raises SchemaFileError.
    """
    try:
        proposed = json.loads(path.read_text("utf-8"))
        fields = {field["name"]: field for field in proposed["fields"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchemaFileError(f"{path} is no record schema: {error!r}") from error
    known = {key: json.loads(text) for key, text in schema_files(FOLDER).items()}
    subject = next((subject for (subject, _), each in known.items() if each["name"] == proposed.get("name")), None)
    if subject is None:
        raise SchemaFileError(f"{path}: no subject has records called {proposed.get('name')!r}")
    versions = {version: each for (of, version), each in known.items() if of == subject}
    number = _version(path, subject) or max(versions) + 1
    against = max((version for version in versions if version < number), default=number)
    before = {field["name"]: field for field in versions[against]["fields"]}
    changes = dict.fromkeys(fields.keys() - before.keys(), "added")
    changes |= dict.fromkeys(before.keys() - fields.keys(), "removed")
    changes |= {name: "changed" for name in fields.keys() & before.keys() if fields[name] != before[name]}
    conflicts = check_full_transitive(subject, {**versions, number: proposed})
    told = [re.sub(rf"\bv{number}\b", "the file", str(conflict)) for conflict in conflicts]
    return Impact(subject, against, told, [_impact(name, change) for name, change in sorted(changes.items())])


def unpromised() -> list[Path]:
    """Versions that are newer than what was promised at the last release, oldest first: what is about to change.

    Compared with files and not with a history: a copy of the sources may have none.
    """
    promised: dict[str, int] = json.loads(PROMISED.read_text("utf-8"))
    newer = sorted(key for key in schema_files(FOLDER) if key[1] > promised.get(key[0], 0))
    return [FOLDER / subject / f"v{version}.avsc" for subject, version in newer]


def _version(path: Path, subject: str) -> int | None:
    """Which version of the subject a file is; None for a file from elsewhere."""
    return int(path.stem[1:]) if path.resolve().parent == FOLDER / subject else None


def _impact(field: str, change: str) -> FieldImpact:
    word = re.compile(rf"\b{re.escape(field)}\b")
    projections = [each.name for each in build_projections(ShopSettings()) if word.search(each.delta)]
    roots = sorted(root for root, tables in roots_by_table().items() if tables & set(projections))
    return FieldImpact(field, change, producers(field), projections, roots)


def producers(field: str) -> list[str]:
    """The native adapter, which takes events as they are, and those that name the field: as a keyword or as a text."""
    found = ["native"]
    for path in sorted((REPOSITORY / "ingestion" / "adapters").glob("*.py")):
        nodes = list(ast.walk(_tree(path)))
        named = any(isinstance(node, ast.keyword) and node.arg == field for node in nodes)
        if named or any(isinstance(node, ast.Constant) and node.value == field for node in nodes):
            found.append(path.stem)
    return found


@cache
def roots_by_table() -> dict[str, frozenset[str]]:
    """The tables that each root of GraphQL reads, by way of the functions it calls."""
    sdl = build_schema((REPOSITORY / "contracts" / "schema.graphql").read_text("utf-8"))
    assert isinstance(sdl.query_type, GraphQLObjectType)
    roots = {re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", name): name for name in sdl.query_type.fields}
    found = {}
    for path in sorted((REPOSITORY / "serving" / "schema").glob("*.py")):
        module = f"serving.schema.{path.stem}"
        for name in _names(module):
            if name in roots:
                found[roots[name]] = frozenset(_tables(module, name, set()))
    return found


def _tables(module: str, name: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Tables that a top-level name leads to."""
    if (module, name) in seen:
        return
    seen.add((module, name))
    for used in _names(module).get(name, ()):
        origin, original = _imports(module).get(used, (module, used))
        if origin.startswith("contracts"):
            if original in metadata.tables:
                yield original
        elif origin.startswith("serving.queries") or origin == module:
            yield from _tables(origin, original, seen)


@cache
def _names(module: str) -> dict[str, frozenset[str]]:
    """Top-level names of a module, and the names that each uses."""
    found: dict[str, frozenset[str]] = {}
    for node in _tree(_path(module)).body:
        used = frozenset(each.id for each in ast.walk(node) if isinstance(each, ast.Name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = used
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets: list[Any] = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: used - {target.id} for target in targets if isinstance(target, ast.Name)}
    return found


@cache
def _imports(module: str) -> dict[str, tuple[str, str]]:
    """Local names and where they come from."""
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(_tree(_path(module)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _path(module: str) -> Path:
    path = REPOSITORY.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))
