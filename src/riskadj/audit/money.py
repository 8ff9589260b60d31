"""What two settlements pay otherwise, provider by provider; nothing of those whose results hide."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.audit.runs import Opened
from riskadj.errors import FileFormatError, ValuesError
from riskadj.payment.money import Currency, from_minor
from riskadj.payment.status import SETTLED
from riskadj.report.folder import MARK, read_csv, read_json, read_provenance
from riskadj.report.reading import as_a_run_writes_it

SUMMARY = "settlement.json"
MONEY_COLUMNS = ["provider_id", "a", "b", "difference"]
_READ = ("settlement.csv", SUMMARY)


@dataclass(frozen=True)
class Money:
    """What two settlements pay otherwise.

    Attributes
    ----------
    a, b : Path
    currency : str
    providers : DataFrame
        `provider_id, a, b, difference`: amounts as text, of providers that both settle on their
        results and that are paid otherwise; the largest difference first.
    compared : int
        How many providers both settle on their results.
    left_out : int
        How many are in either and not in both, or whose results are hidden in either.
    moved : str
        Half the sum of differences, whatever their sign: what would have to change hands.
    net : str
        The sum of differences of those compared, with its sign.
    """

    a: Path
    b: Path
    currency: str
    providers: pd.DataFrame
    compared: int
    left_out: int
    moved: str
    net: str


def money_between(
    a: Opened, b: Opened, settlements: tuple[str | Path, str | Path] | None
) -> Money | None:
    """Return what settlements of two runs pay otherwise, or None where there are not two.

    Raises
    ------
    FileMissingError, FileFormatError
        When a folder that was given is no settlement of its run, or was changed.
    ValuesError
        When there are several pairs, or two currencies.
    """
    pair = _beside(a, b) if settlements is None else (Path(settlements[0]), Path(settlements[1]))
    if pair is None:
        return None
    with as_a_run_writes_it(pair[0]):
        summaries = [_summary(one, run) for one, run in zip(pair, (a, b), strict=True)]
        first, second = (Currency(one["currency"], one["minor_digits"]) for one in summaries)
    if first != second:
        raise ValuesError(
            f"--settlement: wanted two in one currency; got {first.code} and {second.code}. "
            "Settle both in one."
        )
    with as_a_run_writes_it(pair[0]):
        totals = [_settled(folder, run) for folder, run in zip(pair, (a, b), strict=True)]
    everybody = set().union(*(all_of for _, all_of in totals))
    return _between(pair, first, totals[0][0], totals[1][0], len(everybody))


def _summary(folder: Path, run: Opened) -> dict[str, Any]:
    provenance = read_provenance(folder, ())
    if "settlement" not in provenance:
        raise FileFormatError(
            f"{folder}: wanted the folder of a settlement; got that of something else, as {MARK} "
            "says. Give the folder that riskadj settle wrote."
        )
    read_provenance(folder, _READ)
    summary = read_json(folder / SUMMARY)
    if summary["run"] != run.run:
        raise FileFormatError(
            f"{folder}: wanted a settlement of {run.folder}; got that of another run. "
            "Settle the contract on this run, or give its settlement."
        )
    return summary


def _settled(folder: Path, run: Opened) -> tuple["pd.Series[int]", set[str]]:
    """Return what providers are paid on their results, and everybody who is in the settlement."""
    totals = read_csv(folder / "settlement.csv", dtype=str, keep_default_na=False)
    known = totals["status"].eq(SETTLED) & totals["provider_id"].isin(run.providers["provider_id"])
    paid = totals[known].set_index("provider_id")["total_minor"].astype("int64")
    return paid, {*totals["provider_id"]}


def _between(
    pair: tuple[Path, Path],
    currency: Currency,
    a: "pd.Series[int]",
    b: "pd.Series[int]",
    everybody: int,
) -> Money:
    both = pd.DataFrame({"a": a, "b": b}).dropna().astype("int64")
    both["difference"] = both["b"] - both["a"]
    apart = both[both["difference"] != 0]
    order = apart["difference"].abs().sort_values(ascending=False, kind="stable").index
    rows = apart.loc[order].map(lambda one: from_minor(int(one), currency))
    gross = int(both["difference"].abs().sum())
    return Money(
        *pair,
        currency=currency.code,
        providers=rows.rename_axis("provider_id").reset_index()[MONEY_COLUMNS],
        compared=len(both),
        left_out=everybody - len(both),
        moved=from_minor((gross + 1) // 2, currency),
        net=from_minor(int(both["difference"].sum()), currency),
    )


def _beside(a: Opened, b: Opened) -> tuple[Path, Path] | None:
    """Return the settlements of the one contract that was settled on both runs, if any was."""
    old, new = (dict(_near(one)) for one in (a, b))
    shared = sorted(old.keys() & new.keys())
    if len(shared) > 1:
        raise ValuesError(
            f"wanted one contract that is settled on both runs; got {', '.join(shared)}. "
            "Say which with --settlement A B."
        )
    return (old[shared[0]], new[shared[0]]) if shared else None


def _near(run: Opened) -> Iterator[tuple[str, Path]]:
    for path in sorted(run.folder.resolve().parent.glob(f"*/{SUMMARY}")):
        summary = read_json(path)
        if summary.get("run") == run.run and summary.get("contract"):
            yield summary["contract"]["name"], path.parent
