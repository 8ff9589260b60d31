"""From a scenario to its world: the episodes that can be seen, and the truth behind them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from riskadj.digest import digest_of_json
from riskadj.episodes.columns import COLUMNS
from riskadj.simulate.cost import draw_costs
from riskadj.simulate.follow_up import draw_calendar, draw_response, hide_unreturned, leave_gaps
from riskadj.simulate.outcomes import Outcomes, draw_outcomes
from riskadj.simulate.patients import Patients, draw_patients
from riskadj.simulate.providers import assign_episodes, draw_providers
from riskadj.simulate.questionnaires import (
    QUESTIONNAIRES,
    Questionnaires,
    answer_round,
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
        on the outcome, in Oxford points on the latent scale; `effect_on_score`, how many points
        it adds to the mean score of its own patients, ceiling and all; `cost_effect`, on the log
        of cost; `severity`, mean frailty of its patients, in SD of patients; `volume`, episodes;
        `responses`, second questionnaires returned.
    truth_episodes : DataFrame
        A row per episode, in the order of `episodes`. `episode_id`; `expected`, mean Oxford score
        after at the average provider, given everything that the patient brings, seen or not;
        `at_provider`, the same at the provider that treated them; `health_before` and
        `health_after`, latent, about standard normal; `q2_if_answered`, the Oxford score after,
        of those who did not answer too.
    """

    scenario: Scenario
    episodes: pd.DataFrame
    truth: pd.DataFrame
    truth_episodes: pd.DataFrame

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
    patients = draw_patients(scenario, of_episode["severity"])
    outcomes = draw_outcomes(scenario, patients, of_episode["effect"])
    response = draw_response(scenario, patients, outcomes, of_episode["silence"])
    columns = {
        **_name_episodes(scenario, of_episode["provider_id"]),
        **patients.seen,
        **_answer_before(scenario, patients),
        **_observe_after(scenario, outcomes, response),
        **draw_costs(scenario, patients, outcomes.answers["readmitted"], of_episode["cost_effect"]),
    }
    episodes = _tabulate(leave_gaps(scenario, columns), asked)
    return World(
        scenario=scenario,
        episodes=episodes,
        truth=_tell_providers(providers, place, outcomes, response["q2_returned"]),
        truth_episodes=_tell_episodes(episodes, patients, outcomes, asked),
    )


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
    return dict(
        answer_round(
            rng,
            asked.before,
            asked.instrument,
            patients.health,
            patients.frailty,
            patients.distress,
        )
    )


def _observe_after(
    scenario: Scenario, outcomes: Outcomes, response: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    calendar = draw_calendar(scenario)
    known = {name: calendar.pop(name) for name in ("period", "index_date", "q1_date")}
    told = hide_unreturned({**calendar, **outcomes.answers}, response["q2_returned"])
    return {**known, **response, **told}


def _tabulate(columns: dict[str, np.ndarray], asked: Questionnaires) -> pd.DataFrame:
    """Return the episode table in canonical order and kinds, with the scores of its answers."""
    for prefix in ("q1", "q2"):
        columns = columns | score_answers(prefix, asked.instrument, columns)
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
    providers: pd.DataFrame, place: np.ndarray, outcomes: Outcomes, returned: np.ndarray
) -> pd.DataFrame:
    count = len(providers)
    volume = np.bincount(place, minlength=count)
    added = np.bincount(place, outcomes.at_provider - outcomes.expected, minlength=count)
    return providers[["provider_id", "effect"]].assign(
        effect_on_score=np.where(volume > 0, added / np.maximum(volume, 1), np.nan),
        cost_effect=providers["cost_effect"],
        severity=providers["severity"],
        volume=volume,
        responses=np.bincount(place, returned, minlength=count).astype(int),
    )


def _tell_episodes(
    episodes: pd.DataFrame, patients: Patients, outcomes: Outcomes, asked: Questionnaires
) -> pd.DataFrame:
    oxford = asked.instrument
    complete = score_answers("q2", oxford, outcomes.answers)[f"q2_score_{oxford.measure}"]
    return pd.DataFrame(
        {
            "episode_id": episodes["episode_id"],
            "expected": outcomes.expected,
            "at_provider": outcomes.at_provider,
            "health_before": patients.health,
            "health_after": outcomes.health,
            "q2_if_answered": complete,
        }
    )
