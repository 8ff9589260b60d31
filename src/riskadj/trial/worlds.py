"""Replicate worlds, and the way of each from episodes to what a settlement rests on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from riskadj.casemix import choose_casemix
from riskadj.cohort import select_cohort
from riskadj.digest import digest_of_json
from riskadj.episodes import Episodes, Source
from riskadj.episodes.columns import declared_columns
from riskadj.episodes.participation import Participation, read_participation
from riskadj.errors import StudyError, UnknownNameError, did_you_mean
from riskadj.expected import Expectations, cross_fit
from riskadj.payment.contract import Contract, columns_wanted, outcomes_wanted
from riskadj.payment.tables import Tables
from riskadj.profile import Profiles, flag_labels, profile_providers
from riskadj.report.disclosure import keep_shown, suppress_providers, suppress_rates
from riskadj.simulate import Scenario, World
from riskadj.simulate.claim_study import claims_study
from riskadj.simulate.programmes import (
    PARTICIPATION_FILE,
    TABLE_FILE,
    programme_tables,
    true_readmission_ratios,
)
from riskadj.study import Outcome, Study
from riskadj.study.load import build
from riskadj.trial.variants import (
    Variant,
    analyses_of,
    in_absolute_money,
    kinds_of,
    ratios_of,
)

FURTHER_OUTCOMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "eq5d": {"instrument": "EQ5D3L_UK_TTO", "kind": "gain"},
        "nrs_back": {"instrument": "NRS_BACK", "kind": "gain"},
        "nrs_leg": {"instrument": "NRS_LEG", "kind": "gain"},
        "hoos_jr_scb": {
            "instrument": "HOOS_JR", "kind": "responder", "threshold": "HOOS_JR_SCB_22",
        },
        "koos_jr_scb": {
            "instrument": "KOOS_JR", "kind": "responder", "threshold": "KOOS_JR_SCB_20",
        },
        "odi_failure": {
            "instrument": "ODI", "kind": "responder", "threshold": "ODI_DISC_FAILURE_13",
        },
    }
)  # fmt: skip
"""What contracts may name and worlds can tell, beyond the outcomes of a world's own study."""

_PATH = "world"
"""In the place of a file: a world comes as it is."""


def replicate(scenario: Scenario, number: int) -> Scenario:
    """Return the scenario of a further world, the same but for its seed.

    Parameters
    ----------
    scenario : Scenario
    number : int
        From 0; a world stays the same however many there are.

    Examples
    --------
    >>> from riskadj.simulate import demo_scenario
    >>> demo, one = demo_scenario(), replicate(demo_scenario(), 1)
    >>> one.seed != replicate(demo, 2).seed, one.providers == demo.providers
    (True, True)
    """
    drawn = np.random.SeedSequence([scenario.seed, number]).generate_state(1)[0]
    return scenario.model_copy(update={"seed": int(drawn)})


@dataclass(frozen=True)
class Journey:
    """What one outcome of a world came to.

    Attributes
    ----------
    expectations : Expectations
    profiles : Profiles
        Before disclosure control.
    """

    expectations: Expectations
    profiles: Profiles

    @property
    def outcome(self) -> Outcome:
        """What was compared."""
        return self.expectations.cohort.outcome


# --- the study of a world -------------------------------------------------------------------------


def study_of(
    world: World, variants: Sequence[Variant], given: Study | None = None
) -> tuple[Study, tuple[str, ...]]:
    """Return the study that worlds are run by, and what was left out of it.

    Parameters
    ----------
    world : World
        The first.
    variants : sequence of Variant
    given : Study, optional
        Whose outcomes, case mix, split and profile are taken; without it, the study that goes with
        a world of claims.

    Raises
    ------
    StudyError
        When there is no study, when currencies cannot be taken for each other, and for a penalty
        on ratios that the world does not tell the truth of.
    UnknownNameError
        For an outcome that the study does not have, or the world does not ask for.
    """
    content = _content(world, given)
    asked = {content["outcomes"][0]["name"]: {"linear"}}  # somebody says which providers there are
    needed = kinds_of(variants) or asked
    content["outcomes"] = [_outcome(name, content["outcomes"], world, variants) for name in needed]
    content["learners"] = _learners(content["learners"], set().union(*needed.values()))
    methods, limits = analyses_of(variants)
    content["profile"] |= {
        "replicates": 0,
        "sensitivity": {"methods": sorted(methods), "limits": sorted(limits)},
    }
    told, content["casemix"]["columns"] = _casemix(content["casemix"]["columns"], world)
    content |= {
        "data": {"format": "parquet", "paths": [_PATH], "period_from": "period"},
        "compute": {"threads": 1},
        "value": None,
        "tracking": {"uri": "off"},
    }
    study = build(Study, content, f"study of scenario {world.scenario.name}")
    there = published(world)
    for one in variants:
        _check_ratios(one.contract, world, there)
        told += [_taken_for(one.contract, study), _not_published(one.contract, there)]
    return study, tuple(dict.fromkeys(one for one in told if one))


