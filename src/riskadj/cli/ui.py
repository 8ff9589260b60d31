"""riskadj ui: MLflow's own pages, on the experiment of a study."""

from pathlib import Path
from typing import Annotated

import typer


def ui(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Whose store: a study or a run; else the default.", metavar="[STUDY.yaml|RUN_DIR]"
        ),
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="Instead of the study's tracking.uri.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead of the study's tracking.experiment.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open MLflow on the logged runs, this computer only: riskadj ui runs/demo. Ctrl-C stops it."""
    from riskadj.tracking.serve import mlflow_pages

    asked = _tracking(source)
    store, name = tracking_uri or asked[0], experiment or asked[1]
    with mlflow_pages(store, name, port) as address:
        typer.echo(f"experiment {name} at {address}")
        if browser:
            import webbrowser

            webbrowser.open(address)
        if address.startswith("http://127.0.0.1:"):
            typer.echo("Ctrl-C stops it")
            _until_interrupted()
    typer.echo("stopped")


def _tracking(source: Path | None) -> tuple[str, str]:
    """Return where a study or a run is logged."""
    from riskadj.study.records import Tracking

    if source is None:
        return Tracking().uri, Tracking().experiment
    if source.is_dir():
        from riskadj.report.folder import read_json, read_provenance

        read_provenance(source, ("study.json",))
        kept = read_json(source / "study.json")["tracking"]
        return kept["uri"], kept["experiment"]
    from riskadj.study import load_study

    study = load_study(source)
    return study.tracking.uri, study.tracking.experiment


def _until_interrupted() -> None:
    from contextlib import suppress
    from threading import Event

    with suppress(KeyboardInterrupt):
        Event().wait()
