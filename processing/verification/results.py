"""What a verification found, as a JSON object and as a row of the table `verifications`."""

import json
from dataclasses import asdict
from typing import Any, Final

from contracts.settings import PostgresSettings
from processing.store import one_transaction
from processing.verification.compare import plain
from processing.verification.run import Outcome

_KEPT: Final = 20
"""Examples kept in the table, of all tables together."""


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome in JSON's types."""
    return {
        "epoch": outcome.epoch,
        "from": plain(outcome.span.since),
        "until": plain(outcome.span.until),
        "rows": outcome.rows,
        "mismatches": outcome.mismatches,
        "seconds": round(outcome.seconds, 3),
        "tables": {each.table: {"rows": each.rows, "mismatches": each.mismatches} for each in outcome.verdicts},
        "examples": [asdict(example) for each in outcome.verdicts for example in each.examples],
    }


def keep(postgres: PostgresSettings, outcome: Outcome) -> None:
    """Add the outcome to the table `verifications`."""
    told = as_json(outcome)
    with one_transaction(postgres, postgres.db_schema, application_name="millrace-verify") as transaction:
        transaction.execute(
            'INSERT INTO verifications (epoch, "from", until, rows, mismatches, examples, seconds)'
            " VALUES ($1, $2::text::timestamptz, $3::text::timestamptz, $4, $5, $6::text::jsonb, $7)",
            (
                told["epoch"],
                told["from"],
                told["until"],
                told["rows"],
                told["mismatches"],
                json.dumps(told["examples"][:_KEPT]),
                told["seconds"],
            ),
        )
