"""Who sent a request, and what is kept of it: only trusted proxies are believed, no whole address is written down."""

import ipaddress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingestion.sender import Senders, read_salt
from ingestion.settings import GatewaySettings

pytestmark = pytest.mark.unit

SALT = b"s" * 32
DAY_MS = 86_400_000
PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1")]


def scope(client: str, *forwarded: str) -> Any:
    return SimpleNamespace(client=client, headers=SimpleNamespace(get_all=lambda name: list(forwarded)))


@pytest.mark.parametrize(
    ("client", "forwarded", "sender"),
    [
        ("203.0.113.7:5000", (), "203.0.113.7"),
        ("203.0.113.7:5000", ("198.51.100.1",), "203.0.113.7"),  # not a proxy: anybody can write that
        ("10.0.0.1:5000", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1:5000", ("192.0.2.66, 198.51.100.1, 10.2.3.4",), "198.51.100.1"),  # right to left, past our own
        ("10.0.0.1:5000", ("192.0.2.66", "198.51.100.1"), "198.51.100.1"),  # several headers are one list
        ("10.0.0.1:5000", ("10.9.9.9",), "10.9.9.9"),
        ("10.0.0.1:5000", ("198.51.100.1, nonsense, 10.1.1.1",), "10.1.1.1"),
        ("10.0.0.1:5000", (), "10.0.0.1"),
        ("[::1]:5000", ("[2001:db8::5]:443",), "2001:db8::5"),
        ("[::1]:5000", ("198.51.100.1:1234",), "198.51.100.1"),
        ("10.0.0.1:5000", ("::ffff:198.51.100.1",), "198.51.100.1"),
    ],
)
def test_the_first_hop_that_is_not_ours_sent_it(client: str, forwarded: tuple[str, ...], sender: str) -> None:
    assert Senders("truncated", PROXIES, SALT).of(scope(client, *forwarded)) == sender


def test_without_proxies_nobody_is_believed() -> None:
    assert Senders("truncated", (), SALT).of(scope("10.0.0.1:5000", "198.51.100.1")) == "10.0.0.1"
    assert Senders("truncated", (), SALT).of(scope("[2001:db8::5]:5000")) == "2001:db8::5"


@pytest.mark.parametrize(
    ("sender", "kept"),
    [
        ("203.0.113.77", b"203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", b"2001:db8:1::"),
        ("[2001:db8:1:2::]", b"2001:db8:1::"),
        ("::ffff:203.0.113.77", b"203.0.113.0"),
        ("", None),
        ("unix", None),
    ],
)
def test_an_address_is_kept_as_its_network(sender: str, kept: bytes | None) -> None:
    assert Senders("truncated", (), SALT).kept(sender) == kept


def test_a_hash_is_the_same_for_the_same_address_and_salt_only() -> None:
    kept = Senders("hashed", (), SALT).kept
    assert kept("203.0.113.77") == kept("::ffff:203.0.113.77")
    assert len({kept("203.0.113.77"), kept("203.0.113.78"), Senders("hashed", (), b"t" * 32).kept("203.0.113.77")}) == 3
    assert Senders("off", (), SALT).kept("203.0.113.77") is None


def test_a_visitor_id_holds_for_one_browser_day_source_and_installation() -> None:
    def visitor(sender: str = "a", agent: str = "b", at_ms: int = 0, source: str = "shop", salt: bytes = SALT) -> str:
        return Senders("off", (), salt).visitor(sender, agent, at_ms, source)

    assert visitor() == visitor(at_ms=DAY_MS - 1)
    others = [visitor(sender="x"), visitor(agent="x"), visitor(at_ms=DAY_MS), visitor(source="x"), visitor(salt=b"x")]
    assert len({visitor(), *others}) == 6
    assert visitor(sender="ab", agent="") != visitor(sender="a", agent="b")


def test_the_salt_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "salt"
    made = read_salt(path)
    assert len(made) == 32
    assert read_salt(path) == made
    assert path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [path]


def test_a_salt_that_cannot_be_kept_is_another_one_each_time(tmp_path: Path) -> None:
    assert read_salt(tmp_path / "none" / "salt") != read_salt(tmp_path / "none" / "salt")
    (tmp_path / "short").write_bytes(b"short")
    assert len(read_salt(tmp_path / "short")) == 32


def test_networks_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_GATEWAY_TRUSTED_PROXIES", '["10.0.0.0/8", "::1"]')
    assert list(GatewaySettings().trusted_proxies) == PROXIES
