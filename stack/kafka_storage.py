"""Kafka's storage before its first start: what `kafka-storage format` leaves, without a JVM for every home.

Two files make a formatted folder. `bootstrap.checkpoint` holds the feature levels that a release of Kafka begins with
and is the same for every cluster, so Kafka's own tool writes it once per release and it is kept in the cache.
`meta.properties` says whose folder it is, and is four lines (KIP-858).
"""

import base64
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Final

from stack.errors import MachineError
from stack.files import write_atomically

_META: Final = "meta.properties"
_CHECKPOINT: Final = "bootstrap.checkpoint"


def is_formatted(data: Path) -> bool:
    """Whether Kafka can start on this folder."""
    return (data / _META).exists()


def format_storage(data: Path, node: int, java: Path, class_path: str, kept: Path) -> None:
    """Make a folder that Kafka can start on, as node `node` of a cluster with an id of its own.

    `kept` is where this release's feature levels are kept, or will be. `meta.properties` comes last, so a killed format
    is simply done again. Raises MachineError.
    """
    if not (kept / _CHECKPOINT).exists():
        _ask_kafka(node, java, class_path, kept)
    data.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept / _CHECKPOINT, data / _CHECKPOINT)
    meta = {"version": 1, "cluster.id": _new_id(), "node.id": node, "directory.id": _new_id()}
    write_atomically(data / _META, "".join(f"{key}={value}\n" for key, value in meta.items()))


def _ask_kafka(node: int, java: Path, class_path: str, kept: Path) -> None:
    """Have Kafka's tool format a folder that is thrown away, and keep the feature levels."""
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept, prefix=".unfinished-") as temporary:
        folder = Path(temporary)
        # The tool wants a whole configuration; of this one only the node and the folder go into what it writes.
        configuration = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": f"{node}@127.0.0.1:9093",
            "listeners": "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": folder / "data",
        }
        properties = folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in configuration.items()), "utf-8")
        command = [str(java), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", class_path, "kafka.tools.StorageTool"]
        # With "=", since one random id in 64 begins with a hyphen and would be read as an option.
        command += ["format", f"--cluster-id={_new_id()}", "--config", str(properties)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise MachineError(f"Kafka could not format its storage: {(done.stderr or done.stdout).strip()}")
        os.replace(folder / "data" / _CHECKPOINT, kept / _CHECKPOINT)


def _new_id() -> str:
    """A random id as Kafka writes it."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
