"""What GraphQL answers about the visitors of a run, held against the oracle: sessions, conversions, funnel, journeys,
users.

Bots are counted in everywhere: which visitors are bots is not for the oracle to say.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any, Final

from loadtest import behaviour
from loadtest.audit.checks import Check
from loadtest.audit.compared import HOUR, Rows, compared, hours_of, instant, span
from loadtest.facts import Fact
from loadtest.graphql import GraphqlClient
from loadtest.oracle import MINUTE, Oracle, Session

_COUNTS: Final = ("views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units")
_DRAWN: Final = 200
"""Sessions, and users, drawn by the seed; all where there are fewer."""
_AT_ONCE: Final = 10
_JOURNEY_MINUTES: Final = 5
"""Minutes drawn by the seed whose sessions' journeys are asked for: a busy hour has more than one answer reads."""

Hours = tuple[datetime, datetime]


def drawn_users(facts: Iterable[Fact], seed: int) -> list[str]:
    """Whose whole history is compared."""
    return _drawn({fact.user_id for fact in facts}, seed, _DRAWN)


async def check_visitors(
    graphql: GraphqlClient, oracle: Oracle, minutes: Sequence[datetime], users: Sequence[str], seed: int
) -> list[Check]:
    """Ask and compare; the arguments are those of `check_answers`. Raises GraphqlError."""
    hours = hours_of(minutes)
    began = [session for session in oracle.sessions.values() if hours[0] <= session.started_at < hours[1]]
    drawn = _drawn(set(minutes), seed, _JOURNEY_MINUTES)
    return [
        await _sessions(graphql, began, hours, seed),
        compared("conversions", await _conversions(graphql, hours), _expected_conversions(oracle, hours)),
        compared("funnel", await _funnel(graphql, hours), dict(enumerate(behaviour.funnel(began)))),
        compared("journeys", await _journeys(graphql, drawn), _expected_journeys(began, drawn)),
        compared("users", await _users(graphql, users), _expected_users(oracle, users)),
    ]


async def _sessions(graphql: GraphqlClient, began: Sequence[Session], hours: Hours, seed: int) -> Check:
    """Of drawn ids all sessions that began in the hours."""
    drawn = _drawn({session.session_id for session in began}, seed, _DRAWN)
    fields = "startedAt endedAt userId events bounced revenue " + " ".join(_COUNTS)
    asked = f"sessions(sessionId: $%s, first: 50, bots: INCLUDE) {{ nodes {{ {fields} }} }}"
    served = {
        (name, instant(row["startedAt"])): {
            **row,
            "startedAt": instant(row["startedAt"]),
            "endedAt": instant(row["endedAt"]),
            "revenue": Decimal(row["revenue"]),
        }
        for name, found in (await _of_each(graphql, asked, "String!", drawn)).items()
        for row in found["nodes"]
        if hours[0] <= instant(row["startedAt"]) < hours[1]
    }
    chosen = set(drawn)
    expected = {
        (session.session_id, session.started_at): {
            "startedAt": session.started_at,
            "endedAt": session.ended_at,
            "userId": session.user_id,
            "events": session.measures.events,
            "bounced": session.bounced,
            "revenue": session.measures.revenue,
            **{count: getattr(session.measures, count) for count in _COUNTS},
        }
        for session in began
        if session.session_id in chosen
    }
    return compared("sessions", served, expected)


async def _conversions(graphql: GraphqlClient, hours: Hours) -> Rows:
    query = (
        "query($range: TimeRange!) { conversions(range: $range, bots: INCLUDE)"
        " { windowStart productId clicks convertedClicks purchases } }"
    )
    found, start = {}, hours[0]
    while start < hours[1]:  # more would be more rows than one answer may have
        for row in (await graphql.ask(query, span(start, start + HOUR)))["conversions"]:
            key = instant(row["windowStart"]), row["productId"]
            found[key] = (row["clicks"], row["convertedClicks"], row["purchases"])
        start += HOUR
    return found


def _expected_conversions(oracle: Oracle, hours: Hours) -> Rows:
    return {
        key: (found.clicks, found.converted, found.purchases)
        for key, found in behaviour.conversions(oracle.facts).items()
        if hours[0] <= key[0] < hours[1]
    }


async def _funnel(graphql: GraphqlClient, hours: Hours) -> Rows:
    query = "query($range: TimeRange!) { funnel(range: $range, bots: INCLUDE) { segments { steps { sessions } } } }"
    segments = (await graphql.ask(query, span(*hours)))["funnel"]["segments"]
    return {number: step["sessions"] for segment in segments for number, step in enumerate(segment["steps"])}


async def _journeys(graphql: GraphqlClient, minutes: Sequence[datetime]) -> Rows:
    query = (
        "query($range: TimeRange!) { journeys(range: $range, by: STEP, first: 200, bots: INCLUDE) { journeys cut"
        " nodes { label visits sessions repeats entries exits } transitions { from to count sessions } } }"
    )
    found: Rows = {}
    for minute in minutes:
        told = (await graphql.ask(query, span(minute, minute + MINUTE)))["journeys"]
        found[minute,] = (told["journeys"], told["cut"])
        for node in told["nodes"]:
            counts = (node[name] for name in ("visits", "sessions", "repeats", "entries", "exits"))
            found[minute, node["label"]] = tuple(counts)
        for move in told["transitions"]:
            found[minute, move["from"], move["to"]] = (move["count"], move["sessions"])
    return found


def _expected_journeys(began: Sequence[Session], minutes: Sequence[datetime]) -> Rows:
    found: Rows = {}
    for minute in minutes:
        told = behaviour.journeys(session for session in began if minute <= session.started_at < minute + MINUTE)
        found[minute,] = (told.journeys, told.cut)
        found |= {
            (minute, action): (node.visits, node.sessions, node.repeats, node.entries, node.exits)
            for action, node in told.nodes.items()
        }
        found |= {(minute, *move): counts for move, counts in told.moves.items()}
    return found


async def _users(graphql: GraphqlClient, users: Sequence[str]) -> Rows:
    asked = "user(id: $%s) { firstSeen lastSeen events revenue favouriteCategory }"
    return {
        user_id: (
            instant(row["firstSeen"]),
            instant(row["lastSeen"]),
            row["events"],
            Decimal(row["revenue"]),
            row["favouriteCategory"],
        )
        for user_id, row in (await _of_each(graphql, asked, "ID!", users)).items()
        if row is not None
    }


def _expected_users(oracle: Oracle, users: Sequence[str]) -> Rows:
    chosen = set(users)
    return {
        user_id: (user.first_seen, user.last_seen, user.events, user.revenue, user.favourite_category)
        for user_id, user in behaviour.users(fact for fact in oracle.facts if fact.user_id in chosen).items()
    }


async def _of_each(graphql: GraphqlClient, root: str, kind: str, names: Sequence[str]) -> Rows:
    """What a root answers for each name, some of them in one operation; `root` has %s for the variable."""
    found: Rows = {}
    for first in range(0, len(names), _AT_ONCE):
        part = {f"v{number}": name for number, name in enumerate(names[first : first + _AT_ONCE])}
        declared = ", ".join(f"${variable}: {kind}" for variable in part)
        asked = " ".join(f"{variable}: {root % variable}" for variable in part)
        data = await graphql.ask(f"query({declared}) {{ {asked} }}", part)
        found |= {name: data[variable] for variable, name in part.items()}
    return found


def _drawn(of: Iterable[Any], seed: int, count: int) -> list[Any]:
    everything = sorted(of)
    return Random(seed).sample(everything, min(count, len(everything)))
