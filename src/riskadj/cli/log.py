"""riskadj log: log a finished run to MLflow, now or again."""

from pathlib import Path
from typing import Annotated

import typer


def log(
    folder: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN_DIR")],
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="Instead of the study's tracking.uri.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead of the study's tracking.experiment.")
    ] = None,
) -> None:
    """Log a finished run to MLflow; each time adds a run.

    A database that is not there is made, and a line on stderr says where.
    """
    from riskadj.tracking import log_run

    logged = log_run(folder, tracking_uri, experiment)
    if logged.new_store is not None:
        typer.echo(f"a new store was made: {logged.new_store}", err=True)
    for run_id in logged.failed:
        typer.echo(f"marked as failed, for it was never ended: run {run_id}", err=True)
    typer.echo(f"logged as run {logged.run_id} in experiment {logged.experiment} at {logged.uri}")
