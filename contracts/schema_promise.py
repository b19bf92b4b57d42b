"""Which versions of the event schemas were there at the last release, by subject: `schemas_avro.promised.json`.

What is newer is about to change for producers and readers; `millrace impact` tells for whom.
"""

import json
from pathlib import Path
from typing import Final

from schemas_avro import load_registry

PROMISED: Final = Path(__file__).with_name("schemas_avro.promised.json")


def promise(path: Path = PROMISED) -> list[str]:
    """Promise the newest versions. What would take a promise back is told, and nothing is written then."""
    registry = load_registry()
    newest = {subject: registry.latest(subject).version for subject in registry.subjects}
    before: dict[str, int] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    broke = [
        f"{subject}: version {version} was promised and is gone"
        for subject, version in before.items()
        if newest.get(subject, 0) < version
    ]
    if not broke:
        path.write_text(json.dumps(newest, indent=2) + "\n", "utf-8")
    return broke
