import numpy as np

from riskadj.stats.bootstrap import bootstrap_predicted_over_expected
from riskadj.stats.fixed_effects import fit_fixed_effects
from riskadj.stats.random_intercept import fit_random_intercept


def _logistic_random(frame, covariates, outcome):
    found = fit_random_intercept(
        frame[outcome], frame[covariates], frame["provider"], family="binomial"
    )
    return _random(found)


def _linear_random(frame, covariates, outcome):
    found = fit_random_intercept(
        frame[outcome], frame[covariates], frame["provider"], family="gaussian", method="ml"
    )
    return {**_random(found), "residual_sd": found.residual_sd}


def _logistic_fixed(frame, covariates, outcome):
    found = fit_fixed_effects(
        frame[outcome], frame[covariates], frame["provider"], family="binomial"
    )
    return {"coef": found.coef, "effects": found.effects, "se": found.coef_se}


def _bootstrap(frame, covariates, outcome):
    found = bootstrap_predicted_over_expected(
        frame[outcome], frame[covariates], frame["provider"], replicates=1000, seed=1
    )
    return {"lower": found.lower, "upper": found.upper}


def _widths(frame, covariates, outcome):
    """Return the largest relative difference of an interval's width from that of full refits."""
    near, full = (
        bootstrap_predicted_over_expected(
            frame[outcome],
            frame[covariates],
            frame["provider"],
            replicates=120,
            seed=1,
            refit=refit,
        )
        for refit in (False, True)
    )
    width = full.upper - full.lower
    return {"widest": float(np.max(np.abs(near.upper - near.lower - width) / width))}


def _random(found):
    return {
        "intercept": found.intercept,
        "coef": found.coef,
        "sigma": found.sigma,
        "se": found.coef_se,
    }


FITS = {
    "logistic": _logistic_random,
    "linear": _linear_random,
    "fixed": _logistic_fixed,
    "bootstrap": _bootstrap,
    "widths": _widths,
}
