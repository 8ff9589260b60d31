"""The figures of a run as SVG text: funnel, caterpillar, calibration and features.

One description per figure says in words what it shows, for those who do not see it; the marks
themselves are silent. The same findings give the same bytes.
"""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple

import altair as alt
import pandas as pd
import vl_convert

from riskadj.episodes.columns import Column
from riskadj.report.findings import Findings
from riskadj.study import Outcome

Z95, Z998 = 1.96, 3.0902
"""Normal quantiles of the limits, as NHS England's methodology guide (version 12) has them."""

ROUNDS_TO_ZERO = 5e-7
TOP_FEATURES = 15
LONGEST_LABEL = 34

LEARNER_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "reference": "the publisher's model",
        "linear": "the linear model",
        "lightgbm": "boosted trees",
    }
)
"""What a learner is called in a sentence."""

UNIT_DECIMALS: Mapping[str, int] = MappingProxyType({"points": 1, "index": 3})
UNIT_PHRASES: Mapping[str, str] = MappingProxyType({"index": "on the index"})


class FlagStyle(NamedTuple):
    """How a flag is worded and drawn; shape and filling tell flags apart without colour."""

    flag: str
    place: str
    colour: str
    fill: str
    shape: str


BLUE, ORANGE, GREY, INK, FAINT = "#0060a8", "#c8500a", "#8b9096", "#33383d", "#e8eaec"
FLAGS = (
    FlagStyle("Positive outlier (99.8%)", "above 99.8 %", BLUE, BLUE, "triangle-up"),
    FlagStyle("Positive outlier (95%)", "above 95 %", BLUE, "#ffffff", "triangle-up"),
    FlagStyle("Not an outlier", "within limits", GREY, "#c9cdd1", "circle"),
    FlagStyle("Negative outlier (95%)", "below 95 %", ORANGE, "#ffffff", "triangle-down"),
    FlagStyle("Negative outlier (99.8%)", "below 99.8 %", ORANGE, ORANGE, "triangle-down"),
)
"""The flags of providers that are compared, from best to worst."""

BEYOND_998 = (FLAGS[0].flag, FLAGS[-1].flag)

WIDTH, HEIGHT = 330, 260
CROWDED = 80
"""With more providers than this, a caterpillar's marks are smaller."""
LETTER_WIDTH, LINE_HEIGHT, GAP = 6.2, 12.0, 4.0
_CONFIG: dict[str, Any] = {
    "font": "Arial, Helvetica, 'Liberation Sans', sans-serif",
    "background": "#ffffff",
    "padding": 8,
    "aria": False,
    "view": {"stroke": None},
    "title": {
        "anchor": "start", "frame": "bounds", "fontSize": 14, "fontWeight": 600, "color": INK,
        "subtitleFontSize": 11.5, "subtitleColor": "#555b61", "subtitleLineHeight": 15,
        "subtitlePadding": 5, "offset": 14,
    },
    "axis": {
        "domain": False, "ticks": False, "gridColor": FAINT, "labelColor": "#555b61",
        "labelFontSize": 11, "labelPadding": 6, "titleColor": INK, "titleFontSize": 11.5,
        "titleFontWeight": "normal", "titlePadding": 8, "tickCount": 6,
    },
    "legend": {
        "orient": "bottom", "direction": "horizontal", "columns": 3, "title": None,
        "labelFontSize": 11, "labelColor": INK, "symbolSize": 70, "columnPadding": 18,
        "offset": 10, "symbolStrokeWidth": 1.4,
    },
}  # fmt: skip


@dataclass(frozen=True)
class _Comparison:
    """One outcome under one learner, with all that its figures need."""

    outcome: Outcome
    learner: str
    compared: pd.DataFrame
    not_compared: int
    reference: Mapping[str, float]
    minimum_n: int
    calibration: pd.DataFrame
    features: pd.DataFrame

    @property
    def unit(self) -> str:
        return self.outcome.definition.unit

    @property
    def measure(self) -> str:
        return self.outcome.definition.title.split(",")[0]

    def text(self, value: float, decimals: int = 0) -> str:
        """Return a value of the score with its unit's decimals, or so many more."""
        return format_number(float(value), UNIT_DECIMALS.get(self.unit, 2) + decimals)

    def with_unit(self, value: float, decimals: int = 0) -> str:
        """Return a value of the score and its unit, as a sentence wants them."""
        return f"{self.text(value, decimals)} {UNIT_PHRASES.get(self.unit, self.unit)}"


