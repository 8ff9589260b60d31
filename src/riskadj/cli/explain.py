"""riskadj explain: why a provider, or an episode, is expected to do as it is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from riskadj.report.explained import Said, Shown


def explain(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    provider: Annotated[
        str | None, typer.Option(metavar="ID", help="Of the provider to explain.")
    ] = None,
    episode: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Of the episode to explain; for who may hold the run."),
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="NAME", help="The study's first unless given.")
    ] = None,
    learner: Annotated[
        str | None, typer.Option(metavar="NAME", help="The first that is explained unless given.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="For text, figure and tables; replaces earlier ones."),
    ] = None,
) -> None:
    """Say why a provider or an episode is expected to do as it is, and what would change it.

    From the run folder alone: largest contributions, flag and limits, other analyses, and providers
    of similar case mix.

    Example: riskadj explain runs/demo --provider P008 --learner lightgbm
    """
    if (provider is None) == (episode is None):
        raise typer.BadParameter("wanted --provider ID or --episode ID; got both or neither.")
    from riskadj.report.explained import say, write_explanation
    from riskadj.report.explaining import explain_episode, explain_provider, read_explained

    ran = read_explained(run, episodes=episode is not None)
    answer = (
        explain_provider(ran, str(provider), outcome, learner)
        if episode is None
        else explain_episode(ran, episode, outcome, learner)
    )
    _show(say(answer))
    if out:
        write_explanation(answer, out, run)
        typer.echo(f"explanation {out / 'explanation.md'}")


def _show(said: "Said") -> None:
    from rich.console import Console

    console = Console()
    console.print(said.title, style="bold", highlight=False, markup=False)
    for heading, words in said.paragraphs:
        console.print()
        console.print(heading, style="bold", highlight=False)
        # No line ends between a number and its per cent sign
        whole = words.replace(" %", "\N{NO-BREAK SPACE}%")
        console.print(whole, highlight=False, markup=False)
    for one in said.tables:
        console.print()
        _print(console, one)


def _print(console: "Console", shown: "Shown") -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=escape(shown.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for name, number in zip(shown.header, shown.numbers, strict=True):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for cells in shown.rows:
        table.add_row(*map(escape, cells))
    console.print(table)
    if shown.note:
        console.print(shown.note, highlight=False, markup=False)
