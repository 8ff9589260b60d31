"""A trial in two figures: what is paid against what is right, and what volume does to it."""

from collections.abc import Mapping, Sequence
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
    line,
    padded,
    records,
    scales_of,
    text,
    to_svg,
)
from riskadj.report.charts.labels import HEIGHT, WIDTH, Frame, spread_lines
from riskadj.report.words import counted
from riskadj.trial.fair import follows_at, from_first_settled, most_volume
from riskadj.trial.measures import measure, on_own_results
from riskadj.trial.operating import rows_of
from riskadj.trial.run import Trial
from riskadj.trial.variants import Variant

PANELS = 2
"""Beside each other."""
MOST_MARKS = 600
"""In a panel; of more provider-years, those of the first worlds are drawn."""
SMALLEST, LARGEST = 8.0, 130.0
"""Areas of marks, by volume."""


Style = tuple[str, list[int]]
"""Of a line: colour, and dashes."""


class _Mark(NamedTuple):
    colour: str
    fill: str
    shape: str


_RIGHT, _WRONG, _NOT = "paid on the right side", "wrongly paid", "too few: not on its own results"
_MARKS: Mapping[str, _Mark] = MappingProxyType(
    {
        _RIGHT: _Mark(BLUE, "#ffffff", "circle"),
        _WRONG: _Mark(ORANGE, ORANGE, "triangle-down"),
        _NOT: _Mark(GREY, "#c9cdd1", "square"),
    }
)
_COLOURS = (BLUE, ORANGE, INK, GREY)
"""Of contracts."""
_APART = 9
"""Pixels between the fair volumes of contracts."""
_SHAPES = {"stop": "M0,-.5L0,.5", "arrow": "M-.6,-.5L0,0L-.6,.5", "diamond": "diamond"}
"""Of the ends and the middle of an interval."""
_DASHES = ([1, 0], [5, 3], [2, 2], [8, 3, 2, 3])
"""Of learners."""


def draw_trial(trial: Trial) -> dict[str, str]:
    """Return the figures of a trial as SVG text, by file name."""
    return {"paid_right.svg": _paid_right(trial), "share_by_volume.svg": _by_volume(trial)}


# --- paid against right ---------------------------------------------------------------------------


def _paid_right(trial: Trial) -> str:
    panels = [_panel(one, trial) for one in ordered(trial)]
    rows = [
        alt.hconcat(*panels[at : at + PANELS], spacing=34)
        for at in range(0, len(panels), PANELS)
    ]  # fmt: skip
    found = ", ".join(
        f"{row['contract']} by {row['learner']} {_percent(row)}"
        for row in trial.found.table.to_dict("records")
    )
    return to_svg(
        alt.vconcat(*rows, spacing=26),
        "paid-right",
        "What is paid against what is right",
        "Amounts per episode, of every provider in every world. On the line everybody gets what "
        "full knowledge would pay. Larger marks: more episodes.",
        f"Share of the money misallocated: {found}.",
    )


def _panel(one: Variant, trial: Trial) -> alt.LayerChart:
    points = _points(one, trial)
    ends = padded([*points["x"], *points["y"]], 0.05)
    frame, code = Frame(ends, ends), one.contract.currency.code
    scales = scales_of(frame, f"right, {code} per episode", f"paid, {code} per episode")
    row = _found(one, trial)
    title = alt.TitleParams(
        [one.name, f"by {one.learner}: {_percent(row)} misallocated"],
        fontSize=11.5, anchor="start", frame="group", offset=4, fontWeight="normal",
    )  # fmt: skip
    zero = alt.Chart(alt.Data(values=[{"x": 0.0}])).mark_rule(color=GREY, strokeWidth=0.6)
    return alt.layer(
        level_line(0.0, scales, color=GREY, strokeWidth=0.6),
        zero.encode(x=scales["x"]),
        line(pd.DataFrame({"x": ends, "y": ends}), scales, color=INK),
        _marks(points, scales),
    ).properties(width=255, height=255, title=title)


def _points(one: Variant, trial: Trial) -> pd.DataFrame:
    """Return the marks, those that are wrongly paid on top."""
    mine = _rows(one, trial)
    mine = mine[mine["volume"] > 0]
    worlds = max(1, int(MOST_MARKS / max(mine.groupby("world").size().max(), 1)))
    mine = mine[mine["world"] < worlds]
    unit = 10.0**-one.contract.currency.minor_digits / mine["volume"]
    measured = measure(mine, one.contract, trial.settings.tolerance)
    wrong = measured["wrongly_paid"].to_numpy() == 1
    own = on_own_results(mine)
    place = np.select([~own, wrong], [_NOT, _WRONG], default=_RIGHT)
    area = SMALLEST + (LARGEST - SMALLEST) * mine["volume"] / mine["volume"].max()
    points = pd.DataFrame(
        {"x": mine["right_minor"] * unit, "y": mine["paid_minor"] * unit, "place": place,
         "area": area}
    )  # fmt: skip
    return points.sort_values("place", key=lambda some: some == _WRONG, kind="stable")


