"""How expectations are made, and how good they are on episodes that no model has seen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from riskadj.expected.validation import FEWEST_EPISODES, FEWEST_EVENTS
from riskadj.fairness.groups import HELD_OUT
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
    turned,
)
from riskadj.report.families import families_in_words
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import costs_of, has_scores, learner_names, learns, rows_of
from riskadj.report.words import (
    format_number,
    in_order,
    is_cost,
    kept_in,
    listed,
    measure,
    named,
    table_decimals,
)
from riskadj.study import Outcome

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


# --- performance ----------------------------------------------------------------------------------


class _Metric(NamedTuple):
    """A figure of performance; `in_score` ones have the decimals of the score."""

    key: str
    label: str
    decimals: int
    in_score: bool = False
    interval: bool = False
    words: str = ""


_METRICS = (
    _Metric("n", "Episodes", 0),
    _Metric(
        "c_statistic", "C-statistic", 3, interval=True,
        words="of one who responds and one who does not, how often the first was given the higher "
        "chance.",
    ),
    _Metric("brier", "Brier score", 4, words="mean squared error of chances."),
    _Metric("r2", "R\N{SUPERSCRIPT TWO}", 3, interval=True),
    _Metric("r2_before_recalibration", "R\N{SUPERSCRIPT TWO} before recalibration", 3),
    _Metric(
        "cpm", "CPM", 3, interval=True,
        words="Cumming's prediction measure, R\N{SUPERSCRIPT TWO} with absolute values instead of "
        "squares.",
    ),
    _Metric("mae", "MAE", 0, True, words="mean absolute error."),
    _Metric("rmse", "RMSE", 0, True, words="root mean squared error."),
    _Metric("bias", "Bias", 0, True, words="mean of observed minus expected."),
    _Metric("drift", "Bias before recalibration", 0, True),
    _Metric(
        "calibration_slope", "Calibration slope", 3, interval=True,
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
        "park_slope", "Park slope", 2, interval=True,
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
        yield turned(table(
            f"{named(outcome)}: performance",
            [text("Learner", code=True), *(_column(one, outcome) for one in metrics)],
            [
                [learner, *(_cell(one, by_learner[learner]) for one in metrics)]
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
    if any(one.key == "c_statistic" for one in shown):
        yield _OF_CHANCES
    if costs_of(findings):
        yield _OF_COSTS
    yield _BY_CONSTRUCTION[findings.study.recalibration.method]


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
    units = _units(findings)
    yield table(
        "What slopes learned within providers move",
        [text("Outcome"), text("Learner", code=True), text("Used"), number("Providers"),
         number("Standard deviation", None), number("Largest", None), text("Unit")],
        [
            [one.outcome, one.learner, "within" if one.used else "pooled", one.n_providers, one.sd,
             one.largest, units[one.outcome]]
            for one in findings.slopes.itertuples(index=False)
        ],
        "By how much providers' mean expectations differ between slopes learned among patients of "
        "the same provider and slopes learned across providers. Large: case mix goes with quality "
        "(Neuhaus and Kalbfleisch 1998, Biometrics 54:638-645), or with case mix that is not "
        "recorded, in which case slopes within providers are the worse ones.",
    )  # fmt: skip


def _units(findings: Findings) -> dict[str, str]:
    """Return the unit of each outcome."""
    return {one.name: one.unit for one in findings.study.outcomes}


def _tenths(rows: pd.DataFrame, outcome: Outcome, learner: str) -> Block:
    labels = ("Expected", "Observed", "Observed \N{MINUS SIGN} expected")
    means = rows[["decile", "n", "expected", "observed", "difference"]]
    columns = [
        number("Tenth"),
        number("Episodes"),
        *(number(one, table_decimals(outcome)) for one in labels),
    ]
    caption = f"{named(outcome)}: calibration of {learner}"
    if not is_cost(outcome):
        return table(caption, columns, means.itertuples(index=False))
    ratios = [
        estimated(one.predictive_ratio, one.predictive_ratio_lower95, one.predictive_ratio_upper95)
        for one in rows.itertuples(index=False)
    ]
    return table(
        caption,
        [*columns, estimate("Expected over observed (95 %)", 3)],
        [[*mean, ratio] for mean, ratio in zip(means.to_numpy().tolist(), ratios, strict=True)],
        _OF_RATIOS,
    )


_OF_RATIOS = (
    "Expected over observed: the predictive ratio; below 1 such patients cost more than is "
    "expected of them. Intervals allow for episodes of a provider resembling each other."
)

# --- subgroups ------------------------------------------------------------------------------------


def subgroups(findings: Findings) -> Iterable[Block]:
    """Yield observed minus expected of the groups that the study names."""
    if findings.subgroups.empty:
        yield paragraph("The study names no subgroups (report.subgroups).")
        return
    yield paragraph(
        "Mean of observed minus expected, with its 95 % interval. Above 0 the group has more than "
        f"expected: {_more_of(findings)}. A group with too few episodes is "
        "suppressed, and so is another one where the first would follow from the total."
    )
    for outcome in findings.study.outcomes:
        yield _subgroup_table(findings, outcome)
        if is_cost(outcome):
            yield from _subgroup_ratios(findings, outcome)
    yield from _subgroup_curves(findings)


def _more_of(findings: Findings) -> str:
    scores = ["a higher score after", "a larger share"] if has_scores(findings) else []
    *most, last = [*scores, *(["more cost"] if costs_of(findings) else [])]
    return f"{', '.join(most)}, or {last}" if most else last


def _subgroup_table(findings: Findings, outcome: Outcome) -> Block:
    rows = rows_of(findings.subgroups, outcome=outcome.name)
    learners = [one for one in learner_names(findings) if one in set(rows["learner"])]
    groups = _in_order(rows[["column", "level"]].drop_duplicates())
    cells = {(one.column, one.level, one.learner): one for one in rows.itertuples(index=False)}
    decimals = table_decimals(outcome)
    return table(
        f"{named(outcome)}: observed minus expected, by subgroup and learner",
        [text("Column", code=True), text("Level"), number("Episodes"),
         number("Observed", decimals), *(estimate(one, decimals) for one in learners)],
        [_subgroup_row(group, [cells.get((*group, one)) for one in learners]) for group in groups],
    )  # fmt: skip


def _subgroup_ratios(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    """Yield predictive ratios of the subgroups that the audit of groups has, too."""
    rows = rows_of(findings.groups, outcome=outcome.name, fold=HELD_OUT)
    ratios = {
        (one.column, one.level, one.learner): one
        for one in rows[rows["group"] == rows["column"]].itertuples(index=False)
    }
    told = rows_of(findings.subgroups, outcome=outcome.name)[["column", "level"]].drop_duplicates()
    known = {key[:2] for key in ratios}
    groups = [one for one in _in_order(told) if one in known]
    if not groups:
        return
    learners = learner_names(findings, outcome)
    yield table(
        f"{named(outcome)}: expected over observed, by subgroup and learner",
        [text("Column", code=True), text("Level"), number("Episodes"),
         *(estimate(one, 3) for one in learners)],
        [_ratio_row(group, [ratios.get((*group, one)) for one in learners]) for group in groups],
        _OF_RATIOS,
        kept_in("groups.csv", "the predictive ratio of every group"),
    )  # fmt: skip


def _ratio_row(group: tuple[str, str], cells: Sequence[Any]) -> list[Any]:
    first = next(one for one in cells if one is not None)
    return [*group, first.n, *map(_ratio, cells)]


def _ratio(cell: Any) -> list[float] | None:
    if cell is None:
        return None
    ends = (getattr(cell, f"predictive_ratio{end}") for end in ("", "_lower95", "_upper95"))
    return estimated(*map(float, ends))


def _in_order(groups: pd.DataFrame) -> list[tuple[str, str]]:
    """Return columns and levels: columns as they come, levels as people count."""
    places = {name: place for place, name in enumerate(groups["column"].unique())}
    pairs = [(str(column), str(level)) for column, level in groups.to_numpy()]
    return sorted(pairs, key=lambda pair: (places[pair[0]], in_order(pair[1])))


def _subgroup_curves(findings: Findings) -> Iterable[Block]:
    """Yield how many fifths of subgroups are off, and the one that is farthest, by learner."""
    rows, units = [], _units(findings)
    for (outcome, learner), fifths in findings.curves.groupby(["outcome", "learner"], sort=False):
        known = fifths[fifths["lower95"].notna()]
        off = known[(known["lower95"] > 0) | (known["upper95"] < 0)]
        if off.empty:
            continue
        one = off.loc[off[["lower95", "upper95"]].abs().min(axis=1).idxmax()]
        rows.append([
            outcome, learner, len(known), len(off), one["column"], one["level"], one["decile"],
            one["n"], estimated(one["difference"], one["lower95"], one["upper95"]),
            units[outcome],
        ])  # fmt: skip
    if not rows:
        return
    yield table(
        "Calibration within subgroups",
        [text("Outcome"), text("Learner", code=True), number("Fifths"), number("Off"),
         text("Farthest off", code=True), text("Level"), number("Fifth"), number("Episodes"),
         estimate("Observed \N{MINUS SIGN} expected (95 %)", None), text("Unit")],
        rows,
        "Each subgroup in fifths of what is expected of its own episodes, from lowest to highest. "
        "Off: 0 is outside the 95 % interval, as by chance in 1 fifth of 20. Farthest off: whose "
        "interval is farthest from 0.",
        kept_in("calibration.csv", "every fifth of every subgroup"),
    )  # fmt: skip


def _subgroup_row(group: tuple[str, str], cells: Sequence[Any]) -> list[Any]:
    first = next(one for one in cells if one is not None)
    return [*group, first.n, first.observed, *map(_interval, cells)]


def _interval(cell: Any) -> list[float] | None:
    return None if cell is None else estimated(cell.difference, cell.lower95, cell.upper95)
