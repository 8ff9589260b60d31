"""riskadj card: what a person has still to write into a card, and a card put on a shelf."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from riskadj.report.card.published import Unwritten

cards = typer.Typer(
    name="card",
    help="Check that a card is written, and publish it.",
    no_args_is_help=True,
)
_OF_STUDIES = (".yaml", ".yml")


@cards.command()
def check(
    subject: Annotated[
        Path,
        typer.Argument(
            help="A run folder, a card.json or the folder of one, or a study.",
            metavar="RUN|CARD|STUDY.yaml",
        ),
    ],
) -> None:
    """List what a person has still to write; exit code 60 where there is anything.

    The texts are in the study's card: block. Whether they are true, only a person can tell; whether
    the figures are, riskadj audit can.

    Example: riskadj card check runs/demo
    """
    from riskadj.errors import UnwrittenError

    found = _unwritten(subject)
    if not found.fields:
        typer.echo(f"{found.told()}.")
        return
    _show(found)
    raise typer.Exit(UnwrittenError.exit_code)


@cards.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN_DIR")],
    to: Annotated[
        Path, typer.Option(metavar="DIR", help="The shelf: the card goes to DIR/STUDY/VERSION.")
    ] = Path("model_cards"),
) -> None:
    """Copy the card of a run and its figures to a shelf; an earlier one of that version goes.

    What a person has still to write is counted, not refused: see riskadj card check.

    Example: riskadj card publish runs/demo --to model_cards
    """
    from riskadj.report.card.published import publish_card

    left_to_write = len(_unwritten(folder).fields)
    place = publish_card(folder, to)
    typer.echo(f"published {place}")
    if left_to_write:
        left = f"{left_to_write} of its texts are still to be written"
        typer.echo(f"{left}; riskadj card check {place} lists them")


def _unwritten(subject: Path) -> "Unwritten":
    from riskadj.report.card.published import read_card, unwritten_of_card, unwritten_of_study
    from riskadj.study import load_study

    if subject.suffix.lower() in _OF_STUDIES:
        return unwritten_of_study(load_study(subject))
    return unwritten_of_card(read_card(subject))


def _show(found: "Unwritten") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from riskadj.report.card.person import ASKED

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("card:", "in the card", "what to write"):
        table.add_column(column, overflow="fold")
    for one in found.fields:
        table.add_row(one, ASKED[one].label, ASKED[one].about)
    console = Console()
    console.print(table)
    told = f"{found.told()}. Write them under card: in the study, and run it again."
    console.print(told, highlight=False, markup=False)
