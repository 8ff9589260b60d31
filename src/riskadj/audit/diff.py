"""What is different between two runs: inputs, study, software, models, flags and money."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.audit.figures import TOLERANCE
from riskadj.audit.keys import changed_keys, gathered
from riskadj.audit.money import MONEY_COLUMNS, Money, money_between
from riskadj.audit.runs import KEYS, Opened, open_run
from riskadj.report.differencing import told_by_both

NOT_SHOWN = "not shown"
"""A provider that a run does not have, or hides: which of the two is not told."""
SMALL = "*"
"""A number of people that differs by fewer than may be told."""
_SHOWN = 12

DATA_COLUMNS = ["file", "digest_a", "digest_b", "rows_a", "rows_b"]
FLOW_COLUMNS = ["outcome", "station", "reason", "remaining_a", "remaining_b"]
STUDY_COLUMNS = ["key", "a", "b"]
SOFTWARE_COLUMNS = ["software", "a", "b"]
MODEL_COLUMNS = [
    "outcome", "learner", "metric", "a", "b", "difference",
    "a_lower95", "a_upper95", "b_lower95", "b_upper95", "a_n", "b_n",
]  # fmt: skip
FLAG_COLUMNS = [*KEYS, "a", "b"]
BOUNDS = ("_lower95", "_upper95")
_NO_BOUNDS = (None,) * 4
TOGETHER_COLUMNS = ["table", "row", "count", "why"]
COUNT_COLUMNS = ["outcome", "learner", "a", "b", "providers"]


@dataclass(frozen=True)
class Diff:
    """What is different between run A and run B; each table has only what differs.

    Attributes
    ----------
    a, b : Path
    same_run : bool
        Whether both have one digest, so that nothing but times can differ.
    data : DataFrame
        `file, digest_a, digest_b, rows_a, rows_b`.
    only_a, only_b : tuple of str
        Outcomes that only one of the two studies has: nothing of them is compared.
    flow : DataFrame
        `outcome, station, reason, remaining_a, remaining_b`: who was left after each exclusion;
        `*` in place of the second number where it differs by fewer than either study shows.
    study : DataFrame
        `key, a, b`; empty where a study does not have the key. A record that only one has is one
        row, whether the other has nothing there or `null`.
    software : DataFrame
        `software, a, b`: code, Python and packages.
    models : DataFrame
        `outcome, learner, metric, a, b, difference`, the 95 % interval of each where it has one,
        and the episodes behind each; `fitted` where only one run has a learner. Differences of no
        more than 1e-9, of a figure's size or of 1, are none.
    flags : DataFrame
        `outcome, learner, provider_id, a, b`: providers whose flag is another. `not shown` where
        a run does not have a provider or hides it; one that neither shows has no row, and
        neither have those of a learner that only one run has.
    counts : DataFrame
        `outcome, learner, a, b, providers`: how many providers went from which flag to which.
    money : Money or None
        None where not both runs have a settlement.
    together : DataFrame
        `table, row, count, why`: numbers of patients that follow for few from both runs together,
        as from `told_by_both`, without saying which numbers.
    """

    a: Path
    b: Path
    same_run: bool
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    data: pd.DataFrame
    flow: pd.DataFrame
    study: pd.DataFrame
    software: pd.DataFrame
    models: pd.DataFrame
    flags: pd.DataFrame
    counts: pd.DataFrame
    money: Money | None
    together: pd.DataFrame

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name, `money` among them."""
        names = ("data", "flow", "study", "software", "models", "counts", "flags")
        money = pd.DataFrame(columns=MONEY_COLUMNS) if self.money is None else self.money.providers
        tables = {one: getattr(self, one) for one in names}
        return {**tables, "money": money, "together": self.together}

    @property
    def answer(self) -> str:
        """What differs, in one sentence."""
        if self.same_run:
            return "Both are the same run: study, data, code and every stage are alike."
        told = [
            f"{len(table)} {_NOUNS[name][len(table) != 1]}"
            for name, table in self.tables.items()
            if name in _NOUNS and len(table)
        ]
        return f"Different: {', '.join(told)}." if told else "Nothing that is compared differs."

    @property
    def warning(self) -> str:
        """What must not be missed before both leave; empty where there is nothing."""
        if self.together.empty:
            return ""
        return (
            f"Together these runs tell of few patients ({len(self.together)} numbers: see "
            "`together`). Do not publish both as they are."
        )

    @property
    def not_compared(self) -> str:
        """What is not in both runs, in one sentence; empty where everything is compared."""
        one_sided = ((self.only_a, self.a), (self.only_b, self.b))
        told = [f"{', '.join(names)} (only in {run})" for names, run in one_sided if names]
        if self.money is None:
            told.append("money (not both have a settlement of one contract)")
        return "" if self.same_run or not told else f"Not compared: {'; '.join(told)}."


