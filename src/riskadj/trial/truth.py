"""What is true of providers in a simulated world, as the table that a settlement takes.

The truth of an outcome is what each episode would be expected to come to at the average provider
and at the one that treated it, over everybody whom the contract is for, answered or not. Of the
main score and of costs a world tells both exactly. Of every other score, and of shares, they are
means over replicate draws of the answers, in which the same chance meets the same patient at
either provider, so that what is left of chance is small beside what providers differ by.

As any expectation, the true one is held to sum to what comes about: what is paid on is how a
provider differs from the average of all that are compared.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.cohort import Cohort
from riskadj.errors import UnknownNameError
from riskadj.payment.tables import Tables
from riskadj.profile.flags import level_names
from riskadj.simulate import Scenario, World
from riskadj.simulate.claim_tables import WINDOWS
from riskadj.simulate.outcomes import draw_outcomes
from riskadj.simulate.patients import Patients, draw_patients
from riskadj.simulate.providers import assign_episodes, draw_providers, periods_of_choice
from riskadj.simulate.questionnaires import QUESTIONNAIRES, score_answers
from riskadj.stats.arrays import Floats
from riskadj.study import Outcome, Study
from riskadj.study.kinds import shown
from riskadj.study.profile import ProfileRules
from riskadj.trial.worlds import Journey

Rows = NDArray[np.intp]
DRAWS = 12
"""Replicate draws of answers. Of an outcome that is known exactly too, effects by so many draws
are off by about a fiftieth of their spread, at some 150 episodes each."""
_COST = re.compile(r"cost_total_(\d+)d")
_BEYOND = 1e-9
"""By which limits lie beyond the margin, so that rounding fails nobody."""


def truth_of(
    world: World, outcomes: Iterable[Outcome], periods: Iterable[str], draws: int = DRAWS
) -> pd.DataFrame:
    """Return what every episode comes to at the average provider and at its own, on average.

    Parameters
    ----------
    world : World
    outcomes : iterable of Outcome
    periods : iterable of str
        Whose episodes are wanted.
    draws : int
        Of answers, for outcomes that the world does not tell of exactly.

    Returns
    -------
    DataFrame
        A row per episode of the periods: `episode_id, provider_id`, and by outcome
        `<name>_expected` and `<name>_here`, on the scale that the outcome is compared on.

    Raises
    ------
    UnknownNameError
        For a cost of which the world knows no truth.
    """
    listed = list(outcomes)
    rows = np.flatnonzero(world.episodes["period"].isin(list(periods)))
    table = world.episodes.loc[rows, ["episode_id", "provider_id"]].reset_index(drop=True)
    drawn = [one for one in listed if not is_exact(one, world)]
    found = {one.name: _exact(one, world, rows) for one in listed if one not in drawn}
    found |= _drawn(drawn, world, rows, draws) if drawn else {}
    sides = {
        f"{one.name}_{side}": values
        for one in listed
        for side, values in zip(("expected", "here"), found[one.name], strict=True)
    }
    return table.assign(**sides)


def true_tables(
    tables: Tables,
    journeys: Mapping[str, Journey],
    truth: pd.DataFrame,
    study: Study,
    margin: float,
) -> Tables:
    """Return the tables of a run as they would be if everything were known.

    Parameters
    ----------
    tables : Tables
        Of the run, whose rates of follow-up are facts and stay, as what a programme publishes; of
        its own estimates see `with_true_ratios`.
    journeys : mapping of str to Journey
    truth : DataFrame
        As from `truth_of`.
    study : Study
    margin : float
        How much worse or better than the average a provider is beyond which it truly fails or
        excels, in standard deviations of the true effects of the world's providers.
    """
    providers, reference = [], []
    for one in journeys.values():
        episodes = _compared(truth, one.expectations.cohort)
        known, mean = true_effects(one.outcome, episodes)
        for learner, rows in one.profiles.table.groupby("learner", sort=False):
            mine = _table(rows, known, one.outcome, mean, margin, study.profile)
            providers.append(mine)
            reference.append({"outcome": one.outcome.name, "learner": learner, "gain": mean})
    whole = pd.concat(providers, ignore_index=True)
    return Tables(
        whole,
        tables.rates,
        pd.DataFrame(reference),
        _analyses(tables.analyses, whole),
        tables.given,
        tables.study,
        tables.digest,
    )


def with_true_ratios(tables: Tables, ratios: pd.DataFrame | None) -> Tables:
    """Return the tables with the truth in the place of what a programme estimates itself.

    Parameters
    ----------
    tables : Tables
        Whose `given` has a row per provider, empty where the programme has no result.
    ratios : DataFrame or None
        By provider, as from `riskadj.trial.worlds.true_ratios`; None: nothing is estimated.
    """
    if tables.given is None or ratios is None:
        return tables
    published = [one for one in ratios if one in tables.given]
    true = ratios.reindex(tables.given["provider_id"])[published].set_axis(tables.given.index)
    known = true.where(tables.given[published].notna())
    return replace(tables, given=tables.given.assign(**dict(known.items())))


def true_effects(outcome: Outcome, episodes: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Return the truth by provider, and the mean over all that are compared.

    Parameters
    ----------
    outcome : Outcome
    episodes : DataFrame
        Rows of `truth_of`: those that are compared.

    Returns
    -------
    DataFrame
        By provider: `expected`, `observed`, `difference` and `predicted_ratio`. Expectations sum
        to what comes about, moved by a factor for costs, else by a constant.
    float
    """
    names = [f"{outcome.name}_expected", f"{outcome.name}_here"]
    told = episodes.dropna(subset=names)
    expected, here = (told[one].to_numpy(dtype=float) for one in names)
    mean = float(here.mean())
    expected = _as_sums(expected, here, outcome)
    by_provider = told[["provider_id"]].assign(expected=expected, observed=here)
    table = by_provider.groupby("provider_id").mean()
    table["difference"] = table["observed"] - table["expected"]
    table["predicted_ratio"] = table["observed"] / table["expected"]
    return table, mean


