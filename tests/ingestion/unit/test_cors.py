"""What pages of other origins are told, by policy, origin and what they ask for."""

from types import SimpleNamespace
from typing import Any

import pytest

from ingestion.cors import Cors
from ingestion.routes import Route, Routes

pytestmark = pytest.mark.unit

SHOP, OTHER = "https://shop.example", "https://other.example"


def asking(origin: str | None = None, headers: str | None = None) -> Any:
    sent = {"origin": origin, "access-control-request-headers": headers}
    return SimpleNamespace(get=sent.get)


def test_any_origin_is_let_in_without_credentials() -> None:
    for request in (asking(), asking(SHOP), asking("null")):
        answered = dict(Cors(None).headers(request))
        assert answered["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answered
        assert "Retry-After" in answered["access-control-expose-headers"]


def test_listed_origins_are_let_in_by_name() -> None:
    cors = Cors(frozenset({SHOP}))
    assert dict(cors.headers(asking(SHOP)))["access-control-allow-origin"] == SHOP
    for request in (asking(), asking(OTHER), asking(SHOP + ".evil")):
        assert cors.headers(request) == (("vary", "Origin"),)
        assert cors.preflight(request, ["POST"]) == (("vary", "Origin, Access-Control-Request-Headers"),)


def test_credentials_need_the_origin_by_name() -> None:
    answered = dict(Cors(None, credentials=True).headers(asking(OTHER)))
    assert answered["access-control-allow-origin"] == OTHER
    assert answered["access-control-allow-credentials"] == "true"
    assert answered["vary"] == "Origin"
    assert "access-control-allow-origin" not in dict(Cors(None, credentials=True).headers(asking()))
    assert dict(Cors(frozenset({SHOP}), credentials=True).headers(asking(OTHER))) == {"vary": "Origin"}


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("authorization,content-type,x-retry-count", "authorization,content-type,x-retry-count"),
        (None, "Authorization, Content-Encoding, Content-Type"),
        ("a\tb", "Authorization, Content-Encoding, Content-Type"),
        ("a" * 5000, "Authorization, Content-Encoding, Content-Type"),
    ],
)
def test_a_preflight_grants_the_headers_asked_for(asked: str | None, allowed: str) -> None:
    answered = dict(Cors(None).preflight(asking(SHOP, asked), ["POST", "OPTIONS"]))
    assert answered["access-control-allow-headers"] == allowed
    assert answered["access-control-allow-methods"] == "POST, OPTIONS"
    assert answered["access-control-max-age"] == "3600"


async def nothing(*_: object) -> Any:
    return None


async def test_a_route_with_a_variable_part_is_found_and_named_by_its_template() -> None:
    routes = Routes()
    settings = Route("/v1/projects/{key}/settings", {"GET": nothing})
    routes.add(settings)
    routes.add(Route("/v1/projects/all/settings", {"POST": nothing}))
    assert routes.find("/v1/projects/abc.d/settings") == (settings, ("abc.d",))
    found, parts = routes.find("/v1/projects/all/settings")
    assert found is not None
    assert (found.path, parts) == ("/v1/projects/all/settings", ())
    for path in ("/v1/projects//settings", "/v1/projects/a/b/settings", "/v1/projects/a/settings/", "/x"):
        assert routes.find(path) == (None, ())
    assert settings.methods() == ["GET", "HEAD", "OPTIONS"]
    assert settings.handler("HEAD") is nothing
    assert settings.handler("PUT") is None
    options = settings.handler("OPTIONS")
    assert options is not None
    answer = await options(SimpleNamespace(headers=asking()))
    assert (answer.status, answer.headers) == (204, (("allow", "GET, HEAD, OPTIONS"),))


def test_a_path_is_served_once() -> None:
    for path in ("/a", "/a/{b}"):
        routes = Routes()
        routes.add(Route(path, {}))
        with pytest.raises(ValueError, match="twice"):
            routes.add(Route(path, {}))
