"""Variation between providers by component and window: its sentence, tables, figure and folder."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from riskadj.digest import digest_of_file
from riskadj.expected.windows import COMPONENTS, HOW
from riskadj.journal import write_entry
from riskadj.profile.windows import FEWEST_IN_FIFTHS, TOTAL, WindowVariation
from riskadj.report.acts import made_from
from riskadj.report.charts.drawing import BLUE, GREY, INK, ORANGE, padded, records, to_svg
from riskadj.report.folder import (
    MARK,
    check_own_place,
    files_in,
    run_folder,
    write_csv,
    write_json,
    write_text,
)
from riskadj.report.windows_page import page
from riskadj.report.words import counted, format_number, learner_title, listed
from riskadj.study import Study

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "index": "index stay",
        "readmit": "readmission",
        "postacute": "post-acute care",
        "outpatient": "outpatient",
        "professional": "professional",
        TOTAL: "total",
    }
)
"""What components are called, those of the index stay first."""
IN_SENTENCE: Mapping[str, str] = MappingProxyType(
    {
        "index": "the index stay carries",
        "readmit": "readmissions carry",
        "postacute": "post-acute care carries",
        "outpatient": "outpatient care carries",
        "professional": "professional fees carry",
    }
)
"""What a component does, in a sentence."""
COLOURS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "index": (BLUE, "#ffffff"),
        "readmit": (ORANGE, "#ffffff"),
        "postacute": ("#efb08a", INK),
        "outpatient": ("#c9cdd1", INK),
        "professional": ("#9cc3e4", INK),
    }
)
"""Of a component's piece of a bar, and of the number in it."""
NAMED_FROM = 5.0
"""Per cent from which on a piece of a bar has its number in it."""
PANEL, HEIGHT = 250, 250
_APART = 5
"""Pixels from the middle of a window to its two marks."""
_SEEN, _BEYOND = "as seen, chance in it", "beyond chance, with 95 % interval"
_DAYS = "days"


# --- words ----------------------------------------------------------------------------------------


def answer(found: WindowVariation) -> str:
    """Return what was found, in one sentence.

    It says how much providers differ at the shortest and at the longest window, what carries
    most of it, and what counting for longer adds.
    """
    first, last = found.costs.windows[0], found.costs.windows[-1]
    short, long = found.row(first), found.row(last)
    if not long["between_sd"] > 0:
        return (
            f"Adjusted cost to day {last} differs between providers by no more than chance would "
            "make it."
        )
    most = max(COMPONENTS, key=lambda one: found.row(last, one)["share_of_variance"])
    carried = found.row(last, most)["share_of_variance"]
    by = _with_bounds(short, "cv")
    differs = f"Adjusted cost differs between providers by {by} to day {first}"
    carries = f"{IN_SENTENCE[most]} {_percent(carried, 0)} of the variance"
    if first == last:
        return f"{differs}, chance taken off, and {carries}; no longer window is in the episodes."
    rest = 1 - short["variance_added"]
    bounds = (1 - short["variance_added_upper95"], 1 - short["variance_added_lower95"])
    return (
        f"{differs} and by {_with_bounds(long, 'cv')} to day {last}, chance taken off; at day "
        f"{last} {carries}, and the days after day {first} add {_percent(rest, 0)} of it "
        f"({_range(*bounds, 0)})."
    )


def change(found: WindowVariation) -> str:
    """Return in one sentence how variation over the mean changes with the window."""
    first, last = found.costs.windows[0], found.costs.windows[-1]
    row = found.row(last)
    if first == last or not row["between_sd"] > 0:
        return "Whether a longer window changes it is not known."
    low, high = row["cv_change_lower95"], row["cv_change_upper95"]
    word = "falls" if high < 0 else "rises" if low > 0 else "does not surely change"
    value = format_number(100 * row["cv_change"], 1)
    return (
        f"From day {first} to day {last} the standard deviation between providers over the mean "
        f"{word}: by {value} percentage points ({_range(low, high)})."
    )


