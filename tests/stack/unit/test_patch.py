"""Repair rules mean what they mean in jq; the cases were compared with jq 1.6."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.errors import PatchError
from stack.patch import parse_rule
from stack.patch_filters import from_json, to_json

pytestmark = pytest.mark.unit

EVENT = {"a": " x ", "b": 12, "c": None, "d": {"e": "fé", "g": {"h": 1}}, "n": "3.50", "t": True, "odd name": "q"}
GIVEN = {"received_at": 1700, "source": "shop"}


def apply(rule: str, event: Any = EVENT) -> Any:
    return parse_rule(rule)(event, GIVEN)


@pytest.mark.parametrize(
    ("rule", "result"),
    [
        (".", EVENT),
        (".a", " x "),
        (".d.e", "fé"),
        ('.["odd name"]', "q"),
        ('.d["g"].h', 1),
        (".missing", None),
        (".missing.deeper", None),
        ("$received_at", 1700),
        ('"text"', "text"),
        ('"\\u00e9\\n"', "é\n"),
        ("2.50", Decimal("2.50")),
        ("null", None),
        (".b + 1", 13),
        (".b - 2 * 3", 6),
        (".b / 8", Decimal("1.5")),
        ("(.b - 2) * 3", 30),
        (".b * 1000", 12_000),
        ('.a + "y"', " x y"),
        (".c + 1", 1),
        (".d + .d.g", {"e": "fé", "g": {"h": 1}, "h": 1}),
        (".a | trim", "x"),
        (".n | tonumber", Decimal("3.50")),
        (".b | tonumber", 12),
        (".b | tostring", "12"),
        (".a | tostring", " x "),
        (".d | tostring", '{"e":"fé","g":{"h":1}}'),
        ('"[1,2.50]" | fromjson', [1, Decimal("2.50")]),
        ('"ÄbC" | ascii_downcase', "Äbc"),
        ('"äbC" | ascii_upcase', "äBC"),
        ('"p-1" | ltrimstr("p-")', "1"),
        ('"1 EUR" | rtrimstr(" EUR") | tonumber', 1),
        ('.b | ltrimstr("1")', 12),
        ('"abcdef"[1:3]', "bc"),
        ('"abcdef" | .[:2]', "ab"),
        ('"abcdef" | .[4:]', "ef"),
        ('"abc" | .[2:1]', ""),
        ("null | .[0:2]", None),
        (".c // 5", 5),
        (".t // 5", True),
        ("false // null // 7", 7),
        (".c // .missing", None),
    ],
)  # fmt: skip
def test_a_filter_gives_what_jq_gives(rule: str, result: Any) -> None:
    found = apply(rule)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        (".a = 1", {"a": 1}),
        (".a = .b", {"a": 12}),
        (".new = $source", {"new": "shop"}),
        (".new.deep.er = 1", {"new": {"deep": {"er": 1}}}),
        (".d.g.h |= . + 1", {"d": {"e": "fé", "g": {"h": 2}}}),
        (".a |= trim", {"a": "x"}),
        (".n |= tonumber", {"n": Decimal("3.50")}),
        (".b |= . * 1000", {"b": 12_000}),
        (".a |= .[0:2]", {"a": " x"}),
        ('.c = (.c // "none")', {"c": "none"}),
        (".x = 5 | .y = (.x + 1)", {"x": 5, "y": 6}),
        ('.a = .b | .b = "z"', {"a": 12, "b": "z"}),
        (".a |= (trim | ascii_upcase)", {"a": "X"}),
        (".a = .b // 7", {"a": 12}),  # `=` binds closer than `//`, in jq as well
        ("(.a) = 1", {"a": 1}),
        (".missing |= (. // 3)", {"missing": 3}),
        ("  .a=1|.b=2 ", {"a": 1, "b": 2}),
    ],
)
def test_an_assignment_changes_what_it_names_and_nothing_else(rule: str, changes: dict[str, Any]) -> None:
    before = to_json(EVENT)
    assert apply(rule) == {**EVENT, **changes}
    assert to_json(EVENT) == before


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ("del(.a)", ["b", "c", "d", "n", "t", "odd name"]),
        ('del(.["odd name"], .c, .d)', ["a", "b", "n", "t"]),
        ("del(.missing, .missing.deep)", list(EVENT)),
        (".k = .b | del(.b)", ["a", "c", "d", "n", "t", "odd name", "k"]),
    ],
)
def test_del_removes_fields(rule: str, left: list[str]) -> None:
    assert list(apply(rule)) == left


def test_del_removes_within_objects() -> None:
    assert apply("del(.d.g.h)")["d"] == {"e": "fé", "g": {}}
    assert apply("del(.d.missing.h)")["d"] == EVENT["d"]


@pytest.mark.parametrize(
    "rule",
    [
        "", " ", "1 +", "(", ")", "(.a", ".a = ", ".a = 1 = 2", ".a = 1;", ".a b", "..", ".a[", '.["a"', ".a[]",
        ".a[0]", ".a[1.5:]", ".a[0:1:2]", "@x", "1 = 2", "$source = 1", '"x" |= trim', "del(1)", "del(.)", "del()",
        "del(.a", "trim(1", "ltrimstr", ".a |= | .b", "a.b = 1", "nosuchfilter", ".é = 1", '"\\ud800"', '"unended',
        "(" * 60 + ".a" + ")" * 60, ".a, .b", "if .a then 1 else 2 end", ".a == 1", "-1",
    ],
)  # fmt: skip
def test_a_rule_that_is_not_understood_is_refused_before_any_event(rule: str) -> None:
    with pytest.raises(PatchError):
        parse_rule(rule)


@pytest.mark.parametrize(
    "rule",
    [
        ".a.b", ".b.x = 1", "del(.a.b)", ".b | trim", '"x" | tonumber', '"[1]" | tonumber', '"true" | tonumber',
        '"NaN" | tonumber', "null | tonumber", ".a + 1", ".b * .a", ".a - .a", "1 / 0", ".t + 1", ".b | .[0:1]",
        '"{" | fromjson', "$nobody", ".c | trim", ".a | ascii_downcase | . * 2", '("[" * 1)',
    ],
)  # fmt: skip
def test_a_rule_without_meaning_for_an_event_says_so(rule: str) -> None:
    with pytest.raises(PatchError):
        apply(rule)


def test_digits_are_kept_through_reading_changing_and_writing() -> None:
    event = from_json(b'{"amount":19.90,"quantity":3,"properties":{"a":1.10}}')
    assert to_json(parse_rule(".amount |= . * 100 | .note = (.amount | tostring)")(event, {})) == (
        b'{"amount":1990,"quantity":3,"properties":{"a":1.10},"note":"1990"}'
    )


def test_the_message_shows_where_a_rule_is_not_understood() -> None:
    with pytest.raises(PatchError, match=r"from '\$\$' on: \.a = \$\$"):
        parse_rule(".a = $$")
    with pytest.raises(PatchError, match="ends too early"):
        parse_rule(".a =")
    with pytest.raises(PatchError, match=r"no filter 'trimm'; there are trim, "):
        parse_rule(".a |= trimm")


PIECES = [
    ".a", ".b", ".", "=", "|=", "|", "//", "+", "-", "*", "/", "(", ")", "[", "]", ":", ",", "1", '"x"', "del", "trim",
    "$source", "null", "tonumber", "fromjson", "ltrimstr", " ", "\x00", "é",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_is_a_rule_or_is_refused(rule: str) -> None:
    with suppress(PatchError):
        apply(rule)
