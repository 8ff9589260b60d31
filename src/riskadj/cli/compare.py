"""riskadj compare: runs against the first of them, with paired intervals."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from riskadj.experiment import Comparison


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders; one alone: its learners.", metavar="RUN..."),
    ],
    seed: Annotated[int, typer.Option(help="Of the bootstrap of providers.")] = 1,
    replicates: Annotated[int, typer.Option(min=100, help="Of the same.")] = 1000,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md|FILE.json", help="All of it; a file there is replaced."),
    ] = None,
) -> None:
    """Hold runs against the first: fit, calibration, order, flags and money, with intervals.

    Only episodes and providers that both runs have count; rows that only one run has are named.
    Settlements beside the runs are found.

    Example: riskadj compare runs/linear runs/boosted --out compared.md
    """
    from rich.console import Console

    from riskadj.experiment.compare import compare_runs, write_comparison

    found = compare_runs(runs, seed=seed, replicates=replicates)
    if out is not None:
        write_comparison(found, out)
    console = Console()
    _print(console, found)
    if out is not None:
        console.print(f"all of it {out}", soft_wrap=True, highlight=False, markup=False)


def _print(console: "Console", found: "Comparison") -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from riskadj.experiment.compare import READING, SHOWN, moved
    from riskadj.experiment.figures import FIGURES

    for title, names in SHOWN.items():
        told = f"{title}, against {found.baseline.name}"
        table = Table(title=told, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("run", overflow="fold", max_width=20)
        for one in names:
            table.add_column(FIGURES[one].title, justify="right", overflow="fold")
        for run, key, *said in found.cells(names):
            cells = [one.replace(" (", "\n(") for one in said]
            table.add_row(escape(f"{run} {key}"), *cells)
        console.print(table)
    for row in found.rows:
        console.print(f"{row['run']} {row['row']}: {moved(row)}", highlight=False, markup=False)
    for line in (*found.money_told(), *found.notes(), *found.left_out, READING):
        console.print(line, highlight=False, markup=False)
    console.print(found.answer, highlight=False, markup=False)
