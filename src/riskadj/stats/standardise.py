"""Standardised results: what providers would have, were their patients, or they, like the others.

Predicted over expected and observed over expected are *indirect*: each provider is compared with
the average provider on its own patients. So two such ratios answer two questions. Providers that
do exactly the same with every kind of patient still differ in their ratios when their patients
differ and the effect of a provider is not the same ratio for all. In a study of neonatal units
with identical mortality in every stratum of risk the ratio of two units' standardised mortality
ratios ran from 0.92 to 1.00 among Level 3 units, from 0.79 to 1.56 among Level 2 units, and up to
1.68 across levels (PMC3618107). Compare an indirect ratio with 1, not with another's ratio.

*Direct* standardisation applies each provider's effect to one population, so that providers can
be compared with each other. The price is that it says what a provider would do with patients
whom it may never have seen. `case_mix_overlap` tells how far that goes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, at_least, finite, one_of, plain, weights_or_ones
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.links import Link, effects_of, link_named

_CELL = 1 / 64
"""Width of a cell of linear predictors; see `population_mean` for the error that follows."""
_AT_A_TIME = 2**18
"""Means computed at a time: few enough to stay in the processor's cache."""
_TOO_CLOSE = 2.0
"""Standard errors from 0 within which a sum of expected values of both signs is taken for 0."""


@dataclass(frozen=True)
class PredictedExpected:
    """Each provider's mean on its own patients, with its own effect and with the average one.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Sorted labels.
    n : ndarray of shape (n_providers,)
        Episodes.
    predicted, expected : ndarray of shape (n_providers,)
        Means over the provider's episodes, in the unit of the outcome.
    ratio : ndarray of shape (n_providers,)
        Predicted over expected; NaN only where expected is 0.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    predicted: Floats
    expected: Floats
    ratio: Floats

    @property
    def difference(self) -> Floats:
        """Predicted minus expected."""
        return self.predicted - self.expected

    def risk_standardised(self, overall: float) -> Floats:
        """Return ratio x overall, the risk-standardised rate.

        It is not cut at 1: a ratio of 3 on an overall rate of 0.5 gives 1.5, which says that the
        overall rate does not suit this provider's patients.

        Parameters
        ----------
        overall : float
            The observed rate of the nation, in the unit wanted.

        Notes
        -----
        CMS's risk-standardised readmission rate is this with the national observed rate
        (footnotes of the hospital-specific reports of the Hospital Readmissions Reduction
        Program).
        """
        return self.ratio * finite("overall", [overall], (1,))


def predicted_over_expected(
    linear_predictor: ArrayLike,
    provider: ArrayLike,
    provider_effect: Any,
    average_effect: Any,
    *,
    link: str = "logit",
    weights: ArrayLike | None = None,
) -> PredictedExpected:
    """Return predicted, expected and their ratio: P_h = mean g(x'b + a_h), E_h = mean g(x'b + mu).

    This is not observed over expected. A provider's own effect is as a rule shrunken towards the
    average, so that 0 events do not make a ratio of 0. Report both, named apart.

    Parameters
    ----------
    linear_predictor : array-like of shape (n_episodes,)
        x'b, without any intercept.
    provider : array-like of shape (n_episodes,)
        Labels.
    provider_effect : float, array-like or mapping
        On the scale of the linear predictor. One number for all; one per provider in order of
        the sorted labels; label -> effect (a dict, or a pandas Series by label), which may hold
        more providers than occur; or one per episode, the same within a provider.
    average_effect : float, array-like or mapping
        Likewise: one number, or that of each provider's peer group.
    link : {"logit", "log", "identity"}
        With "identity" the ratio has a meaning only for outcomes above 0; use the difference.
    weights : array-like of shape (n_episodes,), optional
        Not negative; some above 0 in each provider.

    Returns
    -------
    PredictedExpected

    Raises
    ------
    ArrayError
        When an array has another shape or holds what is not a number; a provider has no effect;
        an effect differs within a provider; an effect is infinite where the link has no mean for
        it (logit: both have one, log: -inf has); or when effects come as an array, each provider
        has one episode and these are not in order, so that either order might be meant.

    Notes
    -----
    Source: CMS, Hospital Readmissions Reduction Program, hospital-specific reports: logit, the
    columns HOSP_EFFECT and AVG_EFFECT.

    Examples
    --------
    >>> result = predicted_over_expected(
    ...     [0.2, -0.1, 0.4], ["b", "b", "a"], {"a": -2.0, "b": -2.2}, -2.1
    ... )
    >>> result.providers.tolist(), result.n.tolist(), result.ratio.round(4).tolist()
    (['a', 'b'], [1, 2], [1.0875, 0.915])
    """
    chosen = link_named(link)
    groups = group_rows(provider)
    own = _effect_by_provider("provider_effect", provider_effect, groups, chosen)
    average = _effect_by_provider("average_effect", average_effect, groups, chosen)
    base = groups.sort(finite("linear_predictor", linear_predictor, (groups.n_rows,)))
    weight = _weight_by_provider(weights, groups)
    predicted = _mean(groups, chosen.mean(base + groups.spread(own)), weight)
    expected = _mean(groups, chosen.mean(base + groups.spread(average)), weight)
    return PredictedExpected(
        groups.labels, groups.sizes, predicted, expected, _ratio(predicted, expected)
    )


@dataclass(frozen=True)
class IndirectStandardisation:
    """Each provider's outcomes against what is expected for its own patients.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Sorted labels.
    n : ndarray of shape (n_providers,)
        Episodes.
    observed, expected : ndarray of shape (n_providers,)
        Sums O and E, weighted when there are weights.
    ratio : ndarray of shape (n_providers,)
        O / E; NaN where it is withheld.
    ratio_withheld : ndarray of bool, shape (n_providers,)
        True where a ratio would mislead; see `indirect_standardisation`.
    difference : ndarray of shape (n_providers,)
        (O - E) / n, n the sum of weights when there are weights; never NaN.
    rate : ndarray of shape (n_providers,)
        ratio x overall, for rates and costs; NaN where the ratio is withheld.
    mean : ndarray of shape (n_providers,)
        overall + difference, for scores and other means; never NaN.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    observed: Floats
    expected: Floats
    ratio: Floats
    ratio_withheld: NDArray[np.bool_]
    difference: Floats
    rate: Floats
    mean: Floats


