"""The jars of Spark and Kafka: pinned by name, version and sha256, fetched once, verified at every start.

The Ivy inside pyspark fetches them, from its default repository or the one of `MILLRACE_STACK_IVY_SETTINGS`.
`python -m stack.jars --lock` resolves the roots anew and rewrites the lock file; `--fetch spark` only fetches.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from stack import ivy
from stack.errors import DownloadError, StackError
from stack.files import exclusive
from stack.java import Java, find_java
from stack.part import Report
from stack.settings import StackSettings

LOCK_FILE: Final = Path(__file__).with_name("jars.lock.json")

ROOTS: Final = {
    "spark": (
        "io.delta:delta-spark_4.1_2.13:4.4.0",
        "org.apache.spark:spark-avro_2.13:4.1.1",
        "org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.1",
    ),
    "kafka": (
        "org.apache.kafka:kafka_2.13:4.3.1",
        # Kafka logs through slf4j and brings log4j without the bridge between the two.
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
    ),
}
"""What is wanted; the lock holds all that they need, less what pyspark has under the same artifact name."""

_SHIPPED_UNDER_ANOTHER_NAME: Final = frozenset({"commons-logging", "shims"})
"""pyspark has these classes in jcl-over-slf4j and in a later RoaringBitmap; two copies of a class are one too many."""


@dataclass(frozen=True, order=True)
class Jar:
    """One pinned file."""

    name: str
    """`group:artifact:version`."""
    file: str
    sha256: str


def read_lock(path: Path = LOCK_FILE) -> dict[str, tuple[Jar, ...]]:
    """The pinned jars of each set."""
    sets = json.loads(path.read_text("utf-8"))
    return {name: tuple(Jar(**jar) for jar in jars) for name, jars in sets.items()}


def ensure(name: str, cache: Path, java: Java, report: Report, settings_file: Path | None = None) -> Path:
    """Folder holding exactly the jars of a set, fetching what is missing or damaged.

    Safe to call from several processes at once. Raises DownloadError; jars that did arrive are kept for the next try.
    """
    folder = cache / "jars" / name
    with exclusive(cache / "jars" / f".{name}.lock"):
        folder.mkdir(parents=True, exist_ok=True)
        wanted = read_lock()[name]
        _remove_others(folder, wanted)
        missing = [jar for jar in wanted if not _is_intact(folder, jar)]
        if missing:
            _fetch(missing, folder, java, report, settings_file)
    return folder


def _remove_others(folder: Path, wanted: Iterable[Jar]) -> None:
    """Remove what an older lock or a killed fetch left: the whole folder is put on a class path."""
    for unfinished in folder.parent.glob(f".incoming-{folder.name}-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    keep = {jar.file for jar in wanted}
    for path in folder.glob("*.jar"):
        if path.name not in keep:
            path.unlink()


def _is_intact(folder: Path, jar: Jar) -> bool:
    path = folder / jar.file
    return path.is_file() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(jars: list[Jar], folder: Path, java: Java, report: Report, settings_file: Path | None) -> None:
    by_name = {jar.name: jar for jar in jars}
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".incoming-{folder.name}-") as temporary:
        incoming = Path(temporary)
        report(f"fetching {folder.name}'s jars, {len(jars)} to go")
        count = 0
        complaint = ""
        for line in ivy.retrieve(sorted(by_name), incoming, java, settings_file):
            if "[SUCCESSFUL ]" in line:
                count += 1
                report(f"fetching {folder.name}'s jars, {count} of {len(jars)}")
            elif not complaint and ("ERROR" in line or "Exception" in line):
                complaint = line.strip()
        missing = [jar for jar in jars if not _accept(incoming / jar.file, jar, folder)]
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DownloadError(
            f"{missing[0].name}{others} could not be fetched. Is there network? What arrived is kept; "
            f"run the same command again.{f' Ivy said: {complaint}' if complaint else ''}"
        )


def _accept(arrived: Path, jar: Jar, folder: Path) -> bool:
    """Move a fetched jar to its place, if it came and is the pinned one."""
    if not arrived.is_file():
        return False
    actual = _sha256(arrived)
    if actual != jar.sha256:
        raise DownloadError(
            f"{jar.name} is not the jar that was pinned: sha256 {actual}, expected {jar.sha256}. It was thrown away. "
            "A proxy that rewrites downloads does this; so does a repository that was tampered with."
        )
    os.replace(arrived, folder / jar.file)
    return True


def resolve(roots: Iterable[str], shipped: frozenset[str], java: Java) -> list[Jar]:
    """All jars that `roots` need at run time, less the artifact names in `shipped`."""
    with tempfile.TemporaryDirectory() as temporary:
        ivy.resolve(roots, Path(temporary), java)
        found = []
        for path in Path(temporary).glob("*.jar"):
            group, artifact, version = path.stem.split(";")
            if artifact not in shipped:
                found.append(Jar(f"{group}:{artifact}:{version}", f"{artifact}-{version}.jar", _sha256(path)))
    return sorted(found)


def _write_lock(java: Java) -> None:
    shipped = {"spark": ivy.shipped_artifacts() | _SHIPPED_UNDER_ANOTHER_NAME, "kafka": frozenset[str]()}
    sets = {name: [asdict(jar) for jar in resolve(roots, shipped[name], java)] for name, roots in sorted(ROOTS.items())}
    LOCK_FILE.write_text(json.dumps(sets, indent=2) + "\n", "utf-8")


def main(arguments: list[str]) -> int:
    """`python -m stack.jars`."""
    parser = argparse.ArgumentParser(prog="python -m stack.jars", description=__doc__)
    wish = parser.add_mutually_exclusive_group(required=True)
    wish.add_argument("--lock", action="store_true", help="resolve the roots anew and rewrite the lock")
    wish.add_argument("--fetch", choices=sorted(ROOTS), help="fetch and verify a set; an image is built so")
    parser.add_argument("--cache", type=Path, default=StackSettings().cache, help="folder to fetch to (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        java = find_java(os.environ)
        if options.lock:
            _write_lock(java)
        else:
            ensure(options.fetch, options.cache, java, lambda note: print(note, file=sys.stderr))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
