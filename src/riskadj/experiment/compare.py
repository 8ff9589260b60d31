"""Finished runs held against the first of them: fit, calibration, ranks, flags and money."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from riskadj.audit.money import Money, money_between
from riskadj.audit.runs import Opened, open_run
from riskadj.errors import ColumnError, ValuesError
from riskadj.experiment.drawn import drawn_sums
from riskadj.experiment.figures import FIGURES, decimals_by, told
from riskadj.experiment.keep import write_together
from riskadj.experiment.paired import Side, pair
from riskadj.experiment.results import matching, sides
from riskadj.payment.money import Currency, from_minor
from riskadj.report.folder import json_text, read_provenance
from riskadj.report.reading import as_a_run_writes_it, check_table
from riskadj.study.load import build
from riskadj.study.study import Study

EPISODES = "expectations.parquet"
_KEYS = ["outcome", "learner", "episode_id", "provider_id", "observed_score", "expected_score"]
SHOWN: dict[str, tuple[str, ...]] = {
    "Fit and calibration": ("episodes", "r2_difference", "mae_difference", "slope_difference"),
    "Order and flags": ("spearman", "kendall", "flags_changed", "sides_changed"),
}
"""Figures by the title of their table."""
READING = (
    "Differences are those of a run less the first: R2 above 0 and MAE below 0 are nearer to what "
    "was observed. Brackets: 95 %, with providers drawn anew, the same in both runs: other "
    "providers like these, with models, limits and prices as they are. Where nothing changed, or "
    "under 3 providers are compared, drawing says nothing and there are none. Order, flags and "
    "sides (better, worse or neither) are of the providers that are compared in both."
)


class Paid(NamedTuple):
    """What the settlement of a run pays otherwise than that of the first.

    Attributes
    ----------
    run : str
    money : Money
    gross : str
        The sum of differences, whatever their sign; `money.moved` is half of it.
    moved_ends, gross_ends, net_ends : tuple of str, or None
        95 % intervals over providers like these, by `drawn_sums`.
    """

    run: str
    money: Money
    gross: str
    moved_ends: tuple[str, str] | None
    gross_ends: tuple[str, str] | None
    net_ends: tuple[str, str] | None


@dataclass(frozen=True)
class Comparison:
    """Runs against the first.

    Attributes
    ----------
    baseline : Path
    rows : tuple of dict
        A row per other run and `outcome-learner`: `run`, `row`, `against`, and what `pair` returns.
    money : tuple of Paid
        By other run, where both it and the first have a settlement.
    left_out : tuple of str
        Rows of any run, the first too, that another has nothing to hold against.
    """

    baseline: Path
    rows: tuple[dict[str, Any], ...]
    money: tuple[Paid, ...]
    left_out: tuple[str, ...]

    @property
    def answer(self) -> str:
        """What differs, in one sentence a row."""
        return " ".join(_sentence(one) for one in self.rows)

    def as_json(self) -> dict[str, Any]:
        """Return all of it, JSON-ready."""
        money = [
            {"run": one.run, "currency": one.money.currency, "compared": one.money.compared,
             "left_out": one.money.left_out,
             "moved": one.money.moved, **_ends("moved", one.moved_ends),
             "sum_of_differences": one.gross, **_ends("sum_of_differences", one.gross_ends),
             "net": one.money.net, **_ends("net", one.net_ends)}
            for one in self.money
        ]  # fmt: skip
        return {
            "baseline": self.baseline.name,
            "rows": list(self.rows),
            "money": money,
            "left_out": list(self.left_out),
        }

    def as_markdown(self) -> str:
        """Return all of it as Markdown, but for which providers changed flag."""
        parts = [f"# Against {self.baseline.name}\n", f"{self.answer}\n"]
        for title, names in SHOWN.items():
            heads = ["run", "of", *(FIGURES[one].title for one in names)]
            lines = [heads, ["---"] * len(heads), *self.cells(names)]
            parts.append(f"## {title}\n\n" + "".join(f"| {' | '.join(x)} |\n" for x in lines))
        moves = [f"- {one['run']}, {one['row']}: {moved(one)}\n" for one in self.rows]
        parts.append("## Flags\n\n" + "".join(moves))
        if self.money:
            parts.append("## Money\n\n" + "".join(f"- {one}\n" for one in self.money_told()))
        notes = [READING, *self.notes(), *self.left_out]
        parts.append("## Notes\n\n" + "".join(f"- {one}\n" for one in notes))
        return "\n".join(parts)

    def cells(self, names: Sequence[str]) -> Iterator[list[str]]:
        """Yield run, row and some figures of each row; a column of an outcome is told alike."""
        outcomes = [one["row"].rpartition("-")[0] for one in self.rows]
        decimals = decimals_by(zip(outcomes, self.rows, strict=True), names)
        for outcome, row in zip(outcomes, self.rows, strict=True):
            said = (shown(row, name, decimals[outcome, name]) for name in names)
            yield [row["run"], row["row"], *said]

    def money_told(self) -> Iterator[str]:
        """Yield a sentence for each pair of settlements."""
        for one in self.money:
            money, currency = one.money, one.money.currency
            yield (
                f"{one.run}: {money.moved} {currency} change hands{_brackets(one.moved_ends)} "
                f"between {money.compared} providers, half the sum of differences of "
                f"{one.gross}{_brackets(one.gross_ends)}; {money.net} more in "
                f"all{_brackets(one.net_ends)}."
            )

    def notes(self) -> Iterator[str]:
        """Yield why a figure is missing."""
        for one in self.rows:
            yield from (f"{one['run']}, {one['row']}: {note}." for note in one["notes"])


def shown(row: Mapping[str, Any], name: str, decimals: int | None = None) -> str:
    """Return a figure of a row in words; of flags how many of how many."""
    said = told(row, name, decimals) or "-"
    if name not in ("flags_changed", "sides_changed"):
        return said
    count, *ends = said.split(" ", 1)
    return " ".join([f"{count} of {row['flags_compared']}", *ends])


def _ends(name: str, ends: tuple[str, str] | None) -> dict[str, str | None]:
    lower, upper = ends or (None, None)
    return {f"{name}_lower95": lower, f"{name}_upper95": upper}


def _brackets(ends: tuple[str, str] | None) -> str:
    return "" if ends is None else f" ({ends[0]} to {ends[1]})"


def moved(row: dict[str, Any]) -> str:
    """Return which flags became which."""
    if not row["moves"]:
        return f"none of {row['flags_compared']} changed"
    said = (f"{one['providers']} from {one['from']} to {one['to']}" for one in row["moves"])
    return "; ".join(said)


def _sentence(row: dict[str, Any]) -> str:
    fit = ""
    if row["r2_difference"] is not None:
        fit = f"R2 {_how_far(row)} that of {row['against']}; "
    return (
        f"{row['run']}, {row['row']}: {fit}{row['flags_changed']} of {row['flags_compared']} "
        "flags are others."
    )


def _how_far(row: Mapping[str, Any]) -> str:
    low, high = row["r2_difference_lower95"], row["r2_difference_upper95"]
    if row["r2_difference"] == 0:
        return "the same as"
    if low <= 0 <= high:
        return "cannot be told from"
    return "above" if low > 0 else "below"


def compare_runs(
    runs: Sequence[str | Path], *, seed: int = 1, replicates: int = 1000
) -> Comparison:
    """Hold finished runs against the first of them, on the episodes that both have.

    Parameters
    ----------
    runs : sequence of str or Path
        Run folders, two or more; or one with several learners, which are then held against the
        study's first.
    seed : int
        Of the bootstrap of providers.
    replicates : int
        Of the same.

    Returns
    -------
    Comparison

    Raises
    ------
    FileMissingError, FileFormatError
        When a folder is none of a finished run, or was changed.
    ValuesError
        When there is nothing to compare.

    Examples
    --------
    >>> compare_runs(["runs/linear", "runs/boosted"]).answer  # doctest: +SKIP
    'boosted, ohs-lightgbm: R2 above that of ohs-linear; 18 of 217 flags are others.'
    """
    opened = [_open(Path(one)) for one in runs]
    if not opened:
        raise ValuesError("wanted run folders to compare; got none. Give two, or one.")
    if len(opened) == 1:
        rows, left = _within(opened[0], seed, replicates)
    else:
        rows, left = _between(opened, _names([one[0].folder for one in opened]), seed, replicates)
    if not rows:
        raise ValuesError(
            f"wanted outcomes and learners that go together; got {', '.join(left) or 'one only'}. "
            "Compare runs with the same outcomes, or a run with several learners."
        )
    money = tuple(_money(opened, seed, replicates))
    return Comparison(opened[0][0].folder, tuple(rows), money, tuple(left))


def _open(folder: Path) -> tuple[Opened, dict[str, Side]]:
    with as_a_run_writes_it(folder):
        return _opened(folder)


def _opened(folder: Path) -> tuple[Opened, dict[str, Side]]:
    run = open_run(folder)
    read_provenance(folder, (EPISODES,))
    study = build(Study, run.study, str(folder / "study.json"))
    better = {one.name: one.better for one in study.outcomes}
    try:
        episodes = pd.read_parquet(folder / EPISODES, columns=_KEYS)
    except (KeyError, ValueError, OSError) as error:
        raise ColumnError(
            f"{folder / EPISODES}: wanted {', '.join(_KEYS)}; got {error}. Run the study again."
        ) from None
    check_table(episodes, folder / EPISODES, _KEYS, ("observed_score", "expected_score"))
    if episodes.duplicated(_KEYS[:3]).any():
        raise ValuesError(
            f"{folder / EPISODES}: wanted each episode once for an outcome and a learner; got one "
            "twice. Run the study again."
        )
    table = run.providers.assign(adjusted=pd.to_numeric(run.providers["adjusted"]))
    rules = study.profile
    return run, sides(episodes, table, better, rules.labels, rules.levels)


def _names(folders: Sequence[Path]) -> list[str]:
    """Return what runs are called: their folders' names, or paths where two are alike."""
    names = [one.resolve().name for one in folders]
    return names if len({*names}) == len(names) else [str(one) for one in folders]


