"""Small neural networks, several of them averaged; they err elsewhere than trees do."""

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import check_is_fitted

from riskadj.expected.learners import Regressor, design_matrix, factors_of
from riskadj.expected.parts import weigh_parts
from riskadj.stats.threads import one_thread

Floats = NDArray[np.float64]
Layers = list[tuple[Floats, Floats]]
"""Weights, of shape (n_inputs, n_outputs), and constants of each layer."""

_BINARY = 2


class NetExpectation(Regressor):
    """Networks that expect all parts of the score at once (scikit-learn's).

    What helps to expect one part helps with the others, as hidden layers are shared. One
    thread does the sums, so that they come out the same everywhere.

    Parameters
    ----------
    nets : int
        Averaged; they differ by seed.
    hidden : sequence of int
        Units of each hidden layer, rectified.
    epochs : int
        Passes over the episodes; few, as the signal is weak.
    learning_rate : float
    batch : int
        Episodes per step.
    l2 : float
        Penalty on weights.
    bands : int
        How many parts, where `fit` is not given any.
    seed : int

    Attributes
    ----------
    factors_ : list of Factor
    centre_, spread_ : ndarray of shape (n_inputs,)
        Of the inputs.
    layers_ : list of list of (ndarray, ndarray)
        Of each net; the last layer's outputs are summed up to scores already.
    n_features_in_ : int

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> learner = NetExpectation(nets=2, batch=50, l2=0.1).fit(X, X[:, 0] ** 2)
    >>> bool(learner.score(X, X[:, 0] ** 2) > 0.8)
    True
    """

    takes_parts: ClassVar[bool] = True

    def __init__(
        self,
        nets: int = 10,
        hidden: Sequence[int] = (32, 32),
        epochs: int = 12,
        learning_rate: float = 0.003,
        batch: int = 512,
        l2: float = 3.0,
        bands: int = 8,
        seed: int = 0,
    ) -> None:
        self.nets = nets
        self.hidden = hidden
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch = batch
        self.l2 = l2
        self.bands = bands
        self.seed = seed

    def fit(
        self,
        X: Any,
        y: Any,
        groups: ArrayLike | None = None,  # noqa: ARG002
        parts: ArrayLike | None = None,
    ) -> "NetExpectation":
        """Learn from a matrix of shape (n_episodes, n_features) and scores (n_episodes,).

        Parameters
        ----------
        X, y : array-like
        groups : ignored
            Slopes are pooled.
        parts : array-like of shape (n_episodes, n_parts), optional
            As for `PartsExpectation`.

        Raises
        ------
        ArrayError
            When scores are no weighted sum of the parts.
        """
        X, y = self._check_both(X, y, at_least=2)
        weighed = weigh_parts(y, parts, self.bands)
        self.factors_ = factors_of(X, discrete_up_to=_BINARY)
        design = design_matrix(X, self.factors_)
        self.centre_ = design.mean(axis=0)
        self.spread_ = np.maximum(design.std(axis=0), np.finfo(float).tiny)
        if not design.size or not weighed.weights.size:  # nothing to learn
            self.layers_: list[Layers] = [_level(design.shape[1], float(y.mean()))]
            return self
        inputs, targets = self._inputs(X), weighed.scaled
        targets = targets[:, 0] if targets.shape[1] == 1 else targets
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are few on purpose
            nets = [self._net(self.seed + k, len(y)).fit(inputs, targets) for k in range(self.nets)]
        self.layers_ = [_summed(net, weighed.weights, weighed.constant) for net in nets]
        return self

    def predict(self, X: Any) -> Floats:
        """Return expected scores of shape (n_episodes,)."""
        check_is_fitted(self)
        inputs = self._inputs(self._check(X))
        with one_thread():
            return np.asarray(np.mean([_ask(layers, inputs) for layers in self.layers_], axis=0))

    def _inputs(self, X: Floats) -> Floats:
        return np.asarray((design_matrix(X, self.factors_) - self.centre_) / self.spread_)

    def _net(self, seed: int, n: int) -> MLPRegressor:
        return MLPRegressor(
            hidden_layer_sizes=tuple(self.hidden),
            alpha=self.l2,
            learning_rate_init=self.learning_rate,
            batch_size=min(self.batch, n),
            max_iter=self.epochs,
            n_iter_no_change=self.epochs,
            random_state=seed,
        )


def _summed(net: MLPRegressor, weights: Floats, constant: float) -> Layers:
    """Return a net's layers, with the weighted sum of its parts built into the last."""
    layers = list(zip(net.coefs_, net.intercepts_, strict=True))
    last, level = layers.pop()
    return [*layers, (last @ weights, np.asarray(level @ weights + constant))]


def _level(inputs: int, level: float) -> Layers:
    return [(np.zeros(inputs), np.asarray(level))]


def _ask(layers: Layers, inputs: Floats) -> Floats:
    *hidden, (last, level) = layers
    for weights, bias in hidden:
        inputs = np.maximum(inputs @ weights + bias, 0.0)
    return np.asarray(inputs @ last + level)
