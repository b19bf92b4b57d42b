"""Write keys on disk: made, listed, revoked, rotated. A key is seen once, when it is made; the file holds its hash.

The gateway's workers read the file again within a second or so of a change. Everything here holds a lock and replaces
the file whole, so that two commands at once lose nothing. The demo key alone is also kept plain, in a file of the
owner's, since `up` and the simulator need it.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec

from contracts.keys import Key as WriteKey
from contracts.keys import Scope
from stack.errors import SettingsError
from stack.files import exclusive, write_atomically
from stack.layout import Layout

DEMO_SOURCE = "demo"


def key_id(entry: WriteKey) -> str:
    """The name of one key: the first 12 digits of its hash."""
    return entry.sha256[:12]


def read_keys(layout: Layout) -> list[WriteKey]:
    """The entries of the keys file, oldest first. Raises SettingsError for a file that cannot be read."""
    try:
        return msgspec.json.decode(layout.keys_file.read_bytes(), type=list[WriteKey])
    except FileNotFoundError:
        return []
    except msgspec.DecodeError as error:
        raise SettingsError(f"{layout.keys_file}: {error}") from error


def create_key(
    layout: Layout,
    source: str,
    scopes: Iterable[Scope],
    *,
    rate: float | None = None,
    burst: int | None = None,
    grace: bool = False,
    valid_for: timedelta | None = None,
) -> tuple[str, WriteKey]:
    """Make a key; returns it, which nobody can do again, and its entry. Without `valid_for` it never ends."""
    ends = None if valid_for is None else _now() + valid_for
    key = _new_key()
    entry = WriteKey(source, _digest(key), frozenset(scopes), _now().isoformat(), ends, rate, burst, grace)
    with _changing(layout) as replace:
        replace([*_unexpired(layout), entry])
    return key, entry


def revoke_keys(layout: Layout, name: str) -> list[WriteKey]:
    """Remove a key by its id, or all keys of a source. Returns the entries. Raises SettingsError if there are none."""
    with _changing(layout) as replace:
        entries = _unexpired(layout)
        revoked = _named(entries, name)
        replace([entry for entry in entries if entry not in revoked])
        if any(_is_demo(layout, entry) for entry in revoked):
            layout.demo_key.unlink()  # or the next `up` would put it back
    return revoked


def rotate_key(
    layout: Layout, name: str, overlap: timedelta, valid_for: timedelta | None = None
) -> tuple[str, WriteKey, list[WriteKey]]:
    """Make a key like the newest of those named; these are good for `overlap` longer, or until their earlier end.

    Returns the key, its entry and the entries it replaces. Raises SettingsError if there are none.
    """
    key, now = _new_key(), _now()
    with _changing(layout) as replace:
        entries = _unexpired(layout)
        replaced = _named(entries, name)
        new = msgspec.structs.replace(
            replaced[-1],
            sha256=_digest(key),
            created_at=now.isoformat(),
            expires_at=None if valid_for is None else now + valid_for,
        )
        ending = [_ending(entry, now + overlap) for entry in replaced]
        replace([*(entry for entry in entries if entry not in replaced), *ending, new])
        if any(_is_demo(layout, entry) for entry in replaced):
            write_atomically(layout.demo_key, f"{key}\n", mode=0o600)
    return key, new, ending


def ensure_demo_key(layout: Layout, given: str | None = None) -> str:
    """The demo key: the given one, the one that is there, or a new one. Other keys in the gateway's file stay."""
    with _changing(layout) as replace:
        if given or not layout.demo_key.exists():
            write_atomically(layout.demo_key, f"{given or _new_key()}\n", mode=0o600)
        key = layout.demo_key.read_text("utf-8").strip()
        entries = read_keys(layout)
        if not any(_is_demo(layout, entry) for entry in entries):
            entry = WriteKey(DEMO_SOURCE, _digest(key), frozenset({"write", "import"}), _now().isoformat())
            replace([*entries, entry])
    return key


@contextmanager
def _changing(layout: Layout) -> Iterator[Callable[[Sequence[WriteKey]], None]]:
    """The right to replace the file, as a function that does."""

    def replace(entries: Sequence[WriteKey]) -> None:
        told = [{**msgspec.to_builtins(entry), "scopes": sorted(entry.scopes)} for entry in entries]
        text = msgspec.json.format(msgspec.json.encode(told), indent=2).decode()
        write_atomically(layout.keys_file, f"{text}\n", mode=0o600)

    with exclusive(layout.home / "keys.lock"):
        yield replace


def _unexpired(layout: Layout) -> list[WriteKey]:
    """What a change keeps: an entry that has ended is of no use to anybody."""
    now = _now()
    return [entry for entry in read_keys(layout) if entry.expires_at is None or entry.expires_at > now]


def _named(entries: Sequence[WriteKey], name: str) -> list[WriteKey]:
    found = [entry for entry in entries if name in (entry.source, key_id(entry))]
    if not found:
        raise SettingsError(f"No key has the id or source {name!r}; `millrace keys list` shows them.")
    return found


def _ending(entry: WriteKey, ends: datetime) -> WriteKey:
    ends = ends if entry.expires_at is None else min(ends, entry.expires_at)
    return msgspec.structs.replace(entry, expires_at=ends)


def _is_demo(layout: Layout, entry: WriteKey) -> bool:
    return layout.demo_key.exists() and entry.sha256 == _digest(layout.demo_key.read_text("utf-8").strip())


def _new_key() -> str:
    return f"mr_{secrets.token_urlsafe(24)}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