# --- of episodes ----------------------------------------------------------------------------------


def is_exact(outcome: Outcome, world: World) -> bool:
    """Return whether a world tells the truth of an outcome without drawing."""
    if outcome.kind == "cost":
        return True
    main = QUESTIONNAIRES[world.scenario.procedure_group].after.main.instrument
    return outcome.instrument == main.id and outcome.kind in ("gain", "final_score")


def _exact(outcome: Outcome, world: World, rows: Rows) -> tuple[Floats, Floats]:
    names = ["expected", "at_provider"]
    if outcome.kind == "cost":
        days = _window_of(outcome, world)
        names = [f"cost_expected_{days}d", f"cost_at_provider_{days}d"]
    expected, here = (world.truth_episodes[one].to_numpy(dtype=float)[rows] for one in names)
    before = _before(outcome, world, rows)
    return shown(outcome, expected, before), shown(outcome, here, before)


def _window_of(outcome: Outcome, world: World) -> int:
    """Return the days of a cost that the world knows the truth of."""
    found = _COST.fullmatch(outcome.column or "")
    if world.claims is None or found is None or int(found[1]) not in WINDOWS:
        known = ", ".join(f"cost_total_{one}d" for one in WINDOWS) if world.claims else "none"
        raise UnknownNameError(
            f"outcome {outcome.name}: wanted a cost that scenario {world.scenario.name} knows the "
            f"truth of ({known}); got {outcome.column!r}. Take a scenario with claims, and one of "
            "its totals."
        )
    return int(found[1])


def _before(outcome: Outcome, world: World, rows: Rows) -> Floats:
    name = outcome.measured.before
    if name is None:
        return np.full(len(rows), np.nan)
    return np.asarray(world.episodes[name], dtype=float)[rows]


