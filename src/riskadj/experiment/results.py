"""From cells that are kept to `results.json`, a table of them and a figure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from scipy import stats

import riskadj
from riskadj.digest import digest_of_json
from riskadj.experiment.figures import FIGURES, decimals_by, told
from riskadj.experiment.keep import Kept
from riskadj.experiment.paired import Side, pair, side_of
from riskadj.experiment.plan import Task, digest_of_cells
from riskadj.experiment.records import Experiment
from riskadj.report.charts.drawing import BLUE, GREY, INK, ORANGE, data, to_svg
from riskadj.report.folder import csv_text, json_text

RESULTS, TABLE, MARKDOWN, FIGURE = (
    "results.json", "comparison.csv", "comparison.md", "comparison.svg"
)  # fmt: skip
FORMAT = 1
_LISTS = ("moves", "changed", "notes")
_COLOURS = (BLUE, ORANGE, "#2b7a4b", "#7a4bb0", INK)
Figures = dict[str, Any]
ByRow = dict[str, Figures]


def results_of(
    name: str, experiment: Experiment, done: Sequence[tuple[Task, Kept]]
) -> dict[str, Any]:
    """Return what `results.json` holds; the same cells always give the same.

    Parameters
    ----------
    name : str
        Of the experiment's folder.
    experiment : Experiment
    done : sequence of (Task, Kept)
        Every cell, in the order of the grid.

    Returns
    -------
    dict
        `format, experiment, question, expectation, baseline, seed, replicates, code, data,
        digest`, and `cells`: each with `name`, `settings`, `parts` (the digests of study, data and
        result of every repeat) and `rows`, by `outcome-learner`: figures, and those that hold it
        against the baseline. With repeats a figure is the mean of them, with a 95 % interval by
        Student's t.
    """
    paired = _paired(experiment, done)
    cells = [_cell(one, experiment, done, paired) for one in experiment.names]
    return {
        "format": FORMAT,
        "experiment": name,
        "question": experiment.question,
        "expectation": experiment.expectation,
        "baseline": experiment.against,
        "figures": list(experiment.figures),
        "chart": experiment.chart or experiment.figures[0],
        "seed": experiment.seed,
        "replicates": experiment.replicates,
        "code": {"riskadj": riskadj.__version__, "digest": digest_of_cells()},
        "data": _data(done),
        "digest": digest_of_json([task.digest for task, _ in done]),
        "cells": cells,
    }


def _data(done: Iterable[tuple[Task, Kept]]) -> list[dict[str, Any]]:
    found = {one["digest"]: one for _, kept in done for one in kept.record["data"]}
    return [*found.values()]


def _cell(
    name: str, experiment: Experiment, done: Sequence[tuple[Task, Kept]],
    paired: Mapping[str, ByRow],
) -> dict[str, Any]:  # fmt: skip
    mine = [one for one in done if one[0].cell.name == name]
    rows = [_with_pairs(kept.record["rows"], paired.get(task.digest, {})) for task, kept in mine]
    return {
        "name": name,
        "settings": list(mine[0][0].cell.settings) if not experiment.repeat else _shared(mine),
        "parts": [
            {
                "repeat": task.cell.repeat, "study": kept.record["study"], "data": task.data,
                "digest": task.digest,
            }
            for task, kept in mine
        ],
        "rows": {key: _mean([one[key] for one in rows if key in one]) for key in rows[0]},
    }  # fmt: skip


def _shared(mine: Sequence[tuple[Task, Kept]]) -> list[str]:
    """Return the settings that every repeat of a cell has."""
    first, *others = ([*task.cell.settings] for task, _ in mine)
    return [one for one in first if all(one in other for other in others)]


def _with_pairs(rows: ByRow, pairs: ByRow) -> ByRow:
    return {key: figures | pairs.get(key, {}) for key, figures in rows.items()}


def _mean(rows: Sequence[Figures]) -> Figures:
    """Return the means of figures over repeats, with intervals; of one row, the row itself."""
    if len(rows) == 1:
        return rows[0]
    names = [one for one in rows[0] if one not in _LISTS and not one.endswith("95")]
    half = float(stats.t.isf(0.025, len(rows) - 1)) / len(rows) ** 0.5
    found: Figures = {"repeats": len(rows)}
    for name in names:
        values = [row.get(name) for row in rows]
        if any(one is None for one in values):
            found[name] = None
            continue
        mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))  # type: ignore[arg-type]
        ends = {f"{name}_lower95": mean - half * sd, f"{name}_upper95": mean + half * sd}
        found |= {key: float(f"{one:.10g}") for key, one in ({name: mean} | ends).items()}
    return found


# Against the baseline ----------------------------------------------------------------------------


def _paired(experiment: Experiment, done: Sequence[tuple[Task, Kept]]) -> dict[str, ByRow]:
    """Return by cell's digest and row how it differs from the baseline of the same repeat."""
    baselines = {
        task.cell.repeat: kept for task, kept in done if task.cell.name == experiment.against
    }
    return {
        task.digest: _against(baselines[task.cell.repeat], kept, experiment)
        for task, kept in done
        if task.cell.name != experiment.against
    }


