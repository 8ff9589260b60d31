"""riskadj columns: what the episode table may hold."""

from typing import Annotated

import typer


def columns(
    pattern: Annotated[
        str, typer.Argument(help="Only names that match, such as 'comorb_*'.", metavar="PATTERN")
    ] = "*",
) -> None:
    """List the columns of the episode table: meaning, codes or range and unit, when known, role.

    Into a pipe or a file: a line for each column, with tabs between.
    """
    from riskadj.cli.progress import show_columns

    show_columns(pattern)