_NOUNS = {
    "data": ("data file", "data files"),
    "study": ("setting", "settings"),
    "software": ("version", "versions"),
    "models": ("figure of models", "figures of models"),
    "flags": ("flag", "flags"),
    "money": ("amount", "amounts"),
}


def diff_runs(
    a: str | Path,
    b: str | Path,
    settlements: tuple[str | Path, str | Path] | None = None,
) -> Diff:
    """Say what is different between two runs.

    Only tables that have passed disclosure control are read. A provider that a run hides is
    treated as one that it does not have, so that nothing tells the two apart, and no number of
    such a provider is subtracted from another.

    Parameters
    ----------
    a, b : str or Path
        Run folders.
    settlements : tuple of two str or Path, optional
        A settlement of each. Without it, those beside the run folders that were made from them
        are taken, where there is one contract of which both have one.

    Returns
    -------
    Diff

    Raises
    ------
    FileMissingError, FileFormatError
        When a folder is none of a finished run or settlement, or was changed.
    ValuesError
        When settlements are in different currencies.

    Examples
    --------
    >>> diff_runs("runs/before", "runs/after").answer  # doctest: +SKIP
    'Different: 1 setting, 8 figures of models, 3 flags.'
    """
    first, second = open_run(a), open_run(b)
    flags = _flags(first, second)
    only_a, only_b = _one_sided(first, second), _one_sided(second, first)
    return Diff(
        a=first.folder,
        b=second.folder,
        same_run=first.run == second.run,
        only_a=only_a,
        only_b=only_b,
        data=_data(first, second),
        flow=_flow(first, second),
        study=_study(first, second),
        software=_software(first, second),
        models=pd.DataFrame(_models(first, second), columns=MODEL_COLUMNS),
        flags=flags[flags["a"] != flags["b"]].reset_index(drop=True),
        counts=_counts(flags),
        money=money_between(first, second, settlements),
        together=told_by_both(first.folder, second.folder)[TOGETHER_COLUMNS],
    )


def _one_sided(run: Opened, other: Opened) -> tuple[str, ...]:
    """Return the outcomes that one run has and the other does not."""
    return tuple(one for one in run.outcomes if one not in other.outcomes)


def _data(a: Opened, b: Opened) -> pd.DataFrame:
    """Return data whose digests differ: files by name, several of one name by their order."""
    sides = [_numbered(one.provenance["data"]) for one in (a, b)]
    rows = []
    for name in sides[0] | sides[1]:
        old, new = (one.get(name, {}) for one in sides)
        if old.get("digest") != new.get("digest"):
            digests = [one.get("digest", "")[:_SHOWN] for one in (old, new)]
            counts = _close(old.get("rows"), new.get("rows"), _below(a, b))
            rows.append((name, *digests, *counts))
    return pd.DataFrame(rows, columns=DATA_COLUMNS)