def indirect_standardisation(
    observed: ArrayLike,
    expected: ArrayLike,
    provider: ArrayLike,
    weights: ArrayLike | None = None,
    overall: float | None = None,
) -> IndirectStandardisation:
    """Return observed against expected by provider: O / E, (O - E) / n, and standardised figures.

    The ratio is withheld (NaN, and `ratio_withheld` says so) where E cannot be told from 0, or
    has not the sign of the sum over all providers: then a better result could make a worse ratio.
    E cannot be told from 0 when it is 0, or when the provider's expected values have both signs
    and their sum is within 2 sqrt(sum e^2), two standard errors of a sum of values about 0.
    That rule is ours. Outcomes that are never negative are withheld only where E is 0. When the
    sum over all providers cannot be told from 0, all ratios are withheld.

    Parameters
    ----------
    observed, expected : array-like of shape (n_episodes,)
        In the unit of the outcome. Two ratios are not comparable with each other when the
        patients differ: compare each with 1.
    provider : array-like of shape (n_episodes,)
        Labels.
    weights : array-like of shape (n_episodes,), optional
        Not negative; some above 0 in each provider.
    overall : float, optional
        The rate or mean to standardise to; by default the (weighted) mean of `observed`.

    Returns
    -------
    IndirectStandardisation

    Raises
    ------
    ArrayError
        When an array has another shape or holds what is not a finite number.

    Notes
    -----
    Nothing is cut: a rate above 1 says that the overall rate does not suit the patients.

    Examples
    --------
    >>> result = indirect_standardisation([1, 0, 1, 1], [0.5, 0.3, 0.6, 0.6], ["a", "a", "b", "b"])
    >>> result.ratio.round(4).tolist(), result.difference.round(4).tolist()
    ([1.25, 1.6667], [0.1, 0.4])
    >>> result.rate.round(4).tolist(), result.mean.round(4).tolist()
    ([0.9375, 1.25], [0.85, 1.15])
    """
    groups = group_rows(provider)
    rows = (groups.n_rows,)
    weight = _weight_by_provider(weights, groups)
    o = groups.sort(finite("observed", observed, rows)) * weight
    e = groups.sort(finite("expected", expected, rows)) * weight
    size = groups.total_ordered(weight)
    events, expectation = groups.total_ordered(o), groups.total_ordered(e)
    withheld = _ratio_misleads(e, groups)
    ratio = np.where(withheld, np.nan, _ratio(events, expectation))
    difference = (events - expectation) / size
    given = events.sum() / size.sum() if overall is None else overall
    whole = float(finite("overall", [given], (1,))[0])
    return IndirectStandardisation(
        providers=groups.labels,
        n=groups.sizes,
        observed=events,
        expected=expectation,
        ratio=ratio,
        ratio_withheld=withheld,
        difference=difference,
        rate=ratio * whole,
        mean=whole + difference,
    )


