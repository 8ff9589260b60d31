"""A fitted expectation as MLflow runs it: this file is stored with every model that is logged.

MLflow executes the file when it loads the model (models from code), so that nothing is pickled;
the model itself is the JSON and LightGBM text that `save_model` writes.
"""

from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

from riskadj.episodes import ValuesFault, find_faults, to_declared
from riskadj.errors import ValuesError
from riskadj.expected import ExpectationModel, load_model

FOLD = "fold"


class ExpectationPyfunc(PythonModel):
    """The expectation of one outcome by one learner, asked through MLflow."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model from its folder."""
        self.model = load_model(context.artifacts["model"])

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Return the expected score of each episode at the average provider.

        Parameters
        ----------
        context : PythonModelContext
            Not used: `load_context` has read what there is to read.
        model_input : DataFrame of shape (n_episodes, >= n_columns)
            The model's case mix, numbers and flags as float64; missing values as they come; the
            codes that files use are understood (sex 1 is male). With a column `fold`, which
            member to ask; without it, the mean of all members.
        params : dict, optional
            Not used.

        Returns
        -------
        DataFrame of shape (n_episodes, 1)
            `expected_score`, in the unit of the score.

        Raises
        ------
        ColumnError
            When a column is absent, which is not the same as its values being missing.
        ValuesError
            When a value is outside its declaration, or a fold is none of the model's.
        """
        casemix = _declared(self.model, model_input)
        expected = self.model.expect(casemix, _folds(self.model, model_input))
        return pd.DataFrame({"expected_score": expected}, index=model_input.index)


def _declared(model: ExpectationModel, episodes: pd.DataFrame) -> pd.DataFrame:
    """Return the case mix as the model knows it, and refuse what its columns cannot hold."""
    columns = {one.name: one for one in model.columns}
    table, faults = to_declared(episodes, columns)
    faults += find_faults(table, columns)
    if faults:
        raise ValuesFault(f"model {model.outcome}-{model.learner}", faults)
    return table


def _folds(model: ExpectationModel, episodes: pd.DataFrame) -> NDArray[np.int64] | None:
    if FOLD not in episodes or episodes[FOLD].isna().all():
        return None
    folds: NDArray[np.float64] = episodes[FOLD].to_numpy(dtype=np.float64)
    unknown = folds[~np.isin(folds, np.arange(len(model.members)))]
    if unknown.size:
        raise ValuesError(
            f"model {model.outcome}-{model.learner}: wanted `fold` from 0 to "
            f"{len(model.members) - 1} for every episode, or for none; got {unknown[0]:g} in "
            f"{unknown.size} rows."
        )
    return folds.astype(np.int64)


set_model(ExpectationPyfunc())
