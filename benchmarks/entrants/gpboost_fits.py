import gpboost
import numpy as np


def _logistic(frame, covariates, outcome):
    return fit_logistic(frame, covariates, outcome, errors=True)


def fit_logistic(frame, covariates, outcome, errors):
    model = _fitted(frame, covariates, outcome, "bernoulli_logit")
    (variance,) = model.get_cov_pars(format_pandas=False)
    return {**_coefficients(model, errors), "sigma": variance**0.5}


def _linear(frame, covariates, outcome):
    model = _fitted(frame, covariates, outcome, "gaussian")
    residual, between = model.get_cov_pars(format_pandas=False)
    spread = {"sigma": between**0.5, "residual_sd": residual**0.5}
    return {**_coefficients(model, errors=True), **spread}


def _fitted(frame, covariates, outcome, likelihood):
    model = gpboost.GPModel(
        group_data=frame["provider"], likelihood=likelihood, num_parallel_threads=1
    )
    # It adds no intercept of its own.
    return model.fit(y=frame[outcome], X=frame[covariates].assign(intercept=1.0))


def _coefficients(model, errors):
    found = np.asarray(model.get_coef(std_err=errors, format_pandas=False))
    coef = found[0] if errors else found.ravel()
    answer = {"intercept": coef[-1], "coef": coef[:-1]}
    return answer | {"se": found[1, :-1]} if errors else answer


FITS = {"logistic": _logistic, "linear": _linear}
