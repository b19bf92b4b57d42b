"""Settings of alerting that can not work are refused, addresses are judged, and nothing in a text steers a receiver."""

import logging
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from structlog.testing import capture_logs

from processing.alerting.destinations import NotDeliveredError, Notice, RefusedError, slack
from processing.alerting.destinations.email import Email, message
from processing.alerting.destinations.guard import is_public, resolve
from processing.alerting.destinations.webhook import signature
from processing.alerting.sender import pause
from processing.watch.settings import WatchSettings
from tests.processing.receivers import SECRET, mailbox

pytestmark = pytest.mark.unit

PRIVATE = [
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::", "ff02::1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_only_this_net_reaches_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_others_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url", ["ftp://example.com", "//example.com", "http://", "https://me:pw@example.com/", "http://[::1", "http://a:b"]
)
def test_what_is_no_url_to_post_to_is_refused(url: str) -> None:
    with pytest.raises(RefusedError):
        resolve(url, allow_private=True)


def test_one_private_address_among_those_of_a_name_is_enough_to_refuse_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, 1, 6, "", (address, 443)) for address in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(RefusedError, match=r"hooks\.example is no public address"):
        resolve("https://hooks.example/s3cret", allow_private=False)
    assert resolve("https://hooks.example/s3cret", allow_private=True).address == "93.184.215.14"


def test_a_name_that_does_not_resolve_may_do_so_later_and_the_path_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NotDeliveredError) as caught:
        resolve("https://hooks.example/s3cret", allow_private=False)
    assert not isinstance(caught.value, RefusedError)
    assert "s3cret" not in str(caught.value)


def notice(**changes: Any) -> Notice:
    told: dict[str, Any] = {
        "delivery_id": 7, "notice": "opened", "alert_id": 3, "key": "rule:x", "kind": "shop", "severity": "critical",
        "title": "X", "members": [{"scope": "site", "subject": "", "says": "1 < 2"}],
        "opened_at": "2026-03-01T12:00:00+00:00", "resolved_at": None, "source": "test",
    }  # fmt: skip
    return Notice(**told | changes)


def test_a_product_can_not_mention_a_channel_in_slack() -> None:
    told = slack.payload(notice(members=[{"scope": "product", "subject": "<!channel> & co", "says": "x"}]))
    assert told["blocks"][1]["text"]["text"] == "• &lt;!channel&gt; &amp; co: x"


def test_what_is_too_long_for_slack_is_cut_off() -> None:
    told = slack.payload(notice(title="t" * 400, members=[{"scope": "a", "subject": "b", "says": "c" * 5000}]))
    assert len(told["blocks"][0]["text"]["text"]) == 150
    assert len(told["blocks"][1]["text"]["text"]) == 3000


@given(st.text(max_size=50))
def test_no_text_makes_a_mail_of_its_own_headers(text: str) -> None:
    mail = message(notice(title=text, members=[{"scope": "x", "subject": text, "says": text}]), "a@b.c", ("d@e.f",))
    assert mail["To"] == "d@e.f"
    assert bytes(mail).partition(b"\n\n")[0].count(b"\nTo:") == 1


def test_a_mail_that_some_recipients_are_refused_is_taken_and_that_is_logged() -> None:
    with mailbox() as box, capture_logs() as logged:
        box.refusal, box.refused = "550 no such user", "gone@"
        own = Email(
            kind="email",
            host="127.0.0.1",
            port=box.port,
            security="none",
            sender="a@b.test",
            to=("gone@b.test", "c@b.test"),
        )
        own.send(notice())
    assert len(box.mails) == 1
    (line,) = logged
    assert (line["event"], line["recipients"], line["of"], line["codes"]) == ("recipients_refused", 1, 2, [550])
    assert "gone@" not in str(line)


def test_the_signature_is_that_of_the_standard() -> None:
    key = b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of standardwebhooks.com's own libraries
    assert signature(key, "msg_1", "1614265330", b"{}").startswith("v1,")
    assert signature(key, "msg_1", "1614265330", b"{}") != signature(key, "msg_2", "1614265330", b"{}")


def test_pauses_double_up_to_ten_minutes() -> None:
    assert [pause(number).total_seconds() for number in (1, 2, 3, 8, 9, 1000)] == [5, 10, 20, 600, 600, 600]


MAIL = {"kind": "email", "host": "mail", "sender": "a@b.c", "to": ["d@e.f"]}


@pytest.mark.parametrize(
    "destination",
    [
        {"kind": "pigeon"},
        {"kind": "slack"},
        {"kind": "webhook", "url": "https://x", "secret": "s3cret-but-no-base64!"},
        {"kind": "webhook", "url": "https://x", "secret": "whsec_czNjcmV0"},
        {**MAIL, "to": []},
        {**MAIL, "to": ["d@e.f\r\nBcc: x@y.z"]},
        {**MAIL, "user": "me"},
        {**MAIL, "user": "me", "password": "s3cret", "security": "none"},
        {**MAIL, "minimum": "terrible"},
    ],
)
def test_a_destination_that_can_not_work_is_refused_without_its_secret(
    destination: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ValidationError) as caught:
        WatchSettings(destinations={"ops": destination})
    told = str([{**fault, "input": None, "ctx": None} for fault in caught.value.errors(include_input=False)])
    assert "s3cret" not in told


def test_secrets_are_not_shown() -> None:
    settings = WatchSettings(
        destinations={
            "a": {"kind": "webhook", "url": "https://x/s3cret", "secret": SECRET},
            "b": {"kind": "slack", "url": "https://x/s3cret"},
            "c": {"kind": "pagerduty", "routing_key": "s3cret"},
            "d": {**MAIL, "user": "me", "password": "s3cret"},
        }
    )
    assert "s3cret" not in repr(settings)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "rule",
    [
        {"title": "X", "conditions": []},
        {"title": "X", "conditions": [{"metric": "stares", "above": 1}]},
        {"title": "X", "conditions": [{"metric": "views / clicks / adds", "above": 1}]},
        {"title": "X", "conditions": [{"metric": "views", "above": 1, "below": 0}]},
        {"title": "X", "conditions": [{"metric": "views"}]},
        {"conditions": [{"metric": "views", "above": 1}]},
    ],
)
def test_a_rule_that_says_nothing_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WatchSettings(rules={"mine": rule})


def test_what_is_set_of_a_rule_is_laid_over_its_default() -> None:
    settings = WatchSettings(
        rules={
            "flash-sale": {"window_minutes": 20},
            "mine": {"title": "M", "conditions": [{"metric": "views", "above": 1}]},
        }
    )
    assert settings.rules.keys() == {"flash-sale", "checkout", "mine"}
    flash = settings.rules["flash-sale"]
    assert (flash.window_minutes, [str(each) for each in flash.conditions]) == (
        20,
        ["views above 100", "purchases below 5"],
    )
