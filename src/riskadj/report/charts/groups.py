"""How far groups of patients are from what is expected, by every learner; and how it is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import altair as alt
import pandas as pd

from riskadj.cohort.rates import ALL
from riskadj.episodes.columns import COLUMNS, Column
from riskadj.fairness.groups import HELD_OUT
from riskadj.report.charts.drawing import BLUE, FAINT, GREY, INK, ORANGE, QUIET, data, records, text
from riskadj.report.findings import Findings
from riskadj.report.lookup import called, learner_names, once, rows_of
from riskadj.report.words import (
    counted,
    feature_label,
    format_number,
    learner_title,
    listed,
    sentence_decimals,
    shortened,
)
from riskadj.study import Outcome

MOST_SHOWN = 24
"""Groups in one figure."""
PLOT, STEP, MARGIN, LONGEST = 190.0, 8.0, 9.0, 30
ROOM, USUAL = 1.12, 0.9
"""Beyond the furthest mark; and the share of intervals that surely fit."""
HEAD = 16.0
"""Pixels above the first row, for what the sides are called."""
_CONDITIONS = ("comorb_", "charlson_", "elixhauser_")
_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "comorb_heart": "heart disease",
        "comorb_high_bp": "high blood pressure",
        "comorb_stroke": "an earlier stroke",
        "comorb_circulation": "poor circulation",
        "comorb_lung": "lung disease",
        "comorb_kidney": "kidney disease",
        "comorb_nervous": "a disease of the nervous system",
        "comorb_liver": "liver disease",
    }
)
"""Conditions whose own label is a part of the body, or less."""
_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
COLOURS: Mapping[str, str] = MappingProxyType({"better": BLUE, "worse": ORANGE, "": GREY})
"""By how providers that treat a group come out for it."""


@dataclass(frozen=True)
class GroupForest:
    """The groups of an outcome, held out, by every learner.

    Attributes
    ----------
    outcome : Outcome
    called : str
        What a sentence calls it.
    learners : tuple of str
    rows : DataFrame
        Of `groups.csv`: those with an interval, with a `label` each.
    """

    outcome: Outcome
    called: str
    learners: tuple[str, ...]
    rows: pd.DataFrame

    @property
    def learner(self) -> str:
        """None: the figure is of all of them."""
        return ""

    @property
    def title(self) -> str:
        """What the figure is of, beside the outcome."""
        return "expected against observed by group of patients"

    @property
    def labels(self) -> list[str]:
        """Every group once, in order."""
        return list(dict.fromkeys(self.rows["label"]))

    def shown(self) -> list[str]:
        """Return the groups that are drawn: the surest to be off, in the order of the table."""
        half = (self.rows["mean_residual_upper95"] - self.rows["mean_residual_lower95"]) / 2
        far = (self.rows["mean_residual"].abs() / half.where(half > 0)).fillna(0)
        surest = far.groupby(self.rows["label"]).max().sort_values(ascending=False, kind="stable")
        chosen = set(surest.head(MOST_SHOWN).index)
        return [one for one in self.labels if one in chosen]

    @property
    def off(self) -> list[str]:
        """The groups whose interval leaves out 0 by any learner."""
        return list(dict.fromkeys(self.rows.loc[self.rows["come_out"] != "", "label"]))


def labelled(rows: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Return rows of the group table with what a reader calls each group."""
    shown = without_mirrors(rows, columns)
    names = [
        group_label(one.group, one.column, one.level, columns)
        for one in shown.itertuples(index=False)
    ]
    return shown.assign(label=names)


