"""A difference between two runs in words, as Markdown and as JSON."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from riskadj.audit.diff import Diff
from riskadj.audit.keys import IN_STUDY
from riskadj.errors import OutputError
from riskadj.report.folder import json_text, write_text
from riskadj.report.words import format_number

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
        "together": "Told of few by both together",
    }
)
NOTHING = "No difference."
NO_INTERVAL = "Differences have no interval here: riskadj compare holds the same episodes together."
_FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "n": "episodes", "r2": "R2", "mae": "mean absolute error", "cpm": "deviation explained",
        "rmse": "root mean square error", "ici": "distance from calibration",
        "drift": "recalibrated by", "bias": "mean observed less expected",
        "total_ratio": "observed over expected",
        "r2_before_recalibration": "R2 before recalibration", "c_statistic": "C statistic",
    }
)  # fmt: skip
MODEL = ["outcome", "learner", "n"]
"""What the figures of one model have in common."""
_LONGEST = 160
_WORDS = {"": "not there", "null": "not set", IN_STUDY: "a block of settings"}
NO_MONEY = "Not both runs have a settlement of one contract beside them, and none was given."


def as_json(diff: Diff) -> dict[str, Any]:
    """Return it for machines: `a`, `b`, `answer`, a list of rows for each table, and `moved`."""
    money = diff.money
    return {
        "a": str(diff.a),
        "b": str(diff.b),
        "same_run": diff.same_run,
        "answer": diff.answer,
        "not_compared": diff.not_compared,
        "only_a": list(diff.only_a),
        "only_b": list(diff.only_b),
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
    kinds: dict[str, Callable[[Diff], str]] = {
        ".md": as_markdown,
        ".json": lambda one: json_text(as_json(one)),
    }
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
    parts += [_cell(one) for one in (diff.not_compared, diff.warning) if one]
    for name, table in diff.tables.items():
        parts += [f"## {TITLES[name]}"]
        parts += [*_section(diff, name, table)]
    return "\n\n".join(parts) + "\n"


def _section(diff: Diff, name: str, table: pd.DataFrame) -> Iterator[str]:
    if name == "money" and diff.money is None:
        yield NO_MONEY
    elif table.empty:
        yield NOTHING
    elif name == "study":
        yield "\n".join(f"- {_cell(key)}: {_cell(told)}" for key, told in settings_in_words(diff))
    else:
        yield _table(models_in_words(diff) if name == "models" else table)
    if name == "money" and diff.money is not None:
        yield money_in_words(diff)
    if name == "models" and len(table):
        yield NO_INTERVAL


def settings_in_words(diff: Diff) -> list[tuple[str, str]]:
    """Return each setting that differs, and how: what of a list came and went, or both values."""
    return [(one.key, _change(diff, one.a, one.b)) for one in diff.study.itertuples()]


def _change(diff: Diff, old: str, new: str) -> str:
    if IN_STUDY in (old, new) and "" in (old, new):
        return f"only in {(diff.a if old else diff.b).name}"
    before, after = _items(old), _items(new)
    if before is None or after is None:
        return f"{_value(old)} \N{RIGHTWARDS ARROW} {_value(new)}"
    gone, come = ([one for one in these if one not in those]
                  for these, those in ((before, after), (after, before)))  # fmt: skip
    told = [
        f"{word} {', '.join(some)}" for word, some in (("without", gone), ("with", come)) if some
    ]
    return "; ".join(told) or f"in another order: {', '.join(after)}"


def _items(text: str) -> list[str] | None:
    """Return the items of a list of plain values as text, or None where it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, list) or any(isinstance(one, (dict, list)) for one in value):
        return None
    return [str(one) for one in value]


def _value(text: str) -> str:
    told = _WORDS.get(text, text)
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}\N{HORIZONTAL ELLIPSIS}"


def models_in_words(diff: Diff) -> pd.DataFrame:
    """Return figures of models with what they are called, their intervals, and the episodes."""
    rows = [
        {
            "outcome": one.outcome,
            "learner": one.learner,
            "figure": _FIGURES.get(one.metric, one.metric.replace("_", " ")),
            "a": _with_interval(one.a, one.a_lower95, one.a_upper95),
            "b": _with_interval(one.b, one.b_lower95, one.b_upper95),
            "difference": _number(one.difference),
            "n": _number(one.a_n) if one.a_n == one.b_n else f"{one.a_n or 0}, {one.b_n or 0}",
        }
        for one in diff.models.itertuples()
    ]
    return pd.DataFrame(rows)


def _with_interval(value: Any, lower: Any, upper: Any) -> str:
    bounds = [_number(one) for one in (lower, upper)]
    return f"{_number(value)} ({' to '.join(bounds)})" if all(bounds) else _number(value)


def _number(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, str):
        return format_number(int(value)) if value.isdigit() else value
    return format_number(value)


def flags_in_words(diff: Diff) -> list[str]:
    """Return of each outcome and learner how many providers have another flag."""
    groups = diff.counts.groupby(["outcome", "learner"], sort=True)
    return [
        f"{outcome}, {learner}: {int(rows.loc[rows['a'] != rows['b'], 'providers'].sum())} of "
        f"{int(rows['providers'].sum())} providers have another flag."
        for (outcome, learner), rows in groups
    ]


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
