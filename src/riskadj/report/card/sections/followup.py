"""Who answered, and which flags would be others if everybody had."""

from collections.abc import Iterable, Mapping
from math import isnan
from typing import Any

import pandas as pd

from riskadj.cohort.rates import ALL, FROM_COUNTS, NOT_HERE
from riskadj.followup import ANALYSES
from riskadj.profile import flag_labels
from riskadj.report.blocks import (
    Block,
    estimate,
    estimated,
    facts,
    number,
    paragraph,
    percent,
    table,
    text,
    warning,
)
from riskadj.report.charts.answering import answering
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import called, learner_names, places_of, rows_of
from riskadj.report.words import (
    counted,
    format_number,
    kept_in,
    listed,
    named,
    table_decimals,
)
from riskadj.stats.limits import Z95
from riskadj.stats.pooling import student_cut
from riskadj.study import Outcome

NOT_TOLD = "not told"
NEAREST, LARGEST = 10, 8
_ANALYSES = (
    "Three analyses of the same providers. Complete cases: those who answered, as in the "
    "comparison above. Weighted: each of them stands for all who were asked and are alike in case "
    "mix, by a model of who answers (stabilised weights: Robins and others 2000, Epidemiology "
    "11:550-560). Imputed: those who did not answer get what the model has for them, {effects}, "
    "{count} times (Rubin 1987, Multiple Imputation for Nonresponse in Surveys); errors, limits "
    "and intervals are of Student's distribution with the degrees of freedom of Barnard and Rubin "
    "(1999, Biometrika 86:948-955)."
)
_EFFECTS = {
    "own": "by their provider's own effect",
    "random": "by their provider's effect, drawn towards that of the others",
}
_NOT_IMPUTED = (
    "Two analyses of the same providers. Complete cases: those who answered, as in the comparison "
    "above. Weighted: each of them stands for all who were asked and are alike in case mix, by a "
    "model of who answers (stabilised weights: Robins and others 2000, Epidemiology 11:550-560). "
    "The study asks for no imputation."
)
_RULE = (
    "All are by NHS England's method with nominal limits and the study's reference, whatever the "
    "method and limits of the study's own flags."
)
_ASSUMED = (
    "Both take those who did not answer to be like those who did, case mix and provider equal. No "
    "data can tell whether they are. A tipping point is how far they would have to be from what is "
    "expected of them for a provider's flag by imputation to change, which need not be its flag "
    "above: where the two differ, the words say so first. Whether that is plausible is for people "
    "to judge."
)
_WITHIN = (
    "Means are plain ones of all providers together. Differences are in standard deviations of all "
    "asked and within providers, each counting by how many it asked: they are not those of the "
    "means."
)
_BALANCED = (
    "Means are in the unit of the column; of a level, such as sex=female, its share. Differences "
    "above 0.1 are often called imbalance (Austin 2009, Stat Med 28:3083-3107)."
)
_NOTHING = "How many were asked and did not answer is not known here."
_RATES = (
    "Participation: questionnaires before per procedure; it can be above 100 %, as procedures are "
    "counted where they are done and questionnaires where they are handed out. Linkage: linked to "
    "a procedure, of these. Issue: questionnaires after sent, of these. Response: returned, of "
    "those sent (NHS England, A Guide to PROMs Methodology, version 12). Answered: with a score "
    "after that counts, within the study's window if it has one; returned: whenever it was."
)


def followup(findings: Findings) -> Iterable[Block]:
    """Yield rates of follow-up, how far flags hang on who answered, and tipping points."""
    yield from map(warning, findings.follow_up_warnings)
    yield from _rates(findings)
    yield from _held_back(findings)
    for why in dict.fromkeys(findings.follow_up_told.values()):
        names = [name for name, one in findings.follow_up_told.items() if one == why]
        yield paragraph(f"{listed(names)}: no analysis of missing follow-up. {why}")
    if findings.follow_up_summary.empty:
        if findings.rates.empty:
            yield paragraph(_NOTHING)
        return
    imputations = findings.study.follow_up.imputations
    effects = _EFFECTS[findings.study.follow_up.effects]
    words = _ANALYSES.format(count=imputations, effects=effects) if imputations else _NOT_IMPUTED
    yield paragraph(words, _RULE, _ASSUMED)
    yield _summary(findings)
    for outcome in findings.study.outcomes:
        yield from figure_blocks(findings, "follow_up", outcome)
        yield from _changing(findings, outcome)
        yield from _nearest(findings, outcome)
        yield from _balance(findings, outcome)


