"""The two charts of an explanation: what adds up to an expectation, and results beside peers."""

from collections.abc import Sequence
from typing import NamedTuple

import altair as alt

from riskadj.report.charts.drawing import BLUE, GREY, INK, ORANGE, QUIET, data, padded

_WIDTH, _STEP, _LABELS = 340, 21, 230


class Bar(NamedTuple):
    """A contribution: what it is of, and how it is written."""

    label: str
    value: float
    text: str


class Interval(NamedTuple):
    """A result between the ends of its interval; the one that a chart is about is marked."""

    label: str
    low: float
    value: float
    high: float
    is_own: bool


def draw_bars(bars: Sequence[Bar]) -> alt.LayerChart:
    """Draw contributions in their order: a bar each, from 0 to either side."""
    rows = [one._asdict() for one in bars]
    reach = 1.35 * max([abs(one.value) for one in bars] + [1e-9])
    x = alt.X("value:Q", scale=alt.Scale(domain=[-reach, reach], nice=False), axis=None)
    base = alt.Chart(data(rows)).encode(y=_down([one.label for one in bars]))
    up = "datum.value >= 0"
    colour = alt.condition(up, alt.value(BLUE), alt.value(ORANGE))
    drawn = base.mark_bar(height=10).encode(x=x, x2=alt.datum(0), color=colour)
    notes = [
        base.transform_filter(keep)
        .mark_text(align=align, dx=shift, fontSize=10.5, color=QUIET)
        .encode(x=x, text="text:N")
        for keep, align, shift in ((up, "left", 5), (f"!({up})", "right", -5))
    ]
    zero = alt.Chart(data([{"value": 0}])).mark_rule(color=INK, strokeWidth=1).encode(x=x)
    return alt.layer(drawn, zero, *notes).properties(width=_WIDTH, height=alt.Step(_STEP))


def draw_intervals(rows: Sequence[Interval], middle: float, axis: str) -> alt.LayerChart:
    """Draw results with their intervals in their order, beside the middle of all."""
    reach = padded([middle, *(end for one in rows for end in (one.low, one.high))])
    scale = alt.Scale(domain=list(reach), nice=False, zero=False)
    x, low = (
        alt.X(f"{name}:Q", scale=scale, axis=alt.Axis(title=axis, grid=False))
        for name in ("value", "low")
    )
    base = alt.Chart(data([one._asdict() for one in rows])).encode(
        y=_down([one.label for one in rows])
    )
    colour = alt.condition("datum.is_own", alt.value(BLUE), alt.value(GREY))
    rule = alt.Chart(data([{"value": middle}])).mark_rule(color=INK, strokeWidth=1).encode(x=x)
    lines = base.mark_rule(strokeWidth=1.6).encode(x=low, x2="high:Q", color=colour)
    marks = base.mark_point(filled=True, size=46, opacity=1).encode(x=x, color=colour)
    return alt.layer(rule, lines, marks).properties(width=_WIDTH, height=alt.Step(_STEP))


def _down(labels: list[str]) -> alt.Y:
    axis = alt.Axis(title=None, labelLimit=_LABELS, grid=False, labelColor=INK)
    return alt.Y("label:N", sort=labels, axis=axis)