@dataclass(frozen=True)
class DirectStandardisation:
    """What the whole reference population would have at each provider.

    Attributes
    ----------
    providers : ndarray of shape (n_providers,)
        Sorted labels.
    n : ndarray of shape (n_providers,)
        Episodes of the provider, on which its effect stands.
    mean : ndarray of shape (n_providers,)
        Mean outcome of the reference population under the provider's effect.
    """

    providers: NDArray[Any]
    n: NDArray[np.intp]
    mean: Floats


def direct_standardisation(
    linear_predictor: ArrayLike,
    provider: ArrayLike,
    provider_effect: Any,
    *,
    link: str = "logit",
    population: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> DirectStandardisation:
    """Return the mean outcome of one population under each provider's effect.

    These means can be compared with each other, and with `population_mean` at the average
    effect. Read them beside `case_mix_overlap`.

    Parameters
    ----------
    linear_predictor : array-like of shape (n_episodes,)
        x'b, without any intercept.
    provider : array-like of shape (n_episodes,)
        Labels.
    provider_effect : float, array-like or mapping
        As in `predicted_over_expected`.
    link : {"logit", "log", "identity"}
    population : array-like of shape (n_reference,), optional
        x'b of the reference population; by default that of all episodes.
    weights : array-like of shape (n_reference,), optional
        Of the reference population; not negative, with a sum above 0.

    Returns
    -------
    DirectStandardisation

    Raises
    ------
    ArrayError
        As in `predicted_over_expected`.

    Examples
    --------
    >>> result = direct_standardisation(
    ...     [0.0, 1.0, 2.0], ["a", "b", "b"], {"a": -1.0, "b": 0.0}, link="identity"
    ... )
    >>> result.mean.tolist()
    [0.0, 1.0]
    """
    groups = group_rows(provider)
    effect = _effect_by_provider("provider_effect", provider_effect, groups, link_named(link))
    own = finite("linear_predictor", linear_predictor, (groups.n_rows,))
    reference = own if population is None else population
    mean = population_mean(reference, effect, link=link, weights=weights)
    return DirectStandardisation(groups.labels, groups.sizes, mean)


def population_mean(
    linear_predictor: ArrayLike,
    effect: ArrayLike,
    *,
    link: str = "logit",
    weights: ArrayLike | None = None,
) -> Floats:
    """Return the mean of g(x'b + a) over a population, for each effect a.

    Parameters
    ----------
    linear_predictor : array-like of shape (n_reference,)
        x'b, without any intercept.
    effect : float or array-like of shape (n_effects,)
    link : {"logit", "log", "identity"}
    weights : array-like of shape (n_reference,), optional
        Not negative, with a sum above 0.

    Returns
    -------
    ndarray of the shape of `effect`

    Raises
    ------
    ArrayError
        When there is nobody; an array has another shape or holds what is not a number; or an
        effect is infinite where the link has no mean for it.

    Notes
    -----
    "identity" and "log" are exact: a + mean x'b, and exp(a) mean exp(x'b). For "logit" a large
    population is put into cells of width h = 1/64 of x'b, and g is developed about the middle of
    each cell up to the third power with the cell's exact moments. What is left out is at most
    max |g''''| (h/2)^4 / 24 < 0.128 x 3.73e-9 / 24 = 2e-11 for any data. A population with fewer
    rows than cells is summed row by row. Cost: n_reference + n_effects x cells.

    Examples
    --------
    >>> population_mean([-1.0, 0.0, 1.0], [0.0, np.inf]).tolist()
    [0.5, 1.0]
    """
    chosen = link_named(link)
    base = finite("linear_predictor", linear_predictor)
    if base.ndim != 1 or not base.size:
        raise ArrayError(f"linear_predictor: wanted one per row; got shape {base.shape}.")
    effects = chosen.admit("effect", effects_of("effect", effect))
    weight = weights_or_ones(weights, base.size)
    mean = _POPULATION_MEAN[chosen.name](base, weight / weight.sum(), effects.ravel())
    return mean.reshape(effects.shape)


def reference_effect(
    effects: ArrayLike,
    weights: ArrayLike | None = None,
    reference: str | float = "median",
    peer_group: ArrayLike | None = None,
) -> float | Floats:
    """Return the effect that counts as average: one for all, or that of each one's peer group.

    Parameters
    ----------
    effects : array-like of shape (n_providers,)
        May be infinite: fixed effects of providers with no, or only, events.
    weights : array-like of shape (n_providers,), optional
        Volumes; needed by, and used by, "volume_weighted" only. Not negative.
    reference : {"median", "volume_weighted", "mean"} or float
        `median`: half of the providers are above; each counts once. Infinite effects count by
        their place in the order. `mean`, `volume_weighted`: infinite effects are left out, as
        they have no mean. A number is returned as it is.
    peer_group : array-like of shape (n_providers,), optional
        Labels; each provider is then compared with its own group.

    Returns
    -------
    float, or ndarray of shape (n_providers,) when there are peer groups

    Raises
    ------
    ArrayError
        When an effect is missing, or a (group's) reference is not finite, such as the median of
        providers most of which have no event.

    Notes
    -----
    Median and volume-weighted mean are the choices of pprof 1.0.3 (R); the median of the peer
    group is the threshold of CMS's Hospital Readmissions Reduction Program, there of ratios.

    Examples
    --------
    >>> reference_effect([0.1, 0.4, -np.inf])
    0.1
    >>> reference_effect([0.0, 1.0, 5.0, 7.0], peer_group=["x", "x", "y", "y"]).tolist()
    [0.5, 0.5, 6.0, 6.0]
    """
    values = effects_of("effects", effects)
    if values.ndim != 1 or not values.size:
        raise ArrayError(f"effects: wanted one per provider; got shape {values.shape}.")
    peers = np.zeros(values.size, dtype=np.intp) if peer_group is None else peer_group
    groups = group_rows(peers, "peer_group")
    if groups.n_rows != values.size:
        raise ArrayError(
            f"peer_group: wanted {values.size} labels, one per provider; got {groups.n_rows}."
        )
    chosen = _reference_by_group(groups, values, weights, reference)
    if not np.isfinite(chosen).all():
        raise ArrayError(
            f"effects: wanted a finite reference; got {chosen[~np.isfinite(chosen)][0]:g}, as too "
            "many effects are infinite. Give a number, or larger peer groups."
        )
    return float(chosen[0]) if peer_group is None else groups.at_rows(chosen)


# --- effects and weights, as they come ---


def _effect_by_provider(name: str, effect: Any, groups: Groups, link: Link) -> Floats:
    """Return one effect per provider, in order of the labels, whichever way it came."""
    if hasattr(effect, "keys"):
        return link.admit(name, _of_mapping(name, effect, groups))
    values = effects_of(name, effect)
    if values.ndim == 0:
        return link.admit(name, np.full(len(groups), float(values)))
    if values.shape not in {(len(groups),), (groups.n_rows,)}:
        raise ArrayError(
            f"{name}: wanted one number, {len(groups)} (one per provider) or {groups.n_rows} (one "
            f"per episode); got shape {values.shape}. Give a mapping from label to effect."
        )
    per_provider = values if values.size == len(groups) else _of_episodes(name, values, groups)
    if groups.n_rows == len(groups) and groups.order is not None:
        raise ArrayError(
            f"{name}: wanted effects whose order is plain; got as many providers as episodes, so "
            "that it may be theirs or that of the labels. Give a mapping from label to effect."
        )
    return link.admit(name, per_provider)


def _of_mapping(name: str, effect: Any, groups: Groups) -> Floats:
    if not isinstance(effect, Mapping) and len(effect) == groups.n_rows:
        # A column of the episodes has keys too, its row numbers; they may look like labels.
        raise ArrayError(
            f"{name}: wanted a mapping from label to effect; got one as long as the episodes, "
            "which may be a column. Give a dict, or the column's values as an array."
        )
    missing = [one for one in groups.labels.tolist() if one not in effect]
    if missing:
        raise ArrayError(
            f"{name}: wanted an effect for each provider; got none for {len(missing)}, "
            f"such as {missing[0]!r}. Name it as in the labels."
        )
    values = effects_of(name, [effect[one] for one in groups.labels.tolist()])
    if values.shape == (len(groups),):
        return values
    raise ArrayError(f"{name}: wanted one effect per label; got several for some.")


def _of_episodes(name: str, values: Floats, groups: Groups) -> Floats:
    ordered = groups.sort(values)
    first = ordered[groups.starts]
    differs = ordered != groups.spread(first)
    if not differs.any():
        return first
    label = groups.spread(groups.labels)[differs][0]
    raise ArrayError(
        f"{name}: wanted one effect within a provider; got several in {plain(label)!r}. "
        "Give a mapping from label to effect."
    )


def _weight_by_provider(weights: ArrayLike | None, groups: Groups) -> Floats:
    """Return the weights in order of their provider."""
    if weights is None:
        return np.ones(groups.n_rows)
    ordered = groups.sort(at_least("weights", weights, 0.0, (groups.n_rows,)))
    empty = groups.total_ordered(ordered) <= 0
    if not empty.any():
        return ordered
    raise ArrayError(
        f"weights: wanted some above 0 in each provider; got none in "
        f"{plain(groups.labels[empty][0])!r}. Leave that provider out."
    )


# --- means and ratios ---


def _mean(groups: Groups, ordered: Floats, weight: Floats) -> Floats:
    return groups.total_ordered(ordered * weight) / groups.total_ordered(weight)


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return the ratio; NaN where the denominator is 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)


