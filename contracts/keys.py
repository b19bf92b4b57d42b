"""Keys: who may send, and who may read. Only hashes are on disk.

`millrace keys` writes the file, a JSON list of `Key`; gateway and serving read it again when it changes. Keys have 190
bits of randomness, so a plain hash without salt is enough.
"""

from datetime import datetime
from typing import Annotated, Final, Literal, get_args

import msgspec

WriteScope = Literal["write", "import"]
ReadScope = Literal["analytics", "personal", "admin"]
Scope = WriteScope | ReadScope
READ_SCOPES: Final[frozenset[ReadScope]] = frozenset(get_args(ReadScope))
"""analytics: sums over many; personal: single users, sessions and what they sent; admin: to change something."""


class Key(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the keys file."""

    source: str
    """Who has it. Several keys may have one source, as while a key is being replaced."""
    sha256: str
    """Hex digest of the key's UTF-8 bytes."""
    scopes: frozenset[Scope]
    created_at: str = ""
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """From then on the key is as good as none."""
    rate: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Events per second that the source may send, over all workers; None: as many as it likes."""
    burst: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Events at once above that rate; None: one second's worth."""
    grace: bool = False
    """Whether events with lenient faults are mended and marked instead of refused (see `ingestion.grace`)."""
