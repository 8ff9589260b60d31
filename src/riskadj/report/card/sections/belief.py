"""How much to believe a comparison: reliability, whether it would come out again, and ranks."""

from collections.abc import Iterable
from math import ceil, isfinite
from typing import Any

import pandas as pd

from riskadj.profile.belief import SPLITS
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
from riskadj.report.choices import ESTIMATORS
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import called, compared, learner_names, rows_of, told_of
from riskadj.report.words import (
    NO_VOLUME,
    format_number,
    is_cost,
    kept_in,
    named,
    table_decimals,
)
from riskadj.study import Outcome

SURE = 0.9
"""Probability from which a provider can be said to be in a fifth."""

_NOT_VALIDITY = (
    "Reliability is not validity: it says how much of a difference would come out again, not "
    "whether it is due to care. Adjusting for a confounder can lower it and make the comparison "
    "fairer (Hartman and others 2023, doi:10.1007/s10742-023-00307-0)."
)
CANNOT_TELL = "cannot be told"
_KINDS = {"split_half": "random halves of the episodes"}


def belief(findings: Findings) -> Iterable[Block]:
    """Yield reliability by estimator, agreement with other episodes, and how sure ranks are."""
    yield _chance_in_words(findings)
    yield paragraph(_NOT_VALIDITY)
    for outcome in findings.study.outcomes:
        yield from figure_blocks(findings, "reliability", outcome)
        yield _reliability(findings, outcome)
    yield _agreement(findings)
    yield _ranks(findings)
    for outcome in findings.study.outcomes:
        yield _beyond(findings, outcome)


# --- reliability ----------------------------------------------------------------------------------


def _chance_in_words(findings: Findings) -> Block:
    """Return what share of the differences seen is chance, by outcome."""
    shares = [_share_of_chance(findings, one) for one in findings.study.outcomes]
    several = any(" to " in one for one in shares) and len(learner_names(findings)) > 1
    learner = ", depending on the learner" if several else ""
    return paragraph(
        "Of the variance of the differences seen between two providers of the median volume, "
        f"chance makes up{learner}: {'; '.join(shares)}."
    )


def _share_of_chance(findings: Findings, outcome: Outcome) -> str:
    rows, name = rows_of(findings.reliability, outcome=outcome.name), called(findings, outcome)
    chance = 1 - rows.loc[rows["used"].astype(bool), "median_reliability"]
    if chance.empty:
        return f"{name}, too few providers to tell"
    volume = float(compared(findings, outcome=outcome.name)["n"].median())
    return f"{name} ({format_number(volume, 0)} episodes), {_range(chance)}"


def _range(shares: "pd.Series[float]") -> str:
    low, high = (format_number(100 * one, 0) for one in (shares.min(), shares.max()))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _reliability(findings: Findings, outcome: Outcome) -> Block:
    rows = rows_of(findings.reliability, outcome=outcome.name)
    return table(
        f"{named(outcome)}: reliability, by estimator of the variance between providers",
        [text("Learner", code=True), text("Estimator"), text("Used"), number("Providers"),
         number(*_between(outcome)),
         number("Intraclass correlation", 4), number("Median reliability", 2),
         number("Episodes for 0.7", 0, NO_VOLUME), number("Episodes for 0.9", 0, NO_VOLUME)],
        [
            [one.learner, ESTIMATORS[one.estimator], "here" if one.used else "",
             one.n_providers, one.tau, one.icc, one.median_reliability,
             _needed(one.volume_07), _needed(one.volume_09)]
            for one in rows.itertuples(index=False)
        ],
        "Variance and chance are those of the differences before any shrinking. Used: the one "
        "behind reliability, shrunken results and ranks. SD: standard deviation. REML: restricted "
        "maximum likelihood. Episodes: how many a provider needs for that reliability; where the "
        "estimator finds no variance between providers, no number is enough. Winsorised and "
        "trimmed ones leave the extremes out on purpose, for limits that extremes should not "
        "widen: they underestimate the variance, so that reliability by them is a lower bound.",
        "None of these figures has an interval: each estimator gives one number, the less certain "
        "the fewer providers there are. How far the estimators are apart says how much hangs on "
        "their choice, and no more.",
    )  # fmt: skip


