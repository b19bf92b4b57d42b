"""The readable report: one HTML file with its charts in it, which opens from anywhere."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from loadtest.report.charts import Points, line_chart

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #667; --line: #d8dce2; --back: #fff; --good: #16794a;
  --bad: #b3261e; --c0: #2f6fde; --c1: #c2571a; --c2: #1f8f63; --c3: #8b48c9; --c4: #b08900; --c5: #c2347f;
  --c6: #4a7a8c; --c7: #777; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --soft: #9aa4b1; --line: #343b45; --back: #14181d;
  --good: #55c48d; --bad: #ff8a80; --c0: #7ba8ff; --c1: #f0975f; --c2: #5fd3a2; --c3: #c69af5; --c4: #e3c04d;
  --c5: #f587bd; --c6: #8fc0d3; --c7: #aaa; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0 auto; padding: 1rem;
  max-width: 60rem; }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.good { color: var(--good) } .bad { color: var(--bad) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
svg { width: 100%; height: auto } svg text { font-size: 11px; fill: var(--soft) }
.grid { stroke: var(--line) } polyline { fill: none; stroke-width: 2 } .axis { color: var(--soft) }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: 0; padding: 0 }
.legend li:not(.axis)::before { content: "●"; margin-right: .3rem }
""" + "\n".join(
    f"polyline.s{n} {{ stroke: var(--c{n}) }} circle.s{n} {{ fill: var(--c{n}) }} "
    f"li.s{n}::before {{ color: var(--c{n}) }}"
    for n in range(8)
)


def page(report: Mapping[str, Any]) -> str:
    """A whole HTML document of a load's report."""
    passed, figures = report["passed"], report["figures"]
    verdict = '<span class="good">passed</span>' if passed else '<span class="bad">failed</span>'
    parts = [
        f"<h1>Load “{escape(str(figures['profile']))}”: {verdict}</h1>",
        _sentences("Problems", report["problems"]),
        _sentences("Limits of the generator", figures["limits"]),
        "<h2>Figures</h2>",
        _table(
            ("", "p50", "p95", "p99", "max", "requests", "left late"),
            [
                (name, *_percentiles(summary), f"{figures['requests'][name]:,}", _share(figures["held_up"].get(name)))
                for name, summary in figures["latency_ms"].items()
            ]
            + [
                (f"freshness by {how}", *_percentiles(figures["freshness"][f"{how}_ms"]), "", "")
                for how in ("query", "subscription")
            ],
        ),
        "<p>Milliseconds. A request's latency counts from the time it was meant to be sent; freshness is from POSTing"
        " an event to having it in an answer; a subscription's latency is from the commit to the push.</p>",
        "<h2>Events acknowledged per second</h2>",
        line_chart({"events/s": _over_time(figures, "events_per_second")}, x_title="second", y_title="events/s"),
        "<h2>Latency</h2>",
        line_chart(_latency_series(figures), x_title="second", y_title="p99, ms", logarithmic=True),
        "<h2>Freshness</h2>",
        line_chart(_freshness_series(figures), x_title="second", y_title="seconds"),
    ]
    if report.get("audit"):
        parts += ["<h2>Audit</h2>", _audit(report["audit"])]
    parts += ["<h2>How it was run</h2>", _table(("", ""), _flat("", {**report["run"], **_run_figures(figures)}))]
    body = "\n".join(parts)
    title = f"Millrace load: {figures['profile']}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><body>{body}</body></html>\n"
    )


def _audit(audit: Mapping[str, Any]) -> str:
    rows = [
        (check["name"], "holds" if check["holds"] else f"broken: {check['examples']}", check["meaning"], check["found"])
        for check in audit["checks"]
    ]
    return _table(("check", "", "what it says", "found"), rows)


def _run_figures(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: figures[name] for name in ("seed", "seconds", "events", "asked_events", "achieved_per_second")} | {
        "generator": figures["generator"]
    }


def _latency_series(figures: Mapping[str, Any]) -> dict[str, Points]:
    return {
        name: [
            (point["from_second"], point["latency_ms"][name]["p99"])
            for point in figures["over_time"]
            if point["latency_ms"].get(name)
        ]
        for name in figures["latency_ms"]
    }


def _freshness_series(figures: Mapping[str, Any]) -> dict[str, Points]:
    return {
        f"{how} {share}": [
            (point["from_second"], point[share] / 1000) for point in figures["freshness"][f"{how}_over_time_ms"]
        ]
        for how in ("query", "subscription")
        for share in ("p50", "p99")
    }


def _over_time(figures: Mapping[str, Any], name: str) -> Points:
    return [(point["from_second"], point[name]) for point in figures["over_time"]]


def _percentiles(summary: Mapping[str, float] | None) -> tuple[str, ...]:
    return tuple(f"{summary[name]:,.1f}" if summary else "–" for name in ("p50", "p95", "p99", "max"))


def _share(value: float | None) -> str:
    return f"{value or 0:.1%}"


def _sentences(title: str, sentences: list[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>{title}</h2><ul>{items}</ul>" if items else ""


def _table(headings: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _flat(prefix: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(f"{prefix}{name} ", value)
        else:
            rows.append((f"{prefix}{name}".replace("_", " "), value))
    return rows
