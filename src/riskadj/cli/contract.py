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

    from riskadj.trial.writing import NO_CLAIM

    console = Console()
    console.width = min(console.width, _WIDTH)
    console.print(_table(trial))
    for line in (*_meanings(trial), *_drifted(trial), NO_CLAIM):
        console.print(line, markup=False, highlight=False)
    for name in ("operating.csv", "figures/paid_right.svg", "figures/share_by_volume.svg"):
        console.print(out / name, soft_wrap=True, highlight=False, markup=False)


def _table(trial: "Trial") -> "Table":
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    title = f"Money misallocated against known truth, {trial.scenario.name}, per cent"
    table = Table(title=escape(title), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("contract", "learner"):
        table.add_column(name, overflow="fold")
    for name in ("off", "95 %", "follows", "wrong", "gate"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fair from", justify="right")
    for one in trial.found.table.to_dict("records"):
        wrong = one["bonus_for_penalty"] + one["penalty_for_bonus"]
        gate = one["failed_though_fine"] + one["passed_though_failing"]
        low, high = (one[f"misallocated_share_{side}95"] for side in ("lower", "upper"))
        table.add_row(
            escape(one["contract"]), escape(one["learner"]),
            _percent(one["misallocated_share"]),
            "" if low != low else f"{_percent(low)} to {_percent(high)}",
            _percent(one["follows_truth"]), _percent(wrong), _percent(gate),
            _short(one["fair_from"]),
        )  # fmt: skip
    return table


def _percent(share: float) -> str:
    return "" if share != share else f"{100 * share:.0f}"


def _short(words: str) -> str:
    """Return the beginning of what is said of a fair volume; operating.csv has it whole."""
    return words.partition(" within")[0].partition(":")[0].partition(" (")[0]


def _meanings(trial: "Trial") -> list[str]:
    found, rules = trial.found.table, trial.settings
    first = found.iloc[0]
    years, worlds = int(first["provider_years"]), int(first["worlds"])
    told = [
        f"{worlds} world{'s' * (worlds > 1)}, {years:,} provider-years. off: half the sum of "
        "|paid - right|, of the money moved. follows: share of what payments differ by that is "
        f"true. wrong: paid where repaying is right, or the other way round, beyond "
        f"{rules.tolerance:g} of the target. gate: passed or failed wrongly, where worse by more "
        f"than {rules.margin:g} SD truly fails. fair from: episodes of a provider from which on "
        f"{100 * rules.target_share:g} % follows."
    ]
    rest = {one.name: len(one.contract.unconfirmed()) for one in trial.variants}
    told += [
        f"{name}: {number} of its rules not confirmed in their source"
        for name, number in rest.items() if number
    ]  # fmt: skip
    return [*told, *trial.told]


def _drifted(trial: "Trial") -> list[str]:
    from riskadj.trial.drift import found_in

    table = found_in(trial.drift)
    whole, rest = table.iloc[0], table.iloc[1:]
    if not whole["worlds"]:
        return []
    seen = rest[rest["found"] > 0].sort_values("found", ascending=False, kind="stable")
    named = ", ".join(f"{one.measure} ({one.found})" for one in seen.itertuples())
    return [
        f"Case mix: in {whole['found']} of {whole['worlds']} worlds providers change more "
        f"differently from period to period than by chance{f': {named}' if named else ''}."
    ]
