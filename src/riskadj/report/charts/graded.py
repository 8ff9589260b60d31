"""How far social circumstances are adjusted for, and whose flag hangs on it, by one learner."""

from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from riskadj.profile.flags import cut_of
from riskadj.report.charts.drawing import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    QUIET,
    data,
    level_line,
    padded,
    records,
    scales_of,
    text,
)
from riskadj.report.charts.labels import HEIGHT, WIDTH, Frame, spread_lines
from riskadj.report.findings import Findings
from riskadj.report.lookup import called, once, rows_of
from riskadj.report.places import Places
from riskadj.report.subject import OfLearner
from riskadj.report.words import counted
from riskadj.study import Outcome
from riskadj.study.profile import ProfileRules

MOST_NAMES = 16
"""Names at the end of curves; of the providers that move furthest."""
ROOM_FOR_LEADERS = 0.05
UP, DOWN, STAYS = "flag changes, moving up", "flag changes, moving down", "flag stays"
_RESULT = ("adjusted", "ci_lower95", "ci_upper95")
_STYLES = {UP: (BLUE, 1.6), DOWN: (ORANGE, 1.6), STAYS: (GREY, 0.6)}


@dataclass(frozen=True)
class GradedCurve(OfLearner):
    """Providers of one outcome and learner along the curve.

    Attributes
    ----------
    outcome : Outcome
    called : str
        What a sentence calls it.
    learner : str
    rules : ProfileRules
    rows : DataFrame
        Of `graded.csv`: those compared at every share.
    """

    outcome: Outcome
    called: str
    learner: str
    rules: ProfileRules
    rows: pd.DataFrame

    @property
    def shares(self) -> list[float]:
        """How far circumstances are adjusted for, in order."""
        return sorted(float(one) for one in self.rows["lambda"].unique())

    @property
    def wide(self) -> pd.DataFrame:
        """Distance from the reference, better upwards: a row per provider, a column per share."""
        z = self.rows.pivot(index="provider_id", columns="lambda", values="z")
        return self.outcome.better * z

    @property
    def changing(self) -> pd.DataFrame:
        """Providers whose flag changes, in the order in which it does.

        `first` and `last` are their flags, `adjusted_first` and so on their results with the ends
        of an interval, `at` is where the flag changes, `moved` by how much z
        does.
        """
        ends = self.rows.set_index("provider_id")
        first = ends[ends["lambda"] == self.shares[0]]
        last = ends[ends["lambda"] == self.shares[-1]].reindex(first.index)
        table = pd.DataFrame(
            {
                "n": first["n"],
                "first": first["flag"],
                "last": last["flag"],
                "at": first["flag_changes_at"],
                **{f"{name}_first": first[name] for name in _RESULT},
                **{f"{name}_last": last[name] for name in _RESULT},
                "moved": self.outcome.better * (last["z"] - first["z"]),
            }
        )
        return table[table["at"].notna()].sort_values(["at", "provider_id"])

    def rank_agreement(self) -> float:
        """Return Spearman's correlation between the order at the first and at the last share."""
        wide = self.wide
        return float(wide.iloc[:, 0].rank().corr(wide.iloc[:, -1].rank()))


@once
def graded_curve(findings: Findings, outcome: Outcome, learner: str) -> GradedCurve:
    """Return the curve of an outcome and learner."""
    rows = rows_of(findings.graded, outcome=outcome.name, learner=learner)
    whole = rows.groupby("provider_id")["z"].transform(lambda z: z.notna().all()).astype(bool)
    return GradedCurve(
        outcome, called(findings, outcome), learner, findings.study.profile,
        rows[whole].reset_index(drop=True),
    )  # fmt: skip


def graded_curves(findings: Findings, outcome: Outcome) -> list[GradedCurve]:
    """Return the curve of every learner of an outcome."""
    return [
        graded_curve(findings, outcome, one.kind) for one in findings.study.learners_of(outcome)
    ]


def has_curve(one: GradedCurve) -> bool:
    """Whether there is a curve to draw."""
    return not one.rows.empty and len(one.shares) > 1


