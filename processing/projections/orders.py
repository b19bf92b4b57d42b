"""Orders: lines that share an order id and a user; a line without an order id is an order by itself."""

from contracts import projections
from processing.grouping import Rule
from processing.projection import Projection, keyed
from processing.projections.measures import LATE, PURCHASE, REFUND, REFUNDED, REVENUE, select


def orders() -> Projection:
    """An order is placed at the time of its first purchase line; refunds alone place none."""
    measures = {
        "ordered_at": f"min(timestamp) FILTER (WHERE {PURCHASE})",
        "session_id": "min(session_id)",
        "lines": f"count(*) FILTER (WHERE {PURCHASE})",
        "units": f"coalesce(sum(quantity) FILTER (WHERE {PURCHASE}), 0)",
        "refunds": f"count(*) FILTER (WHERE {REFUND})",
        "revenue": REVENUE,
        "refunded": REFUNDED,
        "bot": "bool_or(bot)",
        "late": LATE,
    }
    rules = dict.fromkeys(measures, Rule.SUM) | {"ordered_at": Rule.MIN, "session_id": Rule.MIN, "bot": Rule.MAX}
    keys = {"order_id": "coalesce(order_id, event_id)", "user_id": "user_id"}
    return keyed(projections.orders, select(keys, measures, where="kind IS NOT NULL"), rules)
