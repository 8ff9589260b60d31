"""A trial: world after world, each settled on estimates and on the truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import pandas as pd
from pydantic import Field
from threadpoolctl import threadpool_limits

from riskadj.digest import digest_of_frame, digest_of_json
from riskadj.payment.contract import Contract, columns_wanted
from riskadj.record import Record
from riskadj.report.provenance import digest_of_study
from riskadj.simulate import Scenario, World, simulate_world
from riskadj.study import Study
from riskadj.trial.drift import drift_of
from riskadj.trial.operating import Operating, operating
from riskadj.trial.settling import settle_both
from riskadj.trial.truth import true_tables, truth_of, with_true_ratios
from riskadj.trial.variants import Variant, kinds_of, variants_of
from riskadj.trial.worlds import (
    episodes_of,
    published,
    replicate,
    study_of,
    tables_of,
    travel,
    true_ratios,
)

OnWorld = Callable[[int, int, float], None]
"""Told which world is finished, of how many, and after how many seconds."""


class Settings(Record):
    """How contracts are tried."""

    worlds: int = Field(6, ge=1, le=10_000, description="replicate worlds")
    margin: float = Field(
        1.0, ge=0, description="how much worse than the average truly fails a gate, in SD of the "
        "true effects of providers: every provider differs a little, so a gate needs a margin"
    )  # fmt: skip
    tolerance: float = Field(
        0.001, ge=0, lt=1, description="share of the target that is neither bonus nor penalty"
    )
    target_share: float = Field(
        0.8, gt=0, lt=1, description="of the money, that follows the truth at a fair volume"
    )


@dataclass(frozen=True)
class Trial:
    """A finished trial.

    Attributes
    ----------
    scenario : Scenario
        Whose worlds they are.
    variants : tuple of Variant
    settings : Settings
    study : Study
        That worlds were run by.
    found : Operating
    drift : DataFrame
        As from `drift_of`, of all worlds.
    told : tuple of str
        What a reader has to know of how worlds were run.
    seeds : tuple of int
        Of the worlds.
    """

    scenario: Scenario
    variants: tuple[Variant, ...]
    settings: Settings
    study: Study
    found: Operating
    drift: pd.DataFrame
    told: tuple[str, ...]
    seeds: tuple[int, ...]

    @property
    def digest(self) -> str:
        """Of what was tried, and of every payment."""
        return digest_of_frame(self.found.providers, digest_of_json(self.inputs()))

    def inputs(self) -> dict[str, Any]:
        """Return what everything hangs on, as JSON."""
        return {
            "scenario": {
                "name": self.scenario.name,
                "digest": digest_of_json(self.scenario.model_dump(mode="json")),
            },
            "contracts": [
                {"name": one.name, "version": one.contract.version, "learner": one.learner,
                 "digest": one.contract.digest}
                for one in self.variants
            ],
            "study": digest_of_study(self.study),
            "settings": self.settings.model_dump(mode="json"),
            "seeds": list(self.seeds),
        }  # fmt: skip


def run_trial(
    contracts: Sequence[Contract],
    scenario: Scenario,
    settings: Settings | None = None,
    *,
    learners: Sequence[str] = (),
    study: Study | None = None,
    on_world: OnWorld | None = None,
) -> Trial:
    """Try contracts in worlds of a scenario, whose truth is known.

    Every world is simulated, run as a study would run it, up to profiles and disclosure control,
    and settled twice: on those estimates, and on the truth.

    Parameters
    ----------
    contracts : sequence of Contract
    scenario : Scenario
    settings : Settings, optional
    learners : sequence of str
        By each of which every contract is tried; none: by its own.
    study : Study, optional
        Whose outcomes, case mix, split and profile are taken. Without it, the study that goes with
        the world.
    on_world : callable, optional
        Told of progress.

    Raises
    ------
    RiskadjError
        For a contract that cannot be tried in these worlds, by name, before anything is settled.

    Examples
    --------
    >>> run_trial([contract], load_scenario("spine.yaml"))  # doctest: +SKIP
    """
    settings = settings or Settings()
    variants, begun = variants_of(contracts, learners), perf_counter()
    first = simulate_world(replicate(scenario, 0))
    rules, told = study_of(first, variants, study)
    paid, drifts, seeds = [], [], []
    for number in range(settings.worlds):
        world = simulate_world(replicate(scenario, number)) if number else first
        with threadpool_limits(1, user_api="blas"):
            rows, drift = _settle_world(world, number, rules, variants, settings.margin)
        paid.append(rows)
        drifts.append(drift)
        seeds.append(world.scenario.seed)
        if on_world:
            on_world(number + 1, settings.worlds, perf_counter() - begun)
    found = operating(
        pd.concat(paid, ignore_index=True), variants, settings.tolerance, settings.target_share
    )
    drifted = pd.concat(drifts, ignore_index=True)
    return Trial(scenario, variants, settings, rules, found, drifted, told, tuple(seeds))


def _settle_world(
    world: World, number: int, study: Study, variants: Sequence[Variant], margin: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return right and paid money of a world, and how its case mix changes."""
    episodes = episodes_of(world)
    journeys = travel(episodes, study, kinds_of(variants))
    estimated = tables_of(journeys, study, _named(world, variants))
    truth = truth_of(world, study.outcomes, study.split.test)
    true = true_tables(estimated, journeys, truth, study, margin)
    true = with_true_ratios(true, true_ratios(world))
    paid = [settle_both(one, estimated, true, number) for one in variants]
    return pd.concat(paid, ignore_index=True), drift_of(episodes.table, journeys, number)


def _named(world: World, variants: Sequence[Variant]) -> pd.DataFrame | None:
    """Return what the world's programme publishes, and empty columns for what gates ask besides."""
    table = published(world)
    if table is None:
        return None
    wanted = {name for one in variants for name in columns_wanted(one.contract)}
    return table.assign(**dict.fromkeys(sorted(wanted - set(table)), float("nan")))