def draw_figures(findings: Findings) -> dict[str, str]:
    """Draw every figure of the findings.

    Returns
    -------
    dict
        File name -> SVG text, by outcome, learner and kind; a figure without data is left out.

    Examples
    --------
    >>> figures = draw_figures(findings)  # doctest: +SKIP
    >>> sorted(figures)[0]  # doctest: +SKIP
    'calibration_ohs_linear.svg'
    """
    return {
        figure_name(kind, one.outcome.name, one.learner): _draw(kind, one)
        for kind, one in _wanted(findings)
    }


def figure_descriptions(findings: Findings, kind: str, outcome: Outcome) -> dict[str, str]:
    """Return what the figures of one kind and outcome show, in words, by learner.

    Examples
    --------
    >>> figure_descriptions(findings, "funnel", outcome)["linear"]  # doctest: +SKIP
    'Funnel plot of 238 providers, ...'
    """
    ones = [_comparison(findings, outcome, learner.kind) for learner in findings.study.learners]
    return {one.learner: _KINDS[kind].describe(one) for one in ones if _KINDS[kind].possible(one)}


def figure_name(kind: str, outcome: str, learner: str) -> str:
    """Return the file name of a figure.

    Examples
    --------
    >>> figure_name("funnel", "ohs", "linear")
    'funnel_ohs_linear.svg'
    """
    return f"{kind}_{outcome}_{learner}.svg"


def feature_label(name: str, columns: Mapping[str, Column]) -> str:
    """Return a short name for people: what the column means, or its own name where that is long.

    Examples
    --------
    >>> from riskadj.episodes.columns import COLUMNS
    >>> feature_label("q1_score_ohs", COLUMNS), feature_label("symptom_period", COLUMNS)
    ('Oxford Hip Score (before)', 'symptom period')
    """
    meaning = columns[name].meaning if name in columns else ""
    if meaning.endswith(", before"):
        meaning = f"{meaning.split(',')[0]} (before)"
    return meaning if 0 < len(meaning) <= LONGEST_LABEL else name.replace("_", " ")


def format_number(value: float, decimals: int | None = None) -> str:
    """Return a number for people: thousands set off, a true minus, no negative zero.

    Parameters
    ----------
    value : float
        The number.
    decimals : int, optional
        How many to show; by default as many as make three significant digits.

    Examples
    --------
    >>> format_number(38136), format_number(22.6798, 1), format_number(0.0123456)
    ('38,136', '22.7', '0.0123')
    """
    if decimals is None:
        decimals = 0 if isinstance(value, int) else _three_digits(value)
    shown = f"{abs(value):,.{decimals}f}"
    negative = value < 0 and any(one in shown for one in "123456789")
    return f"\N{MINUS SIGN}{shown}" if negative else shown


def _three_digits(value: float) -> int:
    if abs(value) < ROUNDS_TO_ZERO:
        return 0
    exponent = int(f"{value:e}".rpartition("e")[2])
    return min(max(2 - exponent, 0), 6)


def compared(providers: pd.DataFrame, outcome: str, learner: str) -> pd.DataFrame:
    """Return the rows of an outcome and learner that are compared with the limits."""
    rows = _of(providers, outcome, learner)
    return rows[rows["adjusted"].notna() & rows["flag"].isin([one.flag for one in FLAGS])]


def _of(table: pd.DataFrame, outcome: str, learner: str) -> pd.DataFrame:
    return table[(table["outcome"] == outcome) & (table["learner"] == learner)]


def _wanted(findings: Findings) -> list[tuple[str, _Comparison]]:
    pairs = product(findings.study.outcomes, findings.study.learners)
    comparisons = [_comparison(findings, outcome, one.kind) for outcome, one in pairs]
    return [
        (name, one) for one in comparisons for name, kind in _KINDS.items() if kind.possible(one)
    ]


