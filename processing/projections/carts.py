"""Carts: a product put into a cart, and the first purchase of it by the same user before it counts as abandoned."""

from contracts import projections
from contracts.settings import ShopSettings
from processing.projection import Projection
from processing.projections.pairs import pairs


def carts(shop: ShopSettings) -> Projection:
    """Additions to carts and purchases of products, within the shop's minutes."""
    return pairs(projections.carts, "add_to_cart", shop.cart_minutes * 60_000)
