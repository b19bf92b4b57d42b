"""`python -m schemas_avro`: check the registry, or register new schema files."""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

from schemas_avro.evolution import VersionConflict, check_full_transitive
from schemas_avro.golden import write_missing
from schemas_avro.registry import FOLDER, RegistryMismatchError, append_to_lock, read_registry, schema_files


def conflicts(folder: Path) -> list[VersionConflict]:
    """Every pair of versions in a folder that may not live side by side."""
    subjects: dict[str, dict[int, object]] = defaultdict(dict)
    for (subject, version), text in schema_files(folder).items():
        subjects[subject][version] = json.loads(text)
    return [found for subject, versions in subjects.items() for found in check_full_transitive(subject, versions)]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 refused."""
    parser = argparse.ArgumentParser(prog="python -m schemas_avro", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="files, lock and compatibility (FULL_TRANSITIVE) agree; changes nothing")
    commands.add_parser("lock", help="give new .avsc files the next ids; never changes or removes a line")
    commands.add_parser("golden", help="write golden bytes for versions that have a sample .json but no .avro")
    for command in commands.choices.values():
        command.add_argument("--folder", type=Path, default=FOLDER, help="registry folder (default: this package)")
    options = parser.parse_args(arguments)
    found = conflicts(options.folder)
    for conflict in found:
        print(conflict, file=sys.stderr)
    if found:
        return 1
    try:
        return _run(options.command, options.folder)
    except RegistryMismatchError as error:
        print(error, file=sys.stderr)
        return 1


def _run(command: str, folder: Path) -> int:
    if command == "lock":
        for schema in append_to_lock(folder):
            print(f"registered {schema.subject} v{schema.version} as id {schema.id}")
    registry = read_registry(folder)
    if command == "golden":
        for path in write_missing(registry.schemas, folder / "golden"):
            print(f"wrote {path}")
    print(f"{len(registry.schemas)} schemas, {len(registry.subjects)} subjects: in order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
