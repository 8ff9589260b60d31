"""One yardstick for every entrant: the negative log-likelihood at the answer it gave.

Written apart from riskadj, plainly, so that no entrant marks its own work. Each function takes
rows as they come: `y`, `X` (with no column of ones), `provider` (codes from 0), and an answer.
"""

import numpy as np
from scipy import special


def laplace(y, X, provider, *, intercept, coef, sigma):
    """Logistic random intercept: Laplace's approximation at the modes of the provider effects."""
    fixed = intercept + X @ coef
    effects = _modes(y, fixed, provider, sigma)
    eta = fixed + effects[provider]
    weight = special.expit(eta) * special.expit(-eta)
    curvature = 1 + sigma**2 * np.bincount(provider, weight, len(effects))
    joint = _binary_loss(y, eta) + 0.5 * np.sum(effects**2) / sigma**2
    return joint + 0.5 * np.sum(np.log(curvature))


def gaussian(y, X, provider, *, intercept, coef, sigma, residual_sd):
    """Linear random intercept: the marginal likelihood, in closed form by provider."""
    residual = y - intercept - X @ coef
    size = np.bincount(provider)
    total = np.bincount(provider, residual)
    ratio = (sigma / residual_sd) ** 2
    square = np.sum(residual**2) - np.sum(ratio * total**2 / (1 + ratio * size))
    log_determinant = len(y) * np.log(residual_sd**2) + np.sum(np.log1p(ratio * size))
    return 0.5 * (len(y) * np.log(2 * np.pi) + log_determinant + square / residual_sd**2)


def fixed(y, X, provider, *, coef, effects):
    """Logistic fixed effects: the likelihood itself."""
    return _binary_loss(y, X @ coef + effects[provider])


def _binary_loss(y, eta):
    return np.sum(np.logaddexp(0, eta) - y * eta)


def _modes(y, fixed, provider, sigma, tolerance=1e-12):
    """Newton's method for all providers at once: each is a problem in one unknown."""
    n_providers = provider.max() + 1
    effects = np.zeros(n_providers)
    for _ in range(100):
        p = special.expit(fixed + effects[provider])
        score = np.bincount(provider, y - p, n_providers) - effects / sigma**2
        information = np.bincount(provider, p * (1 - p), n_providers) + 1 / sigma**2
        step = np.clip(score / information, -2, 2)
        effects += step
        if np.abs(step).max() < tolerance:
            return effects
    raise ArithmeticError("the modes of the provider effects were not found in 100 steps")
