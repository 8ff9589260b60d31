"""riskadj simulate: a world with known truth, as a file of episodes or a folder of claims."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Collection(StrEnum):
    """How a world is collected."""

    redcap = "redcap"
    fhir = "fhir"


def simulate(
    scenario: Annotated[Path, typer.Argument(help="A YAML file.", metavar="SCENARIO.yaml")],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Episodes: .parquet, .csv or .csv.gz; the truth beside it. Of a scenario with "
            "claims or a programme, any other name is a folder: claims, patients, questionnaires "
            "and a study, or episodes; what the programme counts; the truth.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; the value is YAML."),
    ] = None,
    collected_as: Annotated[
        Collection | None,
        typer.Option(
            "--as",
            help="A hip world as a REDCap export (.csv) or a FHIR bundle (.json), or their .gz, "
            "that the mappings redcap_hip and fhir_hip read.",
        ),
    ] = None,
) -> None:
    """Make a world with known truth and write its episodes, or its claims."""
    from riskadj.simulate import load_scenario, simulate_world, write_world

    world = simulate_world(load_scenario(scenario, overrides or ()))
    written: tuple[Path, ...]
    if collected_as:
        from riskadj.simulate.collections import write_collection

        written = write_collection(world, out, collected_as.value)
    else:
        written = write_world(world, out)
    for path in written:
        typer.echo(path)