def _marks(points: pd.DataFrame, scales: Mapping[str, Any]) -> alt.Chart:
    def scale(which: str) -> alt.Scale:
        values = [getattr(one, which) for one in _MARKS.values()]
        return alt.Scale(domain=list(_MARKS), range=values)

    return (
        alt.Chart(records(points, "x", "y", "place", "area"))
        .mark_point(strokeWidth=0.8, opacity=0.65)
        .encode(
            fill=alt.Fill("place:N", scale=scale("fill")),
            stroke=alt.Stroke("place:N", scale=scale("colour")),
            shape=alt.Shape("place:N", scale=scale("shape")),
            size=alt.Size("area:Q", scale=None, legend=None),
            **scales,
        )
    )


# --- by volume ------------------------------------------------------------------------------------


def _by_volume(trial: Trial) -> str:
    variants = ordered(trial)
    ranges = {one.title: _volumes(one, trial) for one in variants}
    volumes = np.concatenate(list(ranges.values()))
    share = trial.settings.target_share
    frame = Frame(_ends_of_axis(volumes), (_least_share(variants, trial), 1.0))
    scales = scales_of(frame, "", "share of the money that follows true differences")
    scales |= {"x": _volume_axis(frame)}
    curves = {one.title: _curve(one, trial, ranges[one.title]) for one in variants}
    styles = _styles(trial)
    layers = [
        level_line(share, scales, color=GREY, strokeDash=[4, 3]),
        text(
            [{"x": frame.x[1], "y": share, "text": f"fair: {100 * share:g} %"}], scales,
            align="left", dx=6, color=QUIET,
        ),
        *_fair_intervals(variants, trial, frame, scales),
        *_drawn_curves(curves, styles, scales),
        *_band_points(variants, trial, frame, scales),
        *_names(_ends_of(curves, variants, trial, frame), styles, frame, scales),
    ]  # fmt: skip
    fair = "; ".join(
        f"{row.contract} by {row.learner}: {row.fair_from}"
        for row in trial.found.table.itertuples()
    )
    return to_svg(
        alt.layer(*layers).properties(width=WIDTH, height=HEIGHT),
        "share-by-volume",
        "The volume that makes it fair",
        f"From which volume on the wanted share of the money follows true differences, in "
        f"{counted(trial.settings.worlds, 'world')}. Lines: fitted. Circles: bands of volume. "
        "Below: fair from where, with the 95 % interval; an arrow has no end here.",
        f"Fair from, in episodes: {fair}.",
    )


def _volumes(one: Variant, trial: Trial) -> np.ndarray:
    """Return the volumes that the fit is about."""
    measured = measure(_rows(one, trial), one.contract, trial.settings.tolerance)
    return np.asarray(from_first_settled(measured)["volume"], dtype=float)


def _ends_of_axis(volumes: np.ndarray) -> tuple[float, float]:
    """Return the logarithms between which volumes are drawn, apart whatever there is.

    Examples
    --------
    >>> [np.exp(_ends_of_axis(np.array(some))).round().tolist() for some in ([], [5.0], [5, 9.0])]
    [[1.0, 10.0], [2.0, 10.0], [5.0, 9.0]]
    """
    low, high = (volumes.min(), volumes.max()) if volumes.size else (1.0, 10.0)
    if low == high:
        low, high = low / 2, high * 2
    return float(np.log(low)), float(np.log(high))


def _least_share(variants: Sequence[Variant], trial: Trial) -> float:
    """Return where the axis of shares begins: 0, or a fifth under what there is to see."""
    bands = pd.concat([rows_of(trial.found.by_volume, one) for one in variants])["follows_truth"]
    seen = min([trial.settings.target_share, *bands.dropna()])
    return float(np.clip(np.floor(5 * seen - 0.5) / 5, 0.0, 0.6))


def _fair_intervals(
    variants: Sequence[Variant], trial: Trial, frame: Frame, scales: Mapping[str, Any]
) -> list[alt.Chart]:
    """Return the fair volume of every contract with its interval, above the axis."""
    known = [one for one in variants if not np.isnan(_found(one, trial)["fair_volume_lower95"])]
    styles, layers = _styles(trial), []
    for place, one in enumerate(reversed(known)):
        y = frame.value(0, HEIGHT - _APART * (place + 1))[1]
        layers += _fair_interval(_found(one, trial), styles[one.title][0], y, frame, scales)
    if not known:
        return []
    y = frame.value(0, HEIGHT - _APART * (len(known) + 1) / 2)[1]
    told = [{"x": frame.x[1], "y": y, "text": "fair from, 95 %"}]
    return [*layers, text(told, scales, align="left", dx=6, color=QUIET)]


def _fair_interval(
    row: Mapping[Any, Any], colour: str, y: float, frame: Frame, scales: Mapping[str, Any]
) -> list[alt.Chart]:
    lower, upper, volume = (
        float(np.log(row[f"fair_volume{end}"])) for end in ("_lower95", "_upper95", "")
    )
    end = frame.x[1] if np.isnan(upper) else upper
    marks = {"stop": [lower], "arrow": [end], "diamond": [volume]}
    if not np.isnan(upper):
        marks = {"stop": [lower, upper], "diamond": [volume]}
    return [
        line(pd.DataFrame({"x": [lower, end], "y": [y, y]}), scales, color=colour),
        *(
            alt.Chart(alt.Data(values=[{"x": x, "y": y} for x in places if not np.isnan(x)]))
            .mark_point(shape=_SHAPES[name], size=60, color=colour, filled=name == "diamond")
            .encode(**scales)
            for name, places in marks.items()
        ),
    ]


