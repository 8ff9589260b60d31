"""How one chart is put together, and how it becomes SVG text."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import altair as alt
import pandas as pd
import vl_convert

from riskadj.report.comparison import Comparison
from riskadj.report.labels import HEIGHT, WIDTH, Frame, place_labels, spread_lines
from riskadj.report.words import FLAG_PLACES
from riskadj.stats import Z95, Z998

CROWDED = 80
"""With more providers than this, a caterpillar's marks are smaller."""

BLUE, ORANGE, GREY, INK, FAINT = "#0060a8", "#c8500a", "#8b9096", "#33383d", "#e8eaec"
QUIET = "#555b61"


class FlagStyle(NamedTuple):
    """How a flag is drawn; shape and filling tell flags apart without colour."""

    colour: str
    fill: str
    shape: str


FLAG_STYLES = (
    FlagStyle(BLUE, BLUE, "triangle-up"),
    FlagStyle(BLUE, "#ffffff", "triangle-up"),
    FlagStyle(GREY, "#c9cdd1", "circle"),
    FlagStyle(ORANGE, "#ffffff", "triangle-down"),
    FlagStyle(ORANGE, ORANGE, "triangle-down"),
)
"""In the order of `FLAG_PLACES`."""

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
    },
    "legend": {
        "orient": "bottom", "direction": "horizontal", "columns": 3, "title": None,
        "labelFontSize": 11, "labelColor": INK, "symbolSize": 70, "columnPadding": 18,
        "offset": 10, "symbolStrokeWidth": 1.4,
    },
}  # fmt: skip


# --- from a chart to SVG text -------------------------------------------------------------------


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
    chart = chart.properties(title=_title(title, subtitle))
    svg = vl_convert.vegalite_to_svg(chart.to_dict(validate=False) | {"config": _CONFIG})
    return _tidied(svg, name, f"{title}. {description}")


def _title(text: str, subtitle: str) -> dict[str, Any]:
    return {"text": text, "subtitle": textwrap.wrap(subtitle, 72)}


def _tidied(svg: str, name: str, description: str) -> str:
    """Return the SVG with one description, names of its own, and nothing that varies by call."""
    svg = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", svg)
    for place, found in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))):
        svg = re.sub(rf'(id="|#){re.escape(found)}(?=["\)])', rf"\g<1>{name}-{place}", svg)
    label = f'role="img" aria-label="{escape(description)}"'
    return svg.replace("<svg ", f"<svg {label} ", 1)


def _records(table: pd.DataFrame, *names: str) -> alt.Data:
    return alt.Data(values=table[list(names)].to_dict("records"))


# --- funnel -------------------------------------------------------------------------------------