def _content(world: World, given: Study | None) -> dict[str, Any]:
    if given is not None:
        left_out = {"validation", "export", "card", "report"}
        return given.model_dump(mode="json", exclude=left_out)
    if world.claims is None or world.scenario.claims is None:
        raise StudyError(
            f"scenario {world.scenario.name}: wanted a scenario with claims, which has a study of "
            "its own; got one without. Add claims, or say --study."
        )
    return claims_study(world.scenario, world.scenario.claims, world.claims)


def _outcome(
    name: str, known: Iterable[dict[str, Any]], world: World, variants: Sequence[Variant]
) -> dict[str, Any]:
    """Return how an outcome is defined, if the world can tell what is true of it."""
    mine = {one["name"]: one for one in known}
    further = {one: {"name": one, **how} for one, how in FURTHER_OUTCOMES.items()}
    found = mine.get(name) or further.get(name)
    wanted_by = [one.name for one in variants if name in outcomes_wanted(one.contract)]
    if found is None:
        listed = [*mine, *(one for one in further if _is_asked(further[one], world))]
        raise UnknownNameError(
            f"contract {wanted_by[0]}: wanted an outcome that scenario {world.scenario.name} can "
            f"tell the truth of ({', '.join(dict.fromkeys(listed))}); got {name!r}."
            f"{did_you_mean(name, listed)} Take another scenario, or define it in a --study."
        )
    if not _is_asked(found, world):
        raise UnknownNameError(
            f"contract {wanted_by[0]}: wanted an outcome that is asked for in scenario "
            f"{world.scenario.name} ({world.scenario.procedure_group}); got {name!r}, which is "
            "not, so that no truth of it is known. Take another scenario."
        )
    return dict(found)


def _is_asked(content: Mapping[str, Any], world: World) -> bool:
    measured = Outcome.model_validate(dict(content)).measured
    return measured.after in world.episodes and measured.before in (None, *world.episodes)


def _learners(known: Iterable[dict[str, Any]], needed: set[str]) -> list[dict[str, Any]]:
    """Return the learners that are needed, as the study sets them or as they come."""
    mine = {one["kind"]: one for one in known}
    return [mine.get(kind, {"kind": kind}) for kind in sorted(needed)]


def _casemix(columns: Sequence[str], world: World) -> tuple[list[str | None], list[str]]:
    """Return what was left out, in words, and the case mix that a world has without its claims."""
    there = [one for one in columns if any(fnmatchcase(name, one) for name in world.episodes)]
    left = [one for one in columns if one not in there]
    told: list[str | None] = [
        f"case mix without {', '.join(left)}: read from claims, and worlds here come without "
        "their claim lines"
    ]
    return told if left else [], there


def _taken_for(contract: Contract, study: Study) -> str | None:
    """Return what is said of a contract in another currency than the world; or refuse it."""
    costs = [one for one in study.outcomes if one.name == contract.cost]
    ours = (contract.currency.code, contract.price_year)
    theirs = (costs[0].currency, costs[0].price_year) if costs else ours
    if ours == theirs:
        return None
    pair = f"{ours[0]} of {ours[1]} in the contract and {theirs[0]} of {theirs[1]} in the world"
    if in_absolute_money(contract):
        raise StudyError(
            f"contract {contract.name}: wanted one currency and price year, as it names amounts; "
            f"got {pair}. Say --set-scenario claims.currency={ours[0]}, and set its price_year and "
            "price_level."
        )
    return (
        f"{contract.name}: {pair}; the world's amounts are taken as they are, as the contract "
        "names shares only"
    )


