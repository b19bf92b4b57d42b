"""A report as text for a terminal, and for the plain part of a mail."""

from collections.abc import Iterable, Sequence

from processing.reporting import wording
from processing.reporting.figures import Report


def as_text(report: Report) -> str:
    """The whole report; lines end with a newline."""
    whole = wording.is_whole(report)
    parts = [
        [f"Report of {wording.title(report)}", wording.as_of(report)],
        [f"Totals, and the same {'weekday' if whole else 'hours'} a week before", *_columns(wording.totals(report))],
        ["Funnel of sessions", *_columns(wording.funnel(report)), wording.carts(report)],
        [
            "Most viewed",
            *_columns(
                (
                    each.product_id,
                    each.category,
                    f"{each.views:,} views",
                    f"{each.units:,} sold",
                    wording.money(each.revenue),
                )
                for each in report.top_products
            ),
        ],
        [
            "Who came",
            *_columns(
                (
                    wording.GROUPS[each.group],
                    f"{each.users:,} people",
                    f"{each.sessions:,} sessions",
                    f"{each.views:,} views",
                    wording.money(each.revenue),
                )
                for each in report.shoppers
            ),
        ],
        [
            "Customers, by how lately, how often and for how much they bought",
            *_columns(
                (
                    wording.GROUPS[each.group],
                    f"{each.users:,} people",
                    f"{each.orders:,} orders",
                    wording.money(each.revenue),
                )
                for each in report.customers
            ),
        ],
        ["Odd", wording.odd(report), *(wording.oddity(each, report) for each in report.oddest)],
        ["Quality of the data", *wording.quality(report)],
    ]
    return "\n".join("\n".join([part[0], *(f"  {line}" for line in part[1:]), ""]) for part in parts)


def _columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows with their columns below one another, the first to the left and the others to the right."""
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in listed
    ]
