"""riskadj contract: what a contract would do before it is signed, and how one is written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from riskadj.trial import Trial

contracts = typer.Typer(
    name="contract",
    help="Try a contract in worlds whose truth is known; show how one is written.",
    no_args_is_help=True,
)
_WIDTH = 80


@contracts.command(name="test")
def try_out(
    contract: Annotated[
        list[Path], typer.Argument(help="YAML files, compared.", metavar="CONTRACT.yaml...")
    ],
    scenario: Annotated[
        Path, typer.Option(metavar="SCENARIO.yaml", help="The worlds they are tried in.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="An earlier trial there is replaced.")],
    learner: Annotated[
        list[str] | None,
        typer.Option(
            help="Pay on its expectations; several are compared. Default: the contract's."
        ),
    ] = None,
    worlds: Annotated[int, typer.Option(help="Replicate worlds.")] = 6,
    margin: Annotated[
        float,
        typer.Option(
            help="How much worse than the average truly fails a gate, in SD of the true effects."
        ),
    ] = 1.0,
    tolerance: Annotated[
        float, typer.Option(help="Share of the target that is neither bonus nor penalty.")
    ] = 0.001,
    fair: Annotated[
        float, typer.Option(help="Share of the money that follows the truth at a fair volume.")
    ] = 0.8,
    study: Annotated[
        Path | None,
        typer.Option(
            metavar="STUDY.yaml",
            help="Whose outcomes, case mix, split and profile are taken. Default: the world's own.",
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Change a setting of every contract."),
    ] = None,
    set_scenario: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Change a setting of the scenario."),
    ] = None,
) -> None:
    """Settle contracts on estimates and on the truth of simulated worlds, and compare."""
    from riskadj.payment.contract import load_contract
    from riskadj.simulate import load_scenario
    from riskadj.study import load_study
    from riskadj.study.load import build
    from riskadj.trial.run import Settings

    settings = build(
        Settings,
        {"worlds": worlds, "margin": margin, "tolerance": tolerance, "target_share": fair},
        "command line",
    )
    loaded = [load_contract(one, set or []) for one in contract]
    world = load_scenario(scenario, set_scenario or [])
    given = None if study is None else load_study(study)
    with _progress(world.name) as on_world:
        from riskadj.trial import run_trial, write_trial

        tried = run_trial(
            loaded, world, settings, learners=learner or (), study=given, on_world=on_world
        )
        write_trial(tried, out)
    _show(tried, out)


@contracts.command()
def schema() -> None:
    """Print the JSON schema of a contract, for editors that check YAML."""
    import json

    from riskadj.payment.contract import contract_schema

    typer.echo(json.dumps(contract_schema(), indent=2))


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int, float], None]]:
    """Show on stderr how many worlds are settled."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(f"the first world of {name}") as status:

        def on_world(done: int, of: int, seconds: float) -> None:
            status.update(f"{done} of {of} worlds of {name}, {seconds:.0f} s")

        yield on_world


def _show(trial: "Trial", out: Path) -> None:
    """Show the comparison, what it means, what to watch, and where it is."""
    from rich.console import Console

    from riskadj.trial import words
    from riskadj.trial.writing import NO_CLAIM

    console = Console()
    console.width = min(console.width, _WIDTH)
    console.print(_table(trial))
    told = (words.against_best, words.too_few, words.meanings, words.drifted)
    for line in (*(line for one in told for line in one(trial)), NO_CLAIM):
        console.print(line, markup=False, highlight=False)
    for name in _NAMED:
        console.print(out / name, soft_wrap=True, highlight=False, markup=False)


_NAMED = ("operating.csv", "differences.csv", "figures/paid_right.svg",
          "figures/share_by_volume.svg")  # fmt: skip


def _table(trial: "Trial") -> "Table":
    """Return the comparison: every figure with its interval under it."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from riskadj.trial.words import fair_shortly, with_interval

    title = f"Money misallocated against known truth, {trial.scenario.name}, per cent"
    table = Table(title=escape(title), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("contract\nlearner", overflow="fold")
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fair\nfrom", justify="right")
    for one in trial.found.table.to_dict("records"):
        figures = (with_interval(one, name) for name in _COLUMNS.values())
        named = f"{one['contract']}\n{one['learner']}"
        table.add_row(escape(named), *figures, fair_shortly(one))
    return table


_COLUMNS = {
    "off": "misallocated_share",
    "follows": "follows_truth",
    "wrong": "wrongly_paid",
    "of it\ntoo few": "wrongly_paid_too_few",
    "gate": "misjudged",
}
"""What is shown of every contract and learner, with the column of operating.csv."""
