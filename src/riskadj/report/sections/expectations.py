"""How expectations are made, and how good they are on episodes that no model has seen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from riskadj.report.blocks import (
    Block,
    Column,
    estimate,
    estimated,
    facts,
    number,
    paragraph,
    percent,
    table,
    text,
)
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import learner_names, learns, rows_of
from riskadj.report.words import format_number, measure, named, table_decimals
from riskadj.study import Outcome

_LEARNER_MEANINGS = {
    "ceiling": "Two parts: the chance of the best score and the mean of the others, boosted trees "
    "both (Huang and others 2008, Health Serv Res, doi 10.1111/j.1475-6773.2007.00745.x).",
    "stacked": "Linear, boosted trees, and trees and networks by parts of the score, weighted by "
    "what each is worth on episodes that it did not learn from (Breiman 1996, Machine Learning "
    "24:49-64).",
    "reference": "An expectation that somebody else computed and published with each record. It "
    "was not fitted here, and its coefficients are not known here.",
    "linear": "Least squares with a constant per level of every discrete factor.",
    "lightgbm": "Gradient-boosted trees (Ke et al. 2017).",
}
_RECALIBRATIONS = {
    "shift": "Shift: a constant is added so that the mean residual of the episodes compared is 0.",
    "line": "Line: a constant and a slope, so that the episodes compared have a mean residual of 0 "
    "and a calibration slope of 1.",
    "none": "None: expectations are used as learned.",
}
_NOT_LEARNED = "None: expectations are used as published."


def models(findings: Findings) -> Iterable[Block]:
    """Yield the learners, and from whom they learn."""
    study = findings.study
    yield table(
        "Learners",
        [text("Learner", code=True), text("What it is"), text("Settings")],
        [(one.kind, _LEARNER_MEANINGS.get(one.kind, ""), _settings(one.model_dump()))
         for one in study.learners],
    )  # fmt: skip
    yield from _tuned(findings)
    yield facts([
        ("Split", _split(findings)),
        ("Folds", _folds(findings)),
        ("Seed", str(study.split.seed)),
        ("Recalibration", _recalibration(findings)),
    ])  # fmt: skip


def _tuned(findings: Findings) -> Iterable[Block]:
    """Yield the settings that were searched for."""
    if findings.tuned.empty:
        return
    yield table(
        "Settings found inside the periods that teach",
        [text("Outcome"), text("Learner", code=True), number("Model"), number("Trials"),
         text("Settings"), number("Loss as given", 4), number("Loss found", 4)],
        findings.tuned.itertuples(index=False),
        "Searched with Optuna (Akiba and others 2019, KDD) on episodes that teach, and on no "
        "others; settings not named are as given. Loss: variance of residuals, of chances the mean "
        "log loss.",
    )  # fmt: skip


_UNSAID = {"tune": 0, "slopes": "pooled", "monotone": {}, "with_reference": False}
"""Settings that change nothing at these values."""


def _settings(settings: Mapping[str, Any]) -> str:
    shown = [
        f"{name.replace('_', ' ')} {one:g}"
        if isinstance(one, float)
        else f"{name.replace('_', ' ')} {one}"
        for name, one in settings.items()
        if name != "kind" and (name not in _UNSAID or one != _UNSAID[name])
    ]
    return ", ".join(shown) or "none"


def _split(findings: Findings) -> str:
    split = findings.study.split
    compared = ", ".join(split.test)
    if not learns(findings):
        return f"Nothing is learned here; compared in {compared}."
    if split.out_of_time:
        return f"Out of time: learned from {', '.join(split.train)}, compared in {compared}."
    return (
        f"Out of fold within {compared}: what is expected of a {split.group}'s episodes was "
        f"learned from other {split.group}s only."
    )


def _folds(findings: Findings) -> str:
    split = findings.study.split
    if not learns(findings):
        return "not used: nothing is learned here"
    if split.out_of_time:
        return "not used: the periods are apart"
    return f"{split.folds} folds, each {split.group} whole in one"


def _recalibration(findings: Findings) -> str:
    method = findings.study.recalibration.method
    return _RECALIBRATIONS[method] if method != "none" or learns(findings) else _NOT_LEARNED


# --- performance ----------------------------------------------------------------------------------


class _Metric(NamedTuple):
    """A figure of performance; `in_score` ones have the decimals of the score."""

    key: str
    label: str
    decimals: int
    in_score: bool = False
    interval: bool = False


_METRICS = (
    _Metric("n", "Episodes", 0),
    _Metric("c_statistic", "C-statistic", 3, interval=True),
    _Metric("brier", "Brier score", 4),
    _Metric("r2", "R\N{SUPERSCRIPT TWO}", 3, interval=True),
    _Metric("r2_before_recalibration", "R\N{SUPERSCRIPT TWO} before recalibration", 3),
    _Metric("mae", "MAE", 0, True),
    _Metric("rmse", "RMSE", 0, True),
    _Metric("bias", "Bias", 0, True),
    _Metric("drift", "Bias before recalibration", 0, True),
    _Metric("calibration_slope", "Calibration slope", 3, interval=True),
    _Metric("calibration_intercept", "Calibration intercept", 0, True),
    _Metric("largest_decile_error", "Largest error by tenth", 0, True),
    _Metric("ici", "Mean error along the curve", 0, True),
    _Metric("total_ratio", "Total O/E", 4),
)
_BEFORE_RECALIBRATION = ("r2_before_recalibration", "drift")

_HELD_OUT = (
    "These are held-out figures: no episode here was among those its model learned from, and they "
    "are on what is modelled. Of a gain that is the score after: R\N{SUPERSCRIPT TWO} of the gain "
    "would be far higher, only because the score before then stands on both sides."
)
_PUBLISHED = (
    "The published expectation is the exception: whether it was fitted to these very episodes is "
    "not known here."
)
_ONLY_PUBLISHED = (
    "These are figures on what is modelled, of a gain the score after. Whether the published "
    "expectation was fitted to these very episodes is not known here."
)
_FIGURE_TITLES = {
    "r2": "R\N{SUPERSCRIPT TWO}",
    "c_statistic": "C-statistic",
    "calibration_slope": "calibration slope",
    "in_the_large": "observed \N{MINUS SIGN} expected",
}
_METRIC_WORDS = (
    "R\N{SUPERSCRIPT TWO}: of chances it is the scaled Brier score. C-statistic: how often who "
    "responds was given the higher chance. Brackets: 95 % intervals that allow for episodes of a "
    "provider resembling each other. "
    "MAE and RMSE: mean absolute and root mean squared error. Bias: mean of observed minus "
    "expected. Total O/E: summed observed over summed expected score."
)
_BY_CONSTRUCTION = {
    "shift": "Recalibration by shift, on these same episodes, makes the bias 0 and total O/E 1; "
    "neither speaks for a learner.",
    "line": "Recalibration by line, on these same episodes, makes the bias 0, total O/E 1, the "
    "calibration slope 1 and its intercept 0; none of these speaks for a learner.",
    "none": "Nothing is recalibrated.",
}


def performance(findings: Findings) -> Iterable[Block]:
    """Yield accuracy and calibration as figures, by outcome and learner."""
    yield _which_figures(findings)
    for outcome in findings.study.outcomes:
        by_learner = findings.metrics.get(outcome.name, {})
        metrics = [
            one for one in _metrics(findings) if any(one.key in of for of in by_learner.values())
        ]
        yield table(
            f"{named(outcome)}: performance",
            [text("Learner", code=True), *(_column(one, outcome) for one in metrics)],
            [
                [learner, *(_cell(one, by_learner[learner]) for one in metrics)]
                for learner in learner_names(findings, outcome)
                if learner in by_learner
            ],
        )
    yield paragraph(_METRIC_WORDS, _BY_CONSTRUCTION[findings.study.recalibration.method])
    yield from _differences(findings)
    yield from _elsewhere(findings)


def _column(one: _Metric, outcome: Outcome) -> Column:
    decimals = _decimals(one, outcome)
    return estimate(one.label, decimals) if one.interval else number(one.label, decimals, "")


def _cell(one: _Metric, figures: Mapping[str, Any]) -> Any:
    value = figures.get(one.key)
    if not one.interval or value is None:
        return value
    low, high = (figures.get(f"{one.key}_{end}95", float("nan")) for end in ("lower", "upper"))
    return estimated(value, low, high)


def _differences(findings: Findings) -> Iterable[Block]:
    """Yield how much better one learner is than another, on the same episodes."""
    if findings.differences.empty:
        return
    yield table(
        "Learners against each other",
        [text("Outcome"), text("Learner", code=True), text("Against", code=True), text("Figure"),
         number("Episodes"), estimate("Difference", 4)],
        [
            [one.outcome, one.learner, one.other, _FIGURE_TITLES[one.figure], one.n,
             estimated(one.difference, one.lower95, one.upper95)]
            for one in findings.differences.itertuples(index=False)
        ],
        "Above 0 the learner is closer to what was observed than the one it is held against. "
        "Intervals of 95 % draw providers, not episodes (Efron 1987, JASA 82:171-185).",
    )  # fmt: skip


def _elsewhere(findings: Findings) -> Iterable[Block]:
    """Yield how far performance carries over to the next provider or period."""
    if findings.validation.empty:
        return
    yield table(
        "Would it do as well elsewhere?",
        [text("Outcome"), text("Learner", code=True), text("Over"), text("Figure"),
         number("How many"), estimate("On average", 3), estimate("At the next one", 3)],
        [
            [one.outcome, one.learner, f"{one.left_out}s", _FIGURE_TITLES[one.figure], one.groups,
             estimated(one.value, one.lower95, one.upper95),
             estimated(one.value, one.prediction_lower95, one.prediction_upper95)]
            for one in findings.validation.itertuples(index=False)
        ],
        "Internal-external validation: figures of each provider or period, whose episodes its "
        "model did not learn from, pooled (Riley and others 2016, BMJ 353:i3140). At the next "
        "one: where 95 % of further providers or periods would lie.",
    )  # fmt: skip


def _which_figures(findings: Findings) -> Block:
    if not learns(findings):
        return paragraph(_ONLY_PUBLISHED)
    return paragraph(_HELD_OUT, _PUBLISHED if "reference" in learner_names(findings) else "")


def _metrics(findings: Findings) -> Sequence[_Metric]:
    if findings.study.recalibration.method != "none":
        return _METRICS
    return [one for one in _METRICS if one.key not in _BEFORE_RECALIBRATION]


def _decimals(metric: _Metric, outcome: Outcome) -> int:
    return table_decimals(outcome) if metric.in_score else metric.decimals


# --- calibration ----------------------------------------------------------------------------------


def calibration(findings: Findings) -> Iterable[Block]:
    """Yield observed against expected, by tenth of the expected score."""
    several = len(learner_names(findings)) > 1
    yield paragraph(
        "Episodes in tenths of what is expected of them, from lowest to highest.",
        "For each outcome the table is of the learner with the largest difference in any tenth."
        if several else "",
    )  # fmt: skip
    for outcome in findings.study.outcomes:
        rows = rows_of(findings.calibration, outcome=outcome.name)
        if not rows.empty:
            worst = rows.loc[rows["difference"].abs().idxmax(), "learner"]
            yield _tenths(rows_of(rows, learner=worst), outcome, worst)
        yield from figure_blocks(findings, "calibration", outcome)
        yield from _at_the_ceiling(findings, outcome)
    yield from _slopes(findings)


def _at_the_ceiling(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    """Yield observed against expected shares at the best score, where a learner expects them."""
    rows = rows_of(findings.ceiling, outcome=outcome.name)
    for learner, mine in rows.groupby("learner", sort=False):
        episodes = mine["n"].astype(float)
        means = [(mine[one] * episodes).sum() / episodes.sum() for one in ("observed", "expected")]
        observed, expected = (format_number(100 * one, 1) for one in means)
        yield table(
            f"{measure(outcome)} ({outcome.name}): episodes at the best score, by tenth of the "
            f"share expected, {learner}",
            [number("Tenth"), number("Episodes"),
             *(percent(one) for one in ("Expected", "Observed")), number("Difference", 4)],
            mine[["decile", "n", "expected", "observed", "difference"]].itertuples(index=False),
            f"Observed: {observed} % of all; expected: {expected} %.",
        )  # fmt: skip


def _slopes(findings: Findings) -> Iterable[Block]:
    """Yield how far expectations hang on whether slopes are learned within providers."""
    if findings.slopes.empty:
        return
    yield table(
        "What slopes learned within providers move",
        [text("Outcome"), text("Learner", code=True), text("Used"), number("Providers"),
         number("Standard deviation", 4), number("Largest", 4)],
        [
            [one.outcome, one.learner, "within" if one.used else "pooled", one.n_providers, one.sd,
             one.largest]
            for one in findings.slopes.itertuples(index=False)
        ],
        "By how much providers' mean expectations differ between slopes learned among patients of "
        "the same provider and slopes learned across providers. Large: case mix goes with quality "
        "(Neuhaus and Kalbfleisch 1998, Biometrics 54:638-645), or with case mix that is not "
        "recorded, in which case slopes within providers are the worse ones.",
    )  # fmt: skip


def _tenths(rows: pd.DataFrame, outcome: Outcome, learner: str) -> Block:
    labels = ("Expected", "Observed", "Observed \N{MINUS SIGN} expected")
    return table(
        f"{named(outcome)}: calibration of {learner}",
        [
            number("Tenth"),
            number("Episodes"),
            *(number(one, table_decimals(outcome)) for one in labels),
        ],
        rows[["decile", "n", "expected", "observed", "difference"]].itertuples(index=False),
    )


# --- subgroups ------------------------------------------------------------------------------------


def subgroups(findings: Findings) -> Iterable[Block]:
    """Yield observed minus expected of the groups that the study names."""
    if findings.subgroups.empty:
        yield paragraph("The study names no subgroups (report.subgroups).")
        return
    yield paragraph(
        "Mean of observed minus expected, with its 95 % interval. Above 0 the group has more than "
        "expected: a higher score after, or a larger share. A group with too few episodes is "
        "suppressed, and so is another one where the first would follow from the total."
    )
    for outcome in findings.study.outcomes:
        yield _subgroup_table(findings, outcome)


def _subgroup_table(findings: Findings, outcome: Outcome) -> Block:
    rows = rows_of(findings.subgroups, outcome=outcome.name)
    learners = [one for one in learner_names(findings) if one in set(rows["learner"])]
    groups = rows[["column", "level"]].drop_duplicates().itertuples(index=False, name=None)
    cells = {(one.column, one.level, one.learner): one for one in rows.itertuples(index=False)}
    decimals = table_decimals(outcome)
    return table(
        f"{named(outcome)}: observed minus expected, by subgroup and learner",
        [text("Column", code=True), text("Level"), number("Episodes"),
         number("Observed", decimals), *(estimate(one, decimals) for one in learners)],
        [_subgroup_row(group, [cells.get((*group, one)) for one in learners]) for group in groups],
    )  # fmt: skip


def _subgroup_row(group: tuple[str, str], cells: Sequence[Any]) -> list[Any]:
    first = next(one for one in cells if one is not None)
    return [*group, first.n, first.observed, *map(_interval, cells)]


def _interval(cell: Any) -> list[float] | None:
    return None if cell is None else estimated(cell.difference, cell.lower95, cell.upper95)
