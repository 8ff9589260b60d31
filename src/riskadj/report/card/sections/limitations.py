"""What a reader must not conclude."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from riskadj.followup.follow import ALL_ANSWERED
from riskadj.report.blocks import Block, facts
from riskadj.report.card.person import told
from riskadj.report.findings import Findings
from riskadj.report.lookup import (
    compared,
    costs_of,
    has_scores,
    learner_names,
    learns,
    places_of,
)
from riskadj.report.words import format_number, noun_of
from riskadj.study.profile import SHRUNKEN_METHODS


def limitations(findings: Findings) -> Iterable[Block]:
    """Yield what the study states, and what follows from the method."""
    card = findings.study.card
    yield facts(told(card, "limitations"))
    follows = [
        (label, words) for label, applies, words in _AUTOMATIC
        if applies is None or applies(findings)
    ]  # fmt: skip
    yield facts(
        [*follows, _reference(findings), *_chance(findings)],
        "What follows from the method",
    )
    yield facts(
        told(card, "maintenance", "drift_plan", "change_log", "sign_off"), "Upkeep and sign-off"
    )


def _has_reference(findings: Findings) -> bool:
    return "reference" in learner_names(findings)


def _follows_up(findings: Findings) -> bool:
    return not findings.follow_up_summary.empty


def _has_pairs_only(findings: Findings) -> bool:
    silent = has_scores(findings) and not _follows_up(findings)
    return silent and not _has_all_answers(findings)


def _has_costs(findings: Findings) -> bool:
    return bool(costs_of(findings))


def _has_all_answers(findings: Findings) -> bool:
    return not _follows_up(findings) and ALL_ANSWERED in findings.follow_up_told.values()


def _lets_in_influenced(findings: Findings) -> bool:
    return findings.study.casemix.allow_provider_influenced


def _lets_in_coded(findings: Findings) -> bool:
    return bool(findings.study.casemix.coded_at_discharge)


def _splits_providers(findings: Findings) -> bool:
    split = findings.study.split
    return learns(findings) and not split.out_of_time and split.group != "provider"


def _shrinks(findings: Findings) -> bool:
    return findings.study.profile.method in SHRUNKEN_METHODS


def _allows_for_chance_alone(findings: Findings) -> bool:
    alone = findings.study.profile.limits in ("nominal", "benjamini_hochberg")
    return alone and not _shrinks(findings)


def _allows_for_differences(findings: Findings) -> bool:
    return not _allows_for_chance_alone(findings) and not _shrinks(findings)


_AUTOMATIC: Sequence[tuple[str, Callable[[Findings], bool] | None, str]] = (
    ("Over-dispersion", _allows_for_chance_alone,
     "The limits hold only the chance variation of patients. They ignore over-dispersion, so that "
     "more providers fall outside them than chance alone would put there."),
    ("Over-dispersion", _allows_for_differences,
     "The limits allow for differences between providers that case mix does not explain. Those in "
     "quality are among them, so that wider limits also hide some of what is looked for."),
    ("Shrinkage", _shrinks,
     "Effects are drawn to the middle by as much as they are unreliable, so that what is unusual "
     "about a small provider shows less than about a large one."),
    ("Missing follow-up", _follows_up,
     "Flags are of those who answered. Beside them, weights and imputation take those who did not "
     "answer to be like those who did, case mix and provider equal; where they are not, adjusted "
     "results are off by an amount that no data here can tell. Tipping points say how far off "
     "would matter."),
    ("Missing follow-up", _has_pairs_only,
     "Only episodes with both scores are compared, and of the others no more than their number is "
     "known; where those who answer differ from those who do not, adjusted results are off by an "
     "unknown amount."),
    ("Missing follow-up", _has_all_answers,
     "Everybody in the files with a score before has one after. Who never got into the files is "
     "not counted; where they differ, adjusted results are off by an unknown amount."),
    ("Case mix not recorded", None,
     "What the data do not hold is not adjusted for. A difference may be unrecorded case mix, "
     "quality of care, or both."),
    ("Uncertainty of the model", None,
     "Limits and intervals take the expected scores as known; what learning from a sample adds is "
     "not in them."),
    ("Dear episodes", _has_costs,
     "Costs are skewed: few dear episodes make up much of what a provider costs, and chance in "
     "them is larger than a normal distribution has it, most of all where providers are small. "
     "Where costs are capped, what is above the cap is nobody's."),
    ("Prices", _has_costs,
     "A cost is what the files hold. Where it is not in standardised prices, a difference between "
     "providers may be one in prices."),
    ("Ends of the scale", has_scores,
     "Scores are bounded. Near the best score there is little room to improve, and the learners do "
     "not model the bound."),
    ("Own episodes", _splits_providers,
     "Folds do not keep providers whole: what is expected of a provider was learned from "
     "other episodes of its own, too, which can make it look more ordinary than it is."),
    ("Published expectation", _has_reference,
     "How the published expectation was computed cannot be checked here, nor can contributions "
     "explain it."),
    ("Influence of providers", _lets_in_influenced,
     "Some columns adjusted for can be influenced by the provider, and may adjust quality away."),
    ("Coding at discharge", _lets_in_coded,
     "Some columns adjusted for are coded at discharge, with the stay in view: what went wrong in "
     "it, and how thoroughly a provider codes, can raise what is expected of it."),
)  # fmt: skip


_WHOM: Mapping[str, str] = MappingProxyType({"volume_weighted": "mean", "median": "median"})


def _reference(findings: Findings) -> tuple[str, str]:
    """Return what is lost by the reference that providers are compared with."""
    rules = findings.study.profile
    if isinstance(rules.reference, str):
        return "Relative comparison", _relative(findings, _WHOM[rules.reference])
    noun = noun_of(findings.study.outcomes)
    return (
        "Given reference",
        f"Providers are compared with an adjusted {noun} of {rules.reference:g} that the study "
        "gives, not with each other: all of them may lie on one side of it. It stands for the case "
        "mix of the episodes compared; whether it is right for them, nothing here shows.",
    )


def _relative(findings: Findings, middle: str) -> str:
    """Return what is lost by comparing providers with their own middle, recalibrated or not."""
    of = "peer group's " if findings.study.profile.peer_group else ""
    first = (
        "Residuals are centred on the episodes compared, so that providers are compared with "
        f"their {of}{middle}."
    )
    if learns(findings) and not findings.study.split.out_of_time:
        return (
            f"{first} As the expectations are learned from the same periods, nothing here shows "
            "whether all of them have become better or worse."
        )
    recalibrated = findings.study.recalibration.method != "none"
    place = "bias before recalibration" if recalibrated else "bias"
    return f"{first} Whether all of them became better or worse shows only in the {place}."


def _chance(findings: Findings) -> list[tuple[str, str]]:
    most = max(
        len(compared(findings, outcome=outcome.name, learner=learner))
        for outcome in findings.study.outcomes
        for learner in learner_names(findings, outcome)
    )
    rules = findings.study.profile
    if most == 0 or rules.limits == "benjamini_hochberg" or rules.method in SHRUNKEN_METHODS:
        return []
    alike = "do not differ" if rules.limits == "nominal" else "differ no more than most do"
    outside = " and ".join(
        f"{format_number((1 - level) * most, place)} outside the {name} limits"
        for place, (_, level, name) in enumerate(places_of(findings).limits)
    )
    words = (
        f"Many providers are compared at once. Among {most} that {alike}, about {outside} would "
        "lie by chance, per outcome and learner."
    )
    return [("Chance", words)]
