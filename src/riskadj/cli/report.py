"""riskadj report: a finished run as one page that opens offline."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN_DIR")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A file there is replaced.")],
    settlement: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What riskadj settle wrote of this run."),
    ] = None,
) -> None:
    """Write the page of a run: riskadj report runs/demo --out page.html."""
    from riskadj.report.page.build import write_page

    typer.echo(write_page(folder, out, settlement).told())
