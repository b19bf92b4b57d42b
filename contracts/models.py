"""What is learnt from the shop's hours: detectors that judge the next ones, and forecasts of them.

`millrace detect train` and `millrace detect forecast` write it; the watch starts both.

A **training** learns from the same stretch of hours for every series that is watched by the hour; its number is the
version of all models that come of it. A model is numbers and nothing else: no code is stored and none is loaded.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Double, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from contracts.tables import metadata, time_type

detector_models: Final = Table(
    "detector_models",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False, comment="the number of the training"),
    Column("method", Text, primary_key=True, comment="of the detector"),
    Column("scope", Text, primary_key=True, comment="site, category or product"),
    Column("subject", Text, primary_key=True, comment="which category or product; empty for the site"),
    Column("metric", Text, primary_key=True, comment="a measure of the hour tables, bots left out"),
    Column("trained_at", time_type, nullable=False),
    Column("trained_from", time_type, nullable=False, comment="the first hour learnt from"),
    Column("trained_until", time_type, nullable=False, comment="the end of the last one"),
    Column("hours", BigInteger, nullable=False, comment="hours between with anything in them"),
    Column("parameters", JSONB, nullable=False, comment="by which it was trained, and with which library versions"),
    Column("numbers", LargeBinary, nullable=False, comment="arrays by name, as NumPy's .npz without objects"),
    comment="Trained detectors. Of each training all series; the last few trainings are kept.",
)

forecasts: Final = Table(
    "forecasts",
    metadata,
    Column("scope", Text, primary_key=True, comment="site, category or product"),
    Column("subject", Text, primary_key=True, comment="which category or product; empty for the site"),
    Column("metric", Text, primary_key=True, comment="views, purchases or revenue, bots left out"),
    Column("hour", time_type, primary_key=True, comment="start of the hour, UTC"),
    Column("expected", Double, nullable=False),
    Column("low", Double, nullable=False, comment="eight hours in ten end up between low and high"),
    Column("high", Double, nullable=False),
    Column("made_until", time_type, nullable=False, comment="the end of the last hour that was known when it was made"),
    Column("made_at", time_type, nullable=False),
    comment="What is expected of the next 24 hours, and was of those before: the last forecast made of each.",
)
