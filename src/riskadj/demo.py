"""The demonstration: a simulated world, the study run in it, and the truth beside the answer."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from time import perf_counter

import pandas as pd

from riskadj.errors import OutputError
from riskadj.pipeline import OnStage, Run, run_study
from riskadj.simulate import World, demo_scenario, simulate_world, write_world
from riskadj.study import load_study

STUDY = files("riskadj.study") / "demo.yaml"


@dataclass(frozen=True)
class Demo:
    """A finished demonstration.

    Attributes
    ----------
    run : Run
    world : World
    truth : DataFrame
        `outcome, learner, providers, adjusted, raw`: over providers with enough episodes, the
        correlation of adjusted and of raw gains with the effects that were planted.
    """

    run: Run
    world: World
    truth: pd.DataFrame


def run_demo(out: Path, on_stage: OnStage) -> Demo:
    """Make the demonstration's world in `out`, with its study, and run it there."""
    began = perf_counter()
    on_stage("simulate", "", None)
    world = simulate_world(demo_scenario())
    home = out.with_name(f"{out.name}-world")
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / "study.yaml").write_text(STUDY.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{home}: wanted to write the demonstration; got {error.strerror!r}. Choose --out."
        ) from None
    write_world(world, home / "episodes.parquet")
    on_stage("simulate", "", perf_counter() - began)
    run = run_study(load_study(home / "study.yaml"), out, on_stage)
    return Demo(run, world, _beside_truth(run, world))


def _beside_truth(run: Run, world: World) -> pd.DataFrame:
    effects = world.truth.set_index("provider_id")["effect"]
    rows = []
    for (outcome, learner), table in run.findings.providers.groupby(
        ["outcome", "learner"], sort=False
    ):
        judged = table[table["z"].notna()].set_index("provider_id")
        true = effects.reindex(judged.index)
        rows.append(
            {
                "outcome": outcome,
                "learner": learner,
                "providers": len(judged),
                "adjusted": judged["adjusted"].astype(float).corr(true),
                "raw": judged["observed"].astype(float).corr(true),
            }
        )
    return pd.DataFrame(rows)
