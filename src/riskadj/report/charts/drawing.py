"""What charts are drawn with: colours, marks, scales and text, and how one becomes SVG text."""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from riskadj.report.charts.labels import Frame
from riskadj.report.places import Place

BLUE, ORANGE, GREY, INK, FAINT = "#0060a8", "#c8500a", "#8b9096", "#33383d", "#e8eaec"
QUIET = "#555b61"
BAND = "#eaf1f7"


class FlagStyle(NamedTuple):
    """How a place is drawn; shape and filling tell places apart without colour."""

    colour: str
    fill: str
    shape: str


FLAG_STYLES: Mapping[tuple[int, bool], FlagStyle] = MappingProxyType(
    {
        (1, True): FlagStyle(BLUE, BLUE, "triangle-up"),
        (1, False): FlagStyle(BLUE, "#ffffff", "triangle-up"),
        (0, False): FlagStyle(GREY, "#c9cdd1", "circle"),
        (-1, False): FlagStyle(ORANGE, "#ffffff", "triangle-down"),
        (-1, True): FlagStyle(ORANGE, ORANGE, "triangle-down"),
    }
)
"""By side, and whether beyond the outermost limits."""


def style_of(place: Place) -> FlagStyle:
    """Return how a place is drawn."""
    return FLAG_STYLES[place.side, place.beyond]


_CONFIG: dict[str, Any] = {
    "font": "Arial, Helvetica, 'Liberation Sans', sans-serif",
    "background": "#ffffff",
    "padding": 8,
    "aria": False,
    "view": {"stroke": None},
    "title": {
        "anchor": "start", "frame": "bounds", "fontSize": 14, "fontWeight": 600, "color": INK,
        "subtitleFontSize": 11.5, "subtitleColor": QUIET, "subtitleLineHeight": 15,
        "subtitlePadding": 5, "offset": 14,
    },
    "axis": {
        "domain": False, "ticks": False, "gridColor": FAINT, "labelColor": QUIET,
        "labelFontSize": 11, "labelPadding": 6, "titleColor": INK, "titleFontSize": 11.5,
        "titleFontWeight": "normal", "titlePadding": 8, "tickCount": 6,
        "labelOverlap": True, "labelSeparation": 8,
    },
    "legend": {
        "orient": "bottom", "direction": "horizontal", "columns": 3, "title": None,
        "labelFontSize": 11, "labelColor": INK, "symbolSize": 70, "columnPadding": 18,
        "offset": 10, "symbolStrokeWidth": 1.4,
    },
}  # fmt: skip


def to_svg(chart: Any, name: str, title: str, subtitle: str, description: str) -> str:
    """Return a chart as SVG text with a title, and one description for those who do not see it.

    Parameters
    ----------
    chart : altair chart
    name : str
        Begins every id in the SVG, so that one page can hold many figures.
    title, subtitle : str
        What stands above the chart.
    description : str
        What it shows, in words.
    """
    drawn = chart.to_dict(validate=False) | {"title": _title(title, subtitle), "config": _CONFIG}
    svg = vl_convert.vegalite_to_svg(drawn)
    return _tidied(svg, name, f"{title}. {description}")


def _title(text: str, subtitle: str) -> dict[str, Any]:
    return {"text": _wrapped(text, 54), "subtitle": _wrapped(subtitle, 72)}


def _wrapped(words: str, width: int) -> list[str]:
    """Return lines, none of which ends between a number and its per cent sign."""
    lines = textwrap.wrap(words.replace(" %", "\N{NO-BREAK SPACE}%"), width)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _tidied(svg: str, name: str, description: str) -> str:
    """Return the SVG with one description, names of its own, and nothing that varies by call."""
    svg = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", svg)
    for place, found in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))):
        svg = re.sub(rf'(id="|#){re.escape(found)}(?=["\)])', rf"\g<1>{name}-{place}", svg)
    label = f'role="img" aria-label="{escape(description)}"'
    return svg.replace("<svg ", f"<svg {label} ", 1)


# --- parts of a chart -----------------------------------------------------------------------------


def records(table: pd.DataFrame, *names: str) -> alt.InlineData:
    """Return columns of a table as the data of a chart."""
    known = table[list(names)].replace([np.inf, -np.inf], np.nan).astype(object)
    return data(known.where(known.notna(), None).to_dict("records"))


def data(rows: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    """Return rows as the data of a chart: as one text, since charts copy their data many times."""
    return alt.InlineData(values=json.dumps([*rows], default=float), format={"type": "json"})


def padded(values: Sequence[float], share: float = 0.04) -> tuple[float, float]:
    """Return the range of values, with a margin."""
    low, high = float(min(values)), float(max(values))
    margin = share * (high - low) or 1.0
    return low - margin, high + margin


def scales_of(frame: Frame, x_title: str, y_title: str) -> dict[str, Any]:
    """Return the two axes of a chart."""

    def scale(domain: tuple[float, float]) -> alt.Scale:
        return alt.Scale(domain=list(domain), nice=False, zero=False)

    up = {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleX": 0, "titleY": -8}
    return {
        "x": alt.X("x:Q", scale=scale(frame.x), axis=alt.Axis(title=x_title, grid=False)),
        "y": alt.Y(
            "y:Q", scale=scale(frame.y),
            axis=alt.Axis(title=y_title, titleBaseline="bottom", **up),
        ),
    }  # fmt: skip


def line(table: pd.DataFrame, scales: Mapping[str, Any], **style: Any) -> alt.Chart:
    """Return a line through the points `x`, `y`."""
    settings = {"strokeWidth": 1, "color": GREY} | style
    return alt.Chart(records(table, "x", "y")).mark_line(**settings).encode(**scales)


def level_line(level: float, scales: Mapping[str, Any], **style: Any) -> alt.Chart:
    """Return a line across the chart."""
    settings = {"strokeWidth": 1, "color": INK} | style
    return alt.Chart(data([{"y": level}])).mark_rule(**settings).encode(y=scales["y"])


def text(rows: Sequence[Mapping[str, Any]], scales: Mapping[str, Any], **style: Any) -> alt.Chart:
    """Return the `text` of every row at its `x`, `y`."""
    settings = {"fontSize": 10.5, "baseline": "middle", "color": INK} | style
    return alt.Chart(data(rows)).mark_text(**settings).encode(
        text="text:N", **scales
    )  # fmt: skip


def place_scales(places: Sequence[Place], names: Sequence[str], size: float) -> dict[str, Any]:
    """Return how marks look by their `place`, one of the names; they make the legend."""
    styles = [style_of(one) for one in places]

    def scale(values: list[str]) -> alt.Scale:
        return alt.Scale(domain=list(names), range=values)

    return {
        "fill": alt.Fill("place:N", scale=scale([one.fill for one in styles])),
        "stroke": alt.Stroke("place:N", scale=scale([one.colour for one in styles])),
        "shape": alt.Shape("place:N", scale=scale([one.shape for one in styles])),
        "size": alt.value(size),
    }


def written_names(rows: Sequence[Mapping[str, Any]], scales: Mapping[str, Any]) -> list[alt.Chart]:
    """Write names, with a line to its mark from each that stands away from it."""
    if not rows:
        return []
    leaders = [
        {"x": row["x0"], "y": row["y0"], "x2": row["x2"], "y2": row["y2"]}
        for row in rows if row["far"]
    ]  # fmt: skip
    lines = alt.Chart(data(leaders)).mark_rule(color=GREY, strokeWidth=0.6)
    drawn = [lines.encode(x2="x2:Q", y2="y2:Q", **scales)] if leaders else []
    return [*drawn, text(rows, scales, fontWeight=600, align="center")]
