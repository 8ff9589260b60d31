"""The grid of flags: a row per provider, a mark per analysis, grouped so that choices show."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import altair as alt
import pandas as pd

from riskadj.report.charts.drawing import BAND, FAINT, QUIET, data, place_scales, records, text
from riskadj.report.charts.labels import LETTER_WIDTH, WIDTH
from riskadj.report.choices import LIMITS, METHODS
from riskadj.report.contest import Contest
from riskadj.report.words import shortened

ROW = 13.0
STEPS = (11.0, 24.0)
"""The narrowest and the widest column."""
LEARNER_GAP, LIMITS_GAP = 12.0, 4.0
LEARNER_HEAD, METHOD_HEAD = 18.0, 13.0
LETTER_HEIGHT = 5.2
"""Of a name that stands on end."""
FLAGGED, WITHIN = 38.0, 8.0
"""Sizes of marks."""

Analysis = tuple[str, str, str]


@dataclass(frozen=True)
class _Layout:
    """Where everything is, in pixels; (0, 0) is the upper left corner of the marks."""

    at: Mapping[Analysis, float]
    step: float
    left: float
    right: float
    bottom: float
    limits_head: float
    method_head: float

    @property
    def head(self) -> float:
        """How high what stands above the marks is."""
        return LEARNER_HEAD + self.limits_head + self.method_head

    @property
    def end(self) -> float:
        """Where the last column ends."""
        return max(self.at.values()) + self.step / 2

    @property
    def scales(self) -> dict[str, Any]:
        """Pixels as axes that nobody sees."""
        return {
            "x": alt.X("x:Q", axis=None, scale=_pixels(-self.left, self.right)),
            "y": alt.Y("y:Q", axis=None, scale=_pixels(self.bottom, -self.head)),
        }

    def middles(self, group: Callable[[Analysis], Hashable]) -> dict[Any, float]:
        """Return the middle of each group of columns."""
        found = {name: [*some] for name, some in groupby(self.at, key=group)}
        return {name: sum(self.at[one] for one in some) / len(some) for name, some in found.items()}


def _pixels(first: float, last: float) -> alt.Scale:
    return alt.Scale(domain=[first, last], nice=False, zero=False)


def draw_sensitivity(one: Contest) -> alt.LayerChart:
    """Draw the flag of the most contested providers under every analysis."""
    rows = one.most_contested()
    layout = _lay_out(one, rows)
    layers = [
        _bands(one, layout),
        _rules(rows, layout),
        *_heads(layout),
        *_names(one, rows, layout),
        _marks(one, rows, layout),
    ]
    return alt.layer(*layers).properties(
        width=layout.left + layout.right, height=layout.head + layout.bottom
    )


# --- where things are -----------------------------------------------------------------------------


def _lay_out(one: Contest, rows: pd.DataFrame) -> _Layout:
    step = min(max(WIDTH / len(one.analyses), STEPS[0]), STEPS[1])
    limits = [LIMITS[name].title for name in one.options("limits")]
    longest = max(len(shortened(str(name))) for name in rows.index)
    at = _columns(one.analyses, step)
    return _Layout(
        at=at,
        step=step,
        left=LETTER_WIDTH * longest + 8,
        right=max(at.values()) + step / 2 + 8 + LETTER_WIDTH * 5,
        bottom=ROW * len(rows),
        limits_head=6 + LETTER_HEIGHT * max(map(len, limits)) if len(limits) > 1 else 0.0,
        method_head=METHOD_HEAD if len(one.options("method")) > 1 else 0.0,
    )


def _columns(analyses: Sequence[Analysis], step: float) -> dict[Analysis, float]:
    """Return the middle of each column; learners stand apart, and limits a little."""
    at: dict[Analysis, float] = {}
    edge = 0.0
    for learner, some in groupby(analyses, key=lambda one: one[0]):
        columns, width = _of_learner([*some], step)
        room = max(width, LETTER_WIDTH * len(learner))
        at |= {one: edge + (room - width) / 2 + x for one, x in columns.items()}
        edge += room + LEARNER_GAP
    return at


def _of_learner(analyses: Sequence[Analysis], step: float) -> tuple[dict[Analysis, float], float]:
    at: dict[Analysis, float] = {}
    edge = 0.0
    for place, one in enumerate(analyses):
        edge += LIMITS_GAP if place and one[2] != analyses[place - 1][2] else 0.0
        at[one] = edge + step / 2
        edge += step
    return at, edge


# --- what is drawn --------------------------------------------------------------------------------


def _bands(one: Contest, layout: _Layout) -> alt.Chart:
    """Draw what marks the study's own analyses."""
    half = layout.step / 2
    bands = [
        {"x": x - half, "x2": x + half, "y": -layout.method_head, "y2": layout.bottom}
        for x in (layout.at[own] for own in one.own)
    ]
    drawn = alt.Chart(data(bands)).mark_rect(color=BAND)
    return drawn.encode(x2="x2:Q", y2="y2:Q", **layout.scales)


