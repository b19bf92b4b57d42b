"""Every projection, one file each. Adding one is writing its file and its line here."""

from contracts.settings import ShopSettings
from processing.projection import Projection
from processing.projections.carts import carts
from processing.projections.category_minutes import category_minutes
from processing.projections.conversions import conversions
from processing.projections.delays import delays
from processing.projections.orders import orders
from processing.projections.product_minutes import product_minutes
from processing.projections.sessions import sessions
from processing.projections.site_minutes import site_minutes
from processing.projections.user_categories import user_categories
from processing.projections.users import users


def build_projections(shop: ShopSettings) -> tuple[Projection, ...]:
    """The projections in the order in which an epoch folds them: what takes longest to combine goes first."""
    return (
        sessions(shop),
        product_minutes(),
        category_minutes(),
        site_minutes(),
        conversions(),
        carts(shop),
        orders(),
        users(),
        user_categories(),
        delays(),
    )