def _ratio_misleads(ordered: Floats, groups: Groups) -> NDArray[np.bool_]:
    total = groups.total_ordered(ordered)
    size, square = groups.total_ordered(np.abs(ordered)), groups.total_ordered(ordered**2)
    if _near_zero(total.sum(), size.sum(), square.sum()):
        return np.ones(len(groups), dtype=bool)
    other_sign = np.sign(total) != np.sign(total.sum())
    return np.asarray(_near_zero(total, size, square) | other_sign)


def _near_zero(total: Any, size: Any, square: Any) -> Any:
    """Say whether a sum is 0, or of values of both signs and too close to 0 for its size."""
    # Sums of one sign equal the sum of their sizes but for rounding.
    both_signs = np.abs(total) < size * (1 - 1e-12)
    return (total == 0) | (both_signs & (total**2 <= _TOO_CLOSE**2 * square))


# --- means of a population ---


def _identity_mean(base: Floats, share: Floats, effects: Floats) -> Floats:
    return effects + float((base * share).sum())


def _log_mean(base: Floats, share: Floats, effects: Floats) -> Floats:
    # Taking the largest out first keeps the mean a number when its parts would not be.
    top = float(base.max())
    log_mean = top + np.log((np.exp(base - top) * share).sum())
    return link_named("log").mean(effects + log_mean)


