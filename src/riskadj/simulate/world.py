"""From a scenario to its world: the episodes that can be seen, and the truth behind them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from riskadj.digest import digest_of_json
from riskadj.episodes.columns import COLUMNS
from riskadj.simulate.claim_course import Course, draw_course
from riskadj.simulate.claim_tables import WINDOWS
from riskadj.simulate.claims import ClaimsWorld, draw_claims
from riskadj.simulate.cost import draw_costs
from riskadj.simulate.follow_up import draw_calendar, draw_response, hide_unreturned, leave_gaps
from riskadj.simulate.outcomes import Outcomes, draw_outcomes
from riskadj.simulate.patients import Patients, draw_patients, record_conditions
from riskadj.simulate.providers import assign_episodes, draw_providers, periods_of_choice
from riskadj.simulate.questionnaires import (
    QUESTIONNAIRES,
    Questionnaires,
    answer_round,
    answer_versions,
    score_answers,
)
from riskadj.simulate.scenario import Scenario
from riskadj.simulate.streams import stream


@dataclass(frozen=True)
class World:
    """A simulated world.

    Attributes
    ----------
    scenario : Scenario
        What it was made from.
    episodes : DataFrame
        The canonical episode table (`riskadj.episodes.columns`), a row per episode; what was not
        answered is null. Readmission and cost are known of everybody, as they are from claims.
    truth : DataFrame
        A row per provider, in the order of their names. `provider_id`; `effect`, its true effect
        on the outcome, in points of the main score on the latent scale, more is better;
        `effect_on_score`, by how many points the mean score of its own patients is better for it,
        ceiling and all; `cost_effect`, on the log of cost; `coding_intensity`, how readily it
        records comorbidity, in SD of the latent variables; `severity`, mean frailty of its
        patients, in SD of patients; `selects`, whether it chooses its patients; `volume`,
        episodes; `responses`, second questionnaires returned. With claims also
        `cost_effect_<window>d`, the log of mean cost of its own patients over that at the average
        provider: some care is moved by no provider; and `readmission_effect`, on the probit of
        being readmitted, where the programme has one.
    truth_episodes : DataFrame
        A row per episode, in the order of `episodes`. `episode_id`; `expected`, mean of the main
        score after at the average provider, given everything that the patient brings, seen or
        not; `at_provider`, the same at the provider that treated them; `health_before` and
        `health_after`, latent, about standard normal, more is better; `q2_if_answered`, the main
        score after, of those who did not answer too; `conditions`, comorbidities that there are,
        on record or not. With claims also what `ClaimsWorld` tells, and cost by part and window.
    claims : ClaimsWorld or None
        Where the scenario has claims.
    """

    scenario: Scenario
    episodes: pd.DataFrame
    truth: pd.DataFrame
    truth_episodes: pd.DataFrame
    claims: ClaimsWorld | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the scenario, which decides everything else."""
        return digest_of_json(self.scenario.model_dump(mode="json"))


def simulate_world(scenario: Scenario) -> World:
    """Return the world of a scenario; the same scenario always gives the same world.

    Examples
    --------
    >>> from riskadj.simulate import demo_scenario
    >>> world = simulate_world(demo_scenario())
    >>> len(world.episodes), len(world.truth)
    (12000, 60)
    """
    asked = QUESTIONNAIRES[scenario.procedure_group]
    providers = draw_providers(scenario)
    place = assign_episodes(scenario, providers["volume_share"].to_numpy())
    of_episode = {name: providers[name].to_numpy()[place] for name in providers}
    chosen = periods_of_choice(scenario, of_episode["selects"])
    patients = draw_patients(scenario, of_episode["severity"], chosen)
    outcomes = draw_outcomes(scenario, patients, of_episode["effect"])
    response = draw_response(scenario, patients, outcomes, of_episode["silence"])
    calendar = draw_calendar(scenario)
    on_record = record_conditions(patients, of_episode["coding_intensity"])
    claims = None
    if scenario.claims:
        course = draw_course(scenario, patients, calendar["index_date"])
        response |= _silence_the_dead(response, course, calendar["q2_date"])
        claims = draw_claims(scenario, patients, course, on_record, providers, place)
    columns = {
        **_name_episodes(scenario, of_episode["provider_id"]),
        **patients.seen,
        **on_record,
        **_answer_before(scenario, patients),
        **_observe_after(calendar, outcomes, response),
        **_tell_costs(scenario, patients, outcomes, of_episode["cost_effect"], claims),
    }
    episodes = _tabulate(leave_gaps(scenario, columns), asked)
    return World(
        scenario=scenario,
        episodes=episodes,
        truth=_tell_providers(providers, place, asked, outcomes, response, claims),
        truth_episodes=_tell_episodes(episodes, patients, outcomes, asked, claims),
        claims=claims,
    )


def _silence_the_dead(
    response: dict[str, np.ndarray], course: Course, asked: np.ndarray
) -> dict[str, np.ndarray]:
    """Return who answers when those who died before they were asked do not."""
    dead = course.died <= asked
    return {
        "q2_returned": np.where(dead, 0.0, response["q2_returned"]),
        "deceased": dead.astype(float),
    }


