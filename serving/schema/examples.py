"""An operation for each root, shown in its description; the tests run all queries."""

from typing import Final

import strawberry
from graphql import GraphQLObjectType, parse, print_ast

_HOUR: Final = 'range: {from: "2026-03-01T09:00:00Z", to: "2026-03-01T10:00:00Z"}'
_DAY: Final = 'range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}'

_QUERIES: Final = {
    "asOf": "{ asOf { epoch committedAt watermark } }",
    "productMetrics": f'{{ productMetrics({_HOUR}, window: "PT10M", slide: "PT5M", products: ["tent"]) '
    "{ windowStart views uniqueUsers revenue currency isFinal } }",
    "revenue": f'{{ revenue({_HOUR}, window: "PT5M", compareWith: WEEK_BEFORE) '
    "{ windowStart category count total average currency previous { total } } }",
    "topProducts": f"{{ topProducts({_DAY}, by: REVENUE, first: 5) {{ rank productId units revenue currency }} }}",
    "alsoViewed": f'{{ alsoViewed(productId: "tent", {_DAY}) {{ sessions products {{ productId share }} }} }}',
    "sessions": f'{{ sessions({_DAY}, device: "mobile", first: 50) '
    "{ nodes { id startedAt duration status } pageInfo { hasNextPage endCursor } } }",
    "session": '{ session(id: "cwAGS_Kx9CQAcy0x") { startedAt duration path { at action productId } } }',
    "sessionMetrics": f"{{ sessionMetrics({_DAY}, breakdown: DEVICE) "
    "{ segments { segment sessions bounceRate meanDuration } } }",
    "conversions": f'{{ conversions({_HOUR}, window: "PT1H") '
    "{ windowStart productId clicks convertedClicks rate } }",
    "cartAbandonment": f"{{ cartAbandonment({_DAY}) {{ additions bought abandoned open rate }} }}",
    "funnel": f"{{ funnel({_DAY}, breakdown: SOURCE) "
    "{ segments { segment steps { action sessions shareOfPrevious medianTime } } } }",
    "journeys": f"{{ journeys({_DAY}, by: PAGE, depth: 4) {{ transitions {{ place from to count }} }} }}",
    "users": "{ users(orderBy: REVENUE, first: 20) { nodes { id orders revenue currency lastSeen } } }",
    "user": '{ user(id: "u-1") { firstSeen lastSeen orders revenue currency } }',
    "retention": "{ retention(weeks: 8) { windowStart users weeks { week share } } }",
    "realtime": '{ realtime(timeZone: "Europe/Berlin", compareWith: WEEK_BEFORE) '
    "{ activeUsers revenueToday currency previous { revenue } } }",
    "sales": f'{{ sales({_DAY}, grain: HOUR, timeZone: "Europe/Berlin") '
    "{ windowStart revenue orders averagePurchase currency } }",
    "books": "{ books { close residue checks { name left right } } }",
    "explain": '{ explain(eventId: "e-1") { verdict copies { topic offset reason } applied { minute } } }',
    "changes": f"{{ changes({_HOUR}, since: 0) {{ untilEpoch added {{ purchases revenue currency lateEvents }} }} }}",
    "anomalies": f"{{ anomalies({_DAY}, scope: SITE) {{ windowStart measure observed expected severity }} }}",
    "trainings": "{ trainings(first: 3) { version trainedAt trainedUntil detectors } }",
    "anomaliesConnection": f"{{ anomaliesConnection({_DAY}, first: 50) "
    "{ nodes { windowStart measure observed expected } pageInfo { hasNextPage endCursor } } }",
    "forecast": f"{{ forecast({_DAY}, metric: REVENUE) {{ windowStart revenue {{ expected low high currency }} }} }}",
    "alerts": "{ alerts(status: OPEN) { id title severity members { says } } }",
    "alertsConnection": "{ alertsConnection(status: ALL, first: 50) "
    "{ nodes { id title openedAt resolvedAt } pageInfo { hasNextPage endCursor } } }",
    "requests": "{ requests(state: DONE) { kind key finishedAt receipt } }",
    "requestsConnection": "{ requestsConnection(first: 50) "
    "{ nodes { kind key state } pageInfo { hasNextPage endCursor } } }",
    "segments": '{ segments(day: "2026-03-01") { customers { kind users revenue currency } } }',
    "report": '{ report(day: "2026-03-01") { totals { orders revenue } weekBefore { orders revenue } currency } }',
    "reportDays": "{ reportDays(first: 7) { day isFinal } }",
    "reportDaysConnection": "{ reportDaysConnection(first: 50) { nodes { day } pageInfo { hasNextPage endCursor } } }",
    "verifications": "{ verifications { at rows mismatches } }",
    "verificationsConnection": "{ verificationsConnection(first: 50) "
    "{ nodes { at rows mismatches } pageInfo { hasNextPage endCursor } } }",
    "rejections": f"{{ rejections({_DAY}) {{ rejected byReason {{ reason source count remedy }} }} }}",
    "lateness": f"{{ lateness({_DAY}) {{ lateShare buckets {{ upTo events cumulativeShare }} }} }}",
    "duplicates": f"{{ duplicates({_DAY}) {{ duplicates conflicts samples {{ eventId conflict }} }} }}",
}
_SUBSCRIPTIONS: Final = {
    "epochs": "subscription { epochs { epoch committedAt } }",
    "alerts": "subscription { alerts { id title severity } }",
    "realtime": "subscription { realtime { activeUsers eventsPerSecond } }",
}
_MUTATIONS: Final = {
    "acknowledgeAlert": 'mutation { acknowledgeAlert(id: "17", by: "Ada") { acknowledgedAt } }',
    "eraseUser": 'mutation { eraseUser(userId: "u-1", key: "ticket-4711") { state } }',
    "replayRejected": 'mutation { replayRejected(key: "fix-currency", reason: "currency_not_accepted", '
    'patch: ".currency = \\"EUR\\"") { state } }',
}


def show_examples(schema: strawberry.Schema) -> None:
    """Put the example of each root below its description."""
    roots = schema._schema
    for kind, examples in (
        (roots.query_type, _QUERIES),
        (roots.subscription_type, _SUBSCRIPTIONS),
        (roots.mutation_type, _MUTATIONS),
    ):
        assert isinstance(kind, GraphQLObjectType)
        for name, field in kind.fields.items():
            field.description = f"{field.description}\n\n```graphql\n{print_ast(parse(examples[name]))}\n```"