def _percent(share: float, decimals: int = 1) -> str:
    return "-" if not np.isfinite(share) else f"{format_number(100 * float(share), decimals)} %"


def _range(low: float, high: float, decimals: int = 1) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return "-"
    return f"{format_number(100 * low, decimals)} to {format_number(100 * high, decimals)}"


def _with_bounds(row: Any, name: str, decimals: int = 1) -> str:
    """Return a share as a percentage, with its interval."""
    bounds = _range(row[f"{name}_lower95"], row[f"{name}_upper95"], decimals)
    return f"{_percent(row[name], decimals)} ({bounds})"


# --- tables ---------------------------------------------------------------------------------------


def by_window(found: WindowVariation) -> pd.DataFrame:
    """Return the totals as people read them, a row per window."""
    rows = [found.row(days) for days in found.costs.windows]
    return pd.DataFrame(
        {
            "to day": [str(row["window"]) for row in rows],
            "mean": [format_number(row["mean"], 0) for row in rows],
            "fifths %": [_alone(row, "relative_gap", 0) for row in rows],
            "SD/mean %": [_figures(row, "cv", 1) for row in rows],
            "variance added %": [_figures(row, "variance_added", 0) for row in rows],
        }
    )


def by_component(found: WindowVariation, *, bounds: bool = True) -> pd.DataFrame:
    """Return what each component carries of the variance, per cent, a column per window.

    Parameters
    ----------
    found : WindowVariation
    bounds : bool
        Whether intervals are among the figures.
    """
    figures = _figures if bounds else _alone
    return pd.DataFrame(
        {"component": [TITLES[one] for one in COMPONENTS]}
        | {
            str(days): [figures(found.row(days, one), "share_of_variance", 0) for one in COMPONENTS]
            for days in found.costs.windows
        }
    )


def _figures(row: Any, name: str, decimals: int) -> str:
    if not np.isfinite(row[name]):
        return "-"
    value = format_number(100 * row[name], decimals)
    return f"{value} ({_range(row[f'{name}_lower95'], row[f'{name}_upper95'], decimals)})"


def _alone(row: Any, name: str, decimals: int) -> str:
    return format_number(100 * row[name], decimals) if np.isfinite(row[name]) else "-"


def _amount(value: float) -> str:
    return format_number(value, 0) if np.isfinite(value) else "-"


def amounts(found: WindowVariation) -> pd.DataFrame:
    """Return the adjusted cost of outer fifths and standard deviations, by component and window."""
    return pd.DataFrame(
        {
            "to day": str(row["window"]),
            "component": TITLES[row["component"]],
            "mean": format_number(row["mean"], 0),
            "lowest fifth": _amount(row["quintile_1"]),
            "highest fifth": _amount(row["quintile_5"]),
            "gap": _amount(row["gap"]),
            "gap, fifths of the longest window": _amount(row["gap_by_longest"]),
            "SD beyond chance": format_number(row["between_sd"], 0),
            "its 95 % interval": f"{format_number(row['between_sd_lower95'], 0)} to "
            f"{format_number(row['between_sd_upper95'], 0)}",
            "reliability": format_number(row["reliability"], 2),
        }
        for row in found.table.to_dict("records")
    )


def text(found: WindowVariation, study: Study) -> str:
    """Return the findings as Markdown."""
    cost = found.costs.outcome
    return "\n".join(
        [
            f"# {study.title}: cost of an episode by component and window",
            "",
            f"{answer(found)} {change(found)}",
            "",
            f"{counted(found.providers, 'provider')}, {counted(found.episodes, 'episode')}; "
            f"amounts in {cost.currency} at prices of {cost.price_year}.",
            "",
            "## Windows",
            "",
            _markdown(by_window(found)),
            "",
            "`fifths %`: how much more the fifth of providers with the highest adjusted cost costs "
            "than the one with the lowest; chance is in it. `SD/mean %`: standard deviation "
            "between providers over the mean, chance taken off. `variance added %`: what the "
            "window adds to the variance between providers, of that at the longest window. In "
            "brackets: 95 % intervals.",
            "",
            "## What carries the variance, % of the total's",
            "",
            _markdown(by_component(found)),
            "",
            "## Amounts",
            "",
            _markdown(amounts(found)),
            "",
            "## How it was done",
            "",
            *(f"- {one}" for one in _how(found, study)),
            "",
        ]
    )


