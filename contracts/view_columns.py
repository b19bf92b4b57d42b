"""Columns that several views have, each with what it means and its unit."""

from typing import Final, NamedTuple


class ViewColumn(NamedTuple):
    """A column of a view: its type in Postgres, and what it means, with its unit."""

    type: str
    meaning: str


Columns = dict[str, ViewColumn]


def time(meaning: str) -> ViewColumn:
    return ViewColumn("timestamptz", meaning)


def text(meaning: str) -> ViewColumn:
    return ViewColumn("text", meaning)


def count(meaning: str) -> ViewColumn:
    return ViewColumn("bigint", meaning)


def money(meaning: str) -> ViewColumn:
    return ViewColumn("numeric", f"{meaning}, in the currency")


def number(meaning: str) -> ViewColumn:
    return ViewColumn("double precision", meaning)


def flag(meaning: str) -> ViewColumn:
    return ViewColumn("boolean", meaning)


MEASURES: Final[Columns] = {
    "events": count("events of any kind"),
    "views": count("page views and product views"),
    "clicks": count("clicks"),
    "searches": count("searches"),
    "adds": count("additions to carts"),
    "removes": count("removals from carts"),
    "checkouts": count("starts of a checkout"),
    "purchases": count("order lines bought"),
    "units": count("pieces bought"),
    "refunds": count("order lines refunded"),
    "revenue": money("sum of purchases; refunds are not taken off"),
    "refunded": money("sum of refunds, positive"),
    "late": count("events that came after the watermark had passed them; they are counted all the same"),
}
BOT: Final[Columns] = {"bot": flag("whether bots did it: a bot score of 50 or more")}
PRODUCT: Final[Columns] = {"product_id": text("the product")}
CATEGORY: Final[Columns] = {"category": text("the category; empty where events named none")}
CURRENCY: Final[Columns] = {"currency": text("ISO 4217 code of the money in the row: the shop has one")}
RECORDS: Final[Columns] = {
    "records": count("records read from the log: applied, duplicates, quarantined and rejected together"),
    "applied": count("events that every number counts"),
    "duplicates": count("records whose event had been applied before"),
    "conflicts": count("those of the duplicates whose payload is another than the first one had"),
    "quarantined": count("records that do not decode to an event"),
    "rejected": count("records of events that the gateway refused"),
    "late": count("applied events that the watermark had passed"),
}