def _against(baseline: Kept, other: Kept, experiment: Experiment) -> ByRow:
    before, after = sides_of_kept(baseline), sides_of_kept(other)
    return {
        key: pair(before[match], side, experiment.seed, experiment.replicates)
        for key, side in after.items()
        if (match := matching(key, before, after)) is not None
    }


def sides_of_kept(kept: Kept) -> dict[str, Side]:
    """Return the sides of a cell by `outcome-learner`."""
    record = kept.record
    return sides(
        kept.episodes, kept.providers, record["better"], record["labels"], record["levels"]
    )


def sides(
    episodes: pd.DataFrame, providers: pd.DataFrame, better: Mapping[str, int], labels: str,
    levels: Sequence[float],
) -> dict[str, Side]:  # fmt: skip
    """Return the sides of a run by `outcome-learner`."""
    keys = ["outcome", "learner"]
    shown = {tuple(map(str, key)): one for key, one in providers.groupby(keys, sort=False)}
    found = {}
    for key, rows in episodes.groupby(keys, sort=False):
        outcome, learner = map(str, key)
        told = shown.get((outcome, learner), providers.head(0))
        found[f"{outcome}-{learner}"] = side_of(rows, told, better[outcome], labels, levels)
    return found


def matching(key: str, before: Iterable[str], after: Iterable[str]) -> str | None:
    """Return the row to hold a row against: the same, or the only other one of its outcome.

    Examples
    --------
    >>> matching("ohs-lightgbm", ["ohs-linear"], ["ohs-lightgbm"])
    'ohs-linear'
    >>> matching("ohs-lightgbm", ["ohs-linear", "ohs-reference"], ["ohs-lightgbm"]) is None
    True
    """
    known = list(before)
    if key in known:
        return key
    outcome = key.rpartition("-")[0]
    mine = [one for one in after if one.rpartition("-")[0] == outcome]
    theirs = [one for one in known if one.rpartition("-")[0] == outcome]
    return theirs[0] if len(mine) == len(theirs) == 1 else None


# As files ----------------------------------------------------------------------------------------


def files_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the files of an experiment by their name, from what `results.json` holds alone."""
    text = json_text(results)
    stored = json.loads(text)  # in the order and with the values that a reader has
    return {
        TABLE: csv_text(table_of(stored), digits=8),
        MARKDOWN: markdown_of(stored),
        FIGURE: figure_of(stored),
        RESULTS: text,
    }


def rows_of(results: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Figures]]:
    """Yield cell, outcome, learner and figures of each row."""
    for cell in results["cells"]:
        for key, figures in cell["rows"].items():
            outcome, _, learner = key.rpartition("-")
            yield cell["name"], outcome, learner, figures


def table_of(results: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each cell, outcome and learner: every single figure, with its bounds."""
    rows = [
        {"cell": cell, "outcome": outcome, "learner": learner}
        | {name: value for name, value in figures.items() if name not in _LISTS}
        for cell, outcome, learner, figures in rows_of(results)
    ]
    return pd.DataFrame(rows)