def _volume_axis(frame: Frame) -> alt.X:
    low, high = np.exp(frame.x)
    ticks = [one for one in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000)
             if low <= one <= high]  # fmt: skip
    return alt.X(
        "x:Q",
        scale=alt.Scale(domain=list(frame.x), nice=False, zero=False),
        axis=alt.Axis(
            title="episodes of a provider (log scale)", grid=False,
            values=[float(np.log(one)) for one in ticks],
            labelExpr="format(round(exp(datum.value)), ',')",
        ),
    )  # fmt: skip


def _curve(one: Variant, trial: Trial, volumes: np.ndarray) -> pd.DataFrame:
    """Return the fitted share over the volumes that there are in numbers, where it is above 0."""
    row = _found(one, trial)
    fitted = (float(row["fair_constant"]), float(row["fair_slope"]), float(row["fair_curve"]))
    if np.isnan(fitted[0]) or not volumes.size:
        return pd.DataFrame({"x": [], "y": []})
    volume = np.geomspace(volumes.min(), most_volume(volumes), 60)
    curve = pd.DataFrame({"x": np.log(volume), "y": follows_at(fitted, volume)})
    return curve[curve["y"] >= 0]


def _drawn_curves(
    curves: Mapping[str, pd.DataFrame], styles: Mapping[str, Style], scales: Mapping[str, Any]
) -> list[alt.Chart]:
    return [
        line(curve, scales, color=styles[name][0], strokeDash=styles[name][1], strokeWidth=1.6)
        for name, curve in curves.items()
        if len(curve)
    ]


def _band_points(
    variants: Sequence[Variant], trial: Trial, frame: Frame, scales: Mapping[str, Any]
) -> list[alt.Chart]:
    layers, styles = [], _styles(trial)
    for one in variants:
        mine = rows_of(trial.found.by_volume, one)
        bands = mine.assign(x=np.log(mine["mean_volume"]), y=mine["follows_truth"])
        inside = bands["x"].between(*frame.x) & bands["y"].between(*frame.y)
        points = alt.Chart(records(bands[inside], "x", "y"))
        mark = {"filled": True, "color": styles[one.title][0], "size": 34, "opacity": 0.8}
        layers.append(points.mark_point(**mark).encode(**scales))
    return layers


def _ends_of(
    curves: Mapping[str, pd.DataFrame], variants: Sequence[Variant], trial: Trial, frame: Frame
) -> dict[str, float]:
    """Return at which share the name of every contract stands: its line's last, or its bands'."""
    ends = {}
    for one in variants:
        bands = rows_of(trial.found.by_volume, one)["follows_truth"]
        seen = [*bands[bands.between(*frame.y)], *curves[one.title]["y"]]
        ends[one.title] = float(seen[-1]) if seen else sum(frame.y) / 2
    return ends


def _names(
    ends: Mapping[str, float],
    styles: Mapping[str, Style],
    frame: Frame,
    scales: Mapping[str, Any],
) -> list[alt.Chart]:
    """Return the names of contracts, where their curves end."""
    listed = sorted(ends.items(), key=lambda one: -one[1])
    heights = spread_lines([frame.at(0, level)[1] for _, level in listed])
    return [
        text(
            [{"x": frame.x[1], "y": frame.value(0, height)[1], "text": name}], scales,
            align="left", dx=6, color=styles[name][0],
        )
        for height, (name, _) in zip(heights, listed, strict=True)
    ]  # fmt: skip


def _styles(trial: Trial) -> dict[str, Style]:
    """Return colour by contract and dashes by learner, by title."""
    names = list(dict.fromkeys(one.name for one in trial.variants))
    learners = list(dict.fromkeys(one.learner for one in trial.variants))
    return {
        one.title: (
            _COLOURS[names.index(one.name) % len(_COLOURS)],
            _DASHES[learners.index(one.learner) % len(_DASHES)],
        )
        for one in trial.variants
    }


# --- what both need -------------------------------------------------------------------------------


def ordered(trial: Trial) -> list[Variant]:
    """Return what was tried, that with the least misallocated first."""
    named = {(one.name, one.learner): one for one in trial.variants}
    keys = trial.found.table[["contract", "learner"]].itertuples(index=False, name=None)
    return [named[one] for one in keys]


def _percent(row: Mapping[Any, Any]) -> str:
    return f"{100 * row['misallocated_share']:.0f} %"


def _rows(one: Variant, trial: Trial) -> pd.DataFrame:
    return rows_of(trial.found.providers, one)


def _found(one: Variant, trial: Trial) -> "pd.Series[Any]":
    return rows_of(trial.found.table, one).iloc[0]