# --- rates ----------------------------------------------------------------------------------------


def _rates(findings: Findings) -> Iterable[Block]:
    if findings.rates.empty:
        return
    rows = rows_of(findings.rates, provider_id=ALL)
    shown = rows[
        ["outcome", "source", "procedures", "q1", "q2_sent", "q2_returned", "answered",
         "participation", "linkage", "issue", "response"]
    ]  # fmt: skip
    yield table(
        "Questionnaires, all providers",
        [text("Outcome"), text("Counted in"),
         *(number(one, 0, NOT_TOLD) for one in
           ("Procedures", "Before", "After, sent", "Returned", "Answered")),
         *(percent(one, NOT_TOLD) for one in ("Participation", "Linkage", "Issue", "Response"))],
        shown.itertuples(index=False),
        _RATES,
        *_counted_elsewhere(findings),
    )  # fmt: skip


def _counted_elsewhere(findings: Findings) -> Iterable[str]:
    """Yield what is odd about the counts of participation files."""
    told = findings.rates[findings.rates["source"] == FROM_COUNTS]
    of_one = ~told["provider_id"].isin((ALL, NOT_HERE))
    over = told.loc[of_one & (told["participation"] > 1), "provider_id"].nunique()
    if over:
        yield f"Participation above 100 %: {counted(over, 'provider')}."
    unknown = told.loc[of_one & told["response"].isna(), "provider_id"].nunique()
    if unknown:
        yield f"Without a response rate there, or hidden: {counted(unknown, 'provider')}."
    for words in told.loc[told["provider_id"] == NOT_HERE, "counted"].unique():
        yield f"In the participation files but not in the episodes: {words.partition(',')[0]}."


def _held_back(findings: Findings) -> Iterable[Block]:
    rules = findings.study.profile
    if rules.minimum_response is None:
        return
    label = flag_labels(rules.labels, rules.levels).low_response
    rows = findings.providers[findings.providers["flag"] == label]
    counts = [
        (f"{one.name}, not flagged for it",
         rows_of(rows, outcome=one.name)["provider_id"].nunique())
        for one in findings.study.outcomes
    ]  # fmt: skip
    least = (
        f"{100 * rules.minimum_response:g} %; with less a provider is neither flagged nor ranked"
    )
    yield facts([("Minimum response", least), *counts])


# --- the three analyses ---------------------------------------------------------------------------


def _summary(findings: Findings) -> Block:
    rows = findings.follow_up_summary
    return table(
        "All providers together",
        [text("Outcome"), text("Learner", code=True), number("Asked"), number("Answered"),
         percent("Response"), number("Answers, effective"), number("Providers"),
         number("Flag differs, weighted"), number("Flag differs, imputed"),
         number("Flag differs, either"), percent("Information missing", "not imputed")],
        rows[
            ["outcome", "learner", "eligible", "answered", "response", "effective_n", "compared",
             "weighted_differs", "imputed_differs", "any_differs", "missing_information"]
        ].itertuples(index=False),
        "Asked: with a score before; answered: with a score after that counts, within the study's "
        "window if it has one. Effective: how many answers with equal weights the weighted ones "
        "are worth (Kish 1965, Survey Sampling). Information missing: mean over the providers.",
    )  # fmt: skip


