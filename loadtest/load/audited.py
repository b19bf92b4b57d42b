"""A load with its audit: marks before, laws after."""

from typing import Any, Final

import httpx

from loadtest.audit.audit import Audit, Auditor
from loadtest.audit.claims import Claims
from loadtest.client_log import read_log
from loadtest.graphql import GraphqlClient
from loadtest.load.run import MARKERS, SENT, LoadPlan, run_load
from loadtest.load.sent_log import read_sent

_ANSWER_SECONDS: Final = 60.0


async def audited_load(plan: LoadPlan, patience_seconds: float) -> tuple[dict[str, Any], Audit]:
    """Run it, then hold what its clients were told against what is there. Raises LoadError, HoldingsError."""
    async with httpx.AsyncClient(trust_env=False, timeout=_ANSWER_SECONDS) as http:
        auditor = Auditor(GraphqlClient(http, plan.graphql_url, plan.read_key))
        since = await auditor.begin()
        figures = await run_load(plan)
        audit = await auditor.audit(since, _claims(plan), seed=plan.seed, patience_seconds=patience_seconds)
    return figures, audit


def _claims(plan: LoadPlan) -> Claims:
    claims = Claims()
    for verdict, fact in read_sent(plan.folder / SENT):
        claims.add(verdict, fact)
    claims.add_attempts(read_log(plan.folder / MARKERS))
    return claims
