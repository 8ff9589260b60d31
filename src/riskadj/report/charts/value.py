"""Outcome and cost of providers on one plane, by one pair of learners: its words and its chart."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from riskadj.report.charts.drawing import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    QUIET,
    level_line,
    padded,
    records,
    scales_of,
    text,
    written_names,
)
from riskadj.report.charts.labels import HEIGHT, WIDTH, Frame, place_labels
from riskadj.report.findings import Findings
from riskadj.report.words import counted, learner_title, measure
from riskadj.stats.normal_pairs import ellipse
from riskadj.study import Outcome
from riskadj.value import CLASSES, NOT_COMPARED
from riskadj.value.classes import QUARTERS
from riskadj.value.profile import CHANCE_COLUMNS

MOST_REGIONS = 24
"""Regions in one figure; those of the providers that are told apart most surely."""
REGION = 0.95
SMALLEST, LARGEST = 18.0, 150.0
"""Areas of marks, by volume."""
_STEPS, _MOST_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0), 7


class ClassStyle(NamedTuple):
    """How a class is drawn; shape and filling tell classes apart without colour."""

    colour: str
    fill: str
    shape: str


CLASS_STYLES: Mapping[str, ClassStyle] = MappingProxyType(
    {
        "better and cheaper": ClassStyle(BLUE, BLUE, "triangle-up"),
        "better and dearer": ClassStyle(INK, INK, "diamond"),
        "worse and cheaper": ClassStyle(INK, INK, "square"),
        "worse and dearer": ClassStyle(ORANGE, ORANGE, "triangle-down"),
        "better, cost unclear": ClassStyle(BLUE, "#ffffff", "triangle-up"),
        "worse, cost unclear": ClassStyle(ORANGE, "#ffffff", "triangle-down"),
        "cheaper, outcome unclear": ClassStyle(BLUE, "#ffffff", "triangle-left"),
        "dearer, outcome unclear": ClassStyle(ORANGE, "#ffffff", "triangle-right"),
        "not told apart": ClassStyle(GREY, "#e8eaec", "circle"),
    }
)
_RINGED = "ringed"
_OF_QUARTERS = tuple(one.name for one in QUARTERS)


@dataclass(frozen=True)
class ValuePlane:
    """Providers by outcome and cost under one pair of learners.

    Attributes
    ----------
    outcome, cost : Outcome
    learners : tuple of str
        Of the outcome, and of the cost.
    level : float
        From which chance on a class is given.
    rows : DataFrame
        Of `value.csv`: those that are compared.
    not_compared : int
    """

    outcome: Outcome
    cost: Outcome
    learners: tuple[str, str]
    level: float
    rows: pd.DataFrame
    not_compared: int

    @property
    def learner(self) -> str:
        """The learners, for the name of a file."""
        return "_".join(dict.fromkeys(self.learners))

    @property
    def title(self) -> str:
        """What the learners are called in a sentence."""
        ours, theirs = (learner_title(one) for one in self.learners)
        return ours if ours == theirs else f"{ours} and, of cost, {theirs}"

    @property
    def counts(self) -> dict[str, int]:
        """How many providers are in each class that anybody is in."""
        counts = self.rows["class"].value_counts()
        return {one.name: int(counts[one.name]) for one in CLASSES if one.name in counts}

    def regions(self) -> pd.DataFrame:
        """Return the providers whose region is drawn, the surest first."""
        told = self.rows[self.rows["class"].isin(_OF_QUARTERS)]
        surest = told.assign(chance=told[CHANCE_COLUMNS].max(axis=1))
        order = surest.sort_values(["chance", "provider_id"], ascending=[False, True])
        return order.head(MOST_REGIONS)


def value_planes(findings: Findings, outcome: Outcome) -> list[ValuePlane]:
    """Return what can be drawn of an outcome: a plane per pair of learners, if it has a cost."""
    rules = findings.study.value
    if rules is None or outcome.name != rules.outcome:
        return []
    cost = next(one for one in findings.study.outcomes if one.name == rules.cost)
    planes = []
    for (ours, theirs), rows in findings.value.groupby(["learner", "cost_learner"], sort=False):
        compared = rows[~rows["class"].isin((NOT_COMPARED, ""))].reset_index(drop=True)
        learners, rest = (str(ours), str(theirs)), len(rows) - len(compared)
        planes.append(ValuePlane(outcome, cost, learners, rules.level, compared, rest))
    return planes


def has_values(one: ValuePlane) -> bool:
    """Whether anybody is compared."""
    return not one.rows.empty


def value_words(one: ValuePlane) -> tuple[str, ...]:
    """Return the title and the sentences above the chart."""
    told, drawn = sum(one.counts.get(name, 0) for name in _OF_QUARTERS), len(one.regions())
    rings = "named, with rings that hold the truth with 95 %" if drawn else ""
    rings += f", of the {drawn} surest" if drawn < told else ""
    return (
        f"{measure(one.outcome)} and cost together",
        "A mark is a provider, the larger the more episodes, drawn to the middle by as much as "
        f"chance is in it. Expected by {one.title}.",
        f"Filled: in their quarter with a probability of {one.level:g} or more"
        f"{'; ' if rings else ''}{rings}.",
        "Open: one side is told, the other is not. Grey: neither.",
    )


def describe_value(one: ValuePlane) -> str:
    """Return what the chart shows, in words."""
    counts = ", ".join(f"{number} {name}" for name, number in one.counts.items())
    rest = f"; not compared: {counted(one.not_compared, 'provider')}" if one.not_compared else ""
    return (
        f"Plane of cost over expected, across, and {one.outcome.compares.noun} above expected, "
        f"upwards, with {counted(len(one.rows), 'provider')}: {counts}{rest}. Expected by "
        f"{one.title}."
    )


def draw_value(one: ValuePlane) -> alt.LayerChart:
    """Draw providers by cost ratio, on a log scale, and outcome difference."""
    points, edges = _points(one), _edges(one)
    frame = _frame(points, edges)
    scales = scales_of(
        frame, "cost over expected, ratio",
        f"{one.outcome.compares.noun} above expected, {one.outcome.unit}",
    ) | {"x": _cost_axis(frame)}  # fmt: skip
    layers = [
        level_line(0.0, scales),
        alt.Chart(alt.Data(values=[{"x": 0.0}])).mark_rule(color=INK, strokeWidth=1).encode(
            x=scales["x"]
        ),
        *_rings(edges, scales),
        _marks(points, one, scales),
        text(_corners(frame), scales, color=QUIET, fontStyle="italic", align="center"),
        *_names(points, one, frame, scales),
    ]  # fmt: skip
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


# --- its parts ------------------------------------------------------------------------------------


def _points(one: ValuePlane) -> pd.DataFrame:
    """Return the marks, the surest last, so that they lie on top."""
    most = float(one.rows["n_both"].max()) or 1.0
    counts = one.counts
    named = {name: f"{name} ({number})" for name, number in counts.items()}
    volume = one.rows["n_both"].astype(float) / most
    points = pd.DataFrame(
        {
            "provider_id": one.rows["provider_id"],
            "flag": one.rows["class"],
            "place": one.rows["class"].map(named),
            "n": one.rows["n_both"],
            "x": np.log(one.rows["shrunken_cost_ratio"].astype(float)),
            "y": one.rows["shrunken_outcome"].astype(float),
            "area": SMALLEST + (LARGEST - SMALLEST) * volume,
        }
    )
    order = {one.name: -place for place, one in enumerate(CLASSES)}
    return points.sort_values("flag", key=lambda names: names.map(order), kind="stable")


def _edges(one: ValuePlane) -> list[pd.DataFrame]:
    """Return the edge of every region that is drawn."""
    edges = []
    for row in one.regions().to_dict("records"):
        first, last = row["shrunken_cost_error"], row["shrunken_outcome_error"]
        cross = row["shrunken_correlation"] * first * last
        centre = [np.log(row["shrunken_cost_ratio"]), row["shrunken_outcome"]]
        edge = ellipse(centre, [[first**2, cross], [cross, last**2]], REGION)
        closed = pd.DataFrame(np.vstack([edge, edge[:1]]), columns=["x", "y"])
        colour = CLASS_STYLES[row["class"]].colour
        edges.append(closed.assign(order=range(len(closed)), colour=colour))
    return edges


def _frame(points: pd.DataFrame, edges: list[pd.DataFrame]) -> Frame:
    """Return the plane that holds all marks and rings, with room for the names of its quarters."""
    everything = pd.concat([points[["x", "y"]], *(one[["x", "y"]] for one in edges)])
    return Frame(
        padded([0.0, *everything["x"]], 0.06),
        padded([0.0, *everything["y"]], 0.14),
    )


def _cost_axis(frame: Frame) -> alt.X:
    return alt.X(
        "x:Q",
        scale=alt.Scale(domain=list(frame.x), nice=False, zero=False),
        axis=alt.Axis(
            title="cost over expected, ratio (log scale)", grid=False, labelOverlap=False,
            values=_ticks(frame),
            labelExpr="format(exp(datum.value), '.2~f')",
        ),
    )  # fmt: skip


def _ticks(frame: Frame) -> list[float]:
    """Return logarithms of ratios a step apart, 1 among them."""
    low, high = (float(one) for one in np.exp(frame.x))
    for step in _STEPS:
        ratios = 1 + step * np.arange(np.ceil((low - 1) / step), np.floor((high - 1) / step) + 1)
        if len(ratios) <= _MOST_TICKS:
            break
    return [float(one) for one in np.log(ratios[ratios > 0])]


def _rings(edges: list[pd.DataFrame], scales: Mapping[str, Any]) -> list[alt.Chart]:
    return [
        alt.Chart(records(edge, "x", "y", "order"))
        .mark_line(color=edge["colour"].iloc[0], strokeWidth=0.9, opacity=0.55)
        .encode(order="order:Q", **scales)
        for edge in edges
    ]


def _marks(points: pd.DataFrame, one: ValuePlane, scales: Mapping[str, Any]) -> alt.Chart:
    names = list(one.counts)
    styles, legend = [CLASS_STYLES[name] for name in names], alt.Legend(columns=2)
    shown = [f"{name} ({one.counts[name]})" for name in names]

    def scale(values: list[str]) -> alt.Scale:
        return alt.Scale(domain=shown, range=values)

    return (
        alt.Chart(records(points, "x", "y", "place", "area"))
        .mark_point(strokeWidth=1.1, opacity=1)
        .encode(
            fill=alt.Fill("place:N", scale=scale([one.fill for one in styles]), legend=legend),
            stroke=alt.Stroke(
                "place:N", scale=scale([one.colour for one in styles]), legend=legend
            ),
            shape=alt.Shape("place:N", scale=scale([one.shape for one in styles]), legend=legend),
            size=alt.Size("area:Q", scale=None, legend=None),
            **scales,
        )
    )


def _corners(frame: Frame) -> list[dict[str, Any]]:
    """Return the name of each quarter, in its corner."""
    (left, right), (low, high) = frame.x, frame.y
    margin = 0.035 * (high - low)
    return [
        {
            "x": (left if one.cost > 0 else right) / 2,
            "y": high - margin if one.outcome > 0 else low + margin,
            "text": one.name,
        }
        for one in QUARTERS
    ]


def _names(
    points: pd.DataFrame, one: ValuePlane, frame: Frame, scales: Mapping[str, Any]
) -> list[alt.Chart]:
    """Return the names of the providers whose ring is drawn, clear of those of the quarters."""
    ringed = points["provider_id"].isin(one.regions()["provider_id"])
    marks = pd.concat([points.assign(flag=np.where(ringed, _RINGED, "")), _taken(frame)])
    return written_names(place_labels(marks, frame, (_RINGED,)), scales)


def _taken(frame: Frame) -> pd.DataFrame:
    """Return where the names of the quarters are, as a row of marks each."""
    places = [
        frame.value(across + side, down)
        for corner in _corners(frame)
        for across, down in [frame.at(corner["x"], corner["y"])]
        for side in np.arange(-48.0, 49.0, 8.0)
    ]
    return pd.DataFrame(places, columns=["x", "y"]).assign(provider_id="", flag="", n=0)
