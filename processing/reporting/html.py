"""A report as one HTML file that opens from anywhere, and as a mail: no script, nothing fetched, light and dark."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from processing.reporting import wording
from processing.reporting.figures import Report

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6573; --line: #d8dce2; --back: #fff; --bar: #2f6fde;
  --good: #16794a; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --soft: #9aa4b1; --line: #343b45; --back: #14181d;
  --bar: #7ba8ff; --good: #55c48d; --bad: #ff8a80 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0 auto; padding: 1rem;
  max-width: 46rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem } .soft { color: var(--soft) }
.good { color: var(--good) } .bad { color: var(--bad) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left } th { font-weight: 600; color: var(--soft) }
.bar { display: block; height: .4rem; background: var(--bar); border-radius: .2rem; min-width: 1px }
td.drawn { width: 40%; text-align: left }
li { overflow-wrap: anywhere }
"""


def as_html(report: Report) -> str:
    """A whole document."""
    first = report.funnel[0].sessions
    whole = wording.is_whole(report)
    parts = [
        f"<h1>Report of {escape(wording.title(report))}</h1>",
        f'<p class="soft">{escape(wording.as_of(report))}</p>',
        "<h2>Totals</h2>",
        _table(("", "The day" if whole else "So far", "A week before", "Change"), wording.totals(report)),
        "<h2>Funnel of sessions</h2>",
        _drawn(
            ("Step", "Sessions", "Of the first", ""),
            [
                (*row, each.sessions / first if first else 0.0)
                for row, each in zip(wording.funnel(report), report.funnel, strict=True)
            ],
        ),
        f"<p>{escape(wording.carts(report))}</p>",
        "<h2>Most viewed</h2>",
        _table(
            ("Product", "Category", "Views", "Sold", "Revenue"),
            (
                (
                    each.product_id,
                    each.category,
                    f"{each.views:,}",
                    f"{each.units:,}",
                    wording.money(each.revenue),
                )
                for each in report.top_products
            ),
        ),
        "<h2>Who came</h2>",
        _table(
            ("", "People", "Sessions", "Views", "Minutes a session", "Revenue"),
            (
                (
                    wording.GROUPS[each.group],
                    f"{each.users:,}",
                    f"{each.sessions:,}",
                    f"{each.views:,}",
                    f"{each.minutes / each.sessions:,.1f}" if each.sessions else "–",
                    wording.money(each.revenue),
                )
                for each in report.shoppers
            ),
        ),
        "<h2>Customers</h2>",
        '<p class="soft">Everyone who has bought, by how lately, how often and for how much.</p>',
        _table(
            ("", "People", "Orders", "Spent"),
            (
                (
                    wording.GROUPS[each.group],
                    f"{each.users:,}",
                    f"{each.orders:,}",
                    wording.money(each.revenue),
                )
                for each in report.customers
            ),
        ),
        "<h2>Odd</h2>",
        f"<p>{escape(wording.odd(report))}</p>",
        _list([wording.oddity(each, report) for each in report.oddest]),
        "<h2>Quality of the data</h2>",
        _quality(wording.quality(report), good=not report.quality.residue and not report.quality.mismatches),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Report of {escape(wording.title(report))}</title><style>{_STYLE}</style></head>\n"
        f"<body>{''.join(part + chr(10) for part in parts if part)}</body></html>\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _drawn(head: Sequence[str], rows: Iterable[tuple[str, str, str, float]]) -> str:
    """A table whose last column is a bar of that share."""
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in told)}"
        f'<td class="drawn"><span class="bar" style="width:{part:.1%}"></span></td></tr>'
        for *told, part in rows
    )
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def _quality(lines: Sequence[str], *, good: bool) -> str:
    first, *rest = lines
    return f'<p class="{"good" if good else "bad"}">{escape(first)}</p>' + "".join(
        f"<p>{escape(line)}</p>" for line in rest
    )
