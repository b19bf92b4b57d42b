"""Whether a stack says of itself what is so: after a drill every part is ready, and nothing is behind."""

import asyncio
import time
from math import isnan
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from loadtest.drill.ground import DrillError, Ground

_PARTS: Final = ("gateway", "processing", "serving")
_BEHIND: Final = "millrace_processing_behind_records"
_LOOK_SECONDS: Final = 0.5


async def not_ready(ground: Ground, patience_seconds: float) -> list[str]:
    """What a stack that has taken in everything does not say, in sentences; it is asked until there is nothing."""
    deadline = time.monotonic() + patience_seconds
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
        while True:
            found = await _asked(http, ground)
            if not found or time.monotonic() > deadline:
                return found
            await asyncio.sleep(_LOOK_SECONDS)


async def _asked(http: httpx.AsyncClient, ground: Ground) -> list[str]:
    found = []
    for part in _PARTS:
        try:
            address = f"http://127.0.0.1:{ground.port(part)}"
            answer = await http.get(f"{address}/health/ready")
            if answer.status_code != httpx.codes.OK:
                found.append(f"{part} is not ready: {answer.text[:200]}")
            elif part == "processing" and (behind := _records_behind((await http.get(f"{address}/metrics")).text)):
                found.append(f"processing says that it is {behind} records behind")
        except (httpx.HTTPError, DrillError) as error:
            found.append(f"{part} does not say whether it is ready: {error!r}")
    return found


def _records_behind(metrics: str) -> str:
    """How many, in words; empty where there are none."""
    samples = [sample for family in text_string_to_metric_families(metrics) for sample in family.samples]
    told = [sample.value for sample in samples if sample.name == _BEHIND]
    if not told or isnan(sum(told)):
        return "an unknown number of"
    return f"{sum(told):,.0f}" if sum(told) else ""
