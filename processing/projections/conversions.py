"""Conversions: a click on a product, and the first purchase of it by the same user within ten minutes."""

from typing import Final

from contracts import projections
from processing.projection import Projection
from processing.projections.pairs import pairs

WINDOW_MS: Final = 10 * 60 * 1000
"""A purchase exactly this long after the click still counts."""


def conversions() -> Projection:
    """Clicks and purchases of products."""
    return pairs(projections.conversions, "click", WINDOW_MS)
