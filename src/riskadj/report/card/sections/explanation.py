"""What makes expectations differ: by column, and by provider and theme."""

from collections.abc import Iterable

import pandas as pd

from riskadj.explain.shap_values import COARSE, FOLD
from riskadj.report.blocks import Block, number, paragraph, percent, table, text
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import called, costs_of, learner_names, rows_of, told_of
from riskadj.report.words import (
    FOLD_TITLE,
    OF_ROUNDING,
    TOP_FEATURES,
    counted,
    explained_decimals,
    explained_in,
    format_number,
    is_cost,
    kept_in,
    learner_title,
    listed,
    named,
    population,
    theme_title,
)
from riskadj.study import Outcome

PROVIDERS_SHOWN = 8
PAIRS_SHOWN = 5
KEYS = ["outcome", "learner", "provider_id"]

_NOT_CAUSES = (
    "Contributions say how the model arrives at an expectation. They are not causes, and they "
    "speak of whom a provider treats, not of how well it treats them. The expected gain of a "
    "provider is its expected score less the score before, so there the start counts twice: in "
    "what is expected after, and in the room that is left to gain."
)
_OF_COSTS = (
    "Contributions to a cost are to its logarithm, so that they multiply: 0.10 makes it dearer by "
    "a factor of exp(0.10), 1.11."
)
_NOBODY = "No provider has enough episodes for its contributions to be shown."
_OF_THE_FOLD = (
    f"{FOLD_TITLE.capitalize()}: episodes are expected by the model of their fold, and the models "
    "of different folds do not start from quite the same expectation. That says nothing about "
    "patients."
)


def explanation(findings: Findings) -> Iterable[Block]:
    """Yield what moves expectations, and how providers differ in it."""
    if findings.features.empty:
        yield paragraph(
            "No learner of this study has contributions to show: they are worked out for lines, "
            "boosted trees and weighted sums of them, and the study expects by "
            f"{_titles(learner_names(findings))}."
        )
        return
    yield paragraph(_NOT_CAUSES, _unexplained(findings), _OF_COSTS if costs_of(findings) else "")
    for outcome in findings.study.outcomes:
        yield from _of_outcome(findings, outcome)


def _unexplained(findings: Findings) -> str:
    explained = set(findings.features["learner"])
    others = [one for one in learner_names(findings) if one not in explained]
    if not others:
        return ""
    return f"They are not worked out for {listed(_with_reason(findings, one) for one in others)}."


def _with_reason(findings: Findings, learner: str) -> str:
    reasons = {one.get(learner, "") for one in findings.unexplained.values()} - {""}
    why = f" ({'; '.join(sorted(reasons))})" if reasons else ""
    return f"{learner_title(learner)}{why}"


def _titles(learners: Iterable[str]) -> str:
    return listed(learner_title(one) for one in learners)


