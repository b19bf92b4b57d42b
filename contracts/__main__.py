"""`python -m contracts`: write the documents that are made from the contracts. A test says when that is due.

`python -m contracts promise`: promise the gateway's description, the event schemas and the views as they are; exit code
1 if that would break a promise.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from contracts import asyncapi, http_promise, odcs, schema_promise, view_promise
from contracts.client.generate import SDL, Document, client

FOLDER: Final = Path(__file__).resolve().parent
CONSUMERS: Final = FOLDER / "consumers"


def documents() -> dict[Path, str]:
    """Every document by its file."""
    tables = {FOLDER / "tables_odcs" / f"{name}.odcs.json": told for name, told in odcs.contracts_of_tables().items()}
    described = {FOLDER / "kafka.asyncapi.json": asyncapi.document(), **tables}
    asked = [
        Document(path.relative_to(CONSUMERS).as_posix(), path.read_text("utf-8"))
        for path in sorted(CONSUMERS.glob("*/*.graphql"))
    ]
    python = {CONSUMERS / "client.py": client(SDL.read_text("utf-8"), asked, "python -m contracts")}
    return {path: _as_text(document) for path, document in described.items()} | python


def _as_text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write them all, and take away contracts of tables that are no more; or promise."""
    if arguments == ["promise"]:
        broke = [*http_promise.promise(), *schema_promise.promise(), *view_promise.promise()]
        for each in broke:
            print(each, file=sys.stderr)
        return 1 if broke else 0
    (FOLDER / "tables_odcs").mkdir(exist_ok=True)
    made = documents()
    for path, document in made.items():
        path.write_text(document, "utf-8")
    for path in FOLDER.glob("tables_odcs/*.odcs.json"):
        if path not in made:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
