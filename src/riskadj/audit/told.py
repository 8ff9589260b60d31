"""A difference between two runs as Markdown and as JSON."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from riskadj.audit.diff import Diff
from riskadj.errors import OutputError
from riskadj.report.folder import json_text, write_text

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "data": "Data",
        "flow": "Who is left after each exclusion",
        "study": "Study",
        "software": "Code and packages",
        "models": "Models",
        "counts": "Flags, counted",
        "flags": "Flags that differ",
        "money": "Money",
    }
)
NOTHING = "No difference."
NO_MONEY = "Not both runs have a settlement of one contract beside them, and none was given."


def as_json(diff: Diff) -> dict[str, Any]:
    """Return it for machines: `a`, `b`, `answer`, a list of rows for each table, and `moved`."""
    money = diff.money
    return {
        "a": str(diff.a),
        "b": str(diff.b),
        "same_run": diff.same_run,
        "answer": diff.answer,
        **{name: _records(table) for name, table in diff.tables.items()},
        "settlements": None if money is None else {
            "a": str(money.a),
            "b": str(money.b),
            "currency": money.currency,
            "compared": money.compared,
            "left_out": money.left_out,
            "moved": money.moved,
            "net": money.net,
        },
    }  # fmt: skip


def write_diff(diff: Diff, path: str | Path) -> None:
    """Write it as Markdown or JSON, as the file's name says.

    Raises
    ------
    OutputError
        When the name says neither, or the file cannot be written.
    """
    path = Path(path)
    kinds = {".md": as_markdown, ".json": lambda one: json_text(as_json(one))}
    if path.suffix not in kinds:
        raise OutputError(
            f"--out {path}: wanted a file with suffix {' or '.join(kinds)}; got "
            f"{path.suffix or 'none'!r}. Choose one of them."
        )
    try:
        write_text(kinds[path.suffix](diff), path)
    except OSError as error:
        raise OutputError(
            f"--out {path}: wanted to write what differs; got {error.strerror!r}. "
            "Choose another place."
        ) from None


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    whole = table.astype(object).where(table.notna(), None)
    return [{str(key): one for key, one in row.items()} for row in whole.to_dict("records")]


def as_markdown(diff: Diff) -> str:
    """Return it as Markdown, a section for each table.

    Examples
    --------
    >>> as_markdown(diff_runs("runs/before", "runs/after"))[:21]  # doctest: +SKIP
    '# before beside after'
    """
    parts = [f"# {_cell(diff.a.name)} beside {_cell(diff.b.name)}", _cell(diff.answer)]
    for name, table in diff.tables.items():
        parts += [f"## {TITLES[name]}", _table(table) if len(table) else NOTHING]
        parts += [*_about(diff, name)]
    return "\n\n".join(parts) + "\n"


def _about(diff: Diff, name: str) -> Iterator[str]:
    if name == "money":
        yield NO_MONEY if diff.money is None else money_in_words(diff)


def money_in_words(diff: Diff) -> str:
    """Return what is moved between providers, and of whom nothing is said."""
    money = diff.money
    if money is None:
        return NO_MONEY
    beside = f" {money.left_out} left out, not settled on shown results in both." * bool(
        money.left_out
    )
    return (
        f"{money.moved} {money.currency} moved (half the sum of differences), net {money.net}, "
        f"{money.compared} providers compared.{beside}"
    )


def _table(table: pd.DataFrame) -> str:
    head = "| " + " | ".join(map(str, table.columns)) + " |"
    rule = "|" + " --- |" * table.shape[1]
    rows = [
        "| " + " | ".join(_cell(shown(one)) for one in row) + " |"
        for row in table.itertuples(index=False)
    ]
    return "\n".join([head, rule, *rows])


def shown(value: Any) -> str:
    """Return a cell as it is shown: numbers to six digits, what is missing as nothing.

    Examples
    --------
    >>> shown(0.123456789), shown(12), shown(None), shown("a")
    ('0.123457', '12', '', 'a')
    """
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    for sign in ("\\", "|", "`", "*", "_", "<", "[", "#"):
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return " ".join(text.split())
