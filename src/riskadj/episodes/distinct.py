"""Working on the distinct values of a column, of which codes have few."""

from collections.abc import Callable

import pandas as pd


def map_distinct(
    column: pd.Series, function: Callable[[pd.Series], pd.Series | pd.DataFrame]
) -> pd.Series | pd.DataFrame:
    """Return what a function of single values gives, asking it once per distinct value.

    Parameters
    ----------
    column : Series of shape (n,)
    function : callable
        Takes a Series and returns a Series or DataFrame with a row for each of its values.

    Examples
    --------
    >>> map_distinct(pd.Series(["b", "a", "b"]), lambda values: values.str.upper()).tolist()
    ['B', 'A', 'B']
    """
    codes, distinct = pd.factorize(column, use_na_sentinel=False)
    mapped = function(pd.Series(distinct, dtype=column.dtype))
    return mapped.take(codes).set_axis(column.index)