def _comparison(findings: Findings, outcome: Outcome, learner: str) -> _Comparison:
    key = (outcome.name, learner)
    rows = compared(findings.providers, *key)
    reference = _of(findings.reference, *key)
    columns = {one.name: one for one in findings.casemix}
    features = _of(findings.features, *key).nlargest(TOP_FEATURES, "mean_absolute")
    return _Comparison(
        outcome=outcome,
        learner=learner,
        compared=rows.sort_values(["adjusted", "provider_id"], ignore_index=True),
        not_compared=len(_of(findings.providers, *key)) - len(rows),
        reference={one: float(reference[one].iloc[0]) for one in ("gain", "sd")},
        minimum_n=findings.study.profile.minimum_n,
        calibration=_of(findings.calibration, *key).sort_values("decile", ignore_index=True),
        features=features.assign(
            label=[feature_label(name, columns) for name in features["feature"]]
        ),
    )


# --- from a chart to SVG text -------------------------------------------------------------------


def _draw(kind: str, one: _Comparison) -> str:
    title, *sentences = _KINDS[kind].say(one)
    chart = _KINDS[kind].draw(one).properties(title=_title(title, " ".join(sentences)))
    svg = vl_convert.vegalite_to_svg(chart.to_dict(validate=False) | {"config": _CONFIG})
    name = figure_name(kind, one.outcome.name, one.learner).removesuffix(".svg")
    return _tidied(svg, name, f"{title}. {_KINDS[kind].describe(one)}")


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


def _funnel_words(one: _Comparison) -> tuple[str, ...]:
    return (
        f"{one.measure}: adjusted gain and number of episodes",
        f"Each mark is a provider. {_gain_against(one)}",
        "Outside the inner curves chance alone would put 1 provider in 20, outside the outer "
        "ones 1 in 500.",
    )


def _gain_against(one: _Comparison) -> str:
    gain = one.with_unit(one.reference["gain"])
    return (
        f"Expected by {LEARNER_TITLES.get(one.learner, one.learner)}; "
        f"centred on the reference gain of {gain}."
    )


def _describe_funnel(one: _Comparison) -> str:
    counts = ", ".join(f"{number} {place}" for place, number in _count_places(one).items())
    return (
        f"Funnel plot of {len(one.compared)} providers, {counts}; {one.not_compared} more are not "
        f"compared, having too few episodes. {_gain_against(one)}"
    )


def _count_places(one: _Comparison) -> dict[str, int]:
    counts = one.compared["flag"].value_counts()
    return {style.place: int(counts.get(style.flag, 0)) for style in FLAGS}


@dataclass(frozen=True)
class _Frame:
    """The plotting area: which values lie where, in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel of a point; the upper left corner is (0, 0)."""
        (left, right), (low, high) = self.x, self.y
        return (x - left) / (right - left) * WIDTH, (high - y) / (high - low) * HEIGHT

    def value(self, x: float, y: float) -> tuple[float, float]:
        """Return the point at a pixel."""
        (left, right), (low, high) = self.x, self.y
        return left + x / WIDTH * (right - left), high - y / HEIGHT * (high - low)


def _draw_funnel(one: _Comparison) -> alt.LayerChart:
    limits = _limits(one)
    frame = _Frame(
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


def _limits(one: _Comparison) -> pd.DataFrame:
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


def _scales(frame: _Frame, x_title: str, y_title: str) -> dict[str, Any]:
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
    one: _Comparison, limits: pd.DataFrame, frame: _Frame, scales: Mapping[str, Any]
) -> list[alt.Chart]:
    last = limits.iloc[-1]
    wanted = [("upper998", "99.8 %"), ("upper95", "95 %"),
              ("gain", f"reference {one.text(one.reference['gain'])}"),
              ("lower95", "95 %"), ("lower998", "99.8 %")]  # fmt: skip
    heights = _spread([frame.at(0, float(last[name]))[1] for name, _ in wanted])
    rows = [
        {"x": frame.x[1], "y": frame.value(0, height)[1], "text": text}
        for height, (_, text) in zip(heights, wanted, strict=True)
    ]
    return [_text(rows, scales, align="left", dx=6, color="#555b61")]


