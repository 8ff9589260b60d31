"""The providers: how many patients they treat, how frail those are, and what they truly add."""

import numpy as np
import pandas as pd

from riskadj.simulate.latent import Floats
from riskadj.simulate.scenario import Providers, Scenario
from riskadj.simulate.streams import stream


def draw_providers(scenario: Scenario) -> pd.DataFrame:
    """Return the providers' truth, a row each, in the order of their names.

    Returns
    -------
    DataFrame
        `provider_id`; `effect`, on the outcome, in points of the main score on the latent scale,
        more is better; `severity`, the mean frailty of its patients, in SD of patients;
        `cost_effect`, on the log of cost; `readmission_effect`, on the probit of being readmitted;
        `coding_intensity`, in SD of the latent variables of comorbidities; `selects`, whether it
        chooses its patients; `volume_share`, its share of episodes, expected; `silence`, what it
        adds to the log-odds of not answering the second questionnaire.

    Notes
    -----
    Effects are relative to the average provider: weighted by volume they add up to 0. Their SDs,
    the correlation of severity with effect and that of cost with effect are exactly those of the
    scenario, since a world of few providers would otherwise wander far from what was asked for.
    """
    asked = scenario.providers
    draws = stream(scenario.seed, "providers").standard_normal((asked.number, 4))
    further = stream(scenario.seed, "coding").standard_normal((asked.number, 1))
    severity, own, own_cost, silence = _uncorrelate(draws).T
    coding = _uncorrelate(np.hstack([draws, further]))[:, -1]
    tied, dear = asked.confounding, asked.outcome_cost_correlation
    effect = tied * severity + np.sqrt(1 - tied**2) * own
    cost = dear * effect + np.sqrt(1 - dear**2) * own_cost
    shares = _draw_shares(scenario)
    return pd.DataFrame(
        {
            "provider_id": [f"P{one:03d}" for one in range(1, asked.number + 1)],
            "effect": _centre(asked.effect_sd * effect, shares),
            "severity": _centre(asked.severity_sd * severity, shares),
            "cost_effect": _centre(asked.cost_effect_sd * cost, shares),
            "coding_intensity": _centre(asked.coding_intensity_sd * coding, shares),
            "readmission_effect": _draw_readmitting(scenario, shares),
            "selects": _draw_selecting(scenario),
            "volume_share": shares,
            "silence": scenario.follow_up.by_provider * silence,
        }
    )


def assign_episodes(scenario: Scenario, shares: Floats) -> np.ndarray:
    """Return the position of the provider of every episode, period after period."""
    draws = stream(scenario.seed, "assignment").random(scenario.episodes)
    return np.searchsorted(np.cumsum(shares)[:-1], draws, side="right")


def periods_of_choice(scenario: Scenario, selects: Floats) -> Floats:
    """Return, by episode, for how many periods its provider has been choosing its patients.

    Parameters
    ----------
    scenario : Scenario
        Gives the periods.
    selects : ndarray of shape (n_episodes,)
        1 where the episode's provider chooses its patients, from the second period on.
    """
    number = np.repeat(np.arange(len(scenario.periods)), scenario.episodes_per_period)
    return np.asarray(selects * number, dtype=float)


def _draw_readmitting(scenario: Scenario, shares: Floats) -> Floats:
    asked = scenario.programme and scenario.programme.readmissions
    if not asked:
        return np.zeros(len(shares))
    draws = stream(scenario.seed, "readmission_effects").standard_normal(len(shares))
    return _centre(asked.effect_sd * (draws - draws.mean()) / draws.std(), shares)


def _draw_selecting(scenario: Scenario) -> Floats:
    number = scenario.providers.number
    share = scenario.selection.providers if scenario.selection else 0.0
    order = stream(scenario.seed, "selection").permutation(number)
    return np.asarray(order < round(share * number), dtype=float)


def _draw_shares(scenario: Scenario) -> Floats:
    asked: Providers = scenario.providers
    logs = stream(scenario.seed, "volumes").standard_normal(asked.number)
    volumes = np.exp(asked.volume_spread * logs)
    return np.asarray(volumes / volumes.sum())


def _centre(values: Floats, weights: Floats) -> Floats:
    return values - np.sum(weights * values)


def _uncorrelate(draws: Floats) -> Floats:
    """Return columns with mean 0, SD 1 and no correlation; takes more rows than columns."""
    basis, upper = np.linalg.qr(draws - draws.mean(axis=0))
    return np.asarray(basis * np.sign(np.diag(upper)) * np.sqrt(len(draws)))
