"""The table of known sites, and the hosts that it is asked for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.enrichment.hosts import MAX_HOST_LENGTH, host_of, related, same_site
from processing.enrichment.referrers import TABLE, Referrers

pytestmark = pytest.mark.unit

REFERRERS = Referrers.load()
SITES = json.loads(TABLE.read_text("utf-8"))["sites"]
HOSTS = [(site["name"], host) for site in SITES for host in site["hosts"]]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://Shop.Example", "shop.example"),
        ("https://www.shop.example:8443", "shop.example"),
        ("http://user:p%40ss@shop.example", "shop.example"),
        ("http://google.com@evil.example", "evil.example"),
        ("https://shop.example.", "shop.example"),
        ("https://münchen.example", "xn--mnchen-3ya.example"),
        ("https://XN--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("https://shop。example", "shop.example"),
        ("https://localhost:8080", "localhost"),
        ("http://127.0.0.1", "127.0.0.1"),
        ("http://[::1]:80", "[::1]"),
        ("android-app://com.google.android.gm", "com.google.android.gm"),
        ("https://", None),
        ("https://:80", None),
        ("https://a..b", None),
        ("https://-", "-"),
        ("https://a b", None),
        ("https://a%2eb", None),
        ("https://shop.example:http", None),
        ("http://[::1", None),
        ("http://[::1]x", None),
        ("http://[g]", None),
        ("https://℀.example", None),
        ("https://" + "ä" * 64 + ".example", None),
        ("https://" + "a" * MAX_HOST_LENGTH, "a" * MAX_HOST_LENGTH),
        ("https://" + "a" * (MAX_HOST_LENGTH + 1), None),
    ],
)
def test_the_host_of_an_origin(origin: str, host: str | None) -> None:
    assert host_of(origin) == host


@given(st.text())
def test_any_text_has_a_bounded_host_or_none(text: str) -> None:
    host = host_of(f"https://{text}")
    assert host is None or (0 < len(host) <= MAX_HOST_LENGTH and host.isascii() and host == host.lower())


@pytest.mark.parametrize(
    ("one", "other", "same", "akin"),
    [
        ("shop.example", "shop.example", True, True),
        ("m.shop.example", "shop.example", True, True),
        ("mobile.shop.example", "www.shop.example", True, True),
        ("checkout.shop.example", "shop.example", False, True),
        ("checkout.shop.example", "m.shop.example", False, True),
        ("one.shops.example", "two.shops.example", False, False),
        ("badshop.example", "shop.example", False, False),
        ("example", "shop.example", False, False),
    ],
)
def test_which_hosts_belong_together(one: str, other: str, same: bool, akin: bool) -> None:
    assert same_site(one, other) is same_site(other, one) is same
    assert related(one, other) is related(other, one) is akin


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("google.com", "Google"),
        ("google.co.uk", "Google"),
        ("google.com.br", "Google"),
        ("google.de", "Google"),
        ("images.google.fr", "Google"),
        ("bing.com", "Bing"),
        ("cn.bing.com", "Bing"),
        ("uk.search.yahoo.com", "Yahoo"),
        ("yandex.com.tr", "Yandex"),
        ("m.facebook.com", "Facebook"),
        ("l.instagram.com", "Instagram"),
        ("t.co", "X"),
        ("out.reddit.com", "Reddit"),
        ("de.pinterest.com", "Pinterest"),
        ("pinterest.co.uk", "Pinterest"),
        ("lnkd.in", "LinkedIn"),
        ("mail.google.com", "Gmail"),
        ("us-mg5.mail.yahoo.com", "Yahoo Mail"),
        ("mail.yandex.ru", "Yandex Mail"),
        ("tieba.baidu.com", "Baidu Tieba"),
        ("chatgpt.com", "ChatGPT"),
        ("docs.google.com", None),
        ("google.evil.example", None),
        ("google.com.evil.example", None),
        ("notgoogle.com", None),
        ("google", None),
        ("paint.co", None),
        ("facebook.com.example", None),
        ("myfacebook.com", None),
        ("com.google.android.gm", None),
    ],
)
def test_the_site_of_a_host(host: str, name: str | None) -> None:
    site = REFERRERS.site(host)
    assert (site.name if site else None) == name


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("google", "Google"),
        ("Twitter", "X"),
        ("fb", "Facebook"),
        ("m.facebook.com", "Facebook"),
        ("www.google.com", "Google"),
        ("chatgpt.com", "ChatGPT"),
        ("partner", None),
        ("..", None),
    ],
)
def test_the_site_that_a_campaigns_source_means(source: str, name: str | None) -> None:
    site = REFERRERS.named(source)
    assert (site.name if site else None) == name


def test_the_table_names_some_sixty_sites_each_once_and_each_way_to_them_once() -> None:
    names = [site["name"] for site in SITES]
    hosts = [host.removeprefix("*.") for _, host in HOSTS]
    apps = [app for site in SITES for app in site.get("apps", ())]
    calls = [name for site in SITES for name in (site["name"].lower(), *site.get("names", ()))]
    assert len(names) >= 60
    for listed in (names, hosts, apps, calls):
        assert sorted(listed) == sorted(set(listed))
    assert {site["medium"] for site in SITES} == {"search", "social", "email", "referral"}
    assert all(call == call.lower() for call in calls)


@pytest.mark.parametrize(("name", "pattern"), HOSTS)
def test_every_host_of_the_table_finds_its_site(name: str, pattern: str) -> None:
    """As it stands, below it where the pattern says so and nowhere else, and in three countries."""
    host = pattern.removeprefix("*.")
    hosts = [host.removesuffix("*") + end for end in ("com", "fr", "co.jp")] if host.endswith(".*") else [host]
    for host in hosts:
        assert host_of(f"https://{host}") == host
        found = REFERRERS.site(host)
        assert found is not None
        assert found.name == name
        below = REFERRERS.site(f"x7.{host}")
        assert (below is not None and below.name == name) is pattern.startswith("*.")
