"""The documents that may be run, where there is a list of them: whoever asks anything else is refused.

The list is a JSON object of SHA-256 (hex) to document, as clients' build tools write it. A client sends the hash, in
`extensions.persistedQuery.sha256Hash`, or the document as it is in the list.
"""

import hashlib
from pathlib import Path
from typing import Final

import orjson

BY_HASH: Final = "sha256:"
"""Stands before a hash where the text of a document would be."""


class Allowed:
    """The list, read once at the start."""

    def __init__(self, documents: dict[str, str]) -> None:
        self._by_hash = documents

    @classmethod
    def read(cls, path: Path) -> "Allowed":
        """The list in a file.

        Raises:
            ValueError: it is no such list, or a hash is not that of its document.
            OSError: it can not be read.
        """
        documents = orjson.loads(path.read_bytes())
        if not isinstance(documents, dict) or not all(isinstance(text, str) for text in documents.values()):
            raise ValueError(f"{path}: not a JSON object of SHA-256 to document")
        for told, text in documents.items():
            if told != _hash(text):
                raise ValueError(f"{path}: {told[:80]} is not the SHA-256 of its document")
        return cls(documents)

    def text(self, asked: str) -> str | None:
        """The document that is asked for, by its text or its hash; None where it is not in the list."""
        told = asked.removeprefix(BY_HASH) if asked.startswith(BY_HASH) else _hash(asked)
        return self._by_hash.get(told)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
