import glum
import pandas as pd


def _fixed(frame, covariates, outcome):
    X = frame[covariates].assign(provider=pd.Categorical(frame["provider"]))
    model = glum.GeneralizedLinearRegressor(
        family="binomial", alpha=0, fit_intercept=False, drop_first=False, gradient_tol=1e-6
    )
    model.fit(X, frame[outcome])
    se = model.std_errors(X, frame[outcome], robust=False)
    n = len(covariates)
    return {"coef": model.coef_[:n], "effects": model.coef_[n:], "se": se[:n]}


FITS = {"fixed": _fixed}
