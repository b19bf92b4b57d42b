"""What the shop sells: a few hundred products in categories with sensible prices and a few best-sellers."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from math import log
from random import Random
from typing import Final, Generic, TypeVar

from faker import Faker

T = TypeVar("T")

_POPULARITY_EXPONENT: Final = 0.9
"""Zipf exponent of product popularity: the best tenth takes about half of the views."""

CATEGORIES: Final[dict[str, tuple[int, int, tuple[str, ...]]]] = {
    "electronics.smartphones": (149, 1299, ("Phone", "Phone Pro", "Phone Mini")),
    "electronics.laptops": (399, 2499, ("Notebook", "Ultrabook", "Workstation")),
    "electronics.audio": (19, 449, ("Headphones", "Earbuds", "Speaker", "Soundbar")),
    "appliances.kitchen": (24, 699, ("Kettle", "Toaster", "Blender", "Espresso Machine")),
    "home.furniture": (49, 1499, ("Chair", "Desk", "Shelf", "Sofa")),
    "home.lighting": (12, 249, ("Lamp", "Pendant", "Lantern")),
    "fashion.shoes": (29, 219, ("Sneakers", "Boots", "Sandals")),
    "fashion.clothing": (9, 189, ("Shirt", "Jacket", "Jeans", "Dress")),
    "sports.outdoor": (14, 599, ("Tent", "Backpack", "Bottle", "Sleeping Bag")),
    "beauty.care": (4, 79, ("Cream", "Shampoo", "Serum")),
    "books": (5, 49, ("Novel", "Cookbook", "Atlas")),
    "toys": (7, 129, ("Puzzle", "Blocks", "Board Game")),
}
"""Category: lowest and highest price in whole units of the shop's currency, and what things there are called."""


@dataclass(frozen=True, slots=True)
class Product:
    """One thing for sale."""

    product_id: str
    name: str
    category: str
    price: Decimal
    """Per unit, two decimals."""


class Ranked(Generic[T]):
    """Things chosen by Zipf's law: the first is the most popular."""

    def __init__(self, things: Sequence[T], exponent: float) -> None:
        self.things = tuple(things)
        self._weights = list(accumulate(1 / rank**exponent for rank in range(1, len(things) + 1)))

    def pick(self, dice: Random) -> T:
        """One of them, popular ones more often."""
        return dice.choices(self.things, cum_weights=self._weights)[0]


class Catalogue:
    """All products, and the two ways a visitor comes upon one: anywhere, or within a category."""

    def __init__(self, dice: Random, fake: Faker, size: int) -> None:
        categories = list(CATEGORIES)
        self.products = tuple(_product(n, categories[n % len(categories)], dice, fake) for n in range(size))
        order = dice.sample(self.products, len(self.products))
        self._all = Ranked(order, _POPULARITY_EXPONENT)
        self._by_category = {
            category: Ranked([p for p in order if p.category == category], _POPULARITY_EXPONENT)
            for category in categories
        }

    @property
    def best_seller(self) -> Product:
        """The most popular product."""
        return self._all.things[0]

    def pick(self, dice: Random, category: str | None = None) -> Product:
        """A product as popularity has it, of this category if one is named."""
        return (self._by_category[category] if category else self._all).pick(dice)


def _product(number: int, category: str, dice: Random, fake: Faker) -> Product:
    low, high, nouns = CATEGORIES[category]
    # Log-uniform: cheap things are many, dear ones few.
    whole = int(low * (high / low) ** dice.random())
    cents = dice.choice(("0.99", "0.49", "0.90", "0.00"))
    name = f"{fake.color_name()} {dice.choice(nouns)}"
    return Product(f"sku-{number:04d}", name, category, Decimal(whole) + Decimal(cents))


def lognormal_seconds(dice: Random, median: float, spread: float = 0.7) -> float:
    """A human waiting time: never negative, mostly near the median, sometimes much longer."""
    return dice.lognormvariate(log(median), spread)