def _drawn(
    outcomes: Sequence[Outcome], world: World, rows: Rows, draws: int
) -> dict[str, tuple[Floats, Floats]]:
    """Return means over draws, by outcome, with the same chance at either provider."""
    scenario = world.scenario
    asked = QUESTIONNAIRES[scenario.procedure_group].after
    patients, effect = _patients_of(scenario, rows)
    sums = {one.name: np.zeros((2, len(rows))) for one in outcomes}
    before = {one.name: _before(one, world, rows) for one in outcomes}
    for seed in np.random.SeedSequence(scenario.seed, spawn_key=(draws,)).generate_state(draws):
        again = _only(scenario, len(rows), int(seed))
        for side, added in enumerate((effect["none"], effect["own"])):
            answers = draw_outcomes(again, patients, added).answers
            scores = answers | score_answers(asked, answers)
            for one in outcomes:
                target = one.compares.target(one, before[one.name], scores[one.measured.after])
                sums[one.name][side] += shown(one, target, before[one.name])
    return {name: (found[0] / draws, found[1] / draws) for name, found in sums.items()}


def _patients_of(scenario: Scenario, rows: Rows) -> tuple[Patients, dict[str, Floats]]:
    """Return the patients of some episodes, and what to add to their outcome at either provider.

    What outcomes improve by from period to period is added to both.
    """
    providers = draw_providers(scenario)
    place = assign_episodes(scenario, providers["volume_share"].to_numpy())
    of = {one: providers[one].to_numpy()[place] for one in ("severity", "effect", "selects")}
    chosen = periods_of_choice(scenario, of["selects"])
    everybody = draw_patients(scenario, of["severity"], chosen)
    mine = Patients(
        everybody.frailty[rows], everybody.distress[rows], everybody.health[rows],
        everybody.age[rows],
        {name: values[rows] for name, values in everybody.seen.items()},
        {name: values[rows] for name, values in everybody.margins.items()},
    )  # fmt: skip
    period = scenario.drift * (rows // scenario.episodes_per_period)
    return mine, {"none": period, "own": of["effect"][rows] + period}


def _only(scenario: Scenario, episodes: int, seed: int) -> Scenario:
    """Return a scenario of so many episodes without drift, for other chance with the same law."""
    once = {"periods": scenario.periods[:1], "episodes_per_period": episodes, "drift": 0.0}
    return scenario.model_copy(update={**once, "seed": seed})


# --- of providers ---------------------------------------------------------------------------------


def _compared(truth: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Return the episodes that the comparison is about, answered or not."""
    parts = [cohort.test, cohort.unanswered]
    names = [one["episode_id"] for one in parts if "episode_id" in one]
    return truth[truth["episode_id"].isin(pd.concat(names))]


def _as_sums(expected: Floats, here: Floats, outcome: Outcome) -> Floats:
    if outcome.kind == "cost":
        return np.asarray(expected * (here.sum() / expected.sum()))
    return np.asarray(expected + (here.mean() - expected.mean()))


def _table(
    rows: pd.DataFrame,
    known: pd.DataFrame,
    outcome: Outcome,
    mean: float,
    margin: float,
    rules: ProfileRules,
) -> pd.DataFrame:
    """Return the rows of a provider table, with the truth in the place of what was estimated."""
    keys = rows[["outcome", "learner", "provider_id", "n", "episodes"]].reset_index(drop=True)
    table = keys.join(known, on="provider_id")
    gap = mean * (table["predicted_ratio"] - 1) if outcome.kind == "cost" else table["difference"]
    limit = margin * float(np.nan_to_num(gap.std(ddof=0))) + _BEYOND * max(abs(mean), 1.0)
    sides = {
        f"{side}{name}": mean + sign * limit
        for side, sign in (("lower", -1), ("upper", 1)) for name in level_names(rules)
    }  # fmt: skip
    return table.assign(
        adjusted=mean + gap, z=outcome.better * gap / limit, reliability=1.0, **sides
    )


def _analyses(analyses: pd.DataFrame | None, providers: pd.DataFrame) -> pd.DataFrame | None:
    """Return the truth under every analysis: whoever truly fails does so by all of them."""
    if analyses is None or analyses.empty:
        return analyses
    named = analyses[["outcome", "learner", "method", "limits"]].drop_duplicates()
    return named.merge(providers, on=["outcome", "learner"])