def _numbered(data: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in data:
        name, number = one["name"], 2
        while name in found:
            name, number = f"{one['name']} ({number})", number + 1
        found[name] = one
    return found


def _below(a: Opened, b: Opened) -> int:
    return max(a.suppress_below, b.suppress_below)


def _close(old: Any, new: Any, below: int) -> tuple[str, str]:
    """Return two numbers of people; the second hidden where few make the difference."""
    told = tuple("" if one is None else f"{int(one)}" for one in (old, new))
    if "" not in told and 0 < abs(int(old) - int(new)) < below:
        return told[0], SMALL
    return told[0], told[1]


def _flow(a: Opened, b: Opened) -> pd.DataFrame:
    """Return the stations after which other numbers are left."""
    old, new = (_remaining(one) for one in (a, b))
    rows = [
        (*names, *_close(old.get(names), new.get(names), _below(a, b)))
        for names in old | new
        if old.get(names) != new.get(names) and names[0] in _shared(a, b)
    ]
    return pd.DataFrame(rows, columns=FLOW_COLUMNS)


def _shared(a: Opened, b: Opened) -> set[str]:
    return {*a.outcomes} & {*b.outcomes}


def _remaining(run: Opened) -> dict[tuple[str, str, str], int]:
    flow = run.flow[pd.to_numeric(run.flow["remaining"], errors="coerce").notna()]
    names = zip(flow["outcome"], flow["station"], flow["reason"], strict=True)
    return dict(zip(names, flow["remaining"].astype(int), strict=True))


def _study(a: Opened, b: Opened) -> pd.DataFrame:
    changes = gathered(changed_keys(a.study, b.study), a.study, b.study)
    rows = [(one.key, one.old or "", one.new or "") for one in changes]
    return pd.DataFrame(rows, columns=STUDY_COLUMNS)


def _software(a: Opened, b: Opened) -> pd.DataFrame:
    old, new = _versions(a), _versions(b)
    rows = [
        (name, old.get(name, ""), new.get(name, ""))
        for name in old | new
        if old.get(name) != new.get(name)
    ]
    return pd.DataFrame(rows, columns=SOFTWARE_COLUMNS)


def _versions(run: Opened) -> dict[str, str]:
    code, environment = run.provenance["code"], run.provenance["environment"]
    return {
        "riskadj": f"{code['version']} ({code['digest'][:_SHOWN]})",
        "python": environment["python"],
        **environment["packages"],
    }


def _models(a: Opened, b: Opened) -> Iterator[tuple[Any, ...]]:
    """Yield the figures of models that differ; those on hardly other people without a number."""
    old, new = (_figures(one) for one in (a, b))
    one_sided = _fitted(a) ^ _fitted(b)
    for outcome, learner in sorted(one_sided):
        if outcome in _shared(a, b):
            sides = ("yes" if (outcome, learner) in _fitted(one) else "no" for one in (a, b))
            yield (outcome, learner, "fitted", *sides, None, *_NO_BOUNDS, "", "")
    for keys in old | new:
        figures = [_with_bounds(one, keys) for one in (old, new)]
        if keys[:2] in one_sided or keys[-1].endswith(BOUNDS) or _alike(*figures):
            continue
        left, right = (one[0] for one in figures)
        bounds = [one for figure in figures for one in figure[1:]]
        counts = _close(old.get((*keys[:2], "n")), new.get((*keys[:2], "n")), _below(a, b))
        if left is None or right is None:
            yield (*keys, left, right, None, *bounds, *counts)
        elif keys[-1] == "n" and abs(right - left) < _below(a, b):
            yield (*keys, left, SMALL, SMALL, *bounds, *counts)
        else:
            yield (*keys, left, right, right - left, *bounds, *counts)


def _with_bounds(figures: dict[tuple[str, str, str], Any], keys: tuple[str, str, str]) -> list[Any]:
    """Return a figure and its interval, each None where there is none."""
    return [figures.get((*keys[:2], f"{keys[2]}{end}")) for end in ("", *BOUNDS)]


def _alike(left: list[Any], right: list[Any]) -> bool:
    """Whether figures with their intervals are the same, but for what arithmetic leaves."""
    return all(
        one == other
        if one is None or other is None
        else abs(other - one) <= TOLERANCE * max(1.0, abs(one))
        for one, other in zip(left, right, strict=True)
    )


def _fitted(run: Opened) -> set[tuple[str, str]]:
    return {(outcome, one) for outcome, learners in run.metrics.items() for one in learners}


def _figures(run: Opened) -> dict[tuple[str, str, str], Any]:
    return {
        (outcome, learner, name): value
        for outcome, learners in run.metrics.items()
        for learner, figures in learners.items()
        for name, value in figures.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _flags(a: Opened, b: Opened) -> pd.DataFrame:
    """Return every flag that either run shows of what both have fitted, from A to B."""
    shared = pd.MultiIndex.from_tuples(sorted(_fitted(a) & _fitted(b)), names=KEYS[:2])
    old, new = (_of(one.providers[[*KEYS, "flag"]], shared) for one in (a, b))
    both = old.merge(new, on=KEYS, how="outer", suffixes=("_a", "_b"))
    flags = both[["flag_a", "flag_b"]].fillna(NOT_SHOWN)
    return both[KEYS].assign(a=flags["flag_a"], b=flags["flag_b"])[FLAG_COLUMNS]


def _of(table: pd.DataFrame, pairs: pd.MultiIndex) -> pd.DataFrame:
    return table[pd.MultiIndex.from_frame(table[KEYS[:2]]).isin(pairs)]


def _counts(flags: pd.DataFrame) -> pd.DataFrame:
    return flags.groupby(COUNT_COLUMNS[:4], sort=True).size().reset_index(name="providers")
