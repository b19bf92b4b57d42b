"""What one visitor does: land, search, browse, view, click, fill a cart, check out, buy; bots only view, fast.

A visit is a generator of events in time order. The funnel holds by construction: nothing is added that was not
viewed, nothing checked out with an empty cart, nothing bought without a checkout.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from urllib.parse import quote_plus

from loadtest.catalogue import Catalogue, Product, lognormal_seconds
from loadtest.people import Person, source

SITE: Final = "https://shop.example"

_BOUNCE: Final = 0.30
_SEARCH: Final = 0.35
_SCROLL: Final = 0.30
_CLICK: Final = 0.45
_ADD_AFTER_CLICK: Final = 0.22
_REMOVE_AFTER_ADD: Final = 0.10
_CHECK_OUT: Final = 0.55
_BUY: Final = 0.70
_REFUND: Final = 0.03
_PAYMENT_METHODS: Final = ("card", "card", "card", "card", "paypal", "paypal", "wallet", "invoice")


@dataclass(slots=True)
class ShopEvent:
    """One event before it has a date."""

    at_ms: int
    """Milliseconds after the start of the run; negative before it."""
    body: dict[str, Any]
    """The event in its JSON form, without `timestamp`."""

    def stamped(self, start_ms: int) -> dict[str, Any]:
        """The event as sent, its time counted from `start_ms` (epoch milliseconds)."""
        return {**self.body, "timestamp": start_ms + self.at_ms}


class Visit:
    """One visitor's stay under one session id."""

    def __init__(self, dice: Random, catalogue: Catalogue, person: Person, at_ms: int) -> None:
        self._dice, self._catalogue, self._person = dice, catalogue, person
        self._now_ms = at_ms
        self._session_id = f"s-{dice.getrandbits(80):020x}"
        self._properties = {"device": person.device, "country": person.country}
        self._cart: list[Product] = []

    def browse(self) -> Iterator[ShopEvent]:
        """The natural visit: most people look, few buy."""
        interest = self._dice.choice(self._person.favourites)
        yield from self._land(interest)
        if self._dice.random() < _BOUNCE:
            return
        for _ in range(1 + int(self._dice.expovariate(0.8))):
            yield from self._find(interest)
            for _ in range(1 + int(self._dice.expovariate(0.6))):
                yield from self._look(self._catalogue.pick(self._dice, interest))
            interest = self._dice.choice(self._person.favourites)
        yield from self._pay(_CHECK_OUT, _BUY)

    def reorder(self) -> Iterator[ShopEvent]:
        """A customer with a list: straight to a few products, into the cart, paid. Sells far more than it shows."""
        for _ in range(self._dice.randint(3, 6)):
            product = self._catalogue.pick(self._dice, self._dice.choice(self._person.favourites))
            yield self._view(product)
            self._think(4)
            yield self._add(product)
            self._think(3)
        yield from self._pay(1.0, 0.95)

    def crawl(self) -> Iterator[ShopEvent]:
        """A bot: many views at machine speed, no interest, never a cart."""
        for _ in range(self._dice.randint(20, 120)):
            yield self._view(self._catalogue.pick(self._dice))
            self._now_ms += self._dice.randint(150, 900)

    def look_at(self, product: Product) -> Iterator[ShopEvent]:
        """A visit for one thing, which is looked at and no more."""
        yield self._view(product)
        self._think(10)
        yield self._on_product("scroll", product)

    def order(self, product: Product) -> Iterator[ShopEvent]:
        """A visit for one thing, which is bought."""
        yield self._view(product)
        self._think(5)
        yield self._add(product)
        self._think(3)
        yield from self._pay(1.0, 1.0)

    def _land(self, interest: str) -> Iterator[ShopEvent]:
        came_from = source(self._dice, interest.rpartition(".")[2])
        roll = self._dice.random()
        if roll < 0.45:
            yield self._click_event("page_view", f"/{came_from.landing_query}", referrer=came_from.referrer)
        elif roll < 0.70:
            page = f"/c/{interest}{came_from.landing_query}"
            yield self._click_event("page_view", page, category=interest, referrer=came_from.referrer)
        else:
            yield self._view(self._catalogue.pick(self._dice, interest), came_from.landing_query, came_from.referrer)
        self._think(10)

    def _find(self, interest: str) -> Iterator[ShopEvent]:
        if self._dice.random() < _SEARCH:
            query = self._catalogue.pick(self._dice, interest).name.lower()
            yield self._click_event("search", f"/search?q={quote_plus(query)}", search_query=query)
        else:
            yield self._click_event("page_view", f"/c/{interest}", category=interest)
        self._think(10)

    def _look(self, product: Product) -> Iterator[ShopEvent]:
        yield self._view(product)
        self._think(14)
        if self._dice.random() < _SCROLL:
            yield self._on_product("scroll", product)
            self._think(7)
        if self._dice.random() < _CLICK:
            yield self._on_product("click", product)
            self._think(7)
            if self._dice.random() < _ADD_AFTER_CLICK:
                yield self._add(product)
                self._think(9)
                if self._dice.random() < _REMOVE_AFTER_ADD:
                    self._cart.remove(product)
                    yield self._on_product("remove_from_cart", product, "/cart")
                    self._think(7)

    def _pay(self, check_out: float, buy: float) -> Iterator[ShopEvent]:
        if not self._cart or self._dice.random() >= check_out:
            return
        yield self._click_event("checkout_start", "/checkout")
        self._think(45)
        if self._dice.random() >= buy:
            return
        order_id = f"ord-{self._dice.getrandbits(64):016x}"
        payment_method = self._dice.choice(_PAYMENT_METHODS)
        lines = [self._line(product, order_id, payment_method) for product in self._cart]
        yield from lines
        self._think(2)
        yield self._click_event("page_view", f"/orders/{order_id}")
        if self._dice.random() < _REFUND:
            yield self._refund(self._dice.choice(lines))

    def _view(self, product: Product, query: str = "", referrer: str | None = None) -> ShopEvent:
        return self._on_product("view", product, f"/p/{product.product_id}{query}", referrer)

    def _add(self, product: Product) -> ShopEvent:
        self._cart.append(product)
        return self._on_product("add_to_cart", product)

    def _on_product(
        self, action: str, product: Product, page: str | None = None, referrer: str | None = None
    ) -> ShopEvent:
        page = page or f"/p/{product.product_id}"
        named = {"product_id": product.product_id, "category": product.category}
        return self._click_event(action, page, **named, referrer=referrer)

    def _click_event(self, action: str, page: str, **optional: str | None) -> ShopEvent:
        """One clickstream event; `optional` are fields of the schema that may be absent."""
        body: dict[str, Any] = {
            "type": "clickstream",
            "event_id": f"evt-{self._dice.getrandbits(96):024x}",
            "user_id": self._person.user_id,
            "session_id": self._session_id,
            "action": action,
            "page_url": SITE + page,
            "user_agent": self._person.user_agent,
            "properties": self._properties,
        }
        body.update((name, value) for name, value in optional.items() if value is not None)
        return ShopEvent(self._now_ms, body)

    def _line(self, product: Product, order_id: str, payment_method: str) -> ShopEvent:
        quantity = 1 if self._dice.random() < 0.85 else self._dice.randint(2, 4)
        body = {
            "type": "transaction",
            "transaction_id": f"txn-{self._dice.getrandbits(96):024x}",
            "user_id": self._person.user_id,
            "session_id": self._session_id,
            "product_id": product.product_id,
            "category": product.category,
            "amount": str(product.price * quantity),
            "quantity": quantity,
            "payment_method": payment_method,
            "order_id": order_id,
        }
        return ShopEvent(self._now_ms, body)

    def _refund(self, line: ShopEvent) -> ShopEvent:
        """Minutes later, by the back office: another session of the same customer."""
        self._now_ms += self._dice.randint(120_000, 900_000)
        fresh = {
            "transaction_id": f"txn-{self._dice.getrandbits(96):024x}",
            "session_id": f"s-{self._dice.getrandbits(80):020x}",
            "kind": "refund",
        }
        return ShopEvent(self._now_ms, {**line.body, **fresh})

    def _think(self, median_seconds: float) -> None:
        self._now_ms += int(1000 * lognormal_seconds(self._dice, median_seconds))