def _logit_mean(base: Floats, share: Floats, effects: Floats) -> Floats:
    points, moments = _cells(base, share)
    means = np.empty_like(effects)
    step = max(1, _AT_A_TIME // points.size)
    for start in range(0, effects.size, step):
        p = special.expit(points + effects[start : start + step, None])
        means[start : start + step] = (p * moments[0]).sum(axis=1)
        if len(moments) > 1:
            v = p * (1 - p)
            beyond = moments[1] + (1 - 2 * p) * moments[2] + (1 - 6 * v) * moments[3]
            means[start : start + step] += (v * beyond).sum(axis=1)
    return means


def _cells(base: Floats, share: Floats) -> tuple[Floats, list[Floats]]:
    """Return the middles of the cells that hold anybody, and sum w (x - middle)^k / k! in each."""
    lowest = float(base.min())
    n_cells = np.floor((float(base.max()) - lowest) / _CELL) + 1
    if n_cells >= base.size:
        return base, [share]
    cell = ((base - lowest) / _CELL).astype(np.intp)
    offset = base - lowest - (cell + 0.5) * _CELL
    used = np.bincount(cell) > 0
    powers = (share, share * offset, share * offset**2 / 2, share * offset**3 / 6)
    moments = [_sum_by(cell, one, used.size)[used] for one in powers]
    middles = np.flatnonzero(used).astype(np.float64) + 0.5
    return lowest + middles * _CELL, moments


def _sum_by(code: NDArray[np.intp], values: Floats, n: int) -> Floats:
    return np.asarray(np.bincount(code, values, minlength=n), dtype=np.float64)


_POPULATION_MEAN: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "identity": _identity_mean,
    "log": _log_mean,
    "logit": _logit_mean,
}


