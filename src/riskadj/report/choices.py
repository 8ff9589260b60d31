"""What a study's choices about providers mean, in plain sentences with their source."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from riskadj.profile.flags import cut_of
from riskadj.report.places import Places
from riskadj.study.profile import SHRUNKEN_METHODS, ProfileRules


class Choice(NamedTuple):
    """One option.

    Attributes
    ----------
    title : str
        In a table or a chart.
    letter : str
        Where there is no room for more.
    words : str
        What it does, and whose it is.
    """

    title: str
    letter: str
    words: str


METHODS: Mapping[str, Choice] = MappingProxyType(
    {
        "nhs_england": Choice(
            "NHS England's", "N",
            "NHS England's (A Guide to PROMs Methodology, version 12). Adjusted {noun}: the mean "
            "{noun} of the reference population plus the provider's mean residual, residuals being "
            "centred on the episodes compared. Its standard error: the standard deviation of the "
            "population's residuals over the square root of the provider's episodes.",
        ),
        "fixed_effects": Choice(
            "fixed effects", "F",
            "Fixed effects: a level of its own for every provider, fitted by least squares "
            "together with a slope for the expectation, so that the slope compares patients of "
            "the same provider (He, Kalbfleisch, Li and Li 2013, Lifetime Data Anal 19:490-512). "
            "Adjusted {noun}: the mean {noun} of the reference population plus that level less the "
            "mean level of all episodes.",
        ),
        "random_intercept": Choice(
            "random intercept", "R",
            "Random intercept: providers' levels are drawn from one normal distribution and "
            "fitted, with a slope for the expectation, by restricted maximum likelihood. Small "
            "providers are drawn to the middle. Where case mix goes with quality the slope is "
            "biased.",
        ),
        "correlated_random_effects": Choice(
            "correlated random effects", "C",
            "Correlated random effects: as a random intercept, with each provider's mean "
            "expectation beside the expectation itself, so that the slope compares patients of the "
            "same provider (Mundlak 1978, Econometrica 46:69-85). What goes with the mean counts "
            "as the provider's; the rest of small providers is drawn to the middle.",
        ),
        "empirical_bayes": Choice(
            "empirical Bayes", "E",
            "Empirical Bayes: the provider's mean residual, drawn to the middle by as much as it "
            "is unreliable, given the variance between providers.",
        ),
    }
)  # fmt: skip
"""How a provider's effect is estimated."""

LIMITS: Mapping[str, Choice] = MappingProxyType(
    {
        "nominal": Choice(
            "nominal", "",
            "Nominal: for chance alone. Providers differ for reasons that no case mix holds, so "
            "that more of them lie outside than chance would put there.",
        ),
        "multiplicative": Choice(
            "multiplicative", "",
            "Multiplicative: where providers differ by more than chance, every standard error is "
            "larger by one factor, the root of the mean squared z-score (Spiegelhalter 2005, Stat "
            "Med 24:1185-1202).",
        ),
        "additive": Choice(
            "additive", "",
            "Additive: besides chance, providers are allowed to differ by a standard deviation of "
            "their own (Spiegelhalter 2005, Stat Med 24:1185-1202), estimated from all of them "
            "(DerSimonian and Laird 1986, Control Clin Trials 7:177-188).",
        ),
        "winsorised": Choice(
            "winsorised", "",
            "Winsorised: besides chance, providers are allowed to differ by a standard deviation "
            "of their own, estimated from z-scores of which the lowest and the highest tenth are "
            "pulled in, lest outliers widen the limits that should find them (Spiegelhalter 2005, "
            "Stat Med 24:1185-1202).",
        ),
        "trimmed": Choice(
            "trimmed", "",
            "Trimmed: besides chance, providers are allowed to differ by a standard deviation of "
            "their own, estimated without the lowest and the highest tenth of z-scores "
            "(Spiegelhalter and others 2012, J R Stat Soc A 175:1-47).",
        ),
        "empirical_null": Choice(
            "empirical null", "",
            "Empirical null: providers are held against the centre and the spread that the "
            "middle of all z-scores has (Efron 2004, JASA 99:96-104). Where all are worse than "
            "the reference, that becomes the norm.",
        ),
        "benjamini_hochberg": Choice(
            "Benjamini\N{EN DASH}Hochberg", "",
            "Benjamini and Hochberg: for chance alone, and for how many providers are looked at. "
            "Limits are moved out to where the expected share of false discoveries is held to "
            "the level (1995, J R Stat Soc B 57:289-300).",
        ),
    }
)  # fmt: skip
"""What an effect is held against."""

