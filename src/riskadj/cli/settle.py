"""riskadj settle: a contract settled on a finished run, with statements."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from riskadj.payment.settle import Settlement

_MOST_ROWS = 20
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the contract: --set target.discount.share=0.03. Repeatable. "
        "The study is set before: riskadj run STUDY.yaml --set KEY=VALUE.",
    ),
]


def settle(
    contract: Annotated[Path, typer.Argument(help="A YAML file.", metavar="CONTRACT.yaml")],
    run: Annotated[
        Path,
        typer.Argument(
            help="A run folder, or a study, which is run first.", metavar="RUN_DIR|STUDY.yaml"
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="An earlier settlement there is replaced.")
    ],
    set: Set = None,
) -> None:
    """Settle a contract on a run: who is paid what, and a statement for each provider."""
    from riskadj.errors import FileMissingError
    from riskadj.payment.contract import load_contract

    loaded = load_contract(contract, set or [])
    if not run.exists():
        raise FileMissingError(
            f"{run}: wanted the folder of a finished run, or a study to run first; got neither, "
            "as nothing is there. Check the path, or run the study first (riskadj run STUDY.yaml "
            f"--out {run})."
        )
    folder = run if run.is_dir() else _run_first(run)
    from riskadj.report.settlement import settle_run, write_settlement

    settled = settle_run(loaded, folder)
    write_settlement(settled, out)
    _show(settled, out)


def _run_first(path: Path) -> Path:
    from riskadj.cli.progress import show_run, stage_progress
    from riskadj.study import load_study

    study = load_study(path)
    with stage_progress(study.title) as on_stage:
        from riskadj.pipeline import run_study

        finished = run_study(study, None, on_stage)
    show_run(finished)
    return finished.folder


def _show(settled: "Settlement", out: Path) -> None:
    """Show who gets what, what holds, and what is not confirmed."""
    from rich.console import Console

    from riskadj.payment.words import for_people

    console = Console()
    console.print(_table(settled))
    totals = settled.totals
    if len(totals) > _MOST_ROWS:
        console.print(f"{len(totals)} providers, {_MOST_ROWS} shown; all in settlement.csv")
    for one in settled.checks:
        told = f"{'holds' if one.holds else 'FAILS'}  {one.name}: {for_people(one.got)}"
        console.print(told, markup=False)
    for told in settled.told:
        console.print(told, markup=False, highlight=False)
    if settled.unconfirmed:
        rules = "; ".join(rule for rule, _ in settled.unconfirmed)
        console.print(f"not confirmed in its source: {rules}", markup=False, highlight=False)
    console.print(f"statements {out / 'statements.html'}", soft_wrap=True, highlight=False)


def _table(settled: "Settlement") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    from riskadj.payment.money import from_minor
    from riskadj.payment.words import for_people

    code = settled.currency.code
    table = Table(title=escape(settled.contract.title))
    for name in ("provider", "status"):
        table.add_column(name, overflow="fold", max_width=24)
    for name in ("episodes", "target", f"total {code}"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in _shown(settled.totals).itertuples():
        counts = str(one.episodes).replace("<NA>", "")
        money = (for_people(str(cell)) for cell in (counts, one.target, one.total))
        table.add_row(*(escape(str(cell)) for cell in (one.provider_id, one.status, *money)))
    table.add_section()
    table.add_row("all", "", "", "", for_people(from_minor(settled.pool, settled.currency)))
    return table


def _shown(totals: "pd.DataFrame") -> "pd.DataFrame":
    """Return all rows, or of many those with the most and the least."""
    ordered = totals.sort_values("total_minor", ascending=False, kind="stable")
    if len(ordered) <= _MOST_ROWS:
        return ordered
    half = _MOST_ROWS // 2
    return ordered.iloc[[*range(half), *range(len(ordered) - half, len(ordered))]]
