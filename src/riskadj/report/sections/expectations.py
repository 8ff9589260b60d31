"""How expectations are made, and how good they are on episodes that no model has seen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from riskadj.report.blocks import Block, estimate, facts, number, paragraph, table, text
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import learner_names, learns, rows_of
from riskadj.report.words import named, table_decimals
from riskadj.study import Outcome

_LEARNER_MEANINGS = {
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
    yield facts([
        ("Split", _split(findings)),
        ("Folds", _folds(findings)),
        ("Seed", str(study.split.seed)),
        ("Recalibration", _recalibration(findings)),
    ])  # fmt: skip


def _settings(settings: Mapping[str, Any]) -> str:
    shown = [
        f"{name.replace('_', ' ')} {one:g}" for name, one in settings.items() if name != "kind"
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


_METRICS = (
    _Metric("n", "Episodes", 0),
    _Metric("r2", "R\N{SUPERSCRIPT TWO}", 3),
    _Metric("r2_before_recalibration", "R\N{SUPERSCRIPT TWO} before recalibration", 3),
    _Metric("mae", "MAE", 0, True),
    _Metric("rmse", "RMSE", 0, True),
    _Metric("bias", "Bias", 0, True),
    _Metric("drift", "Bias before recalibration", 0, True),
    _Metric("calibration_slope", "Calibration slope", 3),
    _Metric("calibration_intercept", "Calibration intercept", 0, True),
    _Metric("largest_decile_error", "Largest error by tenth", 0, True),
    _Metric("total_ratio", "Total O/E", 4),
)
_BEFORE_RECALIBRATION = ("r2_before_recalibration", "drift")

_HELD_OUT = (
    "These are held-out figures: no episode here was among those its model learned from, and they "
    "are on the score after, not on the gain. R\N{SUPERSCRIPT TWO} of the gain would be far "
    "higher, only because the score before then stands on both sides."
)
_PUBLISHED = (
    "The published expectation is the exception: whether it was fitted to these very episodes is "
    "not known here."
)
_ONLY_PUBLISHED = (
    "These are figures on the score after, not on the gain. Whether the published expectation was "
    "fitted to these very episodes is not known here."
)
_METRIC_WORDS = (
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
    metrics = _metrics(findings)
    for outcome in findings.study.outcomes:
        by_learner = findings.metrics.get(outcome.name, {})
        yield table(
            f"{named(outcome)}: performance",
            [
                text("Learner", code=True),
                *(number(one.label, _decimals(one, outcome), "") for one in metrics),
            ],
            [
                [learner, *(by_learner[learner].get(one.key) for one in metrics)]
                for learner in learner_names(findings)
                if learner in by_learner
            ],
        )
    yield paragraph(_METRIC_WORDS, _BY_CONSTRUCTION[findings.study.recalibration.method])


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
        "Episodes in tenths of their expected score after, from lowest to highest.",
        "For each outcome the table is of the learner with the largest difference in any tenth."
        if several else "",
    )  # fmt: skip
    for outcome in findings.study.outcomes:
        rows = rows_of(findings.calibration, outcome=outcome.name)
        if not rows.empty:
            worst = rows.loc[rows["difference"].abs().idxmax(), "learner"]
            yield _tenths(rows_of(rows, learner=worst), outcome, worst)
        yield from figure_blocks(findings, "calibration", outcome)


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
        "Mean of observed minus expected score after, with its 95 % interval. Above 0 the group "
        "does better than expected. A group with too few episodes is suppressed, and so is "
        "another one where the first would follow from the total."
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
    if cell is None or pd.isna(cell.difference):
        return None
    return [cell.difference, cell.lower95, cell.upper95]
