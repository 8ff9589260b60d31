"""riskadj simulate: a world with known truth, as a file of episodes."""

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    scenario: Annotated[Path, typer.Argument(help="A YAML file.", metavar="SCENARIO.yaml")],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Episodes: .parquet, .csv or .csv.gz; the truth beside it."
        ),
    ],
) -> None:
    """Make a world with known truth and write its episodes."""
    from riskadj.simulate import load_scenario, simulate_world, write_world

    for path in write_world(simulate_world(load_scenario(scenario)), out):
        typer.echo(path)
