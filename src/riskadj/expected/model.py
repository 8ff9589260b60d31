"""A fitted expectation as a value: it can be asked, saved as text, and read again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from riskadj.casemix import CaseMixEncoder
from riskadj.digest import digest_of_bytes
from riskadj.engine import in_use
from riskadj.episodes import Column
from riskadj.errors import ChangedFileError, ColumnError, FileFormatError, ValuesError
from riskadj.expected.ceiling import CeilingExpectation
from riskadj.expected.written import read_learner, write_learner
from riskadj.stats.links import link_named

Floats = NDArray[np.float64]
FORMAT = "riskadj expectation 2"
DIGESTS = "digests.json"
"""Of a saved model: the digest of every other file of it, by its name."""
Estimator = Any
"""A fitted learner: what `write_learner` can write."""


@dataclass(frozen=True)
class ExpectationModel:
    """The expectation of one outcome by one learner.

    Attributes
    ----------
    outcome, learner : str
    columns : tuple of Column
        The case mix it asks for.
    encoder : CaseMixEncoder
    members : tuple of estimators
        One when the expectation is out of time; one per fold when it is out of fold.
    typical : dict
        A made-up episode with the median or commonest value of every column.
    link : {"identity", "logit", "log"}
        On whose scale it is recalibrated.
    intercept, slope : float
        Recalibration: intercept + slope * what the member says, on the scale of the link.
    """

    outcome: str
    learner: str
    columns: tuple[Column, ...]
    encoder: CaseMixEncoder
    members: tuple[Estimator, ...]
    typical: dict[str, float | str | None]
    link: str = "identity"
    intercept: float = 0.0
    slope: float = 1.0

    def expect(self, casemix: pd.DataFrame, fold: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the expected score of each episode at the average provider.

        Parameters
        ----------
        casemix : DataFrame of shape (n_episodes, >= n_columns)
            Holds the model's columns, typed as in the episode table; others are passed over.
        fold : array-like of int of shape (n_episodes,), optional
            Which member to ask. Without it, the mean of all members.

        Returns
        -------
        ndarray of shape (n_episodes,)
                In the unit of what is modelled; with the logit link, a chance; with log, above 0.

        Raises
        ------
        ColumnError
            When a column is absent.
        ValuesError
            When a fold is none of the model's.
        """
        return moved(self.expect_raw(casemix, fold), self.intercept, self.slope, self.link)

    def expect_raw(
        self, casemix: pd.DataFrame, fold: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return what `expect` does, before recalibration."""
        if fold is not None and not np.isin(fold, np.arange(len(self.members))).all():
            raise ValuesError(
                f"model {self.outcome}-{self.learner}: wanted folds from 0 to "
                f"{len(self.members) - 1}; got others. Leave fold out to ask all of them."
            )
        return self._asked(casemix, fold, "predict")

    def _asked(self, casemix: pd.DataFrame, fold: ArrayLike | None, what: str) -> Floats:
        """Return what members say of each episode, a block of episodes at a time."""
        tables = (self._inputs(casemix), None if fold is None else np.asarray(fold, dtype=int))
        answers = np.empty(len(casemix))
        for rows, found in in_use().over_rows(_said_of_block, tables, self, what):
            answers[rows] = found
        return answers

    def expected_share_at_ceiling(
        self, casemix: pd.DataFrame, fold: ArrayLike | None = None
    ) -> NDArray[np.float64] | None:
        """Return each episode's chance of the best score; None where the learner has none."""
        if not isinstance(self.members[0], CeilingExpectation):
            return None
        return self._asked(casemix, fold, "expected_share_at_ceiling")

    def encode(self, casemix: pd.DataFrame) -> NDArray[np.float64]:
        """Return the matrix that the members take."""
        return self.encoder.transform(self._inputs(casemix))

    def _inputs(self, casemix: pd.DataFrame) -> pd.DataFrame:
        names = [one.name for one in self.columns]
        absent = [one for one in names if one not in casemix.columns]
        if absent:
            raise ColumnError(
                f"model {self.outcome}-{self.learner}: wanted {len(names)} case-mix columns; got "
                f"none called {', '.join(absent[:5])}."
            )
        return casemix[names]

    def recalibrated(self, intercept: float, slope: float) -> "ExpectationModel":
        """Return the same model on the line intercept + slope * what it says now."""
        return replace(self, intercept=intercept + slope * self.intercept, slope=slope * self.slope)


def moved(
    expected: NDArray[np.float64], intercept: float, slope: float, link: str
) -> NDArray[np.float64]:
    """Return expectations moved along a line on the scale of a link.

    Examples
    --------
    >>> moved(np.array([0.5]), 0.0, 2.0, "logit"), moved(np.array([0.5]), 1.0, 2.0, "identity")
    (array([0.5]), array([2.]))
    """
    scale = link_named(link)
    return scale.mean(intercept + slope * scale.predictor(expected))


def _said_of_block(
    casemix: pd.DataFrame, fold: NDArray[np.int_] | None, model: ExpectationModel, what: str
) -> Floats:
    X = model.encode(casemix)
    if fold is None:
        return np.asarray(np.mean([getattr(one, what)(X) for one in model.members], axis=0))
    answers = np.empty(len(X))
    for k in np.unique(fold):
        rows = fold == k
        answers[rows] = getattr(model.members[k], what)(X[rows])
    return answers


def typical_episode(
    casemix: pd.DataFrame, columns: tuple[Column, ...]
) -> dict[str, float | str | None]:
    """Return a made-up episode: the median of numbers, the commonest level of text."""
    typical: dict[str, float | str | None] = {}
    for one in columns:
        known = casemix[one.name].dropna()
        if known.empty:
            typical[one.name] = None
        elif one.kind == "text":
            typical[one.name] = str(known.mode().iloc[0])
        else:
            typical[one.name] = float(known.median())
    return typical


def save_model(model: ExpectationModel, folder: Path) -> None:
    """Write a model as JSON and, for trees, LightGBM's own text; no pickle.

    `digests.json` names every file with its digest, for `load_model` to check.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts: dict[str, str] = {}
    content = {
        "format": FORMAT,
        "outcome": model.outcome,
        "learner": model.learner,
        "columns": [one.model_dump(mode="json") for one in model.columns],
        "levels": model.encoder.levels_,
        "features": model.encoder.features_,
        "sources": model.encoder.sources_,
        "typical": model.typical,
        "link": model.link,
        "intercept": model.intercept,
        "slope": model.slope,
        "members": [_save_member(one, texts, k) for k, one in enumerate(model.members)],
    }
    texts["model.json"] = json.dumps(content, indent=1)
    digests = {name: digest_of_bytes(text.encode()) for name, text in sorted(texts.items())}
    for name, text in (*texts.items(), (DIGESTS, json.dumps(digests, indent=1))):
        (folder / name).write_text(text, encoding="utf-8", newline="")


def load_model(folder: str | Path) -> ExpectationModel:
    """Read a model that `save_model` wrote; nothing of it is looked into before its digest is.

    Raises
    ------
    ChangedFileError
        When a file is not what was saved.
    FileFormatError
        When the folder does not hold a model.
    """
    folder = Path(folder)
    try:
        texts = _texts_as_saved(folder)
        content = json.loads(texts["model.json"])
        found = content.get("format")
        if found == FORMAT:
            return _that_answers(_restore(content, texts))
    except _NO_MODEL as error:
        problem = f"{type(error).__name__}: {error}".splitlines()[0]
        raise FileFormatError(f"{folder}: wanted a saved model; got none ({problem}).") from None
    raise FileFormatError(f"{folder}: wanted format {FORMAT!r}; got {found!r}.")


_NO_MODEL = (
    OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError,
    OverflowError,
)  # fmt: skip


def _texts_as_saved(folder: Path) -> dict[str, str]:
    """Return the files of a saved model by name: the very bytes whose digests are as they were."""
    digests = json.loads((folder / DIGESTS).read_bytes())
    texts = {}
    for name, wanted in digests.items():
        if Path(name).name != name:
            raise ValueError(f"a file outside the folder, {name[:60]!r}")
        content = (folder / name).read_bytes()
        if digest_of_bytes(content) != wanted:
            raise ChangedFileError(
                f"{folder / name}: wanted the file as it was saved ({DIGESTS} has its digest); got "
                "another. Run the study again."
            )
        texts[name] = content.decode("utf-8")
    return texts


def _that_answers(model: ExpectationModel) -> ExpectationModel:
    """Return a model that can be asked about its own typical episode."""
    if not model.columns or not model.members:
        raise ValueError("no columns or no members")
    kinds = {one.name: object if one.kind == "text" else float for one in model.columns}
    asked = {name: pd.Series([model.typical[name]], dtype=kind) for name, kind in kinds.items()}
    expected = model.expect(pd.DataFrame(asked))
    if expected.shape != (1,) or not np.isfinite(expected).all():
        raise ValueError("no number for its typical episode")
    width = model.encode(pd.DataFrame(asked)).shape[1]
    for names in (model.encoder.features_, model.encoder.sources_):
        if len(names) != width or not all(isinstance(one, str) for one in names):
            raise ValueError(f"names other than those of {width} features")
    return model


def _restore(content: dict[str, Any], texts: Mapping[str, str]) -> ExpectationModel:
    columns = tuple(Column(**one) for one in content["columns"])
    return ExpectationModel(
        outcome=content["outcome"],
        learner=content["learner"],
        columns=columns,
        encoder=_restore_encoder(content, columns),
        members=tuple(_load_member(one, texts) for one in content["members"]),
        typical=content["typical"],
        link=content["link"],
        intercept=content["intercept"],
        slope=content["slope"],
    )


def _save_member(member: Any, texts: dict[str, str], k: int) -> dict[str, Any]:
    """Return a member as content; the trees of plain boosting go to a file of their own."""
    content = write_learner(member)
    if content["kind"] != "lightgbm":
        return content
    name = f"trees_{k}.txt"
    texts[name] = content["trees"]
    return content | {"trees": name}


def _load_member(content: dict[str, Any], texts: Mapping[str, str]) -> Any:
    if content["kind"] == "lightgbm":
        content = content | {"trees": texts[content["trees"]]}
    return read_learner(content)


def _restore_encoder(content: dict[str, Any], columns: tuple[Column, ...]) -> CaseMixEncoder:
    encoder = CaseMixEncoder()
    encoder.levels_ = content["levels"]
    encoder.features_ = content["features"]
    encoder.sources_ = content["sources"]
    encoder.feature_names_in_ = np.asarray([one.name for one in columns], dtype=object)
    encoder.n_features_in_ = len(columns)
    return encoder