def _changing(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    decimals, rows, words = table_decimals(outcome), [], _words_of(findings, outcome)
    for learner in learner_names(findings, outcome):
        one = answering(findings, outcome, learner)
        if one.rows.empty or len(one.analyses) < 2:
            continue
        rows += [
            [r.provider_id, learner, r.eligible, r.response,
             *(cell for name in ANALYSES for cell in _result(r, name, words))]
            for r in one.rows[one.changing].itertuples(index=False)
        ]  # fmt: skip
    adjusted = f"adjusted {outcome.compares.noun}"
    if rows:
        yield table(
            f"{named(outcome)}: providers whose flag hangs on the analysis",
            [text("Provider"), text("Learner", code=True), number("Asked"), percent("Answered"),
             *(
                 column
                 for name in ("Complete", "Weighted", "Imputed")
                 for column in (
                     estimate(f"{name}, {adjusted} (95 %)", decimals) | {"missing": ""},
                     text(f"{name}, place"),
                 )
             )],
            rows,
            "Place: where the flag puts the provider. Intervals are of chance alone, 1.96 errors "
            "either way; of imputed results as many as Student's distribution wants.",
            kept_in("follow_up.csv", "every provider"),
        )  # fmt: skip
    elif len(rows_of(findings.follow_up_summary, outcome=outcome.name)):
        name = called(findings, outcome)
        yield paragraph(f"{name}: no flag hangs on the analysis of missing follow-up.")


def _result(one: Any, name: str, words: Mapping[str, str]) -> list[Any]:
    """Return the adjusted result by one analysis with its interval, and where its flag puts it."""
    middle, error = (float(getattr(one, f"{what}_{name}")) for what in ("adjusted", "error"))
    half = float(student_cut(Z95, [_freedom(one, name)])[0]) * error
    place = words.get(getattr(one, f"flag_{name}"), "")
    return [estimated(middle, middle - half, middle + half), place]


def _freedom(one: Any, name: str) -> float:
    """Return the degrees of freedom of an error; infinite where it is taken as known."""
    df = float(getattr(one, f"df_{name}", float("nan")))
    return float("inf") if isnan(df) else df


def _nearest(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    told = rows_of(findings.follow_up, outcome=outcome.name)
    told = told[told["tipping_nearest"].notna()]
    if told.empty:
        return
    order = told.assign(by=told["tipping_nearest"].abs()).sort_values(["by", "provider_id"])
    words = _words_of(findings, outcome)
    yield table(
        f"{named(outcome)}: the {min(NEAREST, len(order))} flags by imputation that missing "
        "answers would change first",
        [text("Provider"), text("Learner", code=True), percent("Answered"),
         text("Place, complete"), text("Place, imputed"), text("Tipping point")],
        [_tipping(one, words) for one in order.head(NEAREST).itertuples(index=False)],
    )  # fmt: skip


def _tipping(one: Any, words: Mapping[str, str]) -> list[Any]:
    places = [words.get(flag, "") for flag in (one.flag_complete, one.flag_imputed)]
    return [one.provider_id, one.learner, one.response, *places, one.tipping]


def _words_of(findings: Findings, outcome: Outcome) -> dict[str, str]:
    """Return where each flag puts a provider."""
    return {one.flag: one.words for one in places_of(findings, outcome).all}


def _balance(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    rows: pd.DataFrame = rows_of(findings.balance, outcome=outcome.name)
    rows = rows[rows["difference"].notna()]
    if rows.empty:
        return
    largest = rows.loc[rows["difference"].abs().sort_values(ascending=False, kind="stable").index]
    within = findings.study.follow_up.numerator == "provider"
    yield table(
        f"{called(findings, outcome)}: where those who answered differ most from all asked",
        [text("Case mix", code=True), number("All asked", None), number("Answered", None),
         number("Weighted", None), number("Difference", 3), number("Difference, weighted", 3)],
        largest.head(LARGEST)[
            ["covariate", "everybody", "answered", "weighted", "difference", "difference_weighted"]
        ].itertuples(index=False),
        _WITHIN if within else "Differences are in standard deviations of all asked.",
        _BALANCED,
        *_asked(findings, outcome),
        kept_in("balance.csv", "all case mix"),
    )  # fmt: skip


def _asked(findings: Findings, outcome: Outcome) -> Iterable[str]:
    """Yield how many episodes the means are of, and why these have no interval."""
    rows = rows_of(findings.follow_up_summary, outcome=outcome.name)
    if rows.empty or rows[["eligible", "answered"]].iloc[0].isna().any():
        return
    asked, answered = (int(rows[one].iloc[0]) for one in ("eligible", "answered"))
    yield (
        f"All asked: {counted(asked, 'episode')}; answered: {format_number(answered)}. Without "
        "intervals: these are the very patients who were asked, and no sample of others."
    )