ESTIMATORS: Mapping[str, str] = MappingProxyType(
    {
        "dersimonian_laird": "DerSimonian\N{EN DASH}Laird",
        "paule_mandel": "Paule\N{EN DASH}Mandel",
        "reml": "REML",
        "winsorised": "winsorised",
        "trimmed": "trimmed",
    }
)
"""Of the variance between providers, by name."""

_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "dersimonian_laird": "DerSimonian and Laird (1986, Control Clin Trials 7:177-188)",
        "paule_mandel": "Paule and Mandel (1982, J Res Nat Bur Stand 87:377-385)",
        "reml": "restricted maximum likelihood (Viechtbauer 2005, J Educ Behav Stat 30:261-293)",
        "winsorised": "DerSimonian and Laird, z-scores beyond the outer tenths pulled in "
        "(Spiegelhalter 2005, Stat Med 24:1185-1202)",
        "trimmed": "DerSimonian and Laird without the outer tenths of z-scores (Spiegelhalter and "
        "others 2012, J R Stat Soc A 175:1-47)",
    }
)
_REFERENCES: Mapping[str, str] = MappingProxyType(
    {
        "volume_weighted": "the mean of all episodes compared: a large provider counts for more",
        "median": "the median provider: every provider counts once",
    }
)
_SHRUNKEN_LIMITS = (
    "Nominal, of an effect already drawn to the middle: a provider is outside where the interval "
    "of that level around its own effect leaves out what it is compared with."
)
_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "nhs_england": "NHS England's: each of the two pairs of limits has its own (A Guide to "
        "PROMs Methodology, version 12)",
        "cms": "As CMS calls its categories: better, no different or worse, by the inner limits "
        "alone",
    }
)


METHODS_OF_COSTS: Mapping[str, str] = MappingProxyType(
    {
        "nhs_england": "Observed over expected: the logarithm of the ratio of their sums. Its "
        "standard error is by quasi-likelihood, the variance of an episode being in proportion to "
        "the square of what is expected of it (McCullagh and Nelder 1989, Generalized Linear "
        "Models). Adjusted cost: the mean cost of the reference population times the ratio.",
        "fixed_effects": "Fixed effects: a level of its own for every provider on the log scale, "
        "fitted by quasi-likelihood together with a slope for the logarithm of the expectation, so "
        "that the slope compares patients of the same provider. Adjusted cost: the mean cost of "
        "the reference population times exp of that level less the mean level of all episodes.",
        "random_intercept": "Random effects: the logarithms of observed over expected are drawn "
        "from one normal distribution whose mean and variance are estimated (restricted maximum "
        "likelihood). Those of small providers are drawn to the middle.",
        "correlated_random_effects": "Correlated random effects: as random effects, about a line "
        "of each provider's mean logarithm of what is expected. What goes with it counts as the "
        "provider's; the rest of small providers is drawn to the middle.",
        "empirical_bayes": "Empirical Bayes: the logarithm of observed over expected, drawn to the "
        "middle by as much as it is unreliable, given the variance between providers.",
    }
)
"""The same methods, of costs."""


def rules_in_words(
    rules: ProfileRules, noun: str = "gain", *, scores: bool = True, costs: bool = False
) -> list[tuple[str, str]]:
    """Return how providers are compared, as labelled sentences.

    Parameters
    ----------
    rules : ProfileRules
    noun : str
        What is compared.
    scores, costs : bool
        Whether other outcomes than costs are among them, and whether costs are.
    """
    shrunken = rules.method in SHRUNKEN_METHODS
    method = METHODS[rules.method].words.format(noun=noun)
    of_costs = METHODS_OF_COSTS[rules.method]
    return [
        *([("Method", method)] if scores else []),
        *([("Method, of costs" if scores else "Method", of_costs)] if costs else []),
        ("Limits", _SHRUNKEN_LIMITS if shrunken else LIMITS[rules.limits].words),
        ("Levels of the limits", _levels(rules)),
        ("Words of flags", f"{_LABELS[rules.labels]}."),
        ("Compared with", _compared_with(rules, noun)),
        ("Variance between providers", f"Estimated after {_SOURCES[rules.between]}."),
        ("Predicted over expected", _bootstrap(rules, noun)),
    ]  # fmt: skip


