"""The registry refuses whatever would give an id another meaning."""

import json
import shutil
from pathlib import Path

import fastavro
import pytest

from schemas_avro import RegistryMismatchError, load_registry
from schemas_avro.__main__ import main
from schemas_avro.registry import FOLDER, LOCK_NAME, RegisteredSchema, append_to_lock, read_registry

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the registry that a test may spoil."""
    copy = tmp_path / "registry"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return copy


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize(
    ("schema", "signed"),
    [
        ('"null"', 7195948357588979594),
        ('"boolean"', -6970731678124411036),
        ('{"type": "boolean"}', -6970731678124411036),
        ('"string"', -8142146995180207161),
        ('["int", {"type": "boolean"}]', 5392556393470105090),
        ('{"fields": [], "type": "record", "name": "foo", "namespace": "x.y"}', 5916914534497305771),
        ('{"fields": [], "type": "record", "name": "a.b.foo", "namespace": "x.y"}', -4616218487480524110),
        ('{"fields": [], "type": "record", "name": "foo", "doc": "d", "aliases": ["bar"]}', -4824392279771201922),
        ('{"fields": [{"type": {"type": "boolean"}, "name": "f1"}], "type": "record", "name": "foo"}',
         7843277075252814651),
        ('{"namespace": "x.y.z", "type": "enum", "name": "foo", "doc": "d", "symbols": ["A1", "A2"]}',
         -4448647247586288245),
        ('{"values": "string", "type": "map"}', -8732877298790414990),
    ],
)  # fmt: skip
def test_the_fingerprint_is_the_one_of_the_avro_specification(schema: str, signed: int) -> None:
    assert RegisteredSchema(1, "any", 1, schema).crc64 == signed % 2**64


def test_the_single_object_header_is_the_little_endian_fingerprint() -> None:
    schema = load_registry().latest("clickstream")
    header = b"\xc3\x01" + schema.crc64.to_bytes(8, "little")
    fingerprint = fastavro.schema.fingerprint(
        fastavro.schema.to_parsing_canonical_form(schema.definition), "CRC-64-AVRO"
    )
    assert header == b"\xc3\x01" + bytes.fromhex(fingerprint)


def test_schemas_are_found_by_id_fingerprint_and_subject() -> None:
    registry = load_registry()
    latest = registry.latest("transactions")
    assert registry.by_id(latest.id) is latest
    assert registry.by_crc64(latest.crc64) is latest
    assert [schema.version for schema in registry.versions("transactions")] == [1, 2]
    assert registry.by_id(0) is None
    with pytest.raises(KeyError):
        registry.versions("orders")


def test_an_untouched_copy_is_accepted(folder: Path) -> None:
    assert [schema.id for schema in read_registry(folder).schemas] == [1, 2, 3, 4, 5]


def test_an_edited_schema_is_refused_even_if_only_its_documentation_changed(folder: Path) -> None:
    _edit(folder / "clickstream/v1.avsc", "Opaque visitor or account id.", "Another sentence.")
    with pytest.raises(RegistryMismatchError, match=r"clickstream v1 \(id 1\) was edited"):
        read_registry(folder)


def test_an_edited_lock_is_refused(folder: Path) -> None:
    _edit(folder / LOCK_NAME, '"id": 1,', '"id": 9,')
    _edit(folder / LOCK_NAME, '"crc64": "7a6d9e6408a152c3"', '"crc64": "7a6d9e6408a152c4"')
    with pytest.raises(RegistryMismatchError, match="was edited"):
        read_registry(folder)


def test_two_schemas_under_one_id_are_refused(folder: Path) -> None:
    _edit(folder / LOCK_NAME, '"id": 2,', '"id": 1,')
    with pytest.raises(RegistryMismatchError, match="share an id"):
        read_registry(folder)


def test_a_missing_lock_is_refused(folder: Path) -> None:
    (folder / LOCK_NAME).unlink()
    with pytest.raises(RegistryMismatchError, match="is missing"):
        read_registry(folder)


def test_a_missing_schema_file_is_refused(folder: Path) -> None:
    (folder / "transactions/v1.avsc").unlink()
    with pytest.raises(RegistryMismatchError, match=r"its \.avsc file is gone"):
        read_registry(folder)


def test_a_schema_that_is_not_in_the_lock_is_refused(folder: Path) -> None:
    shutil.copy(folder / "clickstream/v2.avsc", folder / "clickstream/v3.avsc")
    with pytest.raises(RegistryMismatchError, match="not in the lock: clickstream v3"):
        read_registry(folder)


def test_a_badly_named_schema_file_is_refused(folder: Path) -> None:
    shutil.copy(folder / "clickstream/v2.avsc", folder / "clickstream/v02.avsc")
    with pytest.raises(RegistryMismatchError, match="named v<number>"):
        read_registry(folder)


def test_locking_appends_and_leaves_every_earlier_line_as_it_was(folder: Path) -> None:
    before = (folder / LOCK_NAME).read_text("utf-8").splitlines()
    shutil.copy(folder / "clickstream/v2.avsc", folder / "clickstream/v3.avsc")
    _edit(folder / "clickstream/v3.avsc", '"name": "search_query"', '"name": "query"')
    added = append_to_lock(folder)
    after = (folder / LOCK_NAME).read_text("utf-8").splitlines()
    assert [(schema.id, schema.version) for schema in added] == [(6, 3)]
    assert [line.rstrip(",") for line in after[: len(before) - 1]] == [line.rstrip(",") for line in before[:-1]]
    assert append_to_lock(folder) == []


def test_the_command_refuses_to_lock_an_incompatible_version(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = (folder / LOCK_NAME).read_text("utf-8")
    definition = json.loads((folder / "transactions/v2.avsc").read_text("utf-8"))
    definition["fields"] = [field for field in definition["fields"] if field["name"] != "quantity"]
    (folder / "transactions/v3.avsc").write_text(json.dumps(definition), "utf-8")
    assert main(["lock", "--folder", str(folder)]) == 1
    assert "transactions v1 cannot read v3: quantity: " in capsys.readouterr().err
    assert (folder / LOCK_NAME).read_text("utf-8") == lock


def test_the_command_checks_this_repository() -> None:
    assert main(["check"]) == 0
