"""Settings of a learner chosen on episodes that teach, and on no others.

The search is Optuna's (Akiba et al. 2019, KDD) with the tree-structured Parzen estimator (Bergstra
et al. 2011, NeurIPS 24), from a seed and in one process, so that it ends at the same settings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from sklearn.base import clone

from riskadj.errors import ArrayError
from riskadj.expected.folds import Fold, check_folds

Floats = NDArray[np.float64]

_CERTAIN = 1e-12


@dataclass(frozen=True)
class Span:
    """Numbers from which a setting is chosen.

    Attributes
    ----------
    low, high : float
        Both included.
    log : bool
        Whether equal ratios, not equal distances, are equally likely at first.
    whole : bool
        Whether only whole numbers will do.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False


Space = Mapping[str, Span | tuple[Any, ...]]
"""By setting: a span of numbers, or the values to choose from."""

LIGHTGBM_SPACE: Space = {
    "trees": Span(100, 800, log=True, whole=True),
    "leaves": Span(4, 32, log=True, whole=True),
    "learning_rate": Span(0.02, 0.1, log=True),
    "min_episodes_per_leaf": Span(50, 500, log=True, whole=True),
    "column_share": Span(0.1, 0.7),
    "l2": Span(0.1, 100.0, log=True),
}
LINEAR_SPACE: Space = {
    "discrete_up_to": Span(2, 100, log=True, whole=True),
    "ridge": Span(0.1, 1000.0, log=True),
}
COST_SPACE: Space = LINEAR_SPACE
TWEEDIE_SPACE: Space = {**COST_SPACE, "power": Span(1.1, 1.9)}


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Attributes
    ----------
    learner : str
        Name of its class.
    settings : dict
        The best of those tried, of the settings searched.
    value : float
        Their loss on episodes held out: with family gaussian the variance of residuals (squared
        unit of the score; the mean is left out, as recalibration removes it), of chances the mean
        log loss (nats), of costs the quasi-likelihood, negated: gamma's, or Tweedie's of power 1.5,
        in units of the mean cost and with the total left out.
    start : float
        Loss of the settings that the learner came with, which are tried first.
    trials : int
    seed : int
    folds : tuple of (int, int)
        Episodes that taught, and that were asked about.
    table : tuple of dict
        Settings and loss of every trial, in order.
    """

    learner: str
    settings: dict[str, Any]
    value: float
    start: float
    trials: int
    seed: int
    folds: tuple[tuple[int, int], ...]
    table: tuple[dict[str, Any], ...]


def tune(
    learner: Any,
    space: Space,
    X: ArrayLike,
    y: ArrayLike,
    folds: Sequence[Fold],
    *,
    trials: int = 20,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> Tuning:
    """Search the settings with the least loss on held-out training episodes.

    Parameters
    ----------
    learner : learner
        With the settings to begin from; left as it is.
    space : mapping of str to Span or tuple
    X : array-like of shape (n_episodes, n_features)
    y : array-like of shape (n_episodes,)
        Of training episodes alone: what is compared later must not be among them.
    folds : sequence of (rows that teach, rows asked about)
        As `last_period` and `grouped_folds` make them.
    trials : int
        Settings tried, the first among them.
    seed : int
    groups : array-like of shape (n_episodes,), optional
        Provider of each episode, for slopes within providers.

    Raises
    ------
    ArrayError
        When there is nothing to try, a fold asks about rows that taught it, or a setting is none
        of the learner's.

    Examples
    --------
    >>> from riskadj.expected import LinearExpectation, grouped_folds
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> folds = grouped_folds(np.arange(200) % 10, 2, seed=0)
    >>> found = tune(LinearExpectation(), {"ridge": (1.0, 1e6)}, x, x[:, 0], folds, trials=4)
    >>> found.settings, found.value < 1e-3
    ({'ridge': 1.0}, True)
    """
    _check(learner, space, folds, trials)
    X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    labels = None if groups is None else np.asarray(groups)
    search, ways = _search(space, seed)
    table: list[dict[str, Any]] = []
    for number in range(trials):
        trial = None if number == 0 else search.ask(ways)
        settings = _started(learner, space) if trial is None else dict(trial.params)
        loss = held_out_loss(clone(learner).set_params(**settings), X, y, folds, labels)
        _tell(search, trial, settings, ways, loss)
        table.append(settings | {"loss": loss})
    best = min(table, key=lambda one: one["loss"])
    return Tuning(
        learner=type(learner).__name__,
        settings={name: value for name, value in best.items() if name != "loss"},
        value=best["loss"],
        start=table[0]["loss"],
        trials=trials,
        seed=seed,
        folds=tuple((len(teach), len(asked)) for teach, asked in folds),
        table=tuple(table),
    )


def _check(learner: Any, space: Space, folds: Sequence[Fold], trials: int) -> None:
    if not space or trials < 1:
        raise ArrayError(
            f"tuning: wanted settings and a trial or more; got {len(space)} settings and {trials} "
            "trials."
        )
    strange = sorted(set(space) - set(learner.get_params()))
    if strange:
        raise ArrayError(
            f"tuning: wanted settings of {type(learner).__name__}; got {', '.join(strange)}."
        )
    check_folds(folds)


def _search(space: Space, seed: int) -> tuple[Any, dict[str, Any]]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    return search, {name: _way(one) for name, one in space.items()}


def _way(one: Span | tuple[Any, ...]) -> Any:
    from optuna import distributions

    if isinstance(one, tuple):
        return distributions.CategoricalDistribution(one)
    if one.whole:
        return distributions.IntDistribution(int(one.low), int(one.high), log=one.log)
    return distributions.FloatDistribution(one.low, one.high, log=one.log)


def _started(learner: Any, space: Space) -> dict[str, Any]:
    params = learner.get_params()
    return {name: params[name] for name in space}


def _tell(
    search: Any, trial: Any, settings: dict[str, Any], ways: dict[str, Any], loss: float
) -> None:
    """Add the trial; the start counts only where it lies in the space."""
    if trial is not None:
        search.tell(trial, loss)
        return
    import optuna

    if all(_holds(way, settings[name]) for name, way in ways.items()):
        start = optuna.trial.create_trial(params=settings, distributions=ways, value=loss)
        search.add_trial(start)


def _holds(way: Any, value: Any) -> bool:
    choices = getattr(way, "choices", None)
    return value in choices if choices is not None else bool(way.low <= value <= way.high)


def held_out_loss(
    learner: Any, X: Floats, y: Floats, folds: Sequence[Fold], groups: Any = None
) -> float:
    """Return the loss on the episodes asked about, of all folds together.

    Parameters
    ----------
    learner : learner
        Fitted anew for each fold.
    X, y, folds, groups : as in `tune`
    """
    loss = _LOSSES[getattr(learner, "family", "gaussian")]
    total, n = 0.0, 0
    for teach, asked in folds:
        given = {} if groups is None else {"groups": groups[teach]}
        expected = clone(learner).fit(X[teach], y[teach], **given).predict(X[asked])
        total += len(asked) * loss(y[asked], expected)
        n += len(asked)
    return total / n


def _residual_variance(observed: Floats, expected: Floats) -> float:
    return float(np.var(observed - expected))


def _log_loss(observed: Floats, expected: Floats) -> float:
    chance = np.clip(expected, _CERTAIN, 1 - _CERTAIN)
    return float(-np.mean(xlogy(observed, chance) + xlogy(1 - observed, 1 - chance)))


def _in_units_of_mean(observed: Floats, expected: Floats) -> tuple[Floats, Floats]:
    return observed / observed.mean(), np.maximum(expected / expected.mean(), _CERTAIN)


def _gamma_loss(observed: Floats, expected: Floats) -> float:
    o, e = _in_units_of_mean(observed, expected)
    return float(np.mean(o / e + np.log(e)))


def _tweedie_loss(observed: Floats, expected: Floats) -> float:
    o, e = _in_units_of_mean(observed, expected)
    return float(2 * np.mean(o / np.sqrt(e) + np.sqrt(e)))


_LOSSES = {
    "gaussian": _residual_variance,
    "binomial": _log_loss,
    "gamma": _gamma_loss,
    "tweedie": _tweedie_loss,
}