def _check_ratios(contract: Contract, world: World, given: pd.DataFrame | None) -> None:
    """Refuse a penalty on a ratio of which no truth is known, unless nobody has a result."""
    for name, column in ratios_of(contract).items():
        empty = given is not None and column in given and given[column].isna().all()
        if not empty and column not in true_ratios(world):
            known = ", ".join(true_ratios(world)) or "none"
            raise StudyError(
                f"contract {contract.name}: wanted excess ratios that scenario "
                f"{world.scenario.name} tells the truth of ({known}); got {column}, of {name}. "
                "Take a scenario whose programme reports readmissions, or name an outcome for it."
            )


def _not_published(contract: Contract, given: pd.DataFrame | None) -> str | None:
    """Return what is said of columns that a gate asks for, and no programme here publishes."""
    absent = [one for one in columns_wanted(contract) if given is None or one not in given]
    if not absent:
        return None
    return (
        f"{contract.name}: {', '.join(absent)} not known in these worlds; gates judge so as the "
        "contract says of what is not known"
    )


# --- from episodes to tables ----------------------------------------------------------------------


def episodes_of(world: World) -> Episodes:
    """Return a world's episodes as if read; of claims, those that its claims reader would keep.

    That leaves out whoever was not insured from a year before to a year after. Counts of follow-up
    are there where the world's programme publishes them.
    """
    kept = world.episodes
    if world.claims is not None:
        truth = world.truth_episodes
        seen = truth["left_after"].isna() & (truth["joined_late"] == 0)
        kept = kept[seen.to_numpy()].reset_index(drop=True)
    declared = declared_columns(())
    source = Source(f"{_PATH} {world.scenario.seed}", world.digest, len(kept))
    digest = digest_of_json([world.digest])
    columns = {name: declared[name] for name in kept}
    return Episodes(kept, columns, (source,), digest, participation=_participation(world))


def published(world: World) -> pd.DataFrame | None:
    """Return what the world's programme publishes of providers beside counts of follow-up."""
    return programme_tables(world).get(TABLE_FILE)


def true_ratios(world: World) -> pd.DataFrame:
    """Return what of `published` is an estimate as it truly is, by provider; else no column."""
    programme = world.scenario.programme
    if world.claims is None or programme is None or programme.readmissions is None:
        return pd.DataFrame()
    return true_readmission_ratios(world)


def _participation(world: World) -> Participation | None:
    counts = programme_tables(world).get(PARTICIPATION_FILE)
    if counts is None:
        return None
    with TemporaryDirectory() as folder:  # it is read as any published file
        path = Path(folder) / PARTICIPATION_FILE
        counts.to_csv(path, index=False, lineterminator="\n")
        return read_participation([path])


def travel(episodes: Episodes, study: Study, needed: Mapping[str, set[str]]) -> dict[str, Journey]:
    """Take every outcome from episodes to profiles, by the learners it is paid on.

    Nothing is followed up, explained or reported.
    """
    found = {}
    for outcome in study.outcomes:
        kinds = needed.get(outcome.name) or {one.kind for one in study.learners}
        learners = [one for one in study.learners if one.kind in kinds]
        alone = study.model_copy(update={"learners": tuple(learners), "outcomes": (outcome,)})
        casemix = choose_casemix(select_cohort(episodes, alone, outcome), alone)
        expectations = cross_fit(casemix, alone)
        found[outcome.name] = Journey(expectations, profile_providers(expectations, alone))
    return found


def tables_of(
    journeys: Mapping[str, Journey], study: Study, given: pd.DataFrame | None = None
) -> Tables:
    """Return what a run folder would hold of these journeys, after disclosure control.

    Parameters
    ----------
    journeys : mapping of str to Journey
    study : Study
    given : DataFrame, optional
        As from `published`.
    """
    rules = study.profile
    labels = flag_labels(rules.labels, rules.levels)
    profiles = [one.profiles for one in journeys.values()]
    providers = suppress_providers(
        _stacked([one.table for one in profiles]),
        rules.suppress_below,
        rules.suppress_by,
        labels.too_few,
    )
    rates = _stacked([one.expectations.cohort.rates for one in journeys.values()])
    analyses = keep_shown(
        _stacked([one.analyses for one in profiles]), providers, rules.suppress_below
    )
    return Tables(
        providers,
        suppress_rates(rates, providers, rules.suppress_below, rules.suppress_by),
        _stacked([one.reference for one in profiles]),
        analyses,
        given,
        {"outcomes": [one.model_dump(mode="json") for one in study.outcomes]},
        digest_of_json([one.digest for one in profiles]),
    )


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [one for one in tables if not one.empty] or list(tables[:1])
    return pd.concat(filled, ignore_index=True)