def draw_funnel(one: Comparison) -> alt.LayerChart:
    """Draw adjusted gain against the number of episodes, between its limits."""
    limits = _limits(one)
    frame = Frame(
        (0.0, max(one.minimum_n * 2.0, one.compared["n"].max() * 1.04)),
        _padded([*one.compared["adjusted"], *limits["upper998"], *limits["lower998"]]),
    )
    scales = _scales(frame, "episodes", f"adjusted gain, {one.unit}")
    points = _with_places(one).assign(x=one.compared["n"].astype(float))
    layers = [
        *(_curve(limits, side, z, scales) for z in ("95", "998") for side in ("lower", "upper")),
        _curve(limits, "gain", "", scales),
        *_margin_labels(one, limits, frame, scales),
        _marks(points, one, scales),
        *_labels(points, frame, scales),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _limits(one: Comparison) -> pd.DataFrame:
    first = one.minimum_n
    last = max(first * 2.0, float(one.compared["n"].max()) * 1.04)
    n = pd.Series([first * (last / first) ** (step / 80) for step in range(81)])
    gain, error = one.reference["gain"], one.reference["sd"] / n**0.5
    return pd.DataFrame({
        "n": n, "gain": gain, "lower95": gain - Z95 * error, "upper95": gain + Z95 * error,
        "lower998": gain - Z998 * error, "upper998": gain + Z998 * error,
    })  # fmt: skip


def _padded(values: Sequence[float], share: float = 0.04) -> tuple[float, float]:
    low, high = float(min(values)), float(max(values))
    margin = share * (high - low) or 1.0
    return low - margin, high + margin


def _scales(frame: Frame, x_title: str, y_title: str) -> dict[str, Any]:
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


def _curve(limits: pd.DataFrame, side: str, z: str, scales: Mapping[str, Any]) -> alt.Chart:
    line = limits.assign(x=limits["n"], y=limits[side + z])
    looks: dict[str, dict[str, Any]] = {"95": {"strokeDash": [4, 3]}, "": {"color": INK}}
    style = {"strokeWidth": 1, "color": GREY} | looks.get(z, {})
    return alt.Chart(_records(line, "x", "y")).mark_line(**style).encode(**scales)


def _margin_labels(
    one: Comparison, limits: pd.DataFrame, frame: Frame, scales: Mapping[str, Any]
) -> list[alt.Chart]:
    last = limits.iloc[-1]
    wanted = [("upper998", "99.8 %"), ("upper95", "95 %"),
              ("gain", f"reference {one.text(one.reference['gain'])}"),
              ("lower95", "95 %"), ("lower998", "99.8 %")]  # fmt: skip
    heights = spread_lines([frame.at(0, float(last[name]))[1] for name, _ in wanted])
    rows = [
        {"x": frame.x[1], "y": frame.value(0, height)[1], "text": text}
        for height, (_, text) in zip(heights, wanted, strict=True)
    ]
    return [_text(rows, scales, align="left", dx=6, color=QUIET)]


def _text(rows: Sequence[Mapping[str, Any]], scales: Mapping[str, Any], **style: Any) -> alt.Chart:
    settings = {"fontSize": 10.5, "baseline": "middle", "color": INK} | style
    return alt.Chart(alt.Data(values=list(rows))).mark_text(**settings).encode(
        text="text:N", **scales
    )  # fmt: skip


def _with_places(one: Comparison) -> pd.DataFrame:
    words = {flag: f"{place} ({one.places[place]})" for flag, place in FLAG_PLACES.items()}
    places = [words[flag] for flag in one.compared["flag"]]
    return one.compared.assign(y=one.compared["adjusted"], place=places)


def _place_scales(one: Comparison, size: float) -> dict[str, Any]:
    domain = [f"{place} ({number})" for place, number in one.places.items()]

    def scale(values: list[str]) -> alt.Scale:
        return alt.Scale(domain=domain, range=values)

    return {
        "fill": alt.Fill("place:N", scale=scale([style.fill for style in FLAG_STYLES])),
        "stroke": alt.Stroke("place:N", scale=scale([style.colour for style in FLAG_STYLES])),
        "shape": alt.Shape("place:N", scale=scale([style.shape for style in FLAG_STYLES])),
        "size": alt.value(size),
    }


def _marks(
    points: pd.DataFrame, one: Comparison, scales: Mapping[str, Any], size: float = 42
) -> alt.Chart:
    base = alt.Chart(_records(points, "x", "y", "place"))
    return base.mark_point(strokeWidth=1.2, opacity=1).encode(**scales, **_place_scales(one, size))


def _labels(points: pd.DataFrame, frame: Frame, scales: Mapping[str, Any]) -> list[alt.Chart]:
    rows = place_labels(points, frame)
    if not rows:
        return []
    leaders = [
        {"x": row["x0"], "y": row["y0"], "x2": row["x2"], "y2": row["y2"]}
        for row in rows if row["far"]
    ]  # fmt: skip
    lines = alt.Chart(alt.Data(values=leaders)).mark_rule(color=GREY, strokeWidth=0.6)
    drawn = [lines.encode(x2="x2:Q", y2="y2:Q", **scales)] if leaders else []
    return [*drawn, _text(rows, scales, fontWeight=600, align="center")]


# --- caterpillar ----------------------------------------------------------------------------------


def draw_caterpillar(one: Comparison) -> alt.LayerChart:
    """Draw providers in order of adjusted gain, with their intervals."""
    points = _with_places(one).assign(x=[float(rank) for rank in range(1, len(one.compared) + 1)])
    frame = Frame((0.0, len(points) + 1.0), _padded([*points["ci_lower95"], *points["ci_upper95"]]))
    scales = _scales(frame, "rank, least gain first", f"adjusted gain, {one.unit}")
    size = 30.0 if len(points) <= CROWDED else 11.0
    gain = one.reference["gain"]
    note = {"x": frame.x[1], "y": gain, "text": f"reference {one.text(gain)}"}
    layers = [
        _bars(points, one, scales),
        _level_line(gain, scales),
        _marks(points, one, scales, size),
        _text([note], scales, align="left", dx=6, color=QUIET),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _bars(points: pd.DataFrame, one: Comparison, scales: Mapping[str, Any]) -> alt.Chart:
    rows = points.assign(y=points["ci_lower95"], y2=points["ci_upper95"])
    width = 1.4 if len(points) <= CROWDED else 0.8
    return (
        alt.Chart(_records(rows, "x", "y", "y2", "place"))
        .mark_rule(strokeWidth=width, opacity=0.75)
        .encode(y2="y2:Q", stroke=_place_scales(one, 0)["stroke"], **scales)
    )


def _level_line(level: float, scales: Mapping[str, Any]) -> alt.Chart:
    return (
        alt.Chart(alt.Data(values=[{"y": level}]))
        .mark_rule(color=INK, strokeWidth=1)
        .encode(y=scales["y"])
    )


# --- calibration ----------------------------------------------------------------------------------


def draw_calibration(one: Comparison) -> alt.HConcatChart:
    """Draw observed against expected by tenth, and how far off."""
    return alt.hconcat(_diagonal(one), _differences(one), spacing=34)


def _diagonal(one: Comparison) -> alt.LayerChart:
    rows = one.calibration.assign(x=one.calibration["expected"], y=one.calibration["observed"])
    ends = _padded([*rows["x"], *rows["y"]], 0.06)
    scales = _scales(Frame(ends, ends), f"expected, {one.unit}", f"observed, {one.unit}")
    line = alt.Chart(alt.Data(values=[{"x": end, "y": end} for end in ends]))
    points = alt.Chart(_records(rows, "x", "y"))
    return alt.layer(
        line.mark_line(color=GREY, strokeWidth=1).encode(**scales),
        points.mark_point(filled=True, color=BLUE, size=46, opacity=1).encode(**scales),
    ).properties(width=235, height=235)


def _differences(one: Comparison) -> alt.LayerChart:
    rows = one.calibration.assign(text=[one.text(v, 1) for v in one.calibration["difference"]])
    reach = 2.1 * max(float(rows["difference"].abs().max()), 1e-6)
    title = f"observed \N{MINUS SIGN} expected, {one.unit}"
    x = alt.X(
        "difference:Q", scale=alt.Scale(domain=[-reach, reach], nice=False),
        axis=alt.Axis(title=title, tickCount=3, grid=False),
    )  # fmt: skip
    y = alt.Y("decile:O", sort="descending", axis=alt.Axis(title=None, grid=False, offset=14))
    base = alt.Chart(_records(rows, "difference", "decile", "text")).encode(y=y)
    zero = alt.Chart(alt.Data(values=[{"difference": 0}]))
    positive = "datum.difference >= 0"
    return alt.layer(
        zero.mark_rule(color=GREY, strokeWidth=1).encode(x=x),
        base.mark_rule(color=BLUE, strokeWidth=1.4).encode(x=x, x2=alt.datum(0)),
        base.mark_point(filled=True, color=BLUE, size=34, opacity=1).encode(x=x),
        *(
            base.transform_filter(keep)
            .mark_text(align=align, dx=shift, fontSize=10, color=QUIET)
            .encode(x=x, text="text:N")
            for keep, align, shift in (
                (positive, "left", 6), (f"!({positive})", "right", -6)
            )
        ),
    ).properties(width=130, height=235)  # fmt: skip


# --- features -------------------------------------------------------------------------------------


def draw_features(one: Comparison) -> alt.LayerChart:
    """Draw a bar per column of case mix, the largest first."""
    rows = one.features.assign(text=[one.text(v, 1) for v in one.features["mean_absolute"]])
    axis = alt.Axis(title=None, labelLimit=230, grid=False, labelColor=INK)
    base = alt.Chart(_records(rows, "label", "mean_absolute", "text")).encode(
        y=alt.Y("label:N", sort=list(rows["label"]), axis=axis),
        x=alt.X("mean_absolute:Q", axis=None),
    )
    return alt.layer(
        base.mark_bar(color=BLUE, height=9),
        base.mark_text(align="left", dx=5, fontSize=10.5, color=QUIET).encode(text="text:N"),
    ).properties(width=230, height=alt.Step(19))