def _of_outcome(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    features = rows_of(findings.features, outcome=outcome.name)
    if features.empty:
        yield paragraph(f"{called(findings, outcome)}: no contributions to show.")
        return
    yield from figure_blocks(findings, "features", outcome)
    yield _feature_table(findings, outcome, features)
    yield from _roles(findings, outcome)
    yield from _stability(findings, outcome)
    yield from _pairs(findings, outcome)
    parts = _parts_by_theme(findings, outcome)
    if parts.empty:
        yield paragraph(_NOBODY)
        return
    top = parts.loc[parts["difference"].abs().idxmax()]
    yield _worked(
        rows_of(parts, learner=top["learner"], provider_id=top["provider_id"]),
        outcome,
        called(findings, outcome),
    )
    for learner, rows in parts.groupby("learner", sort=False):
        yield _theme_table(findings, outcome, str(learner), rows)


def _feature_table(findings: Findings, outcome: Outcome, features: pd.DataFrame) -> Block:
    largest = [
        rows_of(features, learner=one).nlargest(TOP_FEATURES, "mean_absolute")
        for one in learner_names(findings, outcome)
    ]
    columns, most = {one.name: one for one in findings.casemix}, max(map(len, largest))
    return table(
        f"{named(outcome)}: the {counted(most, 'largest contribution')} to the expectation, "
        f"{explained_in(outcome)}",
        [text("Learner", code=True), text("Column", code=True), text("Meaning"), text("Theme"),
         number("Mean absolute", explained_decimals(outcome) + 1), percent("Share")],
        [
            (one.learner, one.feature, columns[one.feature].meaning if one.feature in columns
             else "", theme_title(one.theme), one.mean_absolute, one.share)
            for rows in largest for one in rows.itertuples(index=False)
        ],
        f"{_explained(findings, outcome)}Mean absolute: how far the column moves the expectation "
        "of an episode, in the mean; share: of what all columns do together. Neither has an "
        "interval: they say what the fitted model does with these episodes, and another model "
        "would do otherwise.",
    )  # fmt: skip


def _explained(findings: Findings, outcome: Outcome) -> str:
    """Return of how many episodes contributions are."""
    rows = rows_of(findings.reference, outcome=outcome.name)
    known = rows.loc[rows["learner"].isin(set(findings.features["learner"])), "n"].dropna()
    return f"Of {counted(int(known.max()), 'episode')}. " if len(known) else ""


# --- roles, stability and pairs -------------------------------------------------------------------


def _roles(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    roles = rows_of(findings.roles, outcome=outcome.name)
    if roles.empty:
        return
    yield table(
        f"{named(outcome)}: share of what moves the expectation, by role of the column",
        [text("Learner", code=True), text("Role"), number("Columns"), percent("Share")],
        [
            (one.learner, str(one.role).replace("_", " "), one.columns, one.share)
            for one in roles.itertuples(index=False)
        ],
        "A run stops where a column that may be no case mix carries any weight: an identifier, one "
        "not known at baseline, one that the provider influences and the study does not let in.",
    )


def _stability(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    parts = rows_of(findings.feature_folds, outcome=outcome.name)
    told = [
        f"{learner_title(str(learner))} {format_number(least, 2)}"
        for learner, rows in parts.groupby("learner", sort=False)
        if (least := _least_agreement(rows)) is not None
    ]
    if not told:
        return
    of_folds = str(parts["part"].iloc[0]).startswith("fold")
    between = "any two folds, each expected by a model of its own" if of_folds else (
        "two random halves of the providers"
    )  # fmt: skip
    yield paragraph(
        f"{called(findings, outcome)}: how far columns keep their size between {between}, as "
        f"Spearman's correlation of their mean contributions, at the least: {listed(told)}."
    )


def _least_agreement(rows: pd.DataFrame) -> float | None:
    """Return the lowest correlation between two parts; none where there is nothing to rank."""
    wide = rows.pivot(index="feature", columns="part", values="mean_absolute")
    if wide.shape[1] < 2 or len(wide) < 3 or (wide.nunique() < 2).any():
        return None
    return float(wide.corr(method="spearman").to_numpy().min())


def _pairs(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    pairs = rows_of(findings.interactions, outcome=outcome.name)
    if pairs.empty:
        return
    shown = pairs.groupby("learner", sort=False).head(PAIRS_SHOWN)
    sampled = int(shown["n"].iloc[0])
    yield table(
        f"{named(outcome)}: columns that act together most, {explained_in(outcome)}",
        [text("Learner", code=True), text("Column", code=True), text("With", code=True),
         number("Mean absolute", explained_decimals(outcome) + 1)],
        [
            (one.learner, one.first, one.second, one.mean_absolute)
            for one in shown.itertuples(index=False)
        ],
        f"SHAP interactions in a random sample of {counted(sampled, 'episode')}. A line has none.",
    )  # fmt: skip


# --- by provider and theme ------------------------------------------------------------------------


def _parts_by_theme(findings: Findings, outcome: Outcome) -> pd.DataFrame:
    """Return the providers compared: a row each and per theme, largest difference first."""
    compared = findings.providers.loc[findings.providers["suppression"] == "", KEYS]
    rows = rows_of(findings.provider_features, outcome=outcome.name).merge(compared, on=KEYS)
    same = ["learner", "provider_id", "n", "difference"]
    parts = rows.groupby([*same, "theme"], as_index=False)["contribution"].sum()
    parts = parts.assign(size=parts["difference"].abs())
    return parts.sort_values(["size", "provider_id"], ascending=[False, True], ignore_index=True)


def _theme_table(findings: Findings, outcome: Outcome, learner: str, parts: pd.DataFrame) -> Block:
    compared = parts.drop_duplicates("provider_id")
    flags = rows_of(findings.providers, outcome=outcome.name, learner=learner)
    beyond = flags.loc[flags["flag"].isin(told_of(findings, outcome).flags), "provider_id"]
    largest = compared.head(PROVIDERS_SHOWN)["provider_id"]
    providers = compared[compared["provider_id"].isin([*beyond, *largest])]
    shown = parts[parts["provider_id"].isin(providers["provider_id"])]
    wide = shown.pivot(index="provider_id", columns="theme", values="contribution")
    themes = list(wide.abs().sum().sort_values(ascending=False, kind="stable").index)
    wide, decimals = wide[themes].fillna(0.0), explained_decimals(outcome) + 1
    labels = [theme_title(one) for one in themes]
    return table(
        f"{named(outcome)}: why providers' mean expected {outcome.compares.noun}s differ, by "
        f"theme, {learner_title(learner)}",
        [text("Provider"), number("Episodes"),
         *(number(one[0].upper() + one[1:], decimals) for one in labels),
         number("Difference (sum)", decimals)],
        [
            (one.provider_id, one.n, *wide.loc[one.provider_id], one.difference)
            for one in providers.itertuples(index=False)
        ],
        _which_providers(findings, outcome, len(providers), parts["provider_id"].nunique()),
        _OF_THE_FOLD if FOLD in themes else "",
        OF_ROUNDING if COARSE in themes else "",
    )  # fmt: skip


def _which_providers(findings: Findings, outcome: Outcome, shown: int, compared: int) -> str:
    enough = f"with {findings.study.profile.minimum_n} episodes or more"
    who = f"The {shown} of {compared} providers" if shown < compared else "Every provider"
    return (
        f"Difference: mean {_expected(outcome)} less that of {population(outcome)}; "
        f"the row sums to it, but for rounding. {who} {enough}: those beyond the "
        f"{told_of(findings, outcome).words} limits and the largest differences. "
        f"{_room(outcome)}"
        f"{kept_in('shap_providers.csv', 'every provider but those that are suppressed')}"
    )


def _expected(outcome: Outcome) -> str:
    if is_cost(outcome):
        return "logarithm of the cost expected"
    return f"expected {outcome.compares.noun}"


def _room(outcome: Outcome) -> str:
    if outcome.kind != "gain":
        return ""
    return "Room to gain: patients who start higher have less of it. "


# --- a sentence -----------------------------------------------------------------------------------


def _worked(parts: pd.DataFrame, outcome: Outcome, name: str) -> Block:
    """Return a sentence on one provider whose contributions by theme are given."""
    first = parts.iloc[0]
    sign = -1.0 if first["difference"] < 0 else 1.0
    pull = sign * parts.set_index("theme")["contribution"]
    pull = pull.reindex(pull.abs().sort_values(ascending=False, kind="stable").index)
    decimals, unit = _decimals_that_sum(pull, outcome), explained_in(outcome)
    total = format_number(float(pull.sum()), decimals)
    if not _is_seen(float(pull.sum()), decimals):
        return paragraph(
            f"{name}: in {learner_title(first['learner'])} no provider's expected "
            f"{outcome.compares.noun} is as far as {10.0**-decimals:.{decimals}f} {unit} from "
            f"that of {population(outcome)}."
        )
    return paragraph(
        f"An example, {name}: in {learner_title(first['learner'])} provider "
        f"{first['provider_id']}'s expected {outcome.compares.noun} is {total} {unit} "
        f"{'below' if sign < 0 else 'above'} that of {population(outcome)}: "
        f"{_themes_in_words(pull, decimals)}.",
        "That describes the model and the patients treated; it is not a cause.",
    )


def _themes_in_words(pull: "pd.Series[float]", decimals: int) -> str:
    seen = [
        f"{format_number(abs(value), decimals)}{' the other way' if value < 0 else ''} from "
        f"{_theme_in_words(str(theme))}"
        for theme, value in pull.items()
        if _is_seen(value, decimals)
    ]
    rest = [_theme_in_words(str(one)) for one, v in pull.items() if not _is_seen(v, decimals)]
    hardly = [f"hardly anything from {' or from '.join(rest)}"] if rest else []
    return ", ".join([*seen, *hardly])


def _theme_in_words(theme: str) -> str:
    return f"the {theme_title(theme)}" if theme == FOLD else theme_title(theme)


def _is_seen(value: float, decimals: int) -> bool:
    return round(value, decimals) != 0


def _decimals_that_sum(pull: "pd.Series[float]", outcome: Outcome) -> int:
    """Return the fewest decimals with which the numbers that are read sum to the total read."""
    fewest = explained_decimals(outcome)
    for decimals in range(fewest, fewest + 3):
        read = sum(round(float(one), decimals) for one in pull)
        if round(read - round(float(pull.sum()), decimals), decimals) == 0:
            return decimals
    return fewest + 1
