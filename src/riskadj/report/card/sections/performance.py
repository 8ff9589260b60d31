"""How good expectations are on episodes that no model has seen, and elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from riskadj.expected.validation import FEWEST_EPISODES, FEWEST_EVENTS
from riskadj.report.blocks import (
    Block,
    Column,
    estimate,
    estimated,
    facts,
    number,
    paragraph,
    table,
    text,
    turned,
)
from riskadj.report.families import families_in_words
from riskadj.report.findings import Findings
from riskadj.report.lookup import costs_of, learner_names, learns
from riskadj.report.words import (
    listed,
    named,
    table_decimals,
)
from riskadj.study import Outcome


class _Metric(NamedTuple):
    """A figure of performance; `in_score` ones have the decimals of the score."""

    key: str
    label: str
    decimals: int
    in_score: bool = False
    words: str = ""


_METRICS = (
    _Metric("n", "Episodes", 0),
    _Metric(
        "c_statistic", "C-statistic", 3,
        words="of one who responds and one who does not, how often the first was given the higher "
        "chance.",
    ),
    _Metric("brier", "Brier score", 4, words="mean squared error of chances."),
    _Metric("r2", "R\N{SUPERSCRIPT TWO}", 3),
    _Metric(
        "r2_before_recalibration", "R\N{SUPERSCRIPT TWO} before recalibration", 3
    ),
    _Metric(
        "cpm", "CPM", 3,
        words="Cumming's prediction measure, R\N{SUPERSCRIPT TWO} with absolute values instead of "
        "squares.",
    ),
    _Metric("mae", "MAE", 0, True, words="mean absolute error."),
    _Metric("rmse", "RMSE", 0, True, words="root mean squared error."),
    _Metric("bias", "Bias", 0, True, words="mean of observed minus expected."),
    _Metric("drift", "Bias before recalibration", 0, True),
    _Metric(
        "calibration_slope", "Calibration slope", 3,
        words="with its intercept the line of what was observed on what was expected; 1 and 0 "
        "where expectations are neither too bold nor too timid.",
    ),
    _Metric("calibration_intercept", "Calibration intercept", 0, True),
    _Metric(
        "largest_decile_error", "Largest error by tenth", 0, True,
        words="between observed and expected, of the tenths under Calibration.",
    ),
    _Metric(
        "ici", "Mean error along the curve", 0, True,
        words="mean distance between what was expected and a smooth curve of what was observed "
        "(Austin and Steyerberg 2019, Stat Med 38:4051-4065).",
    ),
    _Metric("total_ratio", "Total O/E", 4, words="summed observed over summed expected."),
    _Metric(
        "park_slope", "Park slope", 2,
        words="the power of the mean that variance goes with (Manning and Mullahy 2001, J Health "
        "Econ 20:461-494).",
    ),
    _Metric(
        "negative_share", "Share expected below 0", 3,
        words="of episodes, before recalibration.",
    ),
    _Metric(
        "top_coded_share", "Share of cost above the cap", 4,
        words="of what all episodes cost; it is left out of account.",
    ),
)  # fmt: skip
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
_BRACKETS = "Brackets: 95 % intervals that allow for episodes of a provider resembling each other."
_WITHOUT = (
    "No interval: what recalibration makes true on these same episodes; the largest error by tenth "
    "and the mean error along the curve, which are above 0 by chance alone; counts and shares of "
    "these very episodes."
)
_OF_CHANCES = "R\N{SUPERSCRIPT TWO} of chances is the scaled Brier score."
_OF_COSTS = "A calibration slope is of costs themselves, whatever the scale of recalibration."
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
        metrics = _metrics_of(findings, [outcome])
        columns = [_column(one, outcome, by_learner.values()) for one in metrics]
        yield turned(table(
            f"{named(outcome)}: performance",
            [text("Learner", code=True), *columns],
            [
                [learner, *(_cell(one, by_learner[learner], column)
                            for one, column in zip(metrics, columns, strict=True))]
                for learner in learner_names(findings, outcome)
                if learner in by_learner
            ],
        ))  # fmt: skip
    shown = _metrics_of(findings, findings.study.outcomes)
    yield facts([(one.label, one.words) for one in shown if one.words], "What the figures are")
    yield paragraph(*_about_metrics(findings, shown))
    for outcome in costs_of(findings):
        yield paragraph(families_in_words(outcome.name, findings.metrics.get(outcome.name, {})))
    yield from _differences(findings)
    yield from _elsewhere(findings)


def _metrics_of(findings: Findings, outcomes: Iterable[Outcome]) -> list[_Metric]:
    """Return the figures that any learner of the outcomes has."""
    there = {
        key
        for outcome in outcomes
        for figures in findings.metrics.get(outcome.name, {}).values()
        for key in figures
    }
    return [one for one in _metrics(findings) if one.key in there]


def _about_metrics(findings: Findings, shown: Iterable[_Metric]) -> Iterable[str]:
    """Yield what is to be known of several figures."""
    yield _BRACKETS
    yield _WITHOUT
    if any(one.key == "c_statistic" for one in shown):
        yield _OF_CHANCES
    if costs_of(findings):
        yield _OF_COSTS
    yield _BY_CONSTRUCTION[findings.study.recalibration.method]


def _column(one: _Metric, outcome: Outcome, figures: Iterable[Mapping[str, Any]]) -> Column:
    """Return a column of estimates where every learner has an interval, else of numbers."""
    decimals = _decimals(one, outcome)
    sure = all(_estimated(one.key, mine) for mine in figures)
    return estimate(one.label, decimals) if sure else number(one.label, decimals, "")


def _cell(one: _Metric, figures: Mapping[str, Any], column: Column) -> Any:
    value = figures.get(one.key)
    return _estimated(one.key, figures) if column["format"] == "estimate" else value


def _estimated(key: str, figures: Mapping[str, Any]) -> list[float] | None:
    ends = (figures.get(f"{key}{end}") for end in ("", "_lower95", "_upper95"))
    return estimated(*(float("nan") if one is None else one for one in ends))


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
    """Yield how learners do at providers and in periods that they were taught without."""
    if findings.validation.empty:
        yield from _not_elsewhere(findings)
        return
    yield table(
        "Would it do as well elsewhere?",
        [text("Outcome"), text("Learner", code=True), text("Over"), text("Figure"),
         number("How many"), number("Too small"),
         *({**estimate(label, 3), "missing": "too few to say"}
           for label in ("On average", "At the next one"))],
        [
            [one.outcome, one.learner, f"{one.left_out}s", _FIGURE_TITLES[one.figure], one.groups,
             one.too_small, estimated(one.value, one.lower95, one.upper95),
             estimated(one.value, one.prediction_lower95, one.prediction_upper95)]
            for one in findings.validation.itertuples(index=False)
        ],
        f"Internal-external validation (Riley and others 2016, BMJ 353:i3140): {_taught(findings)} "
        "and asked about those left out, in the periods that teach and in those compared; nothing "
        f"is recalibrated.{_not_taught(findings)}",
        _WHY_OTHERWISE,
        f"Too small: under {FEWEST_EPISODES} episodes, or of chances under {FEWEST_EVENTS} with or "
        "without the event, or nothing in it differs. On average: by random effects, with the "
        "interval of Hartung and Knapp (2001, Stat Med 20:3875-3889). At the next one: where 95 % "
        "of further providers or periods would lie, which few periods can hardly tell.",
    )  # fmt: skip


_WHY_OTHERWISE = (
    "Figures here are of one provider or period at a time, then averaged, and need not be those "
    "of the table above, which are of all episodes together: within a provider patients are more "
    "alike, which lowers R\N{SUPERSCRIPT TWO} and the C-statistic; how far a provider is from "
    "others counts as error; and a small provider counts for more than its share of episodes. "
    "Observed \N{MINUS SIGN} expected of chances is on the scale of log-odds."
)
_LEFT_OUT = {
    "provider": "without each of {} folds of providers",
    "period": "without each period in turn",
}


def _taught(findings: Findings) -> str:
    rules, done = findings.study.validation, set(findings.validation["left_out"])
    ways = [_LEFT_OUT[one].format(rules.folds) for one in rules.by if one in done]
    return f"learners were taught again {listed(ways)}"


def _not_taught(findings: Findings) -> str:
    done = {*findings.validation["learner"], "reference"}
    others = [one for one in learner_names(findings) if one not in done]
    return f" Not looked at: {listed(others)}." if others else ""


def _not_elsewhere(findings: Findings) -> Iterable[Block]:
    if learns(findings):
        yield paragraph(
            "Whether expectations would do as well at other providers or in other periods was not "
            "looked at: no learner was taught again without them (validation.learners)."
        )


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