def _spread(heights: Sequence[float], gap: float = LINE_HEIGHT) -> list[float]:
    """Return heights, given from top to bottom, at least a line apart around the middle one."""
    middle = len(heights) // 2
    placed = list(heights)
    for here in range(middle - 1, -1, -1):
        placed[here] = min(placed[here], placed[here + 1] - gap)
    for here in range(middle + 1, len(placed)):
        placed[here] = max(placed[here], placed[here - 1] + gap)
    return placed


def _text(rows: Sequence[Mapping[str, Any]], scales: Mapping[str, Any], **style: Any) -> alt.Chart:
    settings = {"fontSize": 10.5, "baseline": "middle", "color": INK} | style
    return alt.Chart(alt.Data(values=list(rows))).mark_text(**settings).encode(
        text="text:N", **scales
    )  # fmt: skip


def _with_places(one: _Comparison) -> pd.DataFrame:
    words = {style.flag: style.place for style in FLAGS}
    counts = _count_places(one)
    places = [f"{words[flag]} ({counts[words[flag]]})" for flag in one.compared["flag"]]
    return one.compared.assign(y=one.compared["adjusted"], place=places)


def _place_scales(one: _Comparison, size: float) -> dict[str, Any]:
    domain = [f"{place} ({number})" for place, number in _count_places(one).items()]

    def scale(values: list[str]) -> alt.Scale:
        return alt.Scale(domain=domain, range=values)

    return {
        "fill": alt.Fill("place:N", scale=scale([style.fill for style in FLAGS])),
        "stroke": alt.Stroke("place:N", scale=scale([style.colour for style in FLAGS])),
        "shape": alt.Shape("place:N", scale=scale([style.shape for style in FLAGS])),
        "size": alt.value(size),
    }


def _marks(
    points: pd.DataFrame, one: _Comparison, scales: Mapping[str, Any], size: float = 42
) -> alt.Chart:
    base = alt.Chart(_records(points, "x", "y", "place"))
    return base.mark_point(strokeWidth=1.2, opacity=1).encode(**scales, **_place_scales(one, size))


# --- labels that keep out of each other's way -----------------------------------------------------

_NEAR = ((1, 0), (-1, 0), (1, -8), (1, 8), (-1, -8), (-1, 8), (0, -13), (0, 13))
_FAR = tuple(
    (side, down) for down in (-24, 24, -36, 36, -48, 48) for side in (0.5, -0.5, 0, 1, -1, 2, -2)
)
"""Where a label is tried: how far beside its mark, in half widths of itself, and how far below."""

_Pixel = tuple[float, float]


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def hits(self, other: "_Box") -> bool:
        return not (
            self.right <= other.left or other.right <= self.left
            or self.bottom <= other.top or other.bottom <= self.top
        )  # fmt: skip


def _labels(points: pd.DataFrame, frame: _Frame, scales: Mapping[str, Any]) -> list[alt.Chart]:
    rows = _placed(points, frame)
    if not rows:
        return []
    leaders = [
        {"x": row["x0"], "y": row["y0"], "x2": row["x2"], "y2": row["y2"]}
        for row in rows if row["far"]
    ]  # fmt: skip
    lines = alt.Chart(alt.Data(values=leaders)).mark_rule(color=GREY, strokeWidth=0.6)
    drawn = [lines.encode(x2="x2:Q", y2="y2:Q", **scales)] if leaders else []
    return [*drawn, _text(rows, scales, fontWeight=600, align="center")]


def _placed(points: pd.DataFrame, frame: _Frame) -> list[dict[str, Any]]:
    """Return labels of those beyond the 99.8 % limits; one without free room goes unlabelled.

    All that have room right at their mark get it before the others are led away from theirs.
    """
    flagged = points[points["flag"].isin(BEYOND_998)].sort_values(
        ["n", "provider_id"], ascending=[False, True]
    )
    waiting = list(flagged[["provider_id", "x", "y"]].itertuples(index=False, name=None))
    marks = [_around(*frame.at(x, y), 9, 9) for x, y in points[["x", "y"]].to_numpy()]
    written: list[_Box] = []
    rows = []
    for nudges in (_NEAR, _FAR):
        for name, x, y in tuple(waiting):
            point, width = frame.at(x, y), LETTER_WIDTH * len(name) + GAP
            spot = _free_spot(point, width, nudges, marks, written)
            if spot is not None:
                waiting.remove((name, x, y))
                written += [_around(*spot, width, LINE_HEIGHT), *_leader(point, spot)]
                rows.append({"text": name, "x0": x, "y0": y} | _label(point, spot, frame))
    return rows


