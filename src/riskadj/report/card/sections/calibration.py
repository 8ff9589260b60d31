"""What was observed against what was expected, by tenth of the expectation."""

from collections.abc import Iterable

import pandas as pd

from riskadj.report.blocks import (
    Block,
    estimate,
    estimated,
    number,
    paragraph,
    percent,
    table,
    text,
)
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import learner_names, rows_of
from riskadj.report.words import (
    format_number,
    is_cost,
    measure,
    named,
    table_decimals,
)
from riskadj.study import Outcome

OF_RATIOS = (
    "Expected over observed: the predictive ratio; below 1 such patients cost more than is "
    "expected of them. Intervals allow for episodes of a provider resembling each other."
)


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
            apart = rows["difference"].abs().fillna(-1.0)  # of few episodes all tenths are hidden
            worst = rows.loc[apart.idxmax(), "learner"]
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
             *(percent(one) for one in ("Expected", "Observed")),
             estimate("Observed \N{MINUS SIGN} expected (95 %)", 4) | _TOO_FEW],
            [
                [one.decile, one.n, one.expected, one.observed,
                 estimated(one.difference, one.lower95, one.upper95)]
                for one in mine.itertuples(index=False)
            ],
            f"Observed: {observed} % of all; expected: {expected} %.",
        )  # fmt: skip


def _slopes(findings: Findings) -> Iterable[Block]:
    """Yield how far expectations hang on whether slopes are learned within providers."""
    if findings.slopes.empty:
        return
    units = {one.name: one.unit for one in findings.study.outcomes}
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


def _tenths(rows: pd.DataFrame, outcome: Outcome, learner: str) -> Block:
    decimals = table_decimals(outcome)
    columns = [
        number("Tenth"), number("Episodes"), number("Expected", decimals),
        number("Observed", decimals),
        estimate("Observed \N{MINUS SIGN} expected (95 %)", decimals) | _TOO_FEW,
    ]  # fmt: skip
    cells = [
        [one.decile, one.n, one.expected, one.observed,
         estimated(one.difference, one.lower95, one.upper95)]
        for one in rows.itertuples(index=False)
    ]  # fmt: skip
    caption = f"{named(outcome)}: calibration of {learner}"
    if not is_cost(outcome):
        return table(caption, columns, cells, _OF_DIFFERENCES)
    ratios = [
        estimated(one.predictive_ratio, one.predictive_ratio_lower95, one.predictive_ratio_upper95)
        for one in rows.itertuples(index=False)
    ]
    return table(
        caption,
        [*columns, estimate("Expected over observed (95 %)", 3)],
        [[*cell, ratio] for cell, ratio in zip(cells, ratios, strict=True)],
        OF_RATIOS,
    )


_TOO_FEW = {"missing": "too few providers"}
_OF_DIFFERENCES = "Intervals allow for episodes of a provider resembling each other."
