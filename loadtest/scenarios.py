"""Things that go wrong in a shop for a while, so that what watches over it can be tried: an overlay on its stream.

Each is seeded like the shop. Outside of its time the stream is as it was, event by event.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Final

from loadtest.catalogue import Product
from loadtest.shop import Shop
from loadtest.visits import ShopEvent, Visit

DROP: Final = Product("sku-drop", "Limited Sneakers", "fashion.shoes", Decimal("189.00"))
"""What the flash sale is about: in no catalogue, so nobody comes upon it before."""
_VIEWS_PER_SECOND: Final = 2.0
_BOTS_PER_SECOND: Final = 0.5
"""A bot's visit is some seventy views in half a minute."""
_BARGAINS_PER_SECOND: Final = 1.0
_PRICE_ERROR: Final = Decimal("0.01")


@dataclass(frozen=True)
class Span:
    """When it happens, in shop time: [start, end) milliseconds after the start of the run."""

    start_ms: int
    end_ms: int

    def covers(self, event: ShopEvent) -> bool:
        """Whether the event is of that time."""
        return self.start_ms <= event.at_ms < self.end_ms


Scenario = Callable[[Iterable[ShopEvent], Span, Shop, Random], Iterator[ShopEvent]]


def play(name: str, events: Iterable[ShopEvent], span: Span, shop: Shop, seed: int) -> Iterator[ShopEvent]:
    """The stream with the scenario of this name in it. Raises KeyError for a name that is none of `SCENARIOS`."""
    return SCENARIOS[name](events, span, shop, Random(f"{name} {seed}"))


def _flash_sale(events: Iterable[ShopEvent], span: Span, shop: Shop, dice: Random) -> Iterator[ShopEvent]:
    """Everybody looks at one thing, which nobody can buy."""
    visits = (
        Visit(dice, shop.catalogue, shop.people.visitor(dice), at).look_at(DROP)
        for at in _times(span, dice, _VIEWS_PER_SECOND)
    )
    return _merged(events, visits, span)


def _outage(events: Iterable[ShopEvent], span: Span, _shop: Shop, _dice: Random) -> Iterator[ShopEvent]:
    """Nobody gets through."""
    return (event for event in events if not span.covers(event))


def _bot_wave(events: Iterable[ShopEvent], span: Span, shop: Shop, dice: Random) -> Iterator[ShopEvent]:
    """Crawlers by the dozen."""
    visits = (
        Visit(dice, shop.catalogue, shop.people.bot(dice), at).crawl() for at in _times(span, dice, _BOTS_PER_SECOND)
    )
    return _merged(events, visits, span)


def _price_error(events: Iterable[ShopEvent], span: Span, shop: Shop, dice: Random) -> Iterator[ShopEvent]:
    """The best-seller costs a hundredth, and word gets around."""
    best = shop.catalogue.best_seller
    cheap = Product(best.product_id, best.name, best.category, (best.price * _PRICE_ERROR).quantize(Decimal("0.01")))

    def repriced() -> Iterator[ShopEvent]:
        for event in events:
            if span.covers(event) and event.body.get("product_id") == best.product_id and "amount" in event.body:
                amount = cheap.price * event.body["quantity"]
                yield ShopEvent(event.at_ms, {**event.body, "amount": str(amount)})
            else:
                yield event

    visits = (
        Visit(dice, shop.catalogue, shop.people.visitor(dice), at).order(cheap)
        for at in _times(span, dice, _BARGAINS_PER_SECOND)
    )
    return _merged(repriced(), visits, span)


def _checkout_broken(events: Iterable[ShopEvent], span: Span, _shop: Shop, _dice: Random) -> Iterator[ShopEvent]:
    """Checkouts begin and no purchase comes of them; refunds go on."""
    return (event for event in events if not (span.covers(event) and _is_of_a_purchase(event)))


def _is_of_a_purchase(event: ShopEvent) -> bool:
    if event.body["type"] == "transaction":
        return event.body.get("kind") != "refund"
    return "/orders/" in event.body.get("page_url", "")


def _times(span: Span, dice: Random, per_second: float) -> Iterator[int]:
    at_ms = float(span.start_ms)
    while (at_ms := at_ms + dice.expovariate(per_second) * 1000) < span.end_ms:
        yield int(at_ms)


def _merged(events: Iterable[ShopEvent], visits: Iterable[Iterator[ShopEvent]], span: Span) -> Iterator[ShopEvent]:
    """Both in the order of time: of the visits what lies in the span, nothing after the last event of the stream."""
    extra = (event for visit in visits for event in visit if span.covers(event))
    in_order = iter(sorted(extra, key=lambda event: event.at_ms))
    following = next(in_order, None)
    for event in events:
        while following is not None and following.at_ms <= event.at_ms:
            yield following
            following = next(in_order, None)
        yield event


SCENARIOS: Final[dict[str, Scenario]] = {
    "flash-sale": _flash_sale,
    "outage": _outage,
    "bot-wave": _bot_wave,
    "price-error": _price_error,
    "checkout-broken": _checkout_broken,
}