def _label(point: _Pixel, spot: _Pixel, frame: _Frame) -> dict[str, float | bool]:
    """Return where a label and the end of its leader go, and whether it has a leader."""
    (x, y), (x2, y2) = frame.value(*spot), frame.value(spot[0], _edge(point, spot))
    return {"x": x, "y": y, "x2": x2, "y2": y2, "far": bool(_leader(point, spot))}


def _edge(point: _Pixel, spot: _Pixel) -> float:
    return spot[1] + (LINE_HEIGHT / 2 if spot[1] < point[1] else -LINE_HEIGHT / 2)


def _leader(point: _Pixel, spot: _Pixel) -> list[_Box]:
    """Return the line from a mark to its label as small boxes; none where they are close."""
    if abs(spot[1] - point[1]) <= LINE_HEIGHT + 2:
        return []
    across, down = spot[0] - point[0], _edge(point, spot) - point[1]
    return [
        _around(point[0] + share * across, point[1] + share * down, 2, 2)
        for share in (0.3, 0.5, 0.7, 0.9)
    ]


def _free_spot(
    point: _Pixel,
    width: float,
    nudges: Sequence[tuple[float, float]],
    marks: Sequence[_Box],
    written: Sequence[_Box],
) -> _Pixel | None:
    """Return the first place where neither the label nor its leader runs into another."""
    for side, down in nudges:
        spot = (point[0] + side * (width / 2 + 7), point[1] + down)
        box = _around(*spot, width, LINE_HEIGHT)
        inside = box.left >= 0 and box.right <= WIDTH and box.top >= 0 and box.bottom <= HEIGHT
        crossed = any(part.hits(other) for part in _leader(point, spot) for other in written)
        if inside and not crossed and not any(box.hits(other) for other in (*marks, *written)):
            return spot
    return None


def _around(x: float, y: float, width: float, height: float) -> _Box:
    return _Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


# --- caterpillar ----------------------------------------------------------------------------------


def _caterpillar_words(one: _Comparison) -> tuple[str, ...]:
    return (
        f"{one.measure}: providers in order of adjusted gain",
        f"Bars are 95 % intervals. {_gain_against(one)}",
        "Where bars overlap, the order between neighbours is not to be relied on.",
    )


def _describe_caterpillar(one: _Comparison) -> str:
    rows, gain = one.compared, one.reference["gain"]
    covering = int(((rows["ci_lower95"] <= gain) & (rows["ci_upper95"] >= gain)).sum())
    return (
        f"Caterpillar plot of {len(rows)} providers in order of adjusted gain, with 95 % "
        f"intervals; {covering} of the intervals hold the reference gain. {_gain_against(one)}"
    )


