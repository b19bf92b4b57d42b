"""The serving store's flags, alerts and what is to be delivered of them. The watch (`processing.watch`) writes them.

An **anomaly** is what a detector says of one window of one metric: a row per window, metric, scope and method, so that
judging a window again, since late events changed it, changes its row. An **alert** is something people should know of,
from its opening to its end; at most one is open per key. A **delivery** is one notice of an alert to one destination,
written in the transaction that changed the alert.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, Identity, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from contracts.tables import metadata, time_type

anomalies: Final = Table(
    "anomalies",
    metadata,
    Column("window_start", time_type, primary_key=True, comment="first instant of the window"),
    Column("window_end", time_type, primary_key=True, comment="first instant after it"),
    Column("metric", Text, primary_key=True, comment="a measure of the minute tables, bots left out"),
    Column("scope", Text, primary_key=True, comment="site, category or product"),
    Column("subject", Text, primary_key=True, comment="which category or product; empty for the site"),
    Column("method", Text, primary_key=True, comment="of the detector"),
    Column("expected", Double, nullable=False, comment="what the detector expected of the window"),
    Column("observed", Double, nullable=False, comment="what was in it"),
    Column("score", Double, nullable=False, comment="how far off, in the method's unit; never negative"),
    Column("threshold", Double, nullable=False, comment="the score from which this method flagged it"),
    Column("severity", Text, nullable=False, comment="warning, or critical from twice the threshold on"),
    Column("direction", Text, nullable=False, comment="up or down"),
    Column(
        "contributions",
        JSONB,
        nullable=False,
        comment='what moved most with it: [{"dimension", "value", "expected", "observed"}], the most first',
    ),
    Column("standing", Boolean, nullable=False, comment="false: late events changed the window and took it back"),
    Column("epoch", BigInteger, nullable=False, comment="the last epoch committed when it was last judged"),
    Column("judged_at", time_type, nullable=False, comment="when it was last judged"),
    Column("model_version", BigInteger, comment="of the training that judged it; null of methods that need none"),
    Index("anomalies_end", "window_end"),
    comment="What detectors flagged.",
)

alerts: Final = Table(
    "alerts",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("key", Text, nullable=False, comment="what it is about; one open alert per key"),
    Column("kind", Text, nullable=False, comment="data (do not trust the numbers) or shop (the numbers say so)"),
    Column("severity", Text, nullable=False, comment="warning or critical; the worst of its members so far"),
    Column("title", Text, nullable=False),
    Column(
        "members",
        JSONB,
        nullable=False,
        comment='what it holds for: [{"scope", "subject", "says"}], as last seen; kept as it was when it resolved',
    ),
    Column("explained_by", BigInteger, comment="the data alert of the same time; while it is set nobody is notified"),
    Column("opened_at", time_type, nullable=False),
    Column("changed_at", time_type, nullable=False, comment="when severity or members last changed"),
    Column("notified_at", time_type, comment="when a notice was last put into the outbox; null: never"),
    Column("resolved_at", time_type),
    Column("acknowledged_at", time_type),
    Column("acknowledged_by", Text, comment="as that person named themselves"),
    Column("acknowledgement_sent", Boolean, nullable=False, server_default=text("false")),
    Column("epoch", BigInteger, nullable=False, comment="the last epoch committed when it last changed"),
    Index("alerts_open", "key", unique=True, postgresql_where=text("resolved_at IS NULL")),
    Index("alerts_opened", "opened_at"),
    comment="What people should know of.",
)

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("alert_id", BigInteger, nullable=False),
    Column("destination", Text, nullable=False, comment="its name in the settings"),
    Column("notice", Text, nullable=False, comment="opened, changed, acknowledged or resolved"),
    Column("body", JSONB, nullable=False, comment="the alert as it was then; no secret is in it"),
    Column("created_at", time_type, nullable=False),
    Column("due_at", time_type, nullable=False, comment="not before; moved on by quiet hours and failed attempts"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("delivered_at", time_type),
    Column("dropped_at", time_type, comment="it will not be sent; `error` says why"),
    Column("error", Text, comment="of the last attempt"),
    Index("deliveries_due", "due_at", postgresql_where=text("delivered_at IS NULL AND dropped_at IS NULL")),
    Index("deliveries_alert", "alert_id"),
    comment="The outbox of alerts: every notice to every destination, and what became of it.",
)

watched: Final = Table(
    "watched",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", BigInteger, nullable=False),
    Column("watermark", time_type, comment="windows that end by it have been judged"),
    Column("making", BigInteger, comment="hours whose roll-ups were made up to this number have been judged"),
    Column("at", time_type, nullable=False, comment="when the watch last looked"),
    comment="How far the watch has looked, one row.",
)
