"""riskadj ui: MLflow's own pages, on the experiment of a study."""

import re
from pathlib import Path
from typing import Annotated

import typer

_STUDIES = (".yaml", ".yml", ".json")
_URI = re.compile(r"[a-z][a-z0-9+]+:/")
_WANTED = "wanted a study or a run folder, whose store to open"


def ui(
    source: Annotated[
        str | None,
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


def _tracking(source: str | None) -> tuple[str, str]:
    """Return where a study or a run is logged."""
    from riskadj.errors import FileFormatError
    from riskadj.report.folder import check_there, read_json, read_provenance
    from riskadj.study import load_study
    from riskadj.study.report import Tracking

    if source is None:
        return Tracking().uri, Tracking().experiment
    if _URI.match(source):
        raise typer.BadParameter(f"{_WANTED}; got a URI. Say it with --tracking-uri.")
    place = Path(source)
    check_there(place, _WANTED)
    if place.is_dir():
        read_provenance(place, ("study.json",))
        kept = read_json(place / "study.json")["tracking"]
        return kept["uri"], kept["experiment"]
    if place.suffix not in _STUDIES:
        raise FileFormatError(f"{place}: {_WANTED}; got another file. Give one of the two.")
    study = load_study(place)
    return study.tracking.uri, study.tracking.experiment


def _until_interrupted() -> None:
    from contextlib import suppress
    from threading import Event

    with suppress(KeyboardInterrupt):
        Event().wait()
