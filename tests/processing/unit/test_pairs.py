"""Pairs: which click, and which addition to a cart, led to which purchase, whichever of the two arrives first."""

from itertools import permutations
from typing import Any

import pytest

from contracts.settings import ShopSettings
from processing.definitions import fingerprints
from processing.projections import build_projections
from tests.processing.builders import START_MS, Event, at, click, sale
from tests.processing.expected import Rows, expected
from tests.processing.folding import table_of
from tests.processing.log_rows import logged

pytestmark = pytest.mark.unit

WINDOW_MS = 600_000
CART_MS = 3_600_000


def on_click(event_id: str, after_ms: int = 0, **changes: Any) -> Event:
    return click(event_id, action="click", timestamp=START_MS + after_ms, **changes)


def bought(event_id: str, after_ms: int = 0, **changes: Any) -> Event:
    return sale(event_id, timestamp=START_MS + after_ms, **changes)


def conversions(*epochs: Event | list[Event]) -> Rows:
    """The table after epochs of one event or of several; it is what the oracle says, too."""
    parts = [epoch if isinstance(epoch, list) else [epoch] for epoch in epochs]
    rows = [[logged(event, epoch=number) for event in part] for number, part in enumerate(parts, start=1)]
    found = table_of("conversions", *rows)
    assert found == expected(row for part in rows for row in part)["conversions"]
    return found


def led_to(rows: Rows) -> dict[str, str | None]:
    """Click to the purchase that it led to."""
    return {key[3]: row["purchase_id"] for key, row in rows.items() if not key[4]}


@pytest.mark.parametrize(
    ("after_ms", "purchase"),
    [(-1, None), (0, "p"), (CART_MS, "p"), (CART_MS + 1, None)],
    ids=["just before it", "with it", "exactly an hour after it", "just over an hour"],
)
def test_what_is_put_into_a_cart_is_bought_within_an_hour_by_default(after_ms: int, purchase: str | None) -> None:
    added, bare = (click(of, action="add_to_cart", product_id=p) for of, p in (("a", "p1"), ("none", None)))
    parts = [[logged(added), logged(bare), logged(on_click("c"))], [logged(bought("p", after_ms), epoch=2)]]
    for epochs in parts, parts[::-1], [parts[0] + parts[1]]:
        found = table_of("carts", *epochs)
        assert found == expected(row for part in epochs for row in part)["carts"]
        assert led_to(found) == {"a": purchase}


def test_how_long_a_cart_is_waited_for_is_part_of_what_the_table_is() -> None:
    hour, minute = (build_projections(ShopSettings(cart_minutes=minutes)) for minutes in (60, 1))
    changed = {name for name, made_by in fingerprints(hour).items() if fingerprints(minute)[name] != made_by}
    assert changed == {"carts"}


@pytest.mark.parametrize(
    ("after_ms", "purchase"),
    [(-1, None), (0, "p"), (1, "p"), (WINDOW_MS, "p"), (WINDOW_MS + 1, None)],
    ids=["just before the click", "with it", "just after it", "exactly ten minutes after it", "just over ten minutes"],
)
def test_a_purchase_counts_from_the_click_to_ten_minutes_after_it(after_ms: int, purchase: str | None) -> None:
    one, other = on_click("c"), bought("p", after_ms)
    for epochs in ([one, other],), (one, other), (other, one):
        found = conversions(*epochs)
        assert led_to(found) == {"c": purchase}
        (row,) = (row for key, row in found.items() if not key[4])
        assert row["purchased_at"] == (at(START_MS + after_ms) if purchase else None)


def test_of_several_purchases_the_first_counts_and_of_one_instant_the_lower_id() -> None:
    later, low, high = bought("a", 3_000), bought("b", 2_000), bought("c", 2_000)
    for order in [*permutations((later, low, high, on_click("click")))][::5]:
        assert led_to(conversions(*order)) == {"click": "b"}


def test_one_purchase_may_follow_several_clicks_and_each_is_converted() -> None:
    for order in permutations((on_click("a"), on_click("b", 1_000), bought("p", 2_000))):
        assert led_to(conversions(*order)) == {"a": "p", "b": "p"}


@pytest.mark.parametrize(
    "purchase",
    [bought("p", 1, user_id="u2"), bought("p", 1, product_id="p2"), bought("p", 1, kind="refund")],
    ids=["another user", "another product", "a refund"],
)
def test_what_does_not_convert(purchase: Event) -> None:
    assert led_to(conversions(on_click("c"), purchase)) == led_to(conversions(purchase, on_click("c"))) == {"c": None}


def test_an_event_that_comes_later_does_not_take_a_click_from_a_purchase_it_does_not_meet() -> None:
    # In the third epoch only rows around the new click are read: the first click, whose purchase is out of their
    # reach, and the purchase between the two.
    first, far, near = on_click("first"), bought("far", WINDOW_MS), bought("near", WINDOW_MS + 100)
    assert led_to(conversions(first, far, on_click("new", 101), near)) == {"first": "far", "new": "far"}
    assert led_to(conversions(near, on_click("new", 101), first, far)) == {"first": "far", "new": "far"}
    between = bought("between", 50)
    assert led_to(conversions([first, far], between, on_click("new", 51))) == {"first": "between", "new": "far"}


def test_only_clicks_and_purchases_of_a_product_are_kept() -> None:
    other = [click("view"), click("none", action="click", product_id=None), bought("back", kind="refund")]
    assert conversions([*other, on_click("c"), bought("p")]).keys() == {
        ("u1", "p1", at(START_MS), "c", False),
        ("u1", "p1", at(START_MS), "p", True),
    }


def test_the_same_id_as_click_and_as_purchase_is_two_rows() -> None:
    assert led_to(conversions(on_click("same"), bought("same"))) == {"same": "same"}


def test_a_click_is_touched_by_the_epoch_that_converts_it_and_by_one_that_does_so_sooner() -> None:
    click_key = ("u1", "p1", at(START_MS), "c", False)
    epochs = [on_click("c"), bought("a", 5_000), bought("b", 9_000), bought("d", 1_000), bought("e", 2_000)]
    touched = [conversions(*epochs[: count + 1])[click_key]["last_epoch"] for count in range(len(epochs))]
    assert touched == [1, 2, 2, 4, 4]


def test_a_row_says_whether_its_event_was_late_and_whether_a_bot_did_it() -> None:
    rows = [logged(on_click("a", user_agent="crawler"), late=True), logged(bought("b", category=""))]
    found = {key[3]: (row["late"], row["bot"], row["category"]) for key, row in table_of("conversions", rows).items()}
    assert found == {"a": (True, True, "books"), "b": (False, False, "")}
