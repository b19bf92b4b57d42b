"""The GraphQL schema: roots from one module per domain, put together here."""

from typing import Annotated

import strawberry
from strawberry.schema.config import StrawberryConfig

from serving.schema.alerts import Alert, acknowledge_alert, alerts, alerts_connection
from serving.schema.also_viewed import AlsoViewed, also_viewed
from serving.schema.anomalies import Anomaly, anomalies, anomalies_connection
from serving.schema.books import Books, books
from serving.schema.carts import CartAbandonment, cart_abandonment
from serving.schema.changes import Changes, changes
from serving.schema.common import AsOf
from serving.schema.connections import Connection
from serving.schema.context import Info
from serving.schema.conversions import ConversionWindow, conversions
from serving.schema.direct import call_directly
from serving.schema.examples import show_examples
from serving.schema.explain import Explanation, explain
from serving.schema.forecasts import ForecastHour, forecast
from serving.schema.funnel import Funnel, funnel
from serving.schema.history import line_in_ledger
from serving.schema.journeys import Journeys, journeys
from serving.schema.products import ProductWindow, RankedProduct, product_metrics, top_products
from serving.schema.quality import Duplicates, Lateness, duplicates, lateness
from serving.schema.realtime import Realtime, realtime
from serving.schema.rejections import Rejections, rejections
from serving.schema.reports import Report, ReportDay, Segments, report, report_days, report_days_connection, segments
from serving.schema.requests import Request, erase_user, replay_rejected, requests, requests_connection
from serving.schema.retention import Cohort, retention
from serving.schema.revenue import RevenueWindow, SalesBucket, revenue, sales
from serving.schema.scalars import SCALARS, Long
from serving.schema.session_metrics import SessionMetrics, session_metrics
from serving.schema.sessions import Session, SessionConnection, session, sessions
from serving.schema.subscriptions import Subscription
from serving.schema.trainings import Training, trainings
from serving.schema.users import User, user, users
from serving.schema.verifications import Verification, verifications, verifications_connection

NO_VISITS = (
    "Minutes, which this is summed up from, know neither device nor source; `sessions`, `funnel` and `journeys` do."
)


async def _as_of(
    info: Info,
    epoch: Annotated[
        Long | None, strawberry.argument(description="An earlier commit; without it, that of this answer.")
    ] = None,
) -> AsOf | None:
    row = await info.context.snapshot.as_of() if epoch is None else (await line_in_ledger(info, epoch, "epoch"))[0]
    return AsOf.of(row) if row else None


