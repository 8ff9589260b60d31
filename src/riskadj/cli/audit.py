"""riskadj audit: whether a run, a card or a log holds, in one sentence and an exit code."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from riskadj.audit import JournalAudit, Step

_SIGNS = 16
_SECONDS = len("2026-11-23T09:30:00")
_MARKS = {
    "holds": "[green]holds[/green]",
    "fails": "[red]FAILS[/red]",
    "not done": "[dim]left[/dim]",
}


def audit(
    subject: Annotated[
        Path,
        typer.Argument(
            help="A run folder, a card.json, or a folder of runs, for their log.",
            metavar="RUN|CARD|RUNS",
        ),
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="A data file, or a folder that holds it. Repeatable."),
    ] = None,
    study: Annotated[
        Path | None, typer.Option(metavar="STUDY.yaml", help="The study, where it is not found.")
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option(metavar="HEX", help="Seal or digest of the run that was kept elsewhere."),
    ] = None,
    any_code: Annotated[
        bool, typer.Option("--any-code", help="Go on with other code than the run's.")
    ] = False,
    within: Annotated[
        float | None,
        typer.Option(min=0, metavar="SHARE", help="Compare figures to this, not byte for byte."),
    ] = None,
    rerun: Annotated[
        bool, typer.Option("--rerun/--no-rerun", help="Derive every figure again, or only look.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Check a run or a card: files, study, data, code; then derive every figure again.

    Exit codes: 0 holds, 50 a changed file, 51 other data or study, 52 other
    code, 53 other figures, 54 something is not at hand, 55 a log that was
    changed, or does not know the run.

    A digest that was kept elsewhere is what a folder or log that was rewritten
    as a whole cannot pass. Of a folder of runs the log is shown: who did what
    to which run, and when; each run beside it has to be in it. A card.json is
    looked at alone, the folder of a card with all that is in it.

    Examples: riskadj audit runs/demo --data runs/demo-world; riskadj audit runs
    """
    from rich.console import Console

    from riskadj.audit import audit_journal, audit_run, is_journal

    console = Console(stderr=json)
    if is_journal(subject):
        log = audit_journal(subject, digest)
        _write(log.as_json()) if json else _list(console, log)
        raise typer.Exit(log.exit_code)
    with console.status("looking at files") as status:
        found = audit_run(
            subject,
            data or (),
            study,
            digest=digest,
            any_code=any_code,
            within=within,
            rerun=rerun,
            on_step=lambda step: _show(console, step),
            on_line=lambda line: status.update(f"deriving again: {line.strip()}"),
        )
    if json:
        _write(found.as_json())
    else:
        console.print(found.answer, highlight=False, markup=False)
        if found.seal and not found.faults:
            console.print(f"seal  {found.seal}", highlight=False)
    raise typer.Exit(found.exit_code)


def _show(console: "Console", step: "Step") -> None:
    from rich.markup import escape
    from rich.table import Table

    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=7)
    row.add_column(width=5)
    row.add_column(overflow="fold")
    row.add_row(step.name, _MARKS[step.outcome], escape(step.told))
    console.print(row)


def _list(console: "Console", log: "JournalAudit") -> None:
    """Show every act, and whether the log holds."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("no.", "at (UTC)", "account", "act", "folder", "seal"):
        table.add_column(name, overflow="fold", no_wrap=name not in ("account", "folder"))
    for one in log.journal.entries:
        seal = str(one.digests.get("seal", ""))[:_SIGNS]
        at = one.at[:_SECONDS].replace("T", " ")
        place = "\n".join(filter(None, (one.place, one.told)))
        table.add_row(*map(escape, (str(one.number), at, one.account, one.act, place, seal)))
    console.print(table)
    for fault in log.faults[1:]:
        console.print(str(fault), highlight=False, markup=False)
    console.print(log.answer, highlight=False, markup=False)
    if not log.faults:
        console.print(f"head  {log.journal.head}", highlight=False)


def _write(content: object) -> None:
    from riskadj.report.folder import json_text

    typer.echo(json_text(content), nl=False)
