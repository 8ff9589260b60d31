"""riskadj export: a finished run as the file that a portal takes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """Whose file it is."""

    skde = "skde"


def export(
    folder: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN_DIR")],
    format: Annotated[
        Format, typer.Option(help="skde: Norway's national portal for quality registries.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A file there is replaced.")],
    organisations: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV: provider_id,orgnr; before the study's numbers."),
    ] = None,
    year: Annotated[
        int | None, typer.Option(metavar="YEAR", help="Instead of the study's export.skde.year.")
    ] = None,
) -> None:
    """Write a finished run as a portal's import file, refused as the portal would."""
    from riskadj.report.portal.export import EXPORTS

    for line in EXPORTS[format.value](folder, out, organisations, year).told():
        typer.echo(line)
