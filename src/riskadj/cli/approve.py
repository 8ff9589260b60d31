"""riskadj approve: a person approves the models of a run, on its card."""

from pathlib import Path
from typing import Annotated

import typer


def approve(
    run: Annotated[Path, typer.Argument(help="A run folder that was logged.", metavar="RUN_DIR")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who approves.")],
    card: Annotated[Path, typer.Option(metavar="CARD", help="The run's card.json.")],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Registers models that the study gives no name."),
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="Instead of the study's tracking.uri.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead of the study's tracking.experiment.")
    ] = None,
) -> None:
    """Give a run's registered models the alias approved: who, when and on which card is kept.

    A card with fields that are still TODO is refused: riskadj card check lists
    them. Models are registered by tracking.registered_model, or --model here.

    Example: riskadj approve runs/hip --by "A. Person" --card runs/hip/card.json
    """
    from riskadj.tracking.registry import approve_run

    done = approve_run(run, by, card, uri=tracking_uri, experiment=experiment, name=model)
    for one in done.versions:
        typer.echo(f"approved {one}, models:/{one.partition(' ')[0]}@approved in MLflow")
    typer.echo(f"by {done.by} at {done.at} on card {done.card}")