def _within(
    one: tuple[Opened, dict[str, Side]], seed: int, replicates: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Hold the learners of a run against the first of each outcome."""
    run, rows = one
    first: dict[str, str] = {}
    found: list[dict[str, Any]] = []
    name = run.folder.resolve().name
    for key, side in rows.items():
        before = first.setdefault(key.rpartition("-")[0], key)
        if before != key:
            head = {"run": name, "row": key, "against": before}
            found.append(head | pair(rows[before], side, seed, replicates))
    against = {one["against"] for one in found}
    alone = [one for one in first.values() if found and one not in against]
    return found, [f"{name}, {one}: no other learner to hold against it" for one in alone]


def _between(
    opened: Sequence[tuple[Opened, dict[str, Side]]], names: Sequence[str], seed: int,
    replicates: int,
) -> tuple[list[dict[str, Any]], list[str]]:  # fmt: skip
    before, found, left = opened[0][1], [], []
    for name, (_, after) in zip(names[1:], opened[1:], strict=True):
        matched = set()
        for key, side in after.items():
            match = matching(key, before, after)
            if match is None:
                left.append(f"{name}, {key}: {names[0]} has nothing to hold it against")
                continue
            matched.add(match)
            head = {"run": name, "row": key, "against": match}
            found.append(head | pair(before[match], side, seed, replicates))
        alone = (one for one in before if one not in matched)
        left += [f"{names[0]}, {one}: {name} has nothing to hold against it" for one in alone]
    return found, left


def _money(
    opened: Sequence[tuple[Opened, dict[str, Side]]], seed: int, replicates: int
) -> Iterator[Paid]:
    names = _names([one[0].folder for one in opened])
    for name, (run, _) in zip(names[1:], opened[1:], strict=True):
        found = money_between(opened[0][0], run, None)
        if found is not None:
            yield _paid(name, found, seed, replicates)


def _paid(run: str, money: Money, seed: int, replicates: int) -> Paid:
    """Return what is paid otherwise with intervals; who is paid alike adds 0, and is drawn too."""
    currency = Currency(money.currency, len(money.net.partition(".")[2]))
    each = np.zeros(money.compared, dtype=np.int64)
    each[: len(money.providers)] = [
        int(one.replace(".", "")) for one in money.providers["difference"]
    ]
    gross, net = drawn_sums(np.column_stack([np.abs(each), each]), seed, replicates)
    half = gross and ((gross[0] + 1) // 2, (gross[1] + 1) // 2)
    ends = (
        one and (from_minor(one[0], currency), from_minor(one[1], currency))
        for one in (half, gross, net)
    )
    return Paid(run, money, from_minor(int(np.abs(each).sum()), currency), *ends)


def write_comparison(found: Comparison, out: str | Path) -> None:
    """Write a comparison as Markdown or JSON, by the ending of the file's name.

    Raises
    ------
    ValuesError
        When it has another ending.
    OutputError
    """
    path = Path(out)
    makers: dict[str, Callable[[], str]] = {
        ".md": found.as_markdown,
        ".json": lambda: json_text(found.as_json()),
    }
    if path.suffix not in makers:
        raise ValuesError(f"--out: wanted a file .md or .json; got {path.name!r}.")
    write_together(path.parent, {path.name: makers[path.suffix]()})
