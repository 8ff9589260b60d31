"""How much of the difference between providers is more than chance.

Every figure names the estimator of the variance between providers that stands behind it: on the
same data one estimator may ask for more than three times the volume that another does.

Reliability is not validity. Adjusting for a confounder takes real differences between providers
away with the false ones, so that reliability may fall when a measure becomes fairer (Hartman and
others 2023, doi:10.1007/s10742-023-00307-0), and a measure of low reliability may still find
extreme providers (He and others 2019, on the profile inter-unit reliability). Never choose between
models by reliability alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_number, above, finite
from riskadj.stats.groups import Groups, group_rows

NO_DIFFERENCE = 1e-24
"""F under which differences between provider means are no more than rounding."""
ROUNDING = 1e-15
"""Share of the largest value that is no difference between means either."""


@dataclass(frozen=True)
class Reliability:
    """Reliability of each provider's effect.

    Attributes
    ----------
    value : ndarray of shape (n_providers,)
        0 (all chance) to 1 (no chance).
    tau2 : float
        Variance between providers.
    estimator : str
        What estimated `tau2`.
    """

    value: Floats
    tau2: float
    estimator: str


@dataclass(frozen=True)
class VolumeNeeded:
    """Episodes that a provider needs for a reliability.

    Attributes
    ----------
    target : ndarray
        Reliabilities.
    n : ndarray of the shape of `target`
        Episodes, not rounded; infinite when `tau2` is 0.
    sigma2, tau2 : float
        Variance of single episodes within a provider, and between providers.
    estimator : str
        What estimated `tau2`.
    """

    target: Floats
    n: Floats
    sigma2: float
    tau2: float
    estimator: str


@dataclass(frozen=True)
class IntraclassCorrelation:
    """Share of the variance of single episodes that is between providers.

    Attributes
    ----------
    value : float
        0 to 1; the reliability of a provider with one episode.
    sigma2, tau2 : float
        Variance of single episodes within a provider, and between providers.
    estimator : str
        What estimated `tau2`.
    """

    value: float
    sigma2: float
    tau2: float
    estimator: str


@dataclass(frozen=True)
class InterUnitReliability:
    """Share of the variance of provider means that is between providers.

    Attributes
    ----------
    value : float
        1 - 1 / F; at most 1. Below 0 when providers differ less than chance alone would make
        them, without bound: no reliability was found. NaN when provider means are all the same:
        there is nothing of which a share could be true.
    f : float
        Mean square between providers over mean square within; infinite when episodes do not
        differ within providers.
    within, between : float
        Variance of episodes within a provider, and between providers; the latter below 0 with
        `value`.
    effective_n : float
        Episodes of a typical provider, (N - sum n_i^2 / N) / (providers - 1).
    n_providers, n_episodes : int
    estimator : str
        "one-way analysis of variance".
    """

    value: float
    f: float
    within: float
    between: float
    effective_n: float
    n_providers: int
    n_episodes: int
    estimator: str


def reliability(standard_error: ArrayLike, tau2: float, *, estimator: str) -> Reliability:
    r"""Return :math:`\tau^2 / (\tau^2 + s_i^2)` of each provider.

    It is the squared correlation between observed and true effect of providers with that error,
    and the weight that an observed effect keeps when it is shrunk.

    Parameters
    ----------
    standard_error : array-like of shape (n_providers,)
        Sampling errors :math:`s_i` of the effects; above 0.
    tau2 : float
        Variance between providers; 0 or more. 0 makes every reliability 0.
    estimator : str
        What estimated `tau2`; it stays with the figures.

    Raises
    ------
    ArrayError
        When an error is not above 0, `tau2` is negative, or no estimator is named.

    Notes
    -----
    Never choose between models by reliability alone: see the module.

    Examples
    --------
    >>> reliability([1.0, 0.5], 0.25, estimator="dersimonian_laird").value.tolist()
    [0.2, 0.5]
    """
    error2 = above("standard_error", standard_error, 0.0) ** 2
    between = a_number("tau2", tau2, 0.0)
    return Reliability(between / (between + error2), between, _named(estimator))


def volume_needed(target: ArrayLike, sigma2: float, tau2: float, *, estimator: str) -> VolumeNeeded:
    r"""Return the episodes for a reliability, :math:`R / (1 - R) \cdot \sigma^2 / \tau^2`.

    Parameters
    ----------
    target : array-like
        Reliabilities R; above 0 and below 1.
    sigma2 : float
        Variance of single episodes within a provider; above 0.
    tau2 : float
        Variance between providers; 0 or more. With 0 no volume is enough: infinite.
    estimator : str
        What estimated `tau2`; it stays with the figures.

    Raises
    ------
    ArrayError
        When a number is outside its range, or no estimator is named.

    Notes
    -----
    :func:`reliability` solved for n, with :math:`s^2 = \sigma^2 / n`; the formula of Spearman
    (1910) and Brown (1910), British Journal of Psychology 3:271-295 and 296-322.

    Examples
    --------
    >>> volume_needed([0.5, 0.8], 50.0, 0.5, estimator="reml").n.round(6).tolist()
    [100.0, 400.0]
    """
    wanted = above("target", target, 0.0)
    if (wanted >= 1).any():
        raise ArrayError(f"target: wanted reliabilities below 1; got {wanted.max():g}.")
    within = float(above("sigma2", [sigma2], 0.0, (1,))[0])
    between = a_number("tau2", tau2, 0.0)
    odds = wanted / (1 - wanted)
    n = odds * (within / between) if between else np.full_like(odds, np.inf)
    return VolumeNeeded(wanted, n, within, between, _named(estimator))


def intraclass_correlation(sigma2: float, tau2: float, *, estimator: str) -> IntraclassCorrelation:
    r"""Return :math:`\tau^2 / (\tau^2 + \sigma^2)`.

    Parameters
    ----------
    sigma2 : float
        Variance of single episodes within a provider; above 0.
    tau2 : float
        Variance between providers; 0 or more.
    estimator : str
        What estimated `tau2`; it stays with the figure.

    Raises
    ------
    ArrayError
        When a number is outside its range, or no estimator is named.

    Examples
    --------
    >>> intraclass_correlation(99.0, 1.0, estimator="reml").value
    0.01
    """
    within = float(above("sigma2", [sigma2], 0.0, (1,))[0])
    between = a_number("tau2", tau2, 0.0)
    value = between / (between + within)
    return IntraclassCorrelation(value, within, between, _named(estimator))


def inter_unit_reliability(values: ArrayLike, provider: ArrayLike) -> InterUnitReliability:
    r"""Return the inter-unit reliability of provider means, from one-way analysis of variance.

    Parameters
    ----------
    values : array-like of shape (n_episodes,)
        What is averaged by provider: residuals, outcomes.
    provider : array-like of shape (n_episodes,)
        Labels. A provider of one episode counts between providers only.

    Raises
    ------
    ArrayError
        When there are fewer than two providers, none has two episodes, all values are the same,
        or values are not finite or not one per label.

    Notes
    -----
    With the mean squares :math:`M_b` between and :math:`M_w` within providers, the variance
    between providers is :math:`(M_b - M_w) / n'`, that of a typical mean :math:`M_b / n'`, and
    their ratio :math:`1 - M_w / M_b = 1 - 1 / F`; :math:`n'` cancels (He, Kalbfleisch and others
    2019, Inter-unit reliability for nonlinear models, Statistics in Medicine: its one-way case).

    Never choose between models by reliability alone: see the module.

    Examples
    --------
    >>> one = inter_unit_reliability([1.0, 3.0, 5.0, 7.0], ["a", "a", "b", "b"])
    >>> one.f, one.value, one.between
    (8.0, 0.875, 7.0)
    """
    groups = group_rows(provider)
    v = finite("values", values, (groups.n_rows,))
    n, k = groups.n_rows, len(groups)
    if k < 2 or n == k:
        raise ArrayError(
            f"provider: wanted two or more, one of them with two or more episodes; got {k:,} of "
            f"{n:,} episodes."
        )
    if v.min() == v.max():
        raise ArrayError(f"values: wanted numbers that differ; got {v[0]:g} in every row.")
    between, within = _mean_squares(v, groups)
    of_rounding = float(groups.sizes.max() * (ROUNDING * np.abs(v).max()) ** 2)
    nothing = max(NO_DIFFERENCE * within, of_rounding)
    effective = float((n - (groups.sizes.astype(float) ** 2).sum() / n) / (k - 1))
    return InterUnitReliability(
        value=1 - within / between if between > nothing else np.nan,
        f=between / within if within else np.inf,
        within=within,
        between=(between - within) / effective,
        effective_n=effective,
        n_providers=k,
        n_episodes=n,
        estimator="one-way analysis of variance",
    )


def _mean_squares(values: Floats, groups: Groups) -> tuple[float, float]:
    """Return the mean squares between and within groups."""
    ordered = groups.sort(values - values.mean())
    means = groups.total_ordered(ordered) / groups.sizes
    rest = ordered - groups.spread(means)
    k = len(groups)
    return float(groups.sizes @ means**2) / (k - 1), float(rest @ rest) / (groups.n_rows - k)


def _named(estimator: str) -> str:
    if not isinstance(estimator, str) or not estimator.strip():
        raise ArrayError(
            f"estimator: wanted the name of what estimated tau2; got {estimator!r}. "
            "A reliability without it cannot be compared."
        )
    return estimator
