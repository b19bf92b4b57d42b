"""The registry: schema ids, subjects, versions and fingerprints, read from this folder and checked.

`python -m schemas_avro lock` adds new `.avsc` files to the lock; it never changes or removes a line.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

FOLDER = Path(__file__).resolve().parent
LOCK_NAME = "registry.lock.json"


class RegistryMismatchError(Exception):
    """The schema files and the lock disagree. Nothing may start: bytes would be read with the wrong schema."""


@dataclass(frozen=True)
class RegisteredSchema:
    """One version of one subject."""

    id: int
    """Confluent wire id, unique over all subjects."""
    subject: str
    version: int
    text: str
    """The schema as compact JSON, fields and attributes in file order."""

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The schema as parsed JSON."""
        definition: dict[str, Any] = json.loads(self.text)
        return definition

    @cached_property
    def crc64(self) -> int:
        """CRC-64-AVRO of the Parsing Canonical Form (Avro specification, "Schema Fingerprints"), unsigned."""
        canonical = to_parsing_canonical_form(self.definition)
        return int.from_bytes(bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO")), "little")

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of `text`: unlike `crc64` it also sees defaults, logical types and documentation."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def parsed(self) -> Any:
        """The schema as fastavro wants it."""
        return parse_schema(json.loads(self.text))


class Registry:
    """All registered schemas, looked up by id, by subject and version, or by fingerprint."""

    def __init__(self, schemas: list[RegisteredSchema]) -> None:
        self.schemas = tuple(sorted(schemas, key=lambda schema: schema.id))
        self._by_id = {schema.id: schema for schema in self.schemas}
        self._by_crc64 = {schema.crc64: schema for schema in self.schemas}

    def by_id(self, schema_id: int) -> RegisteredSchema | None:
        """The schema with this wire id, or None."""
        return self._by_id.get(schema_id)

    def by_crc64(self, crc64: int) -> RegisteredSchema | None:
        """The schema with this single-object fingerprint, or None."""
        return self._by_crc64.get(crc64)

    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """All versions of a subject, oldest first. Raises KeyError for an unknown subject."""
        found = sorted((s for s in self.schemas if s.subject == subject), key=lambda schema: schema.version)
        if not found:
            raise KeyError(subject)
        return tuple(found)

    def latest(self, subject: str) -> RegisteredSchema:
        """The newest version of a subject: what the gateway writes."""
        return self.versions(subject)[-1]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of all subjects, sorted."""
        return tuple(sorted({schema.subject for schema in self.schemas}))


def schema_files(folder: Path) -> dict[tuple[str, int], str]:
    """Compact JSON text of every `<subject>/v<version>.avsc`, whether in the lock or not."""
    files = {}
    for path in sorted(folder.glob("*/v*.avsc")):
        match = re.fullmatch(r"v([1-9]\d*)", path.stem)
        if not match:
            raise RegistryMismatchError(f"{path}: schema files are named v<number>.avsc")
        text = json.dumps(json.loads(path.read_text("utf-8")), separators=(",", ":"), ensure_ascii=False)
        files[path.parent.name, int(match.group(1))] = text
    return files


def _lock_line(schema: RegisteredSchema) -> dict[str, object]:
    return {
        "id": schema.id,
        "subject": schema.subject,
        "version": schema.version,
        "crc64": f"{schema.crc64:016x}",
        "sha256": schema.sha256,
    }


def _lock_lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / LOCK_NAME
    if not path.exists():
        raise RegistryMismatchError(f"{path} is missing: without it the ids on the wire have no meaning")
    lines: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return lines


def read_registry(folder: Path) -> Registry:
    """Read and check a registry folder. Raises RegistryMismatchError where files and lock disagree."""
    files = schema_files(folder)
    schemas = []
    for line in _lock_lines(folder):
        name = f"{line['subject']} v{line['version']} (id {line['id']})"
        text = files.pop((line["subject"], line["version"]), None)
        if text is None:
            raise RegistryMismatchError(f"{name} is in the lock but its .avsc file is gone")
        schema = RegisteredSchema(line["id"], line["subject"], line["version"], text)
        if _lock_line(schema) != line:
            raise RegistryMismatchError(f"{name} was edited after it was registered; add a new version instead")
        schemas.append(schema)
    if files:
        unlocked = ", ".join(f"{subject} v{version}" for subject, version in files)
        raise RegistryMismatchError(f"not in the lock: {unlocked}; run python -m schemas_avro lock")
    registry = Registry(schemas)
    if len(registry._by_id) != len(schemas) or len(registry._by_crc64) != len(schemas):
        raise RegistryMismatchError("two schemas share an id or a fingerprint")
    return registry


@lru_cache(maxsize=1)
def load_registry() -> Registry:
    """The registry of this folder, checked once per process."""
    return read_registry(FOLDER)


def append_to_lock(folder: Path) -> list[RegisteredSchema]:
    """Give every `.avsc` file that is not in the lock the next id; returns what was added."""
    path = folder / LOCK_NAME
    lines = json.loads(path.read_text("utf-8")) if path.exists() else []
    known = {(line["subject"], line["version"]) for line in lines}
    next_id = max((line["id"] for line in lines), default=0) + 1
    texts = schema_files(folder)
    new = [key for key in sorted(texts, key=lambda key: (key[1], key[0])) if key not in known]
    added = [RegisteredSchema(next_id + n, *key, texts[key]) for n, key in enumerate(new)]
    lines += [_lock_line(schema) for schema in added]
    path.write_text("[\n" + ",\n".join(f"  {json.dumps(line)}" for line in lines) + "\n]\n", "utf-8")
    read_registry(folder)
    return added
