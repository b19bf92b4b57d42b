"""The demo write key: made once, plain in a file of the owner's, hashed in the gateway's keys file."""

import hashlib
import json
import secrets
from datetime import UTC, datetime

from stack.files import write_atomically
from stack.layout import Layout

DEMO_SOURCE = "demo"


def ensure_demo_key(layout: Layout) -> str:
    """The demo key, made at first use; other keys in the file stay. A key removed from the file comes back."""
    if not layout.demo_key.exists():
        write_atomically(layout.demo_key, f"mr_{secrets.token_urlsafe(24)}\n", mode=0o600)
    key = layout.demo_key.read_text("utf-8").strip()
    digest = hashlib.sha256(key.encode()).hexdigest()
    known = json.loads(layout.keys_file.read_text("utf-8")) if layout.keys_file.exists() else []
    if all(entry["sha256"] != digest for entry in known):
        created = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"source": DEMO_SOURCE, "sha256": digest, "scopes": ["write", "import"], "created_at": created}
        write_atomically(layout.keys_file, json.dumps([*known, entry], indent=2) + "\n", mode=0o600)
    return key
