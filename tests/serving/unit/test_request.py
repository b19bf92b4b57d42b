"""Requests as they come: what is taken, what is not, and which are the same."""

from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.request import BadRequest, Unreadable, from_body, from_query_string

pytestmark = pytest.mark.unit

NO_OBJECT: list[object] = ["x", 0, False, []]
NO_TEXT: list[object] = [{}, 0, False, []]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def body(**members: object) -> bytes:
    return orjson.dumps({"query": "{ a }", **members})


@pytest.mark.parametrize(
    "told",
    [b"", b"{", b"\xff", b'{"query":"\xff"}', b'{"query":NaN}', b"[" * 100_000, b'{"query":"\\ud800"}'],
)
def test_what_is_no_json_is_unreadable(told: bytes) -> None:
    with pytest.raises(Unreadable):
        from_body(told)


@pytest.mark.parametrize(
    "told",
    [b"[]", b'"query"', b"null", b"{}", body(query=None), body(query=1), body(query=""), body(query=["{ a }"])]
    + [body(variables=bad) for bad in NO_OBJECT]
    + [body(operationName=bad) for bad in NO_TEXT]
    + [body(extensions=bad) for bad in NO_OBJECT],
)
def test_a_member_of_another_kind_is_refused(told: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        from_body(told)
    assert not isinstance(refused.value, Unreadable)


@given(variables=st.dictionaries(st.text("ab", min_size=1), VALUES, max_size=3), name=st.none() | st.text("nm"))
def test_the_same_request_has_the_same_key_however_it_is_written(
    variables: dict[str, object], name: str | None
) -> None:
    plain = body(variables=variables, operationName=name)
    other = orjson.dumps(
        {"operationName": name, "variables": dict(reversed(variables.items())), "query": "{ a }", "x": 1}
    )
    assert from_body(plain).key == from_body(other).key == from_body(b" " + plain).key


@given(one=VALUES, other=VALUES)
def test_requests_of_other_variables_have_other_keys(one: object, other: object) -> None:
    keys = [from_body(body(variables={"v": value})).key for value in (one, other)]
    assert (keys[0] == keys[1]) is (
        orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    )


def test_a_get_may_not_write_and_is_told_apart() -> None:
    told = urlencode({"query": "{ a }", "variables": '{"v":"ä&="}', "operationName": ""}).encode()
    request = from_query_string(told)
    assert (request.query, request.operation_name, request.variables) == ("{ a }", None, {"v": "ä&="})
    assert not request.may_write
    assert request.key != from_body(body(variables={"v": "ä&="})).key


@pytest.mark.parametrize("told", [b"", b"query=", b"query=%ff", b"query={a}&variables={", b"query={a}&variables=[]"])
def test_a_query_string_that_is_no_request_is_refused(told: bytes) -> None:
    with pytest.raises(BadRequest):
        from_query_string(told)
