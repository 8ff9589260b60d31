"""Stand-in for the kernel of pprof_py, which is on no package index.

Newton's method on all m provider effects and p coefficients. The information matrix is diagonal
in the effects, so that a step needs one solve of p unknowns through the Schur complement
(Wu et al. 2022, Statistics in Medicine, doi:10.1002/sim.9387). Plain dense numpy, written from
that description alone; it is not pprof_py and says nothing of its other costs.
"""

import numpy as np

TOLERANCE = 1e-8


def _fixed(frame, covariates, outcome):
    ordered = frame.sort_values("provider", kind="stable")
    X = ordered[covariates].to_numpy()
    y = ordered[outcome].to_numpy()
    size = np.bincount(ordered["provider"])
    starts = np.cumsum(size) - size
    effects, coef = np.full(len(size), np.log(y.mean() / (1 - y.mean()))), np.zeros(X.shape[1])
    for _ in range(50):
        step_effects, step_coef, covariance = _step(y, X, size, starts, effects, coef)
        effects, coef = effects + step_effects, coef + step_coef
        if max(np.abs(step_effects).max(), np.abs(step_coef).max()) < TOLERANCE:
            return {"coef": coef, "effects": effects, "se": np.sqrt(np.diag(covariance))}
    raise ArithmeticError("no convergence in 50 steps")


def _step(y, X, size, starts, effects, coef):
    p = 1 / (1 + np.exp(-(X @ coef + np.repeat(effects, size))))
    weight = p * (1 - p)
    weighted = weight[:, None] * X
    diagonal = np.add.reduceat(weight, starts)
    border = np.add.reduceat(weighted, starts, axis=0)
    score_effects = np.add.reduceat(y - p, starts)
    score_coef = X.T @ (y - p)
    covariance = np.linalg.inv(X.T @ weighted - border.T @ (border / diagonal[:, None]))
    step_coef = covariance @ (score_coef - border.T @ (score_effects / diagonal))
    return (score_effects - border @ step_coef) / diagonal, step_coef, covariance


FITS = {"fixed": _fixed}
