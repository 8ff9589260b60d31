"""riskadj thresholds: which changes count, and who says so."""

from typing import Annotated

import typer


def thresholds(
    pattern: Annotated[
        str,
        typer.Argument(help="Only ids that match, such as 'ODI_*'.", metavar="PATTERN"),
    ] = "*",
) -> None:
    """List the registered thresholds: value, anchor, method, follow-up, source."""
    from riskadj.cli.progress import show_thresholds

    show_thresholds(pattern)