def as_page(found: WindowVariation, study: Study) -> str:
    """Return the findings as one HTML page, the figure in it."""
    cost = found.costs.outcome
    basis = (
        f"{counted(found.providers, 'provider')}, {counted(found.episodes, 'episode')}; "
        f"amounts in {cost.currency} at prices of {cost.price_year}."
    )
    return page(
        found,
        study,
        summary=(f"{answer(found)} {change(found)}", basis),
        titles=TITLES,
        how=_how(found, study),
        svg=figure(found, study),
    )


def _how(found: WindowVariation, study: Study) -> Iterable[str]:
    costs = found.costs
    yield (
        "A provider's adjusted cost is observed over expected times the mean; a component's is "
        "its mean and the provider's excess of it, so that components add up to the total."
    )
    yield f"The total of every window is expected by {learner_title(costs.learner)}."
    for way in dict.fromkeys(costs.how.values()):
        which = {one for (_, one), of in costs.how.items() if of == way}
        names = listed(TITLES[one] for one in COMPONENTS if one in which)
        yield f"Expected {HOW[way]}: {names}."
    yield (
        "Components are then scaled to sum to each episode's expected total, and over all "
        "episodes to what was observed."
    )
    yield (
        "Variances between providers are by moments, each provider's own chance taken off; what "
        "a component carries is its covariance with the total."
    )
    yield (
        f"Intervals are percentiles of {found.replicates:,} draws of providers; expectations are "
        "not learned anew."
    )
    if costs.capped:
        shares = listed(f"{_percent(one, 2)} to day {days}" for days, one in costs.capped.items())
        yield (
            f"Totals are capped as the study says; that leaves out {shares} of the cost. The "
            "components of a capped episode are capped in the same proportion."
        )
    few = study.profile.suppress_below
    yield f"Providers with fewer than {few} episodes are left out: {found.left_out}."
    yield (
        "No provider is shown; fifths hold two or more each."
        if found.providers >= FEWEST_IN_FIFTHS
        else f"No provider is shown; nor are fifths with fewer than {FEWEST_IN_FIFTHS} providers."
    )
    if costs.incomplete:
        yield f"Left out without the cost of every window: {counted(costs.incomplete, 'episode')}."


