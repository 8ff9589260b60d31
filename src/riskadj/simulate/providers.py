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
        `provider_id`; `effect`, on the outcome, in Oxford points on the latent scale; `severity`,
        the mean frailty of its patients, in SD of patients; `cost_effect`, on the log of cost;
        `volume_share`, its share of episodes, expected; `silence`, what it adds to the log-odds
        of not answering the second questionnaire.

    Notes
    -----
    Effects are relative to the average provider: weighted by volume they add up to 0. Their SDs
    and the correlation of severity with effect are exactly those of the scenario, since a world
    of few providers would otherwise wander far from what was asked for.
    """
    asked = scenario.providers
    draws = stream(scenario.seed, "providers").standard_normal((asked.number, 4))
    severity, own, cost, silence = _uncorrelate(draws).T
    tied = asked.confounding
    effect = tied * severity + np.sqrt(1 - tied**2) * own
    shares = _draw_shares(scenario)
    return pd.DataFrame(
        {
            "provider_id": [f"P{one:03d}" for one in range(1, asked.number + 1)],
            "effect": _centre(asked.effect_sd * effect, shares),
            "severity": _centre(asked.severity_sd * severity, shares),
            "cost_effect": _centre(asked.cost_effect_sd * cost, shares),
            "volume_share": shares,
            "silence": scenario.follow_up.by_provider * silence,
        }
    )


def assign_episodes(scenario: Scenario, shares: Floats) -> np.ndarray:
    """Return the position of the provider of every episode, period after period."""
    draws = stream(scenario.seed, "assignment").random(scenario.episodes)
    return np.searchsorted(np.cumsum(shares)[:-1], draws, side="right")


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
