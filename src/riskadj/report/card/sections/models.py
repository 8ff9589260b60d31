"""How expectations are made, and from whom they learn."""

from collections.abc import Iterable, Mapping
from typing import Any

from riskadj.report.blocks import (
    Block,
    facts,
    number,
    table,
    text,
)
from riskadj.report.findings import Findings
from riskadj.report.lookup import costs_of, learns

_LEARNER_MEANINGS = {
    "ceiling": "Two parts: the chance of the best score and the mean of the others, boosted trees "
    "both (Huang and others 2008, Health Serv Res, doi 10.1111/j.1475-6773.2007.00745.x).",
    "stacked": "Linear, boosted trees, and trees and networks by parts of the score, weighted by "
    "what each is worth on episodes that it did not learn from (Breiman 1996, Machine Learning "
    "24:49-64).",
    "reference": "An expectation that somebody else computed and published with each record. It "
    "was not fitted here, and its coefficients are not known here.",
    "gamma": "A gamma model with a log link, by penalised likelihood.",
    "tweedie": "A Tweedie model with a log link, by penalised likelihood.",
    "two_part": "The chance of any cost times a gamma model of the cost of those who have some "
    "(Duan and others 1983, J Bus Econ Stat 1:115-126).",
    "log_smearing": "Least squares of the logarithm of cost, brought back by smearing (Duan 1983, "
    "JASA 78:605-610).",
    "linear": "Least squares with a constant per level of every discrete factor.",
    "lightgbm": "Gradient-boosted trees (Ke et al. 2017).",
}
_RECALIBRATIONS = {
    "shift": "Shift: a constant is added so that the mean residual of the episodes compared is 0.",
    "line": "Line: a constant and a slope, so that the episodes compared have a mean residual of 0 "
    "and a calibration slope of 1.",
    "none": "None: expectations are used as learned.",
}
_RECALIBRATED_COSTS = {
    "shift": " Costs are multiplied by a factor instead, so that expected and observed costs have "
    "one sum.",
    "line": " Costs have their line on the log scale, then a factor, so that expected and observed "
    "costs have one sum.",
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
        f"log loss{', of costs the quasi-likelihood, negated' if costs_of(findings) else ''}.",
    )  # fmt: skip


_UNSAID = {
    "tune": 0, "slopes": "pooled", "monotone": {}, "with_reference": False, "objective": "gamma",
}  # fmt: skip
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
    if method == "none" and not learns(findings):
        return _NOT_LEARNED
    of_costs = _RECALIBRATED_COSTS.get(method, "") if costs_of(findings) else ""
    return f"{_RECALIBRATIONS[method]}{of_costs}"
