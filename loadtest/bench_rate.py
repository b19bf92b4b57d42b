"""`millrace bench rate`: the highest rate that the whole stack holds, found by search.

A rate is held if a load at it reaches it without an error, every event is found exactly once by the audit, and the
freshness by query is below a bound at p99. Each try is a load as `millrace load` makes it, and each waits until the
stack has settled, so that no try pays for the one before.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from contracts.settings import home
from loadtest.load.audited import audited_load
from loadtest.load.parts_use import parts_use
from loadtest.load.run import LoadPlan, problems


@dataclass(frozen=True)
class Try:
    """A rate, whether it was held, and why not."""

    rate: float
    held: bool
    why_not: list[str]
    figures: dict[str, Any]


async def highest_rate(
    attempt: Callable[[float], Awaitable[Try]], start: float, highest: float, precision: float
) -> tuple[float | None, list[Try]]:
    """The highest rate held, and all tries: doubled until one is not held, then halved in until near enough.

    `precision` is how far apart the highest held and the lowest not held may be in the end, as a share.
    """
    tries: list[Try] = []
    held, not_held, rate = None, None, start
    while True:
        tries.append(await attempt(rate))
        if tries[-1].held:
            held = rate
        else:
            not_held = rate
        if held is None and (not_held or 0) < start / 8:
            return None, tries
        if not_held is None:
            if rate >= highest:
                return held, tries
            rate = min(rate * 2, highest)
        elif held is None:
            rate = not_held / 2
        elif not_held / held <= 1 + precision:
            return held, tries
        else:
            rate = (held * not_held) ** 0.5


async def held_for_long(
    attempt: Callable[[float], Awaitable[Try]], found: float, least: float, precision: float
) -> tuple[float | None, list[Try]]:
    """The rate that is held in a long attempt, and all tries: the one found or, one after the other, lower ones.

    What is held for a minute may not be for ten: roll-ups, compaction and verification have their turns meanwhile.
    """
    tries: list[Try] = []
    while found >= least:
        tries.append(await attempt(found))
        if tries[-1].held:
            return found, tries
        found /= 1 + precision
    return None, tries


async def try_rate(plan: LoadPlan, rate: float, *, freshness_ms: float, patience_seconds: float) -> Try:
    """One load at this rate, in a folder of its own. Raises LoadError, HoldingsError."""
    folder = plan.folder / f"{rate:.0f}-per-second"
    folder.mkdir(parents=True)
    own = replace(plan, workload=plan.workload.at_rate(rate, plan.workload.seconds), folder=folder)
    async with parts_use(home()) as use:
        figures, audit = await audited_load(own, patience_seconds)
    figures["parts"] = use.figures(figures["events"])
    why_not = [*problems(figures), *audit.problems()]
    if not figures["rate_reached"]:
        why_not.append(f"only {figures['events']:,} of {figures['asked_events']:,} events were acknowledged")
    fresh = figures["freshness"]["query_ms"]
    if fresh is None or fresh["p99"] >= freshness_ms:
        why_not.append(f"freshness p99 {fresh['p99'] if fresh else 'unknown'} ms, not below {freshness_ms:.0f}")
    return Try(rate, not why_not, why_not, figures)
