"""Who teaches and who is asked about, inside the episodes that teach."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupKFold

from riskadj.errors import ArrayError

Rows = NDArray[np.intp]
Fold = tuple[Rows, Rows]
"""Rows that teach, and rows that are asked about."""


def last_period(periods: ArrayLike) -> tuple[Fold, ...]:
    """Return the one fold in which the last period is asked about, and earlier ones teach.

    Parameters
    ----------
    periods : array-like of shape (n_episodes,)
        Their order as text is that of time.

    Raises
    ------
    ArrayError
        When there is only one.

    Examples
    --------
    >>> last_period(["2021", "2022", "2021"])
    ((array([0, 2]), array([1])),)
    """
    labels = np.asarray(periods).astype(str)
    known = np.unique(labels)
    if len(known) < 2:
        raise ArrayError(f"periods: wanted 2 or more to tune over time; got {len(known)}.")
    last = labels == known[-1]
    return ((np.flatnonzero(~last), np.flatnonzero(last)),)


def grouped_folds(groups: ArrayLike, folds: int, seed: int) -> tuple[Fold, ...]:
    """Return folds that keep groups whole.

    Parameters
    ----------
    groups : array-like of shape (n_episodes,)
        Providers or patients; folds depend on their order of appearance, not on their names.
    folds : int
    seed : int

    Raises
    ------
    ArrayError
        When there are fewer groups than folds, or fewer than 2 folds.
    """
    codes, names = pd.factorize(np.asarray(groups))
    if not 2 <= folds <= len(names):
        raise ArrayError(f"folds: wanted from 2 to {len(names)}, the groups; got {folds}.")
    splitter = GroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    return tuple(splitter.split(codes[:, None], groups=codes))


def check_folds(folds: Sequence[Fold]) -> None:
    """Refuse folds that ask about nobody, or about rows that taught.

    Raises
    ------
    ArrayError
    """
    sound = [
        len(teach) and len(asked) and not np.intersect1d(teach, asked).size
        for teach, asked in folds
    ]
    if not sound or not all(sound):
        raise ArrayError(
            "folds: wanted one or more, with rows that teach and other rows that are asked about; "
            "got none, or one that lacks some or asks about rows that taught it."
        )
