"""Line charts as SVG text, so that a report is one file that needs nothing else."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 28
_TICKS: Final = 5


def line_chart(series: Mapping[str, Points], *, x_title: str, y_title: str, logarithmic: bool = False) -> str:
    """A chart with a legend. Series without a point are left out; without any series there is only a sentence.

    On a logarithmic axis values of 0 and below lie at its lower end.
    """
    drawn = {name: points for name, points in series.items() if points}
    if not drawn:
        return "<p>Nothing was measured.</p>"
    xs = [x for points in drawn.values() for x, _ in points]
    ys = [y for points in drawn.values() for _, y in points]
    x_axis = _Axis(min(xs), max(xs), _LEFT, _WIDTH - _RIGHT)
    y_low, y_high = _decades(ys) if logarithmic else (0.0, _round_top(max(ys)))
    y_axis = _Axis(y_low, y_high, _HEIGHT - _BOTTOM, _TOP, logarithmic=logarithmic)
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(y_title)}">']
    for value in y_axis.ticks():
        at = y_axis.at(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    for value in x_axis.ticks():
        parts.append(f'<text x="{x_axis.at(value):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{_short(value)}</text>')
    for number, points in enumerate(drawn.values()):
        path = " ".join(f"{x_axis.at(x):.1f},{y_axis.at(y):.1f}" for x, y in points)
        parts.append(f'<polyline class="s{number % 8}" points="{path}"/>')
        if len(points) == 1:
            x, y = points[0]
            parts.append(f'<circle class="s{number % 8}" cx="{x_axis.at(x):.1f}" cy="{y_axis.at(y):.1f}" r="3"/>')
    legend = "".join(f'<li class="s{number % 8}">{escape(name)}</li>' for number, name in enumerate(drawn))
    axes = f"<li class=axis>{escape(y_title)}, by {escape(x_title)}</li>"
    return f"{''.join(parts)}</svg><ul class=legend>{axes}{legend}</ul>"


def _round_top(highest: float) -> float:
    """The round number at or above the highest value, at which a linear axis ends."""
    if highest <= 0:
        return 1.0
    step = 10.0 ** floor(log10(highest))
    return ceil(highest / step) * step


class _Axis:
    """From values to places on the page."""

    def __init__(self, low: float, high: float, start: float, end: float, *, logarithmic: bool = False) -> None:
        self._logarithmic = logarithmic
        self._low, self._high = low, high if high > low else low + 1
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        """The place of a value."""
        low, high = self._low, self._high
        if self._logarithmic:
            value, low, high = log10(max(value, low)), log10(low), log10(high)
        return self._start + (value - low) / (high - low) * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Values to name."""
        if self._logarithmic:
            return [10.0**power for power in range(round(log10(self._low)), round(log10(self._high)) + 1)]
        step = (self._high - self._low) / (_TICKS - 1)
        return [self._low + step * number for number in range(_TICKS)]


def _decades(values: list[float]) -> tuple[float, float]:
    """Powers of ten that hold all values above 0."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = floor(log10(min(positive))), ceil(log10(max(positive)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:.3g}"
