"""Finished runs held against the first of them: fit, calibration, ranks, flags and money."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.audit.money import Money, money_between
from riskadj.audit.runs import Opened, open_run
from riskadj.errors import ColumnError, ValuesError
from riskadj.experiment.figures import FIGURES, told
from riskadj.experiment.keep import write_together
from riskadj.experiment.paired import Side, pair
from riskadj.experiment.results import matching, sides
from riskadj.report.folder import json_text, read_provenance
from riskadj.study.records import Study

EPISODES = "expectations.parquet"
_KEYS = ["outcome", "learner", "episode_id", "provider_id", "observed_score", "expected_score"]
SHOWN: dict[str, tuple[str, ...]] = {
    "Fit and calibration": ("episodes", "r2_difference", "mae_difference", "slope_difference"),
    "Order and flags": ("spearman", "kendall", "flags_changed"),
}
"""Figures by the title of their table."""
READING = (
    "Differences are those of a run less the first: R2 above 0 and MAE below 0 are nearer to what "
    "was observed. Brackets: 95 %, with providers drawn anew. Order and flags are of the providers "
    "that are compared in both."
)


@dataclass(frozen=True)
class Comparison:
    """Runs against the first.

    Attributes
    ----------
    baseline : Path
    rows : tuple of dict
        A row per other run and `outcome-learner`: `run`, `row`, `against`, and what `pair` returns.
    money : tuple of (str, Money)
        By other run, where both it and the first have a settlement.
    left_out : tuple of str
        Rows of runs that have nothing to be held against.
    """

    baseline: Path
    rows: tuple[dict[str, Any], ...]
    money: tuple[tuple[str, Money], ...]
    left_out: tuple[str, ...]

    @property
    def answer(self) -> str:
        """What differs, in one sentence a row."""
        return " ".join(_sentence(one) for one in self.rows)

    def as_json(self) -> dict[str, Any]:
        """Return all of it, JSON-ready."""
        money = [
            {"run": run, "currency": one.currency, "moved": one.moved, "net": one.net,
             "compared": one.compared, "left_out": one.left_out}
            for run, one in self.money
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
            cells = [[one["run"], one["row"], *(shown(one, name) for name in names)]
                     for one in self.rows]  # fmt: skip
            lines = [heads, ["---"] * len(heads), *cells]
            parts.append(f"## {title}\n\n" + "".join(f"| {' | '.join(x)} |\n" for x in lines))
        moves = [f"- {one['run']}, {one['row']}: {moved(one)}\n" for one in self.rows]
        parts.append("## Flags\n\n" + "".join(moves))
        if self.money:
            parts.append("## Money\n\n" + "".join(f"- {one}\n" for one in self.money_told()))
        notes = [READING, *self.notes(), *self.left_out]
        parts.append("## Notes\n\n" + "".join(f"- {one}\n" for one in notes))
        return "\n".join(parts)

    def money_told(self) -> Iterator[str]:
        """Yield a sentence for each pair of settlements."""
        for run, one in self.money:
            yield (
                f"{run}: {one.moved} {one.currency} change hands between {one.compared} providers "
                f"(half the sum of differences); {one.net} more in all."
            )

    def notes(self) -> Iterator[str]:
        """Yield why a figure is missing."""
        for one in self.rows:
            yield from (f"{one['run']}, {one['row']}: {note}." for note in one["notes"])


def shown(row: dict[str, Any], name: str) -> str:
    """Return a figure of a row in words; of flags how many of how many."""
    if name == "flags_changed":
        return f"{row['flags_changed']} of {row['flags_compared']}"
    return told(row, name) or "-"


def moved(row: dict[str, Any]) -> str:
    """Return which flags became which."""
    if not row["moves"]:
        return f"none of {row['flags_compared']} changed"
    said = (f"{one['providers']} from {one['from']} to {one['to']}" for one in row["moves"])
    return "; ".join(said)


def _sentence(row: dict[str, Any]) -> str:
    fit = ""
    if row["r2_difference"] is not None:
        low, high = row["r2_difference_lower95"], row["r2_difference_upper95"]
        sure = "cannot be told from" if low <= 0 <= high else "above" if low > 0 else "below"
        fit = f"R2 {sure} that of {row['against']}; "
    return (
        f"{row['run']}, {row['row']}: {fit}{row['flags_changed']} of {row['flags_compared']} "
        "flags are others."
    )


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
    return Comparison(opened[0][0].folder, tuple(rows), tuple(_money(opened)), tuple(left))


def _open(folder: Path) -> tuple[Opened, dict[str, Side]]:
    run = open_run(folder)
    read_provenance(folder, (EPISODES,))
    study = Study.model_validate(run.study)
    better = {one.name: one.better for one in study.outcomes}
    try:
        episodes = pd.read_parquet(folder / EPISODES, columns=_KEYS)
    except (KeyError, ValueError) as error:
        raise ColumnError(
            f"{folder / EPISODES}: wanted {', '.join(_KEYS)}; got {error}. Run the study again."
        ) from None
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
    return found, []


def _between(
    opened: Sequence[tuple[Opened, dict[str, Side]]], names: Sequence[str], seed: int,
    replicates: int,
) -> tuple[list[dict[str, Any]], list[str]]:  # fmt: skip
    before, found, left = opened[0][1], [], []
    for name, (_, after) in zip(names[1:], opened[1:], strict=True):
        for key, side in after.items():
            match = matching(key, before, after)
            if match is None:
                left.append(f"{name}, {key}: {names[0]} has nothing to hold it against")
                continue
            head = {"run": name, "row": key, "against": match}
            found.append(head | pair(before[match], side, seed, replicates))
    return found, left


def _money(opened: Sequence[tuple[Opened, dict[str, Side]]]) -> Iterator[tuple[str, Money]]:
    names = _names([one[0].folder for one in opened])
    for name, (run, _) in zip(names[1:], opened[1:], strict=True):
        found = money_between(opened[0][0], run, None)
        if found is not None:
            yield name, found


def write_comparison(found: Comparison, out: str | Path) -> None:
    """Write a comparison as Markdown or JSON, by the ending of the file's name.

    Raises
    ------
    ValuesError
        When it has another ending.
    OutputError
    """
    path = Path(out)
    makers = {".md": found.as_markdown, ".json": lambda: json_text(found.as_json())}
    if path.suffix not in makers:
        raise ValuesError(f"--out: wanted a file .md or .json; got {path.name!r}.")
    write_together(path.parent, {path.name: makers[path.suffix]()})
