"""What replicas may share, and under which names; the cache itself is tried in `integration/test_shared_cache.py`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr

from contracts.settings import ShopSettings
from serving.documents import Documents, Operation
from serving.limits import Shape
from serving.schema import build_schema
from serving.settings import ServingSettings
from serving.shared import SharedAnswers, made_by
from serving.snapshot import EpochRow

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STATE = EpochRow(7, NOW, None, NOW, NOW, token="token")


def shared(url: str = "redis://127.0.0.1:1", made: bytes = b"m") -> SharedAnswers:
    return SharedAnswers(SecretStr(url), made, Counter("c", "c", ["result"], registry=CollectorRegistry()))


def test_a_name_is_of_the_request_the_state_and_what_made_the_answer() -> None:
    states = [
        STATE,
        replace(STATE, epoch=8),
        replace(STATE, committed_at=STATE.committed_at + timedelta(microseconds=1)),
        replace(STATE, token="other"),
    ]
    names = {
        shared(made=made)._key(request, one) for made in (b"m", b"n") for request in (b"r", b"s") for one in states
    }
    assert len(names) == 2 * 2 * len(states)
    assert shared()._key(b"r", STATE) == shared()._key(b"r", replace(STATE))


def test_replicas_that_answer_otherwise_share_nothing() -> None:
    plain = made_by(ServingSettings(), ShopSettings())
    assert made_by(ServingSettings(port=1, cache_bytes=0), ShopSettings()) == plain
    assert made_by(ServingSettings(max_rows=1), ShopSettings()) != plain
    assert made_by(ServingSettings(), ShopSettings(session_gap_seconds=1)) != plain


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("{ asOf { epoch } }", True),
        ("subscription { realtime { activeUsers } }", True),
        ("{ asOf { lagSeconds } }", False),
        ("{ books { close } }", False),
        ("{ users(first: 1) { nodes { id } } }", False),
        ("{ asOf { epoch } session(id: 1) { id } }", False),
        ('{ rejections(range: {from: "2026-01-01T00:00Z", to: "2026-01-02T00:00Z"}) { samples { detail } } }', False),
        ('{ rejections(range: {from: "2026-01-01T00:00Z", to: "2026-01-02T00:00Z"}) { byReason { reason } } }', True),
    ],
)
def test_what_is_a_matter_of_the_moment_or_of_single_people_is_not_shared(text: str, may: bool) -> None:
    shape = Shape.of(ServingSettings())
    operation = Documents(build_schema()._schema, shape).operation(text, None)
    assert isinstance(operation, Operation), operation
    assert operation.shareable is may


@pytest.mark.parametrize("url", ["redis://:s3/cret@host:1", "http://s3cret@host", "redis://host?s3cret=1", "s3cret"])
def test_a_url_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="MILLRACE_SERVING_SHARED_CACHE_URL") as told:
        shared(url)
    assert "s3" not in str(told.value)
