"""The demo write key: made once, plain in a file of the owner's, hashed in the gateway's keys file."""

import hashlib
import json
import secrets
from datetime import UTC, datetime

from stack.files import write_atomically
from stack.layout import Layout

DEMO_SOURCE = "demo"


def ensure_demo_key(layout: Layout, given: str | None = None) -> str:
    """The demo key: the given one, the one that is there, or a new one. Other keys in the gateway's file stay."""
    if given or not layout.demo_key.exists():
        write_atomically(layout.demo_key, f"{given or f'mr_{secrets.token_urlsafe(24)}'}\n", mode=0o600)
    key = layout.demo_key.read_text("utf-8").strip()
    digest = hashlib.sha256(key.encode()).hexdigest()
    known = json.loads(layout.keys_file.read_text("utf-8")) if layout.keys_file.exists() else []
    if all(entry["sha256"] != digest for entry in known):
        created = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"source": DEMO_SOURCE, "sha256": digest, "scopes": ["write", "import"], "created_at": created}
        write_atomically(layout.keys_file, json.dumps([*known, entry], indent=2) + "\n", mode=0o600)
    return key