@strawberry.type(description="All roots of one operation read one snapshot: the commit that `asOf` names.")
class Query:
    as_of: AsOf | None = strawberry.field(
        resolver=_as_of, description="The commit this answer belongs to; null before the first."
    )
    product_metrics: list[ProductWindow] = strawberry.field(
        resolver=product_metrics,
        description="Products in windows of any length, tumbling or sliding, by window, product and category. Windows "
        f"align to 1970-01-01T00:00Z; those that start in the range are answered, each one whole. {NO_VISITS}",
    )
    revenue: list[RevenueWindow] = strawberry.field(
        resolver=revenue,
        description="Revenue by category in tumbling windows that start in the range, of all products or of some. By "
        f"product it is in `productMetrics`. {NO_VISITS}",
    )
    top_products: list[RankedProduct] = strawberry.field(
        resolver=top_products,
        description="The best products over the minutes that begin in the range; those with none of the measure are "
        f"left out, ties go by product id. {NO_VISITS}",
    )
    also_viewed: AlsoViewed = strawberry.field(
        resolver=also_viewed,
        description="What was viewed in the sessions that viewed a product, of those that started in the range.",
    )
    sessions: SessionConnection = strawberry.field(
        resolver=sessions,
        description="Sessions, newest start first (Relay): `first`/`after` towards older ones, `last`/`before` towards "
        "newer ones.",
    )
    session: Session | None = strawberry.field(
        resolver=session,
        description="A session by its `id`; null where there is none. As of an earlier epoch it may have begun later "
        "or have been several: of those it is the first that had not ended when the one of this id begins. That reads "
        "the session ids of the whole event log.",
    )
    session_metrics: SessionMetrics = strawberry.field(
        resolver=session_metrics,
        description="How many of the sessions that started in the range bounced, how long they lasted and how many "
        "events they had.",
    )
    conversions: list[ConversionWindow] = strawberry.field(
        resolver=conversions,
        description="Clicks on products that led to a purchase, by window (of the click's time) and product. Device "
        "and source are not kept with a click: `funnel` has them.",
    )
    cart_abandonment: CartAbandonment = strawberry.field(
        resolver=cart_abandonment,
        description="What was put into carts in the range, and how much of it was not bought in time.",
    )
    funnel: Funnel = strawberry.field(
        resolver=funnel,
        description="How far the sessions that started in the range got on their way, step by step. No step has more "
        "sessions than the one ahead of it.",
    )
    journeys: Journeys = strawberry.field(
        resolver=journeys,
        description="Which page or action follows which in the sessions that started in the range, where they enter "
        "and where they leave.",
    )
    users: Connection[User] = strawberry.field(
        resolver=users,
        description="Everyone ever seen, the largest first (Relay): `first`/`after` towards smaller ones, "
        "`last`/`before` towards larger ones. Numbers change as events come in: a user who moves past the cursor "
        "meanwhile is seen twice, or not at all.",
    )
    user: User | None = strawberry.field(
        resolver=user, description="A user by the user id of the events; null where there is none."
    )
    retention: list[Cohort] = strawberry.field(
        resolver=retention,
        description="Of the users first seen in a week, how many were seen again in each week after it. Oldest first.",
    )
    realtime: Realtime | None = strawberry.field(
        resolver=realtime, description=f"The shop just now; null before the first commit. {NO_VISITS}"
    )
    sales: list[SalesBucket] = strawberry.field(
        resolver=sales,
        description=f"Sales of every hour or day that starts in the range, empty ones as zero. {NO_VISITS}",
    )
    books: Books | None = strawberry.field(
        resolver=books, description="Whether every record is accounted for; null before the first commit."
    )
    explain: Explanation = strawberry.field(
        resolver=explain,
        description="What became of an event: every record with its id, where each is, what was decided about it and "
        "why; and of one that counts, where it does. It reads the ids of the whole event log: seconds for many "
        "millions.",
    )
    changes: Changes = strawberry.field(
        resolver=changes,
        description="What changed numbers between two epochs: the events that came with the epochs between them, by "
        "event time, product, category or session id. What windows told as of `since` and what was `added` is what "
        "they tell as of `until`. Read from the event log: seconds for many millions.",
    )
    anomalies: list[Anomaly] = strawberry.field(
        resolver=anomalies,
        description="What detectors flagged of windows that start in the range, the newest first. A window is judged "
        "when it is final, and again when something late comes to it.",
    )
    trainings: list[Training] = strawberry.field(
        resolver=trainings,
        description="What the detectors of hours were trained on, newest first; the last three trainings are kept.",
    )
    forecast: list[ForecastHour] = strawberry.field(
        resolver=forecast,
        description="What is expected of the next 24 hours, and was of those before; made anew with every hour that "
        "closes. Of the site, of the 12 categories and the 20 products with the most events; nothing of others.",
    )
    anomalies_connection: Connection[Anomaly] = strawberry.field(
        resolver=anomalies_connection,
        description="All that detectors flagged of windows that start in the range, the newest windows first; in the "
        "order of what does not change when a window is judged again (Relay).",
    )
    alerts: list[Alert] = strawberry.field(
        resolver=alerts, description="What people should know of, the newest first. It changes outside of commits, too."
    )
    alerts_connection: Connection[Alert] = strawberry.field(
        resolver=alerts_connection, description="All alerts there ever were, the newest first (Relay)."
    )
    requests: list[Request] = strawberry.field(
        resolver=requests,
        description="What was asked for by mutations, and what became of it; the newest first. It needs the scope "
        "`admin`.",
    )
    requests_connection: Connection[Request] = strawberry.field(
        resolver=requests_connection,
        description="All that was ever asked for by mutations, the newest first (Relay). It needs the scope `admin`.",
    )
    segments: Segments | None = strawberry.field(
        resolver=segments, description="The people of a day in groups, from its report; null where there is none."
    )
    report: Report | None = strawberry.field(
        resolver=report, description="What a day was like; null where there is no report of it."
    )
    report_days: list[ReportDay] = strawberry.field(
        resolver=report_days, description="Days that have a report, the newest first."
    )
    report_days_connection: Connection[ReportDay] = strawberry.field(
        resolver=report_days_connection, description="All days that have a report, the newest first (Relay)."
    )
    verifications: list[Verification] = strawberry.field(
        resolver=verifications,
        description="Comparisons of the tables with the event log, newest first. One runs every few minutes.",
    )
    verifications_connection: Connection[Verification] = strawberry.field(
        resolver=verifications_connection,
        description="All comparisons of the tables with the event log, newest first (Relay).",
    )
    rejections: Rejections = strawberry.field(
        resolver=rejections,
        description="What was refused in the range, by the gateway's time of receipt (the broker's in quarantine).",
    )
    lateness: Lateness = strawberry.field(
        resolver=lateness, description="How old events were when they arrived in the range: a histogram."
    )
    duplicates: Duplicates = strawberry.field(
        resolver=duplicates, description="Events that came again, and those whose copy says something else."
    )


@strawberry.type(
    description="What is asked for; it needs the scope `admin` where keys are asked for. Each is logged with who asked."
)
class Mutation:
    acknowledge_alert: Alert = strawberry.field(
        resolver=acknowledge_alert,
        description="Say who sees to an open alert; the first one stays. Of destinations, PagerDuty and webhooks are "
        "told.",
    )
    erase_user: Request = strawberry.field(
        resolver=erase_user,
        description="Have a user erased: from event log, tables and kept payloads; and no event of theirs is taken any "
        "more. It cannot be brought back. It is begun within seconds; `requests` tells when it is done. Only where "
        "keys are asked for.",
    )
    replay_rejected: Request = strawberry.field(
        resolver=replay_rejected,
        description="Have rejected events repaired and sent again through the gateway, each at most once. It is begun "
        "within seconds; `requests` tells when it is done. Only where keys are asked for.",
    )


def build_schema() -> strawberry.Schema:
    """The schema. Running it is `serving.execution`'s: of Strawberry, only the types and resolvers are used."""
    schema = strawberry.Schema(
        query=Query, mutation=Mutation, subscription=Subscription, config=StrawberryConfig(scalar_map=SCALARS)
    )
    call_directly(schema)
    show_examples(schema)
    return schema