def graded_words(one: GradedCurve) -> tuple[str, ...]:
    """Return title and subtitle of the figure."""
    return (
        f"{one.called}: how far social circumstances are adjusted for",
        "A line is a provider: its distance from the reference, better upwards, from no adjustment "
        "for social circumstances (0) to all that they do within providers (1). Expected by "
        f"{one.title}.",
        f"In colour and named: {counted(len(one.changing), 'provider')} of {len(one.wide)} whose "
        f"flag changes on the way{_some(one)}. Across: the limits.",
    )


def _some(one: GradedCurve) -> str:
    more = len(one.changing) > MOST_NAMES
    return f", the {MOST_NAMES} that move furthest with their name" if more else ""


def describe_graded(one: GradedCurve) -> str:
    """Return what the figure shows, for those who do not see it."""
    changing = one.changing
    up = int((changing["moved"] > 0).sum())
    return (
        f"Lines of {counted(len(one.wide), 'provider')} by distance from the reference, from no "
        f"adjustment for social circumstances to full adjustment, {one.title}. The flags of "
        f"{len(changing)} change: {up} move up and {len(changing) - up} down. Rank correlation "
        f"between both ends: {one.rank_agreement():.3f}."
    )


def draw_graded(one: GradedCurve) -> alt.LayerChart:
    """Draw every provider's distance from the reference along the curve, between the limits."""
    wide, cuts = one.wide, [cut_of(level) for _, level, _ in Places(one.rules).limits]
    low, high = padded([*wide.to_numpy().flat, 1.1 * cuts[-1], -1.1 * cuts[-1]], 0.03)
    reach = one.shares[-1] + ROOM_FOR_LEADERS * (one.shares[-1] - one.shares[0])
    frame = Frame((one.shares[0], reach), (low, high))
    scales = scales_of(
        frame,
        "share of what circumstances do that is adjusted for",
        "distance from the reference, in spreads, better upwards",
    )
    layers = [
        level_line(0.0, scales),
        *_limits(cuts, scales),
        *_lines(one, wide, scales),
        *_names(one, wide, frame, scales),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _limits(cuts: list[float], scales: dict[str, Any]) -> list[alt.Chart]:
    return [
        level_line(side * cut, scales, color=INK, strokeWidth=0.8,
                   **({"strokeDash": [4, 3]} if cut < cuts[-1] else {}))
        for cut in cuts
        for side in (1, -1)
    ]  # fmt: skip


def _kinds(one: GradedCurve, wide: pd.DataFrame) -> "pd.Series[str]":
    moved = one.changing["moved"].reindex(wide.index)
    names = np.select([moved > 0, moved <= 0], [UP, DOWN], default=STAYS)
    return pd.Series(names, index=wide.index)


def _lines(one: GradedCurve, wide: pd.DataFrame, scales: dict[str, Any]) -> list[alt.Chart]:
    """Draw lines, those whose flag stays beneath the others; one legend for all."""
    long = wide.reset_index().melt("provider_id", var_name="x", value_name="y")
    long["kind"] = long["provider_id"].map(_kinds(one, wide))
    names = [name for name in _STYLES if (long["kind"] == name).any()]
    colour = alt.Color(
        "kind:N", scale=alt.Scale(domain=names, range=[_STYLES[name][0] for name in names])
    )
    return [
        alt.Chart(records(long[long["kind"] == name], "x", "y", "provider_id", "kind"))
        .mark_line(strokeWidth=_STYLES[name][1], opacity=0.8)
        .encode(detail="provider_id:N", color=colour, **scales)
        for name in reversed(names)
    ]


def _names(
    one: GradedCurve, wide: pd.DataFrame, frame: Frame, scales: dict[str, Any]
) -> list[alt.Chart]:
    changing = one.changing
    furthest = changing["moved"].abs().sort_values(ascending=False, kind="stable").index
    ends = wide.iloc[:, -1].loc[furthest[:MOST_NAMES]].sort_values(ascending=False)
    if ends.empty:
        return []
    heights = spread_lines([frame.at(0, level)[1] for level in ends])
    rows = [
        {"x": frame.x[1], "y": frame.value(0, height)[1], "text": str(name),
         "x2": one.shares[-1], "y2": level}
        for height, (name, level) in zip(heights, ends.items(), strict=True)
    ]  # fmt: skip
    leaders = alt.Chart(data(rows)).mark_rule(color=GREY, strokeWidth=0.5)
    return [
        leaders.encode(x2="x2:Q", y2="y2:Q", **scales),
        text(rows, scales, align="left", dx=4, color=QUIET),
    ]