def _levels(rules: ProfileRules) -> str:
    told = Places(rules).limits
    words = " and ".join(name for _, _, name in told)
    if rules.limits == "benjamini_hochberg" and rules.method not in SHRUNKEN_METHODS:
        rates = " and ".join(f"{100 * (1 - level):.4g} %" for _, level, _ in told)
        return (
            f"{words}: false discovery rates of {rates}. How many standard errors away that puts "
            "the limits hangs on all providers; the table below says."
        )
    cuts = " and ".join(f"{cut_of(level):.5g}" for _, level, _ in told)
    return f"{words} of a normal distribution: {cuts} standard deviations above and below."


def _compared_with(rules: ProfileRules, noun: str) -> str:
    if isinstance(rules.reference, str):
        whom = _REFERENCES[rules.reference]
    else:
        whom = f"an adjusted {noun} of {rules.reference:g} that the study gives"
    if rules.peer_group is None:
        return f"{whom[0].upper()}{whom[1:]}."
    return (
        f"{whom[0].upper()}{whom[1:]}; of those alone that are alike in {rules.peer_group}, the "
        "commonest value among the provider's episodes. Who has nobody alike with enough episodes "
        "is not compared."
    )


def _bootstrap(rules: ProfileRules, noun: str) -> str:
    words = (
        f"P/E: the mean {noun} predicted with the provider's own random intercept over that "
        f"expected at the average provider, as CMS compares; O/E has the observed {noun} instead."
    )
    if rules.replicates == 0:
        return f"{words} No interval: the study asks for no bootstrap."
    return (
        f"{words} Its interval is from {rules.replicates:,} sets of providers drawn with "
        "replacement."
    )


def chance_in_words(rules: ProfileRules) -> str:
    """Return what lies outside the limits of a study without any reason to."""
    if rules.method in SHRUNKEN_METHODS:
        return "Effects are drawn to the middle, those of small providers the most."
    if rules.limits == "benjamini_hochberg":
        shares = _by_level(rules, "{share} of those outside the {name} {limits}")
        return f"On average at most {shares} are there by chance alone."
    told = _by_level(rules, "1{provider} in {one_in} outside the {name} {limits}")
    if rules.limits == "nominal":
        return f"Chance alone would put {told}."
    return f"Of providers that differ no more than most do there would be {told}."


_ALLOWING = "; a flag's limits allow for more, so that both need not agree"
_INTERVALS: Mapping[str, str] = MappingProxyType(
    {
        "nominal": "",
        "multiplicative": _ALLOWING,
        "additive": _ALLOWING,
        "winsorised": _ALLOWING,
        "trimmed": _ALLOWING,
        "empirical_null": "; a flag's limits are by how the middle of all providers lies, so that "
        "both need not agree",
        "benjamini_hochberg": "; a flag's limits allow for how many providers are looked at, so "
        "that both need not agree",
    }
)


def interval_in_words(rules: ProfileRules) -> str:
    """Return what the interval around a provider's result allows for, beside the limits."""
    if rules.method in SHRUNKEN_METHODS:
        return "Bars are 95 % intervals of effects drawn to the middle."
    more = _INTERVALS[rules.limits]
    return f"Bars are 95 % intervals{f' by chance alone (nominal){more}' if more else ''}."


def _by_level(rules: ProfileRules, words: str) -> str:
    return " and ".join(
        words.format(
            share=f"{100 * (1 - level):.4g} %",
            one_in=f"{1 / (1 - level):.0f}",
            name=name,
            provider="" if place else " provider",
            limits="ones" if place else "limits",
        )
        for place, (_, level, name) in enumerate(Places(rules).limits)
    )