def markdown_of(results: Mapping[str, Any]) -> str:
    """Return the figures that the experiment asked for as a Markdown table."""
    names = results["figures"]
    several = [len({one[at] for one in rows_of(results)}) > 1 for at in (1, 2)]
    heads = [one for one, show in zip(("outcome", "learner"), several, strict=True) if show]
    lines = [["", *heads, *(FIGURES[one].title for one in names)]]
    lines.append(["---"] * (1 + len(heads)) + ["---:"] * len(names))
    decimals = decimals_shown(results)
    for cell, outcome, learner, figures in rows_of(results):
        own = [one for one, show in zip((outcome, learner), several, strict=True) if show]
        said = {one: told(figures, one, decimals[outcome, one]) for one in names}
        if cell == results["baseline"]:
            said |= _of_baseline(names)
        lines.append([cell, *own, *said.values()])
    return "".join(f"| {' | '.join(one)} |\n" for one in lines)


def decimals_shown(results: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Return by outcome and figure how many decimals its column has."""
    rows = ((outcome, figures) for _, outcome, _, figures in rows_of(results))
    return decimals_by(rows, {*results["figures"], results["chart"]})


def _of_baseline(names: Iterable[str]) -> dict[str, str]:
    """Return what is said of a baseline where figures would hold it against itself."""
    paired = [one for one in names if FIGURES[one].paired]
    return {one: "(baseline)" if one == paired[0] else "" for one in paired}


def figure_of(results: Mapping[str, Any]) -> str:
    """Return one figure of every cell, with its interval where it has one, as SVG."""
    name = results["chart"]
    rows = [*_points(results, name)]
    outcomes = list(dict.fromkeys(one["outcome"] for one in rows))
    title = FIGURES[name].title
    with_ends = [one for one in rows if one["low"] is not None]
    offset = {"yOffset": alt.YOffset("outcome:N", sort=outcomes)} if len(outcomes) > 1 else {}
    y = alt.Y("cell:N", sort=list(dict.fromkeys(one["cell"] for one in rows)), title=None,
              axis=alt.Axis(grid=True, labelLimit=260))  # fmt: skip
    x = alt.X("x:Q", title=title, scale=alt.Scale(zero=False, nice=True))
    colour = alt.Color(
        "outcome:N",
        scale=alt.Scale(domain=outcomes, range=[*_COLOURS[: len(outcomes)]]),
        legend=None if len(outcomes) < 2 else alt.Legend(title=None),
    )
    layers = [
        alt.Chart(data(with_ends)).mark_rule(strokeWidth=1.4).encode(
            x=alt.X("low:Q", title=title, scale=alt.Scale(zero=False)), x2="high:Q", y=y,
            color=colour, **offset,
        ),
        alt.Chart(data(rows)).mark_point(filled=True, size=62, opacity=1).encode(
            x=x, y=y, color=colour, **offset
        ),
    ]  # fmt: skip
    if FIGURES[name].paired and name.endswith("_difference"):
        layers.insert(0, alt.Chart(data([{"x": 0}])).mark_rule(color=GREY).encode(x="x:Q"))
    cells = len({one["cell"] for one in rows})
    height = max(60, cells * (16 + 9 * len(outcomes)))
    chart = alt.layer(*layers).properties(width=360, height=height)
    described = "; ".join(f"{one['cell']}, {one['outcome']}: {one['said']}" for one in rows)
    return to_svg(chart, "comparison", results["question"], _subtitle(results, name), described)


def _subtitle(results: Mapping[str, Any], name: str) -> str:
    against = f", against {results['baseline']}" if FIGURES[name].paired else ""
    ends = " Lines: 95 % intervals." if any(one["low"] is not None for one in
                                           _points(results, name)) else ""  # fmt: skip
    title = FIGURES[name].title
    return f"{title[0].upper()}{title[1:]}{against}.{ends}"


def _points(results: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    several = len({one[2] for one in rows_of(results)}) > 1
    decimals = decimals_shown(results)
    for cell, outcome, learner, figures in rows_of(results):
        value = figures.get(name)
        if value is None:
            continue
        repeated = sum(1 for one in rows_of(results) if one[:2] == (cell, outcome)) > 1
        yield {
            "cell": f"{cell}, {learner}" if several and repeated else cell,
            "outcome": outcome,
            "x": value,
            "low": figures.get(f"{name}_lower95"),
            "high": figures.get(f"{name}_upper95"),
            "said": told(figures, name, decimals[outcome, name]),
        }
