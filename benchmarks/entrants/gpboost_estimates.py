"""GPBoost without standard errors, which are half of its time; and one refit of a bootstrap."""

from functools import partial

import numpy as np

from entrants.gpboost_fits import fit_logistic

_estimates = partial(fit_logistic, errors=False)


def _one_resample(frame, covariates, outcome):
    """Draw as many providers as there are, with replacement; one drawn twice is two."""
    rows = frame.groupby("provider").indices
    drawn = np.random.default_rng(1).choice(list(rows), len(rows))
    taken = frame.iloc[np.concatenate([rows[one] for one in drawn])]
    provider = np.repeat(np.arange(len(drawn)), [len(rows[one]) for one in drawn])
    return _estimates(taken.assign(provider=provider), covariates, outcome)


FITS = {"logistic": _estimates, "bootstrap": _one_resample}
