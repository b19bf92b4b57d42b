"""What the gateway's answers mean."""

import orjson
import pytest

from loadtest.client_log import Verdict
from loadtest.gateway_client import EventVerdict, RefusedError, interpret

pytestmark = pytest.mark.unit

ACCEPTED = EventVerdict(Verdict.ACCEPTED)


def test_a_mixed_answer_gives_each_event_its_own_verdict() -> None:
    content = orjson.dumps(
        {
            "accepted": 1,
            "rejected": 1,
            "results": [
                {"index": 1, "event_id": "b", "status": "rejected", "error": {"code": "invalid_id", "message": "m"}},
                {"index": 0, "event_id": "a", "status": "accepted"},
            ],
        }
    )
    answer = interpret(207, None, content, 2)
    assert answer.verdicts == [ACCEPTED, EventVerdict(Verdict.REJECTED, "invalid_id")]


def test_an_event_the_answer_does_not_name_has_no_verdict() -> None:
    answer = interpret(207, None, b'{"results":[{"index":0,"status":"accepted"}]}', 2)
    assert answer.verdicts == [ACCEPTED, EventVerdict(Verdict.UNKNOWN)]


def test_an_event_that_is_no_json_is_rejected_as_such() -> None:
    answer = interpret(400, None, b'{"title":"t","code":"malformed_body"}', 1)
    assert answer.verdicts == [EventVerdict(Verdict.REJECTED, "malformed_json")]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_to_be_tried_again(status: int) -> None:
    answer = interpret(status, "7", b"", 3)
    assert (answer.verdicts, answer.retry_after) == ((), 7.0)


def test_a_date_in_retry_after_is_no_hint() -> None:
    assert interpret(503, "Wed, 21 Oct 2026 07:28:00 GMT", b"", 1).retry_after is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 422, 302])
def test_what_will_not_pass_is_a_refusal(status: int) -> None:
    with pytest.raises(RefusedError, match=str(status)):
        interpret(status, None, b'{"code":"another"}', 1)


def test_a_batch_that_cannot_be_read_is_a_refusal_since_no_event_was_looked_at() -> None:
    with pytest.raises(RefusedError, match="400"):
        interpret(400, None, b'{"code":"malformed_body"}', 2)