def _markdown(table: pd.DataFrame) -> str:
    sides = ["---" if name in ("component", "to day") else "---:" for name in table.columns]
    rows = [list(table.columns), sides, *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


# --- figure ---------------------------------------------------------------------------------------


def figure(found: WindowVariation, study: Study) -> str:
    """Return the figure as SVG: how far fifths are apart, and what carries the variance."""
    x = _days_axis(found, study)
    chart = alt.hconcat(_gaps(found, x), _pieces(found, x), spacing=42).resolve_scale(
        x="independent", color="independent", fill="independent", stroke="independent"
    )
    subtitle = (
        "Left: how much more the highest fifth of providers costs than the lowest; the number is "
        "the standard deviation over the mean, beyond chance. Right: the variance between "
        "providers, in pieces that components carry; it grows by what a longer window adds."
    )
    title = "Variation between providers in adjusted cost, by window and component"
    return to_svg(chart, "windows", title, subtitle, answer(found))


def _days_axis(found: WindowVariation, study: Study) -> alt.X:
    order = [str(days) for days in found.costs.windows]
    claims = study.data.claims
    title = f"days after {claims.counted_from}" if claims else "days of the window"
    axis = alt.Axis(title=title, grid=False, labelAngle=0)
    return alt.X(f"{_DAYS}:O", sort=order, axis=axis)


def _gaps(found: WindowVariation, x: alt.X) -> alt.LayerChart:
    """Draw how far the outer fifths are apart, as seen and beyond chance."""
    rows = pd.DataFrame([found.row(days) for days in found.costs.windows])
    beyond = [f"relative_gap_beyond_chance{one}" for one in ("", "_lower95", "_upper95")]
    y, low, high = (100 * rows[one].astype(float).to_numpy() for one in beyond)
    days = rows["window"].astype(str).to_numpy()
    seen = 100 * rows["relative_gap"].astype(float).to_numpy()
    cv = [_percent(one) for one in rows["cv"]]
    points = pd.DataFrame({_DAYS: days})
    bars = pd.DataFrame({_DAYS: days, "y": low, "y2": high, "cv": cv})
    _, top = padded([0.0, *high, *seen[np.isfinite(seen)]], 0.10)
    scale = alt.Scale(domain=[0.0, top], nice=False)
    up = _upright("highest over lowest fifth, % more")
    height = {"y": alt.Y("y:Q", scale=scale, axis=up)}
    base = alt.Chart(records(bars, _DAYS, "y", "y2", "cv"))
    return alt.layer(
        base.mark_rule(color=BLUE, strokeWidth=1.4, xOffset=-_APART).encode(
            x=x, y2="y2:Q", **height
        ),
        *(
            alt.Chart(records(points.assign(y=at, which=which).dropna(), _DAYS, "y", "which"))
            .mark_point(size=46, strokeWidth=1.2, opacity=1, xOffset=shift)
            .encode(x=x, **height, **_looks())
            for which, at, shift in ((_BEYOND, y, -_APART), (_SEEN, seen, _APART))
        ),
        base.mark_text(fontSize=10.5, color=INK, dy=-8).encode(
            x=x, y=alt.Y("y2:Q", scale=scale), text="cv:N"
        ),
    ).properties(width=PANEL, height=HEIGHT)


def _upright(title: str, **more: Any) -> alt.Axis:
    """Return an axis whose title stands above it."""
    return alt.Axis(
        title=title, titleAngle=0, titleAlign="left", titleAnchor="end", titleX=0, titleY=-8,
        titleBaseline="bottom", **more,
    )  # fmt: skip


def _looks() -> dict[str, Any]:
    def scale(values: list[str]) -> alt.Scale:
        return alt.Scale(domain=[_BEYOND, _SEEN], range=values)

    legend = alt.Legend(columns=1, labelLimit=PANEL)
    return {
        "fill": alt.Fill("which:N", scale=scale([BLUE, "#ffffff"]), legend=legend),
        "stroke": alt.Stroke("which:N", scale=scale([BLUE, GREY]), legend=legend),
    }


def _pieces(found: WindowVariation, x: alt.X) -> alt.LayerChart:
    """Draw what components carry, upwards from 0 and, where below it, downwards."""
    pieces = pd.DataFrame([row for days in found.costs.windows for row in _stack(found, days)])
    tops = pieces.groupby(_DAYS, sort=False, as_index=False).agg(
        y=("y2", "max"), all=("part", "sum")
    )
    tops = tops.assign(text=[format_number(one, 0) for one in tops["all"]])
    ends = pieces[["y", "y2"]].to_numpy()
    _, top = padded([0.0, ends.max()], 0.08)
    scale = alt.Scale(domain=[min(ends.min(), 0.0), top], nice=False)
    titles = [TITLES[one] for one in COMPONENTS]
    fill = alt.Fill(
        "component:N", legend=alt.Legend(columns=3),
        scale=alt.Scale(domain=titles, range=[COLOURS[one][0] for one in COMPONENTS]),
    )  # fmt: skip
    up = _upright(f"variance between providers, % of that to day {found.costs.windows[-1]}")
    base = alt.Chart(records(pieces, _DAYS, "component", "y", "y2", "middle", "text", "ink"))
    return alt.layer(
        base.mark_bar(width={"band": 0.72}, stroke="#ffffff", strokeWidth=0.8).encode(
            x=x, y=alt.Y("y:Q", scale=scale, axis=up), y2="y2:Q", fill=fill
        ),
        base.mark_text(fontSize=10.5, baseline="middle").encode(
            x=x, y=alt.Y("middle:Q", scale=scale), text="text:N",
            color=alt.Color("ink:N", scale=None),
        ),
        alt.Chart(records(tops, _DAYS, "y", "text"))
        .mark_text(fontSize=10.5, fontWeight=600, color=INK, dy=-8)
        .encode(x=x, y=alt.Y("y:Q", scale=scale), text="text:N"),
    ).properties(width=PANEL, height=HEIGHT)  # fmt: skip


def _stack(found: WindowVariation, days: int) -> Iterable[dict[str, Any]]:
    """Yield the pieces of a bar; without height where the total varies by chance alone."""
    above = below = 0.0
    upto = found.table[found.table["window"] <= days].groupby("component")["variance_added"].sum()
    for component in COMPONENTS:
        part = 100 * float(upto[component])
        begins = above if part >= 0 else below
        above, below = above + max(part, 0.0), below + min(part, 0.0)
        yield {
            _DAYS: str(days),
            "component": TITLES[component],
            "part": part,
            "y": begins,
            "y2": begins + part,
            "middle": begins + part / 2,
            "text": format_number(part, 0) if abs(part) >= NAMED_FROM else "",
            "ink": COLOURS[component][1],
        }


# --- folder ---------------------------------------------------------------------------------------


def write_windows(
    found: WindowVariation, study: Study, provenance: Mapping[str, Any], out: str | Path
) -> None:
    """Write the folder of a comparison of windows: all of it or nothing.

    `windows.csv` (a row per window and component), `windows.json` (what it was made of and how),
    `windows.svg`, `windows.md`, `windows.html`, and `provenance.json`, which names every file with
    its digest.

    Parameters
    ----------
    found : WindowVariation
    study : Study
    provenance : mapping
        As from `build_provenance`.
    out : str or Path
        An earlier comparison there is replaced; anything else is refused.

    Raises
    ------
    OutputError
    """
    out = Path(out)
    check_own_place(
        out,
        "windows",
        "the comparison of windows",
        "the folder of something else, or one inside it",
    )
    writers: dict[str, Callable[[Path], None]] = {
        "windows.csv": lambda path: write_csv(found.table, path),
        "windows.json": lambda path: write_json(summary(found, provenance), path),
        "windows.svg": lambda path: write_text(figure(found, study), path),
        "windows.md": lambda path: write_text(text(found, study), path),
        "windows.html": lambda path: write_text(as_page(found, study), path),
    }
    with run_folder(out) as staging:
        for name, write in writers.items():
            write(staging / name)
        files = {name: digest_of_file(path) for name, path in files_in(staging).items()}
        write_json({**provenance, "windows": found.digest, "files": files}, staging / MARK)
        write_entry("windows", out, made_from(provenance) | {"windows": found.digest})


def summary(found: WindowVariation, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `windows.json` holds."""
    costs = found.costs
    return {
        "answer": answer(found),
        "change": change(found),
        "digest": found.digest,
        "stages": {one["stage"]: one["digest"] for one in provenance["stages"]},
        "outcome": costs.outcome.name,
        "currency": costs.outcome.currency,
        "price_year": costs.outcome.price_year,
        "learner": costs.learner,
        "expected_by": {f"{one}_{days}d": way for (days, one), way in costs.how.items()},
        "capped_share": {str(days): one for days, one in costs.capped.items()},
        "providers": found.providers,
        "providers_left_out": found.left_out,
        "episodes": found.episodes,
        "episodes_incomplete": costs.incomplete,
        "replicates": found.replicates,
        "rows": found.table.to_dict("records"),
    }