def _draw_caterpillar(one: _Comparison) -> alt.LayerChart:
    points = _with_places(one).assign(x=[float(rank) for rank in range(1, len(one.compared) + 1)])
    frame = _Frame(
        (0.0, len(points) + 1.0), _padded([*points["ci_lower95"], *points["ci_upper95"]])
    )
    scales = _scales(frame, "rank, least gain first", f"adjusted gain, {one.unit}")
    size = 30.0 if len(points) <= CROWDED else 11.0
    gain = one.reference["gain"]
    note = {"x": frame.x[1], "y": gain, "text": f"reference {one.text(gain)}"}
    layers = [
        _bars(points, one, scales),
        _level_line(gain, scales),
        _marks(points, one, scales, size),
        _text([note], scales, align="left", dx=6, color="#555b61"),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _bars(points: pd.DataFrame, one: _Comparison, scales: Mapping[str, Any]) -> alt.Chart:
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


def _calibration_words(one: _Comparison) -> tuple[str, ...]:
    return (
        f"{one.measure}: observed against expected, by tenth",
        "Left: the score after, in tenths of the expected score; on the line, observed equals "
        f"expected. Right: how far off it. Expected by {_learner(one)}.",
    )


def _learner(one: _Comparison) -> str:
    return LEARNER_TITLES.get(one.learner, one.learner)


def _describe_calibration(one: _Comparison) -> str:
    worst = one.calibration.loc[one.calibration["difference"].abs().idxmax()]
    return (
        f"Observed against expected score after in tenths of the expected score, {_learner(one)}. "
        f"The largest difference, {one.with_unit(worst['difference'], 1)}, is in tenth "
        f"{int(worst['decile'])} of {len(one.calibration)}."
    )


def _draw_calibration(one: _Comparison) -> alt.HConcatChart:
    return alt.hconcat(_diagonal(one), _differences(one), spacing=34)


def _diagonal(one: _Comparison) -> alt.LayerChart:
    rows = one.calibration.assign(x=one.calibration["expected"], y=one.calibration["observed"])
    ends = _padded([*rows["x"], *rows["y"]], 0.06)
    scales = _scales(_Frame(ends, ends), f"expected, {one.unit}", f"observed, {one.unit}")
    line = alt.Chart(alt.Data(values=[{"x": end, "y": end} for end in ends]))
    points = alt.Chart(_records(rows, "x", "y"))
    return alt.layer(
        line.mark_line(color=GREY, strokeWidth=1).encode(**scales),
        points.mark_point(filled=True, color=BLUE, size=46, opacity=1).encode(**scales),
    ).properties(width=235, height=235)


def _differences(one: _Comparison) -> alt.LayerChart:
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
            .mark_text(align=align, dx=shift, fontSize=10, color="#555b61")
            .encode(x=x, text="text:N")
            for keep, align, shift in (
                (positive, "left", 6), (f"!({positive})", "right", -6)
            )
        ),
    ).properties(width=130, height=235)  # fmt: skip


# --- features -------------------------------------------------------------------------------------


def _features_words(one: _Comparison) -> tuple[str, ...]:
    return (
        f"{one.measure}: what moves the expectation",
        f"Mean absolute contribution to the expected score, {one.unit}, in {_learner(one)}; "
        f"the {len(one.features)} largest. Contributions are not causes.",
    )


def _describe_features(one: _Comparison) -> str:
    first = one.features.head(3)
    named = "; ".join(
        f"{label}, {one.text(value, 1)}"
        for label, value in zip(first["label"], first["mean_absolute"], strict=True)
    )
    return (
        f"Bars of the mean absolute contribution of {len(one.features)} columns to the expected "
        f"score in {one.unit}, {_learner(one)}. The largest: {named}."
    )


def _draw_features(one: _Comparison) -> alt.LayerChart:
    rows = one.features.assign(text=[one.text(v, 1) for v in one.features["mean_absolute"]])
    axis = alt.Axis(title=None, labelLimit=230, grid=False, labelColor=INK)
    base = alt.Chart(_records(rows, "label", "mean_absolute", "text")).encode(
        y=alt.Y("label:N", sort=list(rows["label"]), axis=axis),
        x=alt.X("mean_absolute:Q", axis=None),
    )
    return alt.layer(
        base.mark_bar(color=BLUE, height=9),
        base.mark_text(align="left", dx=5, fontSize=10.5, color="#555b61").encode(text="text:N"),
    ).properties(width=230, height=alt.Step(19))


# --- the figures as data --------------------------------------------------------------------------


class _Kind(NamedTuple):
    """One kind of figure: its words, its description, its chart, and when it can be drawn."""

    say: Callable[[_Comparison], tuple[str, ...]]
    describe: Callable[[_Comparison], str]
    draw: Callable[[_Comparison], Any]
    possible: Callable[[_Comparison], bool]


def _has_compared(one: _Comparison) -> bool:
    return not one.compared.empty


_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "funnel": _Kind(_funnel_words, _describe_funnel, _draw_funnel, _has_compared),
        "caterpillar": _Kind(
            _caterpillar_words, _describe_caterpillar, _draw_caterpillar, _has_compared
        ),
        "calibration": _Kind(
            _calibration_words, _describe_calibration, _draw_calibration,
            lambda one: not one.calibration.empty,
        ),
        "features": _Kind(
            _features_words, _describe_features, _draw_features,
            lambda one: not one.features.empty,
        ),
    }
)  # fmt: skip
