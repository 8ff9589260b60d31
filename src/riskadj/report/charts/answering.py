"""One outcome under one learner, by complete cases, weighted and imputed; and how it is drawn."""

from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from riskadj.followup import ANALYSES
from riskadj.profile.flags import cut_of
from riskadj.report.charts.drawing import BLUE, GREY, INK, QUIET, data, records, text
from riskadj.report.findings import Findings
from riskadj.report.lookup import called, once, rows_of
from riskadj.report.places import Places
from riskadj.report.subject import OfLearner
from riskadj.report.words import shortened
from riskadj.study import Outcome
from riskadj.study.profile import ProfileRules

MOST_SHOWN = 30
"""Providers in one figure."""
ROW, PLOT = 15.0, 270.0
NAMES = {"complete": "those who answered", "weighted": "weighted", "imputed": "imputed"}
"""What the analyses are called."""
_SHAPES = {
    "complete": ("circle", "#ffffff"),
    "weighted": ("diamond", GREY),
    "imputed": ("circle", BLUE),
}


@dataclass(frozen=True)
class Answering(OfLearner):
    """Providers that have a flag, under the three analyses.

    Attributes
    ----------
    outcome : Outcome
    called : str
        What a sentence calls it.
    learner : str
    rules : ProfileRules
    rows : DataFrame
        Of `follow_up.csv`.
    """

    outcome: Outcome
    called: str
    learner: str
    rules: ProfileRules
    rows: pd.DataFrame

    @property
    def analyses(self) -> list[str]:
        """Those that were done."""
        return [one for one in ANALYSES if self.rows[f"z_{one}"].notna().any()]

    @property
    def changing(self) -> "pd.Series[bool]":
        """Whether each provider's flag is another under another analysis."""
        own = self.rows["flag_complete"]
        others = [self.rows[f"flag_{one}"] for one in self.analyses[1:]]
        return pd.concat([(one != own) & (one != "") for one in others], axis=1).any(axis=1)

    def shown(self) -> pd.DataFrame:
        """Return those whose flag changes first, then those that fewest answered."""
        order = self.rows.assign(changing=self.changing).sort_values(
            ["changing", "response", "provider_id"], ascending=[False, True, True], kind="stable"
        )
        return order.head(MOST_SHOWN).reset_index(drop=True)


@once
def answering(findings: Findings, outcome: Outcome, learner: str) -> Answering:
    """Return the providers of an outcome and learner that have a flag."""
    rows = rows_of(findings.follow_up, outcome=outcome.name, learner=learner)
    flagged = rows[rows["z_complete"].notna()].reset_index(drop=True)
    return Answering(outcome, called(findings, outcome), learner, findings.study.profile, flagged)


def draw_answering(one: Answering) -> alt.LayerChart:
    """Draw where each provider lies under the three analyses, between its limits."""
    rows, cuts = one.shown(), _cuts(one)
    reach = max(1.15 * cuts[-1], *(rows[f"z_{name}"].abs().max() * 1.06 for name in one.analyses))
    names = [shortened(str(name)) for name in rows["provider_id"]]
    bottom = ROW * len(rows)
    scales = _scales(reach, bottom, one)
    y = [ROW * (place + 0.5) for place in range(len(rows))]
    layers = [
        *_limits(cuts, scales),
        _spans(one, rows, y, scales),
        _marks(one, rows, y, scales),
        text(
            [{"x": -reach, "y": at, "text": name} for at, name in zip(y, names, strict=True)],
            scales, align="right", dx=-6,
        ),
        text(
            [{"x": reach, "y": at, "text": f"{100 * share:.0f} %"}
             for at, share in zip(y, rows["response"], strict=True)],
            scales, align="left", dx=6, color=QUIET,
        ),
    ]  # fmt: skip
    return alt.layer(*layers).properties(width=PLOT, height=bottom)


def _cuts(one: Answering) -> list[float]:
    return [cut_of(level) for _, level, _ in Places(one.rules).limits]


def _scales(reach: float, bottom: float, one: Answering) -> dict[str, Any]:
    title = "distance from the reference, in standard errors"
    side = "" if one.outcome.better > 0 else "; less is better"
    return {
        "x": alt.X(
            "x:Q", scale=alt.Scale(domain=[-reach, reach], nice=False, zero=False),
            axis=alt.Axis(title=f"{title}{side}", grid=False),
        ),
        "y": alt.Y("y:Q", scale=alt.Scale(domain=[bottom, 0], nice=False, zero=False), axis=None),
    }  # fmt: skip


def _limits(cuts: list[float], scales: dict[str, Any]) -> list[alt.Chart]:
    """Draw the middle and the limits from top to bottom."""
    drawn = []
    for place, cut in enumerate([0.0, *cuts]):
        style = {"strokeDash": [4, 3]} if 0 < place < len(cuts) else {}
        ends = data([{"x": one} for one in sorted({cut, -cut})])
        colour = INK if place == 0 else GREY
        rule = alt.Chart(ends).mark_rule(color=colour, strokeWidth=1, **style)
        drawn.append(rule.encode(x=scales["x"]))
    return drawn


def _spans(one: Answering, rows: pd.DataFrame, y: list[float], scales: dict[str, Any]) -> alt.Chart:
    z = rows[[f"z_{name}" for name in one.analyses]]
    spans = pd.DataFrame({"x": z.min(axis=1), "x2": z.max(axis=1), "y": y})
    drawn = alt.Chart(records(spans, "x", "x2", "y")).mark_rule(color=GREY, strokeWidth=1)
    return drawn.encode(x2="x2:Q", **scales)


def _marks(one: Answering, rows: pd.DataFrame, y: list[float], scales: dict[str, Any]) -> alt.Chart:
    marks = pd.concat(
        [pd.DataFrame({"x": rows[f"z_{name}"], "y": y, "by": NAMES[name]}) for name in one.analyses]
    ).dropna()
    names = [NAMES[name] for name in one.analyses]
    looks = [_SHAPES[name] for name in one.analyses]
    drawn = alt.Chart(records(marks, "x", "y", "by"))
    return drawn.mark_point(size=44, strokeWidth=1.2, opacity=1, stroke=INK).encode(
        shape=alt.Shape("by:N", scale=alt.Scale(domain=names, range=[look[0] for look in looks])),
        fill=alt.Fill("by:N", scale=alt.Scale(domain=names, range=[look[1] for look in looks])),
        **scales,
    )
