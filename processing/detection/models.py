"""Trained detectors in the store: written by a training, read by the watch, listed for people.

Numbers are stored as NumPy's .npz and read without `allow_pickle`, so a row that somebody has tampered with can give
wrong scores and run nothing.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final, TypeAlias

import numpy as np
import structlog

from processing.detection.isolation_forest import IsolationForest
from processing.detection.one_class_svm import OneClassSvm
from processing.detection.seasonal_trend import SeasonalTrend
from processing.detection.series import Series
from processing.detection.trained import Numbers, Trained
from processing.detection.watches import Watch
from processing.store import Transaction

log = structlog.get_logger()

METHODS: Final[Mapping[str, type[Trained]]] = {
    SeasonalTrend.method: SeasonalTrend,
    IsolationForest.method: IsolationForest,
    OneClassSvm.method: OneClassSvm,
}
"""Every method that has to be trained."""

KEPT: Final = 3
"""Trainings, the newest included."""

Key: TypeAlias = tuple[str, str, str]
"""Scope, subject and metric."""


@dataclass(frozen=True)
class Model:
    """A trained detector and what it was trained by."""

    key: Key
    detector: Trained
    hours: int
    """Of those it could learn from, those with anything in them."""


def write(transaction: Transaction, models: Sequence[Model], since: datetime, until: datetime) -> int:
    """Write a training down and forget the oldest. Returns its version."""
    (number,) = transaction.query("SELECT coalesce(max(version), 0) + 1 AS next FROM detector_models")["next"]
    libraries = {name: version(name) for name in ("numpy", "statsmodels", "scikit-learn")}
    for model in models:
        scope, subject, metric = model.key
        parameters = {**model.detector.parameters(), "libraries": libraries}
        transaction.execute(
            "INSERT INTO detector_models (version, method, scope, subject, metric, trained_at, trained_from,"
            " trained_until, hours, parameters, numbers)"
            " VALUES ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8, $9::text::jsonb, $10)",
            (
                *(number.as_py(), model.detector.method, scope, subject, metric, since, until, model.hours),
                *(json.dumps(parameters), packed(model.detector.numbers())),
            ),
        )
    transaction.execute("DELETE FROM detector_models WHERE version <= $1", (number.as_py() - KEPT,))
    return int(number.as_py())


def newest(transaction: Transaction) -> int:
    """The version of the last training; 0 before the first."""
    (number,) = transaction.query("SELECT coalesce(max(version), 0) AS newest FROM detector_models")["newest"]
    return int(number.as_py())


class Models:
    """The detectors of the last training, as the watch keeps them."""

    def __init__(self, thresholds: Mapping[str, float]) -> None:
        self._thresholds = thresholds
        """By method; of others nothing is read."""
        self._version = 0
        self._by_key: dict[Key, list[Trained]] = {}

    def refresh(self, transaction: Transaction) -> None:
        """Read the last training, if there has been one since."""
        latest = newest(transaction)
        if latest == self._version:
            return
        found: dict[Key, list[Trained]] = {}
        rows = transaction.query(
            "SELECT method, scope, subject, metric, numbers FROM detector_models WHERE version = $1"
            " ORDER BY array_position($2::text[], method)",
            (latest, list(METHODS)),
        )
        for row in rows.to_pylist():
            threshold = self._thresholds.get(row["method"])
            if threshold is None:
                continue
            try:
                detector = METHODS[row["method"]].of(unpacked(row["numbers"]), threshold, latest)
            except (ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
                log.warning("model_unreadable", version=latest, method=row["method"], error=str(error))
                continue
            found.setdefault((row["scope"], row["subject"], row["metric"]), []).append(detector)
        self._version, self._by_key = latest, found

    def of(self, watch: Watch, series: Series) -> Sequence[Trained]:
        """The detectors of a series; none where it was not trained on."""
        return self._by_key.get((watch.scope, series.subject, series.metric), ())


def listed(transaction: Transaction, every: bool) -> list[dict[str, Any]]:
    """The models of the last training, or of all that are kept, the newest first, without their numbers."""
    rows = transaction.query(
        "SELECT version, method, scope, subject, metric, trained_at, trained_from, trained_until, hours,"
        " parameters::text AS parameters, octet_length(numbers) AS bytes FROM detector_models"
        " WHERE version > $1 ORDER BY version DESC, scope DESC, subject, metric, method",
        (0 if every else newest(transaction) - 1,),
    ).to_pylist()
    times = ("trained_at", "trained_from", "trained_until")
    return [
        {**row, **{name: row[name].astimezone(UTC).isoformat() for name in times}}
        | {"parameters": json.loads(row["parameters"])}
        for row in rows
    ]


def packed(numbers: Numbers) -> bytes:
    """Arrays by name as bytes."""
    into = io.BytesIO()
    np.savez_compressed(into, allow_pickle=False, **{name: np.asarray(each) for name, each in numbers.items()})
    return into.getvalue()


def unpacked(data: bytes) -> Numbers:
    """Bytes as arrays by name. Raises ValueError or BadZipFile for what is none; never runs anything in it."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def methods_of(thresholds: Mapping[str, float]) -> Iterable[tuple[type[Trained], float]]:
    """The methods that have a threshold, with it."""
    return [(method, thresholds[name]) for name, method in METHODS.items() if name in thresholds]
