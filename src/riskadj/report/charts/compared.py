"""How each chart is put together out of the parts in `drawing`."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from riskadj.report.charts.comparison import Comparison
from riskadj.report.charts.drawing import (
    BLUE,
    GREY,
    INK,
    QUIET,
    data,
    level_line,
    line,
    padded,
    place_scales,
    records,
    scales_of,
    text,
    written_names,
)
from riskadj.report.charts.labels import HEIGHT, WIDTH, Frame, place_labels, spread_lines
from riskadj.report.choices import ESTIMATORS
from riskadj.report.words import format_volume

CROWDED = 80
"""With more providers than this, a caterpillar's marks are smaller."""
ROOM_FOR_NAMES = 0.09
"""Above and below the intervals of a caterpillar, as a share of their reach."""


# --- funnel -------------------------------------------------------------------------------------


def draw_funnel(one: Comparison) -> alt.LayerChart:
    """Draw adjusted gain against the number of episodes, between its limits."""
    limits = _limits(one) if not one.is_ratio else _over(one, _limits(one))
    sides = [name for name in limits if name not in ("n", "middle")]
    limits[sides] = limits[sides].clip(*one.bounds)
    reach = [*_adjusted(one), *limits[sides].to_numpy().flat]
    frame = Frame((0.0, _last(one)), _within(one, reach))
    scales = scales_of(frame, "episodes", one.axis)
    points = _with_places(one).assign(x=one.compared["n"].astype(float))
    draw = _curves if one.by_volume else _ticks
    layers = [
        *draw(one, limits, frame, scales),
        *_margin_labels(one, limits, frame, scales),
        _marks(points, one, scales),
        *_labels(points, one, frame, scales, None if one.by_volume else _spots(one, limits)),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _spots(one: Comparison, limits: pd.DataFrame) -> pd.DataFrame:
    """Return where ticks are, for names to keep clear of."""
    ends = [f"{side}{name}" for name, _, _ in one.told.limits for side in ("lower", "upper")]
    spots = [limits[["n"]].assign(y=limits[end], y2=limits[end]) for end in ends]
    return pd.concat(spots).rename(columns={"n": "x"})


def _within(one: Comparison, values: Sequence[float], margin: float = 0.04) -> tuple[float, float]:
    """Return the range of values with a margin, but nothing that no result can be."""
    low, high = padded(values, margin)
    least, most = one.bounds
    return max(low, least), min(high, most)


def _adjusted(one: Comparison) -> "pd.Series[float]":
    return one.compared["adjusted"] / one.per


def _over(one: Comparison, limits: pd.DataFrame) -> pd.DataFrame:
    """Return limits as ratios; `n` stays what it is."""
    return (limits / one.per).assign(n=limits["n"])


def _last(one: Comparison) -> float:
    return max(one.rules.minimum_n * 2.0, float(one.compared["n"].max()) * 1.04)


def _limits(one: Comparison) -> pd.DataFrame:
    """Return limits at numbers of episodes; where that is not enough, those of each provider."""
    if one.by_volume:
        first, last = float(one.rules.minimum_n), _last(one)
        return one.limits_at(pd.Series([first * (last / first) ** (at / 80) for at in range(81)]))
    sides = [f"{side}{name}" for name, _, _ in one.told.limits for side in ("lower", "upper")]
    rows = one.compared.sort_values(["n", "provider_id"], ignore_index=True)
    inner = one.told.limits[0][0]
    low, high = rows[f"lower{inner}"], rows[f"upper{inner}"]
    # Limits of a ratio lie evenly about their middle on the log scale.
    middle = np.sqrt(low * high) if one.is_ratio else (low + high) / 2
    return rows[sides].astype(float).assign(n=rows["n"].astype(float), middle=middle)


def _curves(
    one: Comparison, limits: pd.DataFrame, _frame: Frame, scales: Mapping[str, Any]
) -> list[alt.Chart]:
    return [
        *(
            line(
                limits.assign(x=limits["n"], y=limits[f"{side}{name}"]),
                scales,
                **_dashes(one, name),
            )
            for name, _, _ in one.told.limits
            for side in ("lower", "upper")
        ),
        line(limits.assign(x=limits["n"], y=limits["middle"]), scales, color=INK),
    ]


def _dashes(one: Comparison, name: str) -> dict[str, Any]:
    """Return what sets inner limits apart from the outermost ones."""
    return {} if name == one.told.limits[-1][0] else {"strokeDash": [4, 3]}


def _ticks(
    one: Comparison, limits: pd.DataFrame, frame: Frame, scales: Mapping[str, Any]
) -> list[alt.Chart]:
    """Draw a tick for each limit of each provider."""
    half = 0.008 * (frame.x[1] - frame.x[0])
    outermost = one.told.limits[-1][0]
    ticks = pd.concat(
        limits.assign(
            x=limits["n"] - half, x2=limits["n"] + half, y=limits[f"{side}{name}"],
            width=1.1 if name == outermost else 0.6,
        )
        for name, _, _ in one.told.limits
        for side in ("lower", "upper")
    )  # fmt: skip
    drawn = (
        alt.Chart(records(ticks, "x", "x2", "y", "width"))
        .mark_rule(color=GREY)
        .encode(
            x2="x2:Q", strokeWidth=alt.StrokeWidth("width:Q", scale=None, legend=None), **scales
        )
    )
    return [drawn] if one.centre is None else [drawn, level_line(one.centre / one.per, scales)]


def _margin_labels(
    one: Comparison, limits: pd.DataFrame, frame: Frame, scales: Mapping[str, Any]
) -> list[alt.Chart]:
    last = limits.iloc[-1]
    names = [(name, words) for name, _, words in reversed(one.told.limits)]
    wanted = [(float(last[f"upper{name}"]), words) for name, words in names]
    wanted += [(float(last["middle"]), _middle_in_words(one))]
    wanted += [(float(last[f"lower{name}"]), words) for name, words in reversed(names)]
    heights = spread_lines([frame.at(0, level)[1] for level, _ in wanted])
    rows = [
        {"x": frame.x[1], "y": frame.value(0, height)[1], "text": words}
        for height, (_, words) in zip(heights, wanted, strict=True)
        if words
    ]
    return [text(rows, scales, align="left", dx=6, color=QUIET)]


def _middle_in_words(one: Comparison) -> str:
    if one.centre is None:
        return ""
    return "middle" if one.reference["shift"] else f"reference {one.shown(one.centre)}"


def _with_places(one: Comparison) -> pd.DataFrame:
    counts = one.places
    words = {place.flag: f"{place.words} ({counts[place.words]})" for place in one.told.all}
    places = [words[flag] for flag in one.compared["flag"]]
    return one.compared.assign(y=_adjusted(one), place=places)


def _looks(one: Comparison, size: float) -> dict[str, Any]:
    names = [f"{words} ({number})" for words, number in one.places.items()]
    return place_scales(one.told.all, names, size)


def _marks(
    points: pd.DataFrame, one: Comparison, scales: Mapping[str, Any], size: float = 42
) -> alt.Chart:
    base = alt.Chart(records(points, "x", "y", "place"))
    return base.mark_point(strokeWidth=1.2, opacity=1).encode(**scales, **_looks(one, size))


def _labels(
    points: pd.DataFrame,
    one: Comparison,
    frame: Frame,
    scales: Mapping[str, Any],
    ticks: pd.DataFrame | None,
) -> list[alt.Chart]:
    return written_names(place_labels(points, frame, one.named.flags, ticks), scales)


# --- caterpillar ----------------------------------------------------------------------------------


def draw_caterpillar(one: Comparison) -> alt.LayerChart:
    """Draw providers in order of adjusted gain, with their intervals."""
    points = _with_places(one).assign(x=[float(rank) for rank in range(1, len(one.compared) + 1)])
    frame = Frame((0.0, len(points) + 1.0), _within(one, _reach(one), ROOM_FOR_NAMES))
    scales = scales_of(frame, f"providers, least {one.noun} first", one.axis)
    size = 30.0 if len(points) <= CROWDED else 11.0
    layers = [
        _bars(points, one, scales),
        *_reference_line(one, frame, scales),
        _marks(points, one, scales, size),
        *written_names(_at_the_ends(points, one, frame), scales),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _at_the_ends(points: pd.DataFrame, one: Comparison, frame: Frame) -> list[dict[str, Any]]:
    """Return names at the ends of intervals, at lower ones in the lower half of providers."""
    low, high = _interval(one)
    bars = points.assign(y=low, y2=high)
    ends = low.where(points["x"] <= len(points) / 2, high)
    return place_labels(points.assign(y=ends), frame, one.named.flags, bars)


def _interval(one: Comparison) -> tuple["pd.Series[float]", "pd.Series[float]"]:
    """Return both ends of intervals as they are drawn."""
    low, high = (
        (one.compared[f"ci_{end}95"] / one.per).clip(*one.bounds) for end in ("lower", "upper")
    )
    return low, high


def _reach(one: Comparison) -> list[float]:
    centre = [] if one.centre is None else [one.centre / one.per]
    low, high = _interval(one)
    return [*low, *high, *centre]


def _bars(points: pd.DataFrame, one: Comparison, scales: Mapping[str, Any]) -> alt.Chart:
    low, high = _interval(one)
    rows = points.assign(y=low, y2=high)
    width = 1.4 if len(points) <= CROWDED else 0.8
    return (
        alt.Chart(records(rows, "x", "y", "y2", "place"))
        .mark_rule(strokeWidth=width, opacity=0.75)
        .encode(y2="y2:Q", stroke=_looks(one, 0)["stroke"], **scales)
    )


def _reference_line(one: Comparison, frame: Frame, scales: Mapping[str, Any]) -> list[alt.Chart]:
    if one.centre is None:
        return []
    level = one.centre / one.per
    note = {"x": frame.x[1], "y": level, "text": f"reference {one.shown(one.centre)}"}
    return [
        level_line(level, scales),
        text([note], scales, align="left", dx=6, color=QUIET),
    ]


# --- calibration ----------------------------------------------------------------------------------


def draw_calibration(one: Comparison) -> alt.HConcatChart:
    """Draw observed against expected by tenth, and how far off."""
    return alt.hconcat(_diagonal(one), _differences(one), spacing=34)


def _diagonal(one: Comparison) -> alt.LayerChart:
    rows = one.calibration.assign(x=one.calibration["expected"], y=one.calibration["observed"])
    ends = padded([*rows["x"], *rows["y"]], 0.06)
    scales = scales_of(Frame(ends, ends), f"expected, {one.unit}", f"observed, {one.unit}")
    diagonal = pd.DataFrame({"x": ends, "y": ends})
    points = alt.Chart(records(rows, "x", "y"))
    return alt.layer(
        line(diagonal, scales),
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
    base = alt.Chart(records(rows, "difference", "decile", "text")).encode(y=y)
    zero = alt.Chart(data([{"difference": 0}]))
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
    rows = one.features.assign(text=[one.contribution(v) for v in one.features["mean_absolute"]])
    axis = alt.Axis(title=None, labelLimit=230, grid=False, labelColor=INK)
    base = alt.Chart(records(rows, "label", "mean_absolute", "text")).encode(
        y=alt.Y("label:N", sort=list(rows["label"]), axis=axis),
        x=alt.X("mean_absolute:Q", axis=None),
    )
    return alt.layer(
        base.mark_bar(color=BLUE, height=9),
        base.mark_text(align="left", dx=5, fontSize=10.5, color=QUIET).encode(text="text:N"),
    ).properties(width=230, height=alt.Step(19))


# --- reliability ----------------------------------------------------------------------------------


def draw_reliability(one: Comparison) -> alt.LayerChart:
    """Draw reliability against the number of episodes, by every estimator."""
    frame = Frame((0.0, _last(one)), (0.0, 1.0))
    scales = scales_of(frame, "episodes", "reliability")
    curves = {name: _reliability_curve(one, tau) for name, tau in one.taus.items()}
    points = one.compared.assign(x=one.compared["n"].astype(float), y=one.compared["reliability"])
    marks = alt.Chart(records(points, "x", "y")).mark_point(
        filled=True, color=BLUE, size=26, opacity=0.55
    )
    layers = [
        *(level_line(target, scales, color=GREY, strokeDash=[4, 3]) for target in one.volumes),
        *(line(curve, scales, **_weight(one, name)) for name, curve in curves.items()),
        marks.encode(**scales),
        text(_volumes(one), scales, align="left", dx=4, dy=-7, color=QUIET),
        text(_estimators(curves, frame), scales, align="left", dx=6, color=QUIET),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _reliability_curve(one: Comparison, tau: float) -> pd.DataFrame:
    last = _last(one)
    n = pd.Series([last * (at / 100) ** 2 for at in range(1, 101)])
    return pd.DataFrame({"x": n, "y": tau**2 / (tau**2 + one.reference["sd"] ** 2 / n)})


def _weight(one: Comparison, estimator: str) -> dict[str, Any]:
    used = estimator == one.rules.between
    return {"color": INK, "strokeWidth": 1.2} if used else {"strokeWidth": 0.8}


def _volumes(one: Comparison) -> list[dict[str, Any]]:
    """Return the volumes that reach the two targets, where their lines begin."""
    return [
        {"x": 0.0, "y": target, "text": f"{target:g}: {format_volume(volume)}"}
        for target, volume in one.volumes.items()
    ]


def _estimators(curves: Mapping[str, pd.DataFrame], frame: Frame) -> list[dict[str, Any]]:
    """Return the names of estimators, where their curves end."""
    ends = sorted((-float(curve["y"].iloc[-1]), name) for name, curve in curves.items())
    heights = spread_lines([frame.at(0, -end)[1] for end, _ in ends])
    return [
        {"x": frame.x[1], "y": frame.value(0, height)[1], "text": ESTIMATORS[name]}
        for height, (_, name) in zip(heights, ends, strict=True)
    ]