def without_mirrors(rows: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Return rows but those of patients who have not what others have: their mirror image."""
    flags = rows["column"].map(lambda one: one in columns and columns[one].kind == "flag")
    return rows[~(flags.astype(bool) & (rows["level"] == "0"))]


def group_label(group: str, column: str, level: str, columns: Mapping[str, Column]) -> str:
    """Return what a reader calls a level of a group, in words.

    Examples
    --------
    >>> from riskadj.episodes.columns import COLUMNS
    >>> group_label("comorb_nervous", "comorb_nervous", "1", COLUMNS)
    'with a disease of the nervous system'
    >>> group_label("living_arrangements", "living_arrangements", "with_family", COLUMNS)
    'living arrangements: with family'
    >>> group_label("very_low", "q1_score_ohs", "below 10", COLUMNS)
    'very low: below 10'
    >>> group_label("(provider volume)", "(provider volume)", "small", COLUMNS)
    'provider volume: small'
    >>> group_label("q1_score_ohs", "q1_score_ohs", "not recorded", COLUMNS)
    'Oxford Hip Score (before): not recorded'
    """
    label = feature_label(column, columns) if group == column else group.replace("_", " ")
    is_flag = column in columns and columns[column].kind == "flag"
    if is_flag and level == "1":
        is_condition = column.startswith(_CONDITIONS)
        return f"with {condition_label(column, columns)}" if is_condition else label
    name = label[1:-1] if label.startswith("(") else label
    return f"{name}: {level.replace('_', ' ')}"


def condition_label(column: str, columns: Mapping[str, Column]) -> str:
    """Return what a reader calls a condition.

    Examples
    --------
    >>> from riskadj.episodes.columns import COLUMNS
    >>> condition_label("comorb_heart", COLUMNS), condition_label("comorb_diabetes", COLUMNS)
    ('heart disease', 'diabetes')
    """
    label = feature_label(column, columns).removeprefix("comorbidity: ")
    return _IN_WORDS.get(column, label)


def columns_of(findings: Findings) -> Mapping[str, Column]:
    """Return what columns are: ours, and those that the study declares."""
    return COLUMNS | {one.name: one for one in findings.study.data.columns}


@once
def group_forest(findings: Findings, outcome: Outcome) -> GroupForest:
    """Return the groups of an outcome that have an interval."""
    rows = rows_of(findings.groups, outcome=outcome.name, fold=HELD_OUT)
    known = rows[rows["mean_residual_lower95"].notna() & (rows["group"] != ALL)]
    learners = tuple(
        one for one in learner_names(findings, outcome) if one in set(known["learner"])
    )
    shown = labelled(known, columns_of(findings))
    return GroupForest(outcome, called(findings, outcome), learners, shown)


def group_forests(findings: Findings, outcome: Outcome) -> list[GroupForest]:
    """Return what can be drawn of an outcome."""
    return [group_forest(findings, outcome)]


def has_groups(one: GroupForest) -> bool:
    """Whether any group can be drawn."""
    return not one.rows.empty


def group_words(one: GroupForest) -> tuple[str, ...]:
    """Return the title and the sentences above the chart."""
    number, shown = len(one.labels), len(one.shown())
    which = "" if shown == number else f"The {shown} of {number} groups that are off most surely."
    return (
        f"{one.called}: is what is expected right for every group?",
        f"Mean of observed minus expected, {one.outcome.unit}, with 95 % intervals that draw "
        "providers; held out.",
        "Filled: the interval leaves out 0, and providers that treat the group come out better "
        "(blue) or worse (orange) for it. Open: it may be 0. Lines to the edge go on beyond it.",
        which,
    )


def describe_groups(one: GroupForest) -> str:
    """Return what the chart shows, in words."""
    off = one.off
    learners = listed(learner_title(name) for name in one.learners)
    most = (
        f" Off by any learner: {'; '.join(off[:5])}{' and others' if len(off) > 5 else ''}."
        if off
        else ""
    )
    return (
        f"Forest plot of observed minus expected in {counted(len(one.labels), 'group')} of "
        f"patients, by {learners}. {_furthest(one)}{most}"
    )


def _furthest(one: GroupForest) -> str:
    row = one.rows.loc[one.rows["mean_residual"].abs().idxmax()]
    decimals = sentence_decimals(one.outcome) + 1
    value, low, high = (
        format_number(float(row[f"mean_residual{end}"]), decimals)
        for end in ("", "_lower95", "_upper95")
    )
    return f"The furthest is {row['label']}, {value} ({low} to {high}) {one.outcome.unit}."


def draw_groups(one: GroupForest) -> alt.LayerChart:
    """Draw a row per group with a mark and an interval per learner."""
    labels = one.shown()
    height = STEP * len(one.learners) + MARGIN
    rows = _placed(one, labels, height)
    bottom = HEAD + height * len(labels)
    reach = _reach(rows)
    rows[["low", "high"]] = rows[["low", "high"]].clip(-reach, reach)
    scales = _scales(one, reach, bottom)
    names = [
        {"x": -reach, "y": HEAD + height * (at + 0.5), "text": shortened(label, LONGEST)}
        for at, label in enumerate(labels)
    ]
    layers = [
        _lines(labels, height, reach, scales),
        alt.Chart(data([{"x": 0.0}])).mark_rule(color=INK, strokeWidth=1).encode(x=scales["x"]),
        _intervals(rows, scales),
        _marks(one, rows, scales),
        text(names, scales, align="right", dx=-6),
        text(_sizes(one, labels, height, reach), scales, align="left", dx=6, color=QUIET),
        text(_sides(one, reach), scales, color=QUIET, align="center", fontStyle="italic"),
    ]
    return alt.layer(*layers).properties(width=PLOT, height=bottom)


def _reach(rows: pd.DataFrame) -> float:
    """Return how far the axis goes: to every mark and most intervals, as few are very wide."""
    ends = rows[["low", "high"]].abs().max(axis=1)
    return max(ROOM * float(rows["x"].abs().max()), float(ends.quantile(USUAL)))


def _sizes(
    one: GroupForest, labels: Sequence[str], height: float, reach: float
) -> list[dict[str, Any]]:
    """Return how many episodes each group has, at the end of its row."""
    n = one.rows.drop_duplicates("label").set_index("label")["n"]
    rows = [
        {"x": reach, "y": HEAD + height * (at + 0.5), "text": format_number(int(n[label]))}
        for at, label in enumerate(labels)
    ]
    return [{"x": reach, "y": HEAD / 2, "text": "n"}, *rows]


def _placed(one: GroupForest, labels: Sequence[str], height: float) -> pd.DataFrame:
    """Return the marks, learners of a group below each other."""
    at = {label: HEAD + height * place for place, label in enumerate(labels)}
    within = {
        learner: (height - STEP * (len(one.learners) - 1)) / 2 + STEP * place
        for place, learner in enumerate(one.learners)
    }
    rows = one.rows[one.rows["label"].isin(labels)]
    side = rows["come_out"].fillna("")
    colour = side.map(COLOURS)
    return pd.DataFrame(
        {
            "x": rows["mean_residual"].astype(float),
            "low": rows["mean_residual_lower95"].astype(float),
            "high": rows["mean_residual_upper95"].astype(float),
            "y": rows["label"].map(at) + rows["learner"].map(within),
            "learner": rows["learner"],
            "colour": colour,
            "fill": colour.where(side != "", "#ffffff"),
        }
    )


def _scales(one: GroupForest, reach: float, bottom: float) -> dict[str, Any]:
    title = f"observed \N{MINUS SIGN} expected, {one.outcome.unit}"
    return {
        "x": alt.X(
            "x:Q", scale=alt.Scale(domain=[-reach, reach], nice=False, zero=False),
            axis=alt.Axis(title=title, grid=False, tickCount=5),
        ),
        "y": alt.Y("y:Q", scale=alt.Scale(domain=[bottom, 0], nice=False, zero=False), axis=None),
    }  # fmt: skip


def _lines(
    labels: Sequence[str], height: float, reach: float, scales: Mapping[str, Any]
) -> alt.Chart:
    """Draw what sets groups apart."""
    lines = [{"x": -reach, "x2": reach, "y": HEAD + height * at} for at in range(len(labels) + 1)]
    drawn = alt.Chart(data(lines)).mark_rule(color=FAINT, strokeWidth=1)
    return drawn.encode(x2="x2:Q", **scales)


def _intervals(rows: pd.DataFrame, scales: Mapping[str, Any]) -> alt.Chart:
    drawn = alt.Chart(records(rows.assign(x=rows["low"]), "x", "high", "y", "colour"))
    return drawn.mark_rule(strokeWidth=1.3).encode(
        x2="high:Q", stroke=alt.Stroke("colour:N", scale=None), **scales
    )


def _marks(one: GroupForest, rows: pd.DataFrame, scales: Mapping[str, Any]) -> alt.Chart:
    names = list(one.learners)
    shapes = [_SHAPES[place % len(_SHAPES)] for place in range(len(names))]
    legend = alt.Legend() if len(names) > 1 else None
    drawn = alt.Chart(records(rows, "x", "y", "learner", "colour", "fill"))
    return drawn.mark_point(size=30, strokeWidth=1.2, opacity=1).encode(
        shape=alt.Shape("learner:N", scale=alt.Scale(domain=names, range=shapes), legend=legend),
        fill=alt.Fill("fill:N", scale=None),
        stroke=alt.Stroke("colour:N", scale=None),
        **scales,
    )


def _sides(one: GroupForest, reach: float) -> list[dict[str, Any]]:
    """Return what providers are on either side of 0: below it less is had than is expected."""
    left, right = ("worse", "better") if one.outcome.better > 0 else ("better", "worse")
    return [
        {"x": -reach / 2, "y": HEAD / 2, "text": f"\N{LEFTWARDS ARROW} come out {left}"},
        {"x": reach / 2, "y": HEAD / 2, "text": f"come out {right} \N{RIGHTWARDS ARROW}"},
    ]
