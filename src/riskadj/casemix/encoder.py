"""From case mix to a matrix: numbers as they are, text as one column per level."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

LEVEL = "="
"""Between a column and its level in the name of a feature: `sex=female`."""


class CaseMixEncoder(TransformerMixin, BaseEstimator):
    """Turn case mix into a matrix of float64, in which a missing value stays NaN.

    Numeric columns pass as they are. A text column becomes one 0/1 column per level seen when
    fitting, in alphabetical order; a missing text is NaN in all of them, a level never seen is 0
    in all of them.

    Attributes
    ----------
    levels_ : dict of str to list of str
        Levels of each text column.
    features_ : list of str
        Names of the columns of the matrix.
    sources_ : list of str
        The case-mix column that each of them comes from.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only when fitted on a DataFrame.

    Examples
    --------
    >>> import pandas as pd
    >>> casemix = pd.DataFrame({"age_years": [61.0, 70.0], "sex": ["male", "female"]})
    >>> CaseMixEncoder().fit(casemix).transform(casemix)
    array([[61.,  0.,  1.],
           [70.,  1.,  0.]])
    """

    def fit(self, X: Any, y: Any = None) -> "CaseMixEncoder":  # noqa: ARG002
        """Learn the levels of text columns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_episodes, n_columns)
        y : ignored
        """
        frame = self._as_frame(X, reset=True)
        self.levels_ = {
            name: sorted(map(str, frame[name].dropna().unique()))
            for name in frame.columns
            if not pd.api.types.is_numeric_dtype(frame[name])
        }
        named = [
            (f"{name}{LEVEL}{level}", name)
            for name in frame.columns
            for level in self.levels_.get(name, [None])
        ]
        self.features_ = [
            feature if source in self.levels_ else source for feature, source in named
        ]
        self.sources_ = [source for _, source in named]
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the matrix, of shape (n_episodes, n_features)."""
        check_is_fitted(self)
        frame = self._as_frame(X, reset=False)
        blocks = [
            _indicators(frame[name], self.levels_[name])
            if name in self.levels_
            else frame[name].to_numpy(dtype=np.float64)[:, None]
            for name in frame.columns
        ]
        return np.hstack(blocks)

    def get_feature_names_out(
        self,
        input_features: Any = None,  # noqa: ARG002
    ) -> NDArray[np.object_]:
        """Return the names of the matrix's columns."""
        check_is_fitted(self)
        return np.asarray(self.features_, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags

    def _as_frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        numbers = validate_data(
            self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan"
        )
        return pd.DataFrame(numbers, columns=[f"x{one}" for one in range(numbers.shape[1])])


def _indicators(texts: pd.Series, levels: list[str]) -> NDArray[np.float64]:
    known = texts.to_numpy(dtype=object)[:, None] == np.asarray(levels, dtype=object)[None, :]
    return np.where(texts.isna().to_numpy()[:, None], np.nan, known.astype(np.float64))