def _between(outcome: Outcome) -> tuple[str, int]:
    """Return the label of the standard deviation between providers, and its decimals."""
    if is_cost(outcome):
        return "SD between providers, log scale", 4
    return "SD between providers", table_decimals(outcome) + 1


def _needed(volume: float) -> int | None:
    return ceil(volume) if isfinite(volume) else None


# --- agreement with other episodes ----------------------------------------------------------------


def _agreement(findings: Findings) -> Block:
    if findings.agreement.empty:
        return paragraph("Too few providers are compared to hold halves of episodes against each.")
    rows = [
        [one.outcome, one.learner, _compared(one), one.n_providers, one.correlation, one.corrected]
        for one in findings.agreement.itertuples(index=False)
    ]
    several = len(findings.study.split.test) > 1
    return table(
        "Would it come out again?",
        [text("Outcome"), text("Learner", code=True), text("Correlation of providers between"),
         number("Providers"), number("Correlation", 2, CANNOT_TELL),
         number("Corrected", 2, CANNOT_TELL)],
        rows,
        "Corrected: of halves to all episodes (Spearman and Brown 1910), of periods for chance in "
        "both (Spearman 1904); an estimate, beyond 1 at times.",
        f"Of halves it is the mean over {SPLITS} random splits. No interval is shown: all splits "
        "are of the same episodes, so that how far they are apart is not how certain the mean is, "
        "and of two periods only one correlation is known. It is the less certain the fewer "
        "providers there are.",
        "" if several else "One period is compared, so that no year can be held against another.",
    )  # fmt: skip


def _compared(one: Any) -> str:
    return _KINDS.get(one.kind, f"{one.first} and {one.second}")


# --- ranks ----------------------------------------------------------------------------------------


def _ranks(findings: Findings) -> Block:
    rows = [
        [outcome.name, learner, *_sure(compared(findings, outcome=outcome.name, learner=learner))]
        for outcome in findings.study.outcomes
        for learner in learner_names(findings, outcome)
    ]
    return table(
        f"Who can be told to be in the best or the worst fifth, with a probability of {SURE:g}",
        [text("Outcome"), text("Learner", code=True), number("Compared"), number("A fifth is"),
         number("Surely in the best"), number("Surely in the worst"),
         number("Places in the median interval", 0, "")],
        rows,
        "Ranks are those of the true effects, as far as they are known (Goldstein and "
        "Spiegelhalter 1996, J R Stat Soc A 159:385-443). The 95 % interval of half of the "
        "providers' ranks spans so many places or more.",
    )  # fmt: skip


def _sure(rows: pd.DataFrame) -> list[Any]:
    width = rows["rank_upper95"] - rows["rank_lower95"] + 1
    return [
        len(rows),
        max(int(len(rows) / 5 + 0.5), 1) if len(rows) else 0,
        int((rows["p_best_fifth"] >= SURE).sum()),
        int((rows["p_worst_fifth"] >= SURE).sum()),
        width.astype(float).median(),
    ]


def _beyond(findings: Findings, outcome: Outcome) -> Block:
    told, score, noun = told_of(findings, outcome), table_decimals(outcome), outcome.compares.noun
    rows = compared(findings, outcome=outcome.name)
    rows = rows[rows["flag"].isin(told.flags)].sort_values(["rank", "provider_id", "learner"])
    return table(
        f"{named(outcome)}: providers {told.whom}, less chance",
        [text("Provider"), text("Learner", code=True), number("Episodes"),
         number("Reliability", 2), number(f"Adjusted {noun}", score),
         estimate(f"Shrunken {noun}", score), estimate("Rank", 0),
         percent("In the best fifth, chance"), percent("In the worst fifth, chance"),
         number("Overlap", 2)],
        [
            [one.provider_id, one.learner, one.n, one.reliability, one.adjusted,
             estimated(one.shrunken, one.shrunken_lower95, one.shrunken_upper95),
             estimated(one.rank, one.rank_lower95, one.rank_upper95),
             one.p_best_fifth, one.p_worst_fifth, one.overlap]
            for one in rows.itertuples(index=False)
        ],
        f"In order of rank, 1 the best. Shrunken {noun}: the adjusted {noun} drawn to the mean by "
        "as much as it is unreliable; intervals hold 95 %. Overlap: how far the provider's case "
        "mix is that of everybody, 0 to 1; where it is low, the comparison extrapolates.",
        kept_in("providers.csv", "every provider"),
    )  # fmt: skip
