"""Apache Ivy from the command line: the copy that pyspark brings along."""

import re
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import quoteattr

from stack.errors import DownloadError, MachineError
from stack.java import Java

# Pinned jars need no POM, and without POMs Ivy asks for a third as many files (11 s instead of 40 s for Kafka's).
_NO_POMS = (
    '<ivysettings><settings defaultResolver="default"/><resolvers>'
    '<ibiblio name="default" m2compatible="true" usepoms="false"/>'
    "</resolvers></ivysettings>"
)


def retrieve(names: Iterable[str], folder: Path, java: Java, settings_file: Path | None) -> Iterator[str]:
    """Fetch exactly the named `group:artifact:version` jars to `<folder>/<artifact>-<version>.jar`.

    Yields Ivy's output line by line. What it could not fetch is not in the folder; that is the caller's to see.
    """
    with tempfile.TemporaryDirectory() as temporary:
        settings = Path(temporary) / "settings.xml"
        settings.write_text(settings_file.read_text("utf-8") if settings_file else _NO_POMS, "utf-8")
        description = _describe(names, transitive=False)
        pattern = f"{folder}/[artifact]-[revision].[ext]"
        yield from _run(java, Path(temporary), description, ["-settings", str(settings), "-retrieve", pattern])


def resolve(names: Iterable[str], folder: Path, java: Java) -> None:
    """Fetch jars and all that they need at run time to `<folder>/<group>;<artifact>;<version>.jar`."""
    with tempfile.TemporaryDirectory() as temporary:
        pattern = f"{folder}/[organisation];[artifact];[revision].jar"
        arguments = ["-m2compatible", "-types", "jar", "bundle", "-retrieve", pattern]
        last: deque[str] = deque(maxlen=20)
        last.extend(_run(java, Path(temporary), _describe(names, transitive=True), arguments))
    if not any(folder.iterdir()) or any("UNRESOLVED" in line or "FAILED" in line for line in last):
        raise DownloadError("Ivy could not resolve the jars:\n" + "\n".join(last))


def shipped_artifacts() -> frozenset[str]:
    """Artifact names of the jars inside pyspark, versions left out."""
    names = (re.match(r"(.+?)-\d[^/]*\.jar$", path.name) for path in _pyspark_jars().glob("*.jar"))
    return frozenset(match.group(1) for match in names if match)


def _describe(names: Iterable[str], *, transitive: bool) -> str:
    dependencies = []
    for name in names:
        group, artifact, version = map(quoteattr, name.split(":"))
        if transitive:
            wanted = 'conf="default->default"/>'
        else:
            wanted = (
                f'conf="default->*" transitive="false"><artifact name={artifact} type="jar" ext="jar"/></dependency>'
            )
        dependencies.append(f"<dependency org={group} name={artifact} rev={version} {wanted}")
    return (
        '<ivy-module version="2.0"><info organisation="millrace" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{''.join(dependencies)}</dependencies></ivy-module>"
    )


def _run(java: Java, temporary: Path, description: str, arguments: list[str]) -> Iterator[str]:
    ivy_file = temporary / "ivy.xml"
    ivy_file.write_text(description, "utf-8")
    command = [
        str(java.executable),
        "-jar",
        str(_ivy_jar()),
        *("-cache", str(temporary / "cache")),
        *("-ivy", str(ivy_file)),
        *("-confs", "default"),
        *arguments,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                yield line.rstrip("\n")
        finally:
            process.kill()


def _pyspark_jars() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise MachineError("pyspark is not installed here; run ./millrace, which makes the virtual environment.")
    return Path(spec.origin).parent / "jars"


def _ivy_jar() -> Path:
    return next(_pyspark_jars().glob("ivy-*.jar"))