def _rules(rows: pd.DataFrame, layout: _Layout) -> alt.Chart:
    lines = [{"x": 0.0, "x2": layout.end, "y": ROW * place} for place in range(len(rows) + 1)]
    drawn = alt.Chart(data(lines)).mark_rule(color=FAINT, strokeWidth=1)
    return drawn.encode(x2="x2:Q", **layout.scales)


def _heads(layout: _Layout) -> list[alt.Chart]:
    """Write learners, limits and methods above their columns."""
    learners = _at(layout.middles(lambda one: one[0]), 8 - layout.head)
    heads = [text(learners, layout.scales, fontWeight=600)]
    if layout.limits_head:
        groups = layout.middles(lambda one: (one[0], one[2]))
        limits = _at(groups, -layout.method_head - 4, lambda one: LIMITS[one[1]].title)
        heads.append(text(limits, layout.scales, angle=270, align="left", color=QUIET))
    if layout.method_head:
        letters = _at(layout.at, -layout.method_head / 2, lambda one: METHODS[one[1]].letter)
        heads.append(text(letters, layout.scales, fontSize=9, color=QUIET))
    return heads


def _at(
    middles: Mapping[Any, float], y: float, words: Callable[[Any], str] = str
) -> list[dict[str, Any]]:
    return [{"x": x, "y": y, "text": words(name)} for name, x in middles.items()]


def _names(one: Contest, rows: pd.DataFrame, layout: _Layout) -> list[alt.Chart]:
    """Write each provider's name before its row, and how many give its commonest flag behind."""
    heights = [ROW * (place + 0.5) for place in range(len(rows))]
    told = rows.notna().sum(axis=1)
    names = [
        {"x": -6.0, "y": y, "text": shortened(str(name))}
        for name, y in zip(rows.index, heights, strict=True)
    ]
    shares = [
        {"x": layout.end + 6, "y": y, "text": f"{one.agreeing[name]}/{told[name]}"}
        for name, y in zip(rows.index, heights, strict=True)
    ]
    return [
        text(names, layout.scales, align="right"),
        text(shares, layout.scales, align="left", color=QUIET),
    ]


def _marks(one: Contest, rows: pd.DataFrame, layout: _Layout) -> alt.Chart:
    words = {place.flag: place.words for place in one.told.all}
    marks = pd.DataFrame(
        [
            {"x": layout.at[analysis], "y": ROW * (place + 0.5), "place": words[flag]}
            for place, flags in enumerate(rows.itertuples(index=False, name=None))
            for analysis, flag in zip(one.analyses, flags, strict=True)
            if flag in words
        ]
    )
    looks = place_scales(one.told.all, list(words.values()), 0)
    sizes = [FLAGGED if place.side else WITHIN for place in one.told.all]
    looks["size"] = alt.Size(
        "place:N", scale=alt.Scale(domain=list(words.values()), range=sizes, type="ordinal")
    )
    drawn = alt.Chart(records(marks, "x", "y", "place")).mark_point(strokeWidth=1.1, opacity=1)
    return drawn.encode(**layout.scales, **looks)
