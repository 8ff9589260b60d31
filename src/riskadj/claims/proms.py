"""Questionnaires beside claims: each goes to the nearest episode of its patient."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from riskadj.digest import digest_of_file
from riskadj.episodes import Column, Source, to_declared
from riskadj.episodes.files import read_text_table
from riskadj.episodes.pieces import read_parquet_table
from riskadj.episodes.validation import Fault, ValuesFault
from riskadj.errors import ColumnError, did_you_mean

_KEY = ["patient_id", "index_date"]


def read_proms(
    path: Path, declared: Mapping[str, Column], made: Collection[str]
) -> tuple[pd.DataFrame, Source]:
    """Read a file of questionnaires, a row per patient and index date.

    Parameters
    ----------
    path : Path
        .parquet or .csv.
    declared : mapping of str to Column
        The columns that are read.
    made : collection of str
        Columns that come from claims, and are not read here.

    Raises
    ------
    FileMissingError, FileFormatError, ColumnError
    ValuesFault
        With cells that cannot be read, and rows without or with the same key.
    """
    is_parquet = path.suffix.lower() == ".parquet"
    raw = read_parquet_table(path) if is_parquet else read_text_table(path)
    for name in _KEY:
        if name not in raw.columns:
            raise ColumnError(
                f"{path}: wanted the column {name!r}; there is none."
                f"{did_you_mean(name, raw.columns, 0.75)} Rename it in the file."
            )
    wanted = {name: column for name, column in declared.items() if name in _KEY or name not in made}
    table, faults = to_declared(raw, wanted)
    without = table[_KEY].isna().any(axis=1)
    twice = table.duplicated(_KEY, keep=False) & ~without
    faults += _fault("index_date", "a patient_id and an index_date", without)
    faults += _fault("index_date", "each patient and index_date once", twice)
    if faults:
        raise ValuesFault(str(path), faults)
    return table, Source(path.name, digest_of_file(path), len(table))


def join_proms(
    episodes: pd.DataFrame, proms: pd.DataFrame, within_days: int, path: Path
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Put questionnaires beside the episodes that they are of.

    A row belongs to its patient's nearest episode, the earlier of two as near; an episode takes
    the nearest of its rows, again the earlier.

    Parameters
    ----------
    episodes : DataFrame of shape (n_episodes, n_columns)
    proms : DataFrame of shape (n_rows, n_columns)
        With `patient_id` and `index_date`.
    within_days : int
        How far the two index dates may be apart.
    path : Path
        Of the questionnaires, for the message.

    Returns
    -------
    table : DataFrame
        The episodes, in their order, with null where there is no questionnaire.
    left_out : dict of str to int
        Rows without an episode, by reason.

    Raises
    ------
    ColumnError
        When both tables hold a column.

    Examples
    --------
    >>> day = pd.to_datetime(["2020-01-10", "2020-06-01"])
    >>> episodes = pd.DataFrame({"patient_id": ["a", "a"], "index_date": day})
    >>> proms = pd.DataFrame({
    ...     "patient_id": ["a", "a"], "index_date": day - pd.Timedelta(3, "D"), "bmi": [31.0, 30.0],
    ... })
    >>> table, left_out = join_proms(episodes, proms, 7, Path("proms.csv"))
    >>> table["bmi"].tolist(), left_out
    ([31.0, 30.0], {})
    """
    new = [name for name in proms.columns if name not in _KEY]
    both = [name for name in new if name in episodes.columns]
    if both:
        raise ColumnError(
            f"{path}: wanted columns that the patients do not have; got {both[0]!r}. Keep it in "
            "one of the files."
        )
    left = proms[_KEY].assign(row=range(len(proms)))
    right = episodes[_KEY].assign(episode=range(len(episodes)))
    pairs = left.merge(right, on="patient_id", suffixes=("", "_episode"))
    pairs["apart"] = (pairs["index_date"] - pairs["index_date_episode"]).abs().dt.days
    pairs = pairs[pairs["apart"] <= within_days]
    nearest = pairs.sort_values(["row", "apart", "index_date_episode"]).drop_duplicates("row")
    taken = nearest.sort_values(["episode", "apart", "index_date"]).drop_duplicates("episode")
    rows = pd.Series(-1, index=range(len(episodes)))
    rows[taken["episode"]] = taken["row"].to_numpy()
    beside = proms[new].reindex(rows.where(rows >= 0).to_numpy()).set_axis(episodes.index)
    counts = {
        f"questionnaires: no episode within {within_days} days": len(proms) - len(nearest),
        "questionnaires: another is nearer to the episode": len(nearest) - len(taken),
    }
    table = pd.concat([episodes, beside], axis=1)
    return table, {reason: count for reason, count in counts.items() if count}


def _fault(name: str, rule: str, wrong: pd.Series) -> list[Fault]:
    rows = [int(row) + 1 for row in wrong.index[wrong.to_numpy()][:5]]
    shown = tuple((row, "(not shown)") for row in rows)
    return [Fault(name, rule, int(wrong.sum()), shown)] if rows else []
