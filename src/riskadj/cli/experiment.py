"""riskadj experiment: a question, its grid, and what comes of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from riskadj.experiment import Finished


def experiment(
    folder: Annotated[Path, typer.Argument(help="With experiment.yaml.", metavar="EXPERIMENT_DIR")],
    jobs: Annotated[int, typer.Option(min=1, help="Processes; results do not hang on it.")] = 1,
    again: Annotated[
        bool, typer.Option("--again", help="Work out anew what is kept, too.")
    ] = False,
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where cells are kept; else runs/experiments/NAME."),
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="Instead of the experiment's; off: none.")
    ] = None,
    show: Annotated[
        bool,
        typer.Option("--list", help="Only print the commands that make each cell a run folder."),
    ] = False,
) -> None:
    """Run every cell of an experiment's grid; a second call does only what is missing.

    A cell keeps figures, not a run folder. For explain, audit, report and
    compare, --list prints the commands that make a run folder of each.

    Example: riskadj experiment experiments/04_linear_or_boosting --jobs 2
    """
    if show:
        from riskadj.experiment.commands import commands_of

        for line in commands_of(folder, work):
            typer.echo(line)
        return
    from riskadj.experiment import load_experiment, run_experiment

    question = load_experiment(folder).question
    with _progress(question) as on_cell:
        finished = run_experiment(
            folder, jobs=jobs, again=again, work=work, uri=tracking_uri, on_cell=on_cell
        )
    _show(finished)


@contextmanager
def _progress(question: str) -> Iterator[Callable[[str, int, int, float | None], None]]:
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True)
    console.print(f"[bold]{escape(question)}[/bold]", highlight=False)
    with console.status("reading"):

        def on_cell(label: str, done: int, of: int, seconds: float | None) -> None:
            spent = "    kept" if seconds is None else f"{seconds:6.1f} s"
            console.print(
                f"  {done:>3}/{of:<3} {label[:52]:<52} {spent}", highlight=False, markup=False
            )

        yield on_cell


def _show(finished: "Finished") -> None:
    from rich.console import Console

    from riskadj.experiment.results import FIGURE, RESULTS

    console = Console()
    _print_table(console, finished)
    console.print(
        f"{finished.worked_out} cells worked out, {finished.kept} kept in {finished.work}; as run "
        f"folders: riskadj experiment {finished.folder} --list",
        highlight=False, soft_wrap=True, markup=False,
    )  # fmt: skip
    for name in (RESULTS, FIGURE):
        console.print(f"{finished.folder / name}", highlight=False, soft_wrap=True)
    if finished.logged:
        console.print(f"MLflow run {finished.logged}", highlight=False)


def _print_table(console: "Console", finished: "Finished") -> None:
    """Show what the table shows, a block for each figure: many cells and figures fit no line."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from riskadj.experiment.figures import FIGURES, told
    from riskadj.experiment.results import decimals_shown, rows_of

    results = finished.results
    asked, decimals = results["figures"], decimals_shown(results)
    for start in range(0, len(asked), 2):
        names = asked[start : start + 2]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("cell", overflow="fold", max_width=24)
        table.add_column("of", overflow="fold", max_width=14)
        for one in names:
            table.add_column(FIGURES[one].title, justify="right", overflow="fold")
        for cell, outcome, learner, figures in rows_of(results):
            said = (told(figures, one, decimals[outcome, one]) for one in names)
            cells = [one.replace(" (", "\n(") for one in said]
            table.add_row(escape(cell), f"{outcome} {learner}", *cells)
        console.print(table)
