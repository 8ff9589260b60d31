"""riskadj windows: where providers differ in cost, and what a longer window adds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskadj.cli.run import Set, Study

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from riskadj.profile.windows import WindowVariation


def windows(
    study: Study,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="An earlier comparison there is replaced.")
    ],
    outcome: Annotated[
        str | None, typer.Option(metavar="NAME", help="A cost; the study's first unless given.")
    ] = None,
    replicates: Annotated[int, typer.Option(min=100, help="Of the bootstrap of providers.")] = 1000,
    set: Set = None,
) -> None:
    """Compare providers on cost by component and by window, and what a longer window adds."""
    from riskadj.cli.progress import stage_progress
    from riskadj.study import load_study

    loaded = load_study(study, set or [])
    with stage_progress(loaded.title) as on_stage:
        from riskadj.pipeline import windows_of_study

        found = windows_of_study(loaded, out, outcome, replicates, on_stage)
    _show(found, out)


def _show(found: "WindowVariation", out: Path) -> None:
    """Show the answer, the two tables that it rests on, and where the rest is."""
    from rich.console import Console

    from riskadj.report.windows import answer, by_component, by_window

    console = Console()
    cost = found.costs.outcome
    _print(
        console,
        f"Adjusted cost by window, {cost.currency}, {found.providers} providers",
        by_window(found),
    )
    shares = by_component(found, bounds=False)
    _print(console, "Share of the variance, %, by window", shares)
    console.print(answer(found), highlight=False, markup=False)
    console.print(f"figure {out / 'windows.svg'}", soft_wrap=True, highlight=False)


def _print(console: "Console", title: str, rows: "pd.DataFrame") -> None:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in rows.columns:
        table.add_column(name, justify="left" if name == "component" else "right", no_wrap=True)
    for cells in rows.itertuples(index=False):
        table.add_row(*cells)
    console.print(table)