def _tell_costs(
    scenario: Scenario,
    patients: Patients,
    outcomes: Outcomes,
    cost_effect: np.ndarray,
    claims: ClaimsWorld | None,
) -> dict[str, np.ndarray]:
    """Return what is paid for everybody; with claims, readmission is theirs to tell."""
    if claims is None:
        return dict(draw_costs(scenario, patients, outcomes.answers["readmitted"], cost_effect))
    return {**claims.episodes, "readmitted": claims.episodes["readmitted_90d"]}


def _name_episodes(scenario: Scenario, provider_id: np.ndarray) -> dict[str, np.ndarray]:
    numbers = range(1, scenario.episodes + 1)
    return {
        "episode_id": np.array([f"E{one:07d}" for one in numbers], dtype=object),
        "patient_id": np.array([f"N{one:07d}" for one in numbers], dtype=object),
        "provider_id": provider_id,
        "procedure_group": np.full(scenario.episodes, scenario.procedure_group, dtype=object),
    }


def _answer_before(scenario: Scenario, patients: Patients) -> dict[str, np.ndarray]:
    asked = QUESTIONNAIRES[scenario.procedure_group]
    rng = stream(scenario.seed, "before")
    answers = answer_round(rng, asked.before, patients.health, patients.frailty, patients.distress)
    return answer_versions(scenario, asked.before, patients.health, patients.distress, answers)


def _observe_after(
    calendar: dict[str, np.ndarray], outcomes: Outcomes, response: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    before = ("period", "index_date", "q1_date")
    later = {name: values for name, values in calendar.items() if name not in before}
    told = hide_unreturned({**later, **outcomes.answers}, response["q2_returned"])
    return {**{name: calendar[name] for name in before}, **response, **told}


def _tabulate(columns: dict[str, np.ndarray], asked: Questionnaires) -> pd.DataFrame:
    """Return the episode table in canonical order and kinds, with the scores of its answers."""
    for one in (asked.before, asked.after):
        columns = columns | score_answers(one, columns)
    return pd.DataFrame(
        {
            name: _typed(columns[name], column.kind)
            for name, column in COLUMNS.items()
            if name in columns
        }
    )


def _typed(values: np.ndarray, kind: str) -> pd.Series:
    kinds = {"text": "str", "date": "datetime64[us]"}
    return pd.Series(values).astype(kinds.get(kind, "float64"))


def _tell_providers(
    providers: pd.DataFrame,
    place: np.ndarray,
    asked: Questionnaires,
    outcomes: Outcomes,
    response: dict[str, np.ndarray],
    claims: ClaimsWorld | None,
) -> pd.DataFrame:
    count = len(providers)
    volume = np.bincount(place, minlength=count)
    better = asked.instrument.direction * (outcomes.at_provider - outcomes.expected)
    added = np.bincount(place, better, minlength=count)
    told = providers[["provider_id", "effect"]].assign(
        effect_on_score=np.where(volume > 0, added / np.maximum(volume, 1), np.nan),
        cost_effect=providers["cost_effect"],
        coding_intensity=providers["coding_intensity"],
        severity=providers["severity"],
        selects=providers["selects"],
        volume=volume,
        responses=np.bincount(place, response["q2_returned"], minlength=count).astype(int),
    )
    if claims is None:
        return told
    if providers["readmission_effect"].any():
        told["readmission_effect"] = providers["readmission_effect"]
    return told.assign(**_effects_on_cost(claims.truth, place, volume))


def _effects_on_cost(
    truth: dict[str, np.ndarray], place: np.ndarray, volume: np.ndarray
) -> dict[str, np.ndarray]:
    effects = {}
    for days in WINDOWS:
        here, average = (
            np.bincount(place, truth[f"cost_{what}_{days}d"], minlength=len(volume))
            for what in ("at_provider", "expected")
        )
        ratio = np.divide(here, average, out=np.full(len(volume), np.nan), where=volume > 0)
        effects[f"cost_effect_{days}d"] = np.log(ratio)
    return effects


def _tell_episodes(
    episodes: pd.DataFrame,
    patients: Patients,
    outcomes: Outcomes,
    asked: Questionnaires,
    claims: ClaimsWorld | None,
) -> pd.DataFrame:
    main = asked.instrument
    complete = score_answers(asked.after, outcomes.answers)[f"q2_score_{main.measure}"]
    conditions = np.sum([one > 0 for one in patients.margins.values()], axis=0)
    told = pd.DataFrame(
        {
            "episode_id": episodes["episode_id"],
            "expected": outcomes.expected,
            "at_provider": outcomes.at_provider,
            "health_before": patients.health,
            "health_after": outcomes.health,
            "q2_if_answered": complete,
            "conditions": conditions,
        }
    )
    if claims is None:
        return told
    where = ["patient_id", "provider_id", "index_date", "discharge_date", "prior_cost"]
    costs = [name for name in episodes if name.startswith("cost_")]
    return pd.concat([told, episodes[[*where, *costs]], pd.DataFrame(claims.truth)], axis=1)
