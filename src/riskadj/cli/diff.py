"""riskadj diff: what is different between two runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from riskadj.audit import Diff

_NUMBERS = ("a", "b", "difference")
_MOST_ROWS = 20
_LABELS = {
    "digest_a": "digest a", "digest_b": "digest b", "rows_a": "rows a", "rows_b": "rows b",
    "remaining_a": "a", "remaining_b": "b", "provider_id": "provider",
}  # fmt: skip


def diff(
    a: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN_A")],
    b: Annotated[Path, typer.Argument(help="Another.", metavar="RUN_B")],
    settlement: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A B", help="Settlements of the two; else those beside them."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md|FILE.json", help="All of it; a file there is replaced."),
    ] = None,
) -> None:
    """Say what is different between two runs: data, study, code, models, flags and money.

    Example: riskadj diff runs/2017 runs/2018 --out changes.md
    """
    from rich.console import Console

    from riskadj.audit import diff_runs
    from riskadj.audit.told import TITLES, flags_in_words, money_in_words, write_diff

    found = diff_runs(a, b, settlement)
    if out is not None:
        write_diff(found, out)
    console = Console()
    console.print(f"a: {found.a}, b: {found.b}\n", highlight=False, markup=False)
    for name, table in found.tables.items():
        if len(table) and name != "counts":
            _SHOW.get(name, _print)(console, TITLES[name], table, found)
    told = [] if found.flags.empty else flags_in_words(found)
    told += [found.answer, found.not_compared, found.warning]
    told += [] if found.money is None else [money_in_words(found)]
    for line in filter(None, told):
        console.print(line, highlight=False, markup=False)
    if out is not None:
        console.print(f"all of it {out}", soft_wrap=True, highlight=False, markup=False)


def _settings(console: "Console", title: str, _table: "pd.DataFrame", found: "Diff") -> None:
    from rich.markup import escape
    from rich.table import Table

    from riskadj.audit.told import settings_in_words

    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(overflow="fold", max_width=30)
    rows.add_column(overflow="fold")
    for key, words in settings_in_words(found):
        rows.add_row(escape(key), escape(words))
    console.print(title, style="italic", highlight=False)
    console.print(rows)
    console.print()


def _models(console: "Console", title: str, _table: "pd.DataFrame", found: "Diff") -> None:
    from riskadj.audit.told import MODEL, NO_INTERVAL, models_in_words

    for (outcome, learner, n), rows in models_in_words(found).groupby(MODEL, sort=False):
        behind = f", {n} episodes" if n else ""
        _print(console, f"{title}: {outcome}, {learner}{behind}", rows.drop(columns=MODEL), found)
    console.print(NO_INTERVAL, highlight=False)
    console.print()


_SHOW = {"study": _settings, "models": _models}


def _print(console: "Console", title: str, table: "pd.DataFrame", _found: "Diff") -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from riskadj.audit.told import shown

    rows = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in table.columns:
        right = table[name].dtype.kind in "if" or (title.startswith("Models") and name in _NUMBERS)
        rows.add_column(
            _LABELS.get(str(name), str(name)), justify="right" if right else "left", overflow="fold"
        )
    for cells in table.head(_MOST_ROWS).itertuples(index=False):
        rows.add_row(*(escape(shown(one)) for one in cells))
    console.print(rows)
    if len(table) > _MOST_ROWS:
        console.print(f"{len(table)} rows, {_MOST_ROWS} shown; all with --out", highlight=False)