def _reference_by_group(
    groups: Groups, values: Floats, weights: ArrayLike | None, reference: str | float
) -> Floats:
    if not isinstance(reference, str):
        return np.full(len(groups), finite("reference", [reference], (1,)))
    one_of("reference", reference, _REFERENCES)
    if reference == "volume_weighted" and weights is None:
        raise ArrayError('weights: wanted volumes for reference "volume_weighted"; got none.')
    volume = np.ones(values.size) if weights is None else weights
    weight = at_least("weights", volume, 0.0, (values.size,))
    return _REFERENCES[reference](groups, groups.sort(values), groups.sort(weight))


def _median_effect(groups: Groups, ordered: Floats, _: Floats) -> Floats:
    ranked = ordered[np.lexsort((ordered, groups.spread(np.arange(len(groups)))))]
    low = ranked[groups.starts + (groups.sizes - 1) // 2]
    high = ranked[groups.starts + groups.sizes // 2]
    # Two infinite middles are one infinite median, or (-inf, inf) none.
    with np.errstate(invalid="ignore"):
        middle: Floats = np.where(low == high, low, (low + high) / 2)
    return middle


def _weighted_effect(groups: Groups, ordered: Floats, weight: Floats) -> Floats:
    used = np.isfinite(ordered)
    kept = np.where(used, weight, 0.0)
    return _ratio(
        groups.total_ordered(np.where(used, ordered, 0.0) * kept), groups.total_ordered(kept)
    )


def _mean_effect(groups: Groups, ordered: Floats, weight: Floats) -> Floats:
    return _weighted_effect(groups, ordered, np.ones_like(weight))


_REFERENCES: dict[str, Callable[[Groups, Floats, Floats], Floats]] = {
    "median": _median_effect,
    "volume_weighted": _weighted_effect,
    "mean": _mean_effect,
}
