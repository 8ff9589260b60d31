"""Where providers differ in cost: by component, by window, and by how much a longer window adds.

The question of bundled payment for spine surgery: which part of an episode's cost varies between
providers, and what is gained by counting for longer (Dalton, Mjaset et al. 2021 compare fifths of
regions by adjusted cost to 60, 90 and 180 days after a fusion).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.digest import digest_of_frame
from riskadj.errors import StudyError, TooFewProvidersError
from riskadj.expected.windows import COMPONENTS, WindowCosts
from riskadj.stats.cost_parts import (
    FIFTH_OF_NORMAL,
    PartExcess,
    between_parts,
    outer_fifths,
    part_excess,
)
from riskadj.study import Study

Floats = NDArray[np.float64]

TOTAL = "total"
FEWEST = 5
"""Providers without which nothing is told of how they differ."""
FEWEST_IN_FIFTHS = 10
"""Providers without which a fifth would be one provider, and its figures are NaN."""
_FEWEST_REPLICATES = 100
_PERCENTILES = (2.5, 97.5)

WINDOW_COLUMNS = (
    "window", "component", "mean", "share_of_mean",
    "between_sd", "between_sd_lower95", "between_sd_upper95",
    "cv", "cv_lower95", "cv_upper95", "cv_change", "cv_change_lower95", "cv_change_upper95",
    "share_of_variance", "share_of_variance_lower95", "share_of_variance_upper95",
    "variance_added", "variance_added_lower95", "variance_added_upper95",
    "quintile_1", "quintile_5", "gap", "relative_gap", "relative_gap_lower95",
    "relative_gap_upper95", "gap_by_longest", "relative_gap_by_longest",
    "relative_gap_beyond_chance", "relative_gap_beyond_chance_lower95",
    "relative_gap_beyond_chance_upper95", "log_sd", "log_sd_lower95", "log_sd_upper95",
    "reliability",
)  # fmt: skip


@dataclass(frozen=True)
class WindowVariation:
    """How providers differ in cost, by component and window.

    Attributes
    ----------
    costs : WindowCosts
        Of the episodes compared.
    table : DataFrame
        A row per window and component, the total last: `WINDOW_COLUMNS`, as `vary_by_window`
        explains them.
    providers, episodes : int
        Compared.
    left_out : int
        Providers with too few episodes.
    replicates : int
    digest : str
    """

    costs: WindowCosts
    table: pd.DataFrame
    providers: int
    episodes: int
    left_out: int
    replicates: int
    digest: str

    def row(self, days: int, component: str = TOTAL) -> pd.Series:
        """Return one row of the table."""
        rows = self.table
        return rows[(rows["window"] == days) & (rows["component"] == component)].iloc[0]


def vary_by_window(costs: WindowCosts, study: Study, replicates: int = 1000) -> WindowVariation:
    r"""Return how much providers differ in cost, beyond chance, by component and window.

    A provider's adjusted cost is observed over expected times the mean cost. Of a component it is
    its mean plus the provider's excess of it, as a share of the total expected, times the mean
    total; so components add up to the total.

    Parameters
    ----------
    costs : WindowCosts
    study : Study
        Its `profile.suppress_below`: providers with fewer episodes are left out, so that nothing
        of them can be worked out. Its `split.seed`.
    replicates : int
        Of the provider bootstrap, 100 or more. Expectations and weights stay as they are.

    Returns
    -------
    WindowVariation
        With columns, of which the amounts are in the currency:

        mean, share_of_mean
            Observed, of all episodes compared; and over that of the total.
        between_sd, cv
            Standard deviation of adjusted cost between providers, chance taken off; 0 where
            nothing is left; and over the mean of the component.
        cv_change
            `cv` less that of the shortest window.
        share_of_variance
            Covariance between a component and the total, over the variance of the total: the
            shares of a window sum to 1. NaN where the total varies by chance alone. May be below
            0, where a component is low at providers whose total is high.
        variance_added
            What the window adds to the variance of the total (of a component: to its covariance
            with the total) over the next shorter one, in shares of the variance at the longest;
            of the shortest, what it has. They sum to 1.
        quintile_1, quintile_5, gap, relative_gap
            Adjusted cost of the fifth of providers with the lowest and the highest total of the
            window, their difference, and that over `quintile_1` of the total. Chance is in them.
            NaN with fewer than ten providers, as a fifth could be one alone.
        gap_by_longest, relative_gap_by_longest
            The same, of the fifths by the total of the longest window.
        relative_gap_beyond_chance
            The gap that `cv` alone would make were providers normally distributed,
            (1 + 1.4 cv) / (1 - 1.4 cv) - 1; of the total.
        log_sd
            Standard deviation between providers of the log of observed over expected, chance
            taken off; of the total.
        reliability
            Of the typical provider's (median): share of what is seen that is not chance.

        Bounds are percentiles of the replicates.

    Raises
    ------
    TooFewProvidersError
        With fewer than five providers of enough episodes.
    StudyError
        With fewer than 100 replicates.
    """
    if replicates < _FEWEST_REPLICATES:
        raise StudyError(
            f"replicates: wanted {_FEWEST_REPLICATES} or more; got {replicates}. Ask for 1000."
        )
    kept, left_out = _of_enough(costs, study.profile.suppress_below)
    parts = [
        part_excess(o, e, kept.provider)
        for o, e in zip(kept.observed, kept.expected, strict=True)
    ]  # fmt: skip
    n = len(parts[0].n)
    draws = np.random.default_rng([study.split.seed, 1]).integers(0, n, (replicates, n))
    windows = [
        _Window.of(one, parts[-1], o, draws) for one, o in zip(parts, kept.observed, strict=True)
    ]
    rows = [row for days, one in zip(kept.windows, windows, strict=True) for row in one.rows(days)]
    compared = {**_added(windows), **_changed(windows)}
    table = pd.DataFrame(rows).join(pd.DataFrame(compared))[[*WINDOW_COLUMNS]]
    digest = digest_of_frame(table, costs.digest)
    return WindowVariation(costs, table, n, len(kept.provider), left_out, replicates, digest)


def _of_enough(costs: WindowCosts, fewest: int) -> tuple[WindowCosts, int]:
    """Return the costs of providers with enough episodes, whose expectations sum to what was."""
    sizes = pd.Series(costs.provider).value_counts()
    enough = sizes.index[sizes >= fewest]
    if len(enough) < FEWEST:
        raise TooFewProvidersError(
            f"wanted {FEWEST} providers or more with {fewest} episodes or more "
            f"(profile.suppress_below); got {len(enough)} of {len(sizes)}. "
            "Compare more periods at once."
        )
    stays = np.isin(costs.provider, enough)
    observed, expected = costs.observed[:, stays], costs.expected[:, stays]
    sums, wanted = (one.sum(axis=1, keepdims=True) for one in (observed, expected))
    factor = np.divide(sums, wanted, out=np.zeros_like(sums), where=wanted > 0)
    kept = replace(
        costs, provider=costs.provider[stays], observed=observed, expected=expected * factor
    )
    return kept, len(sizes) - len(enough)


@dataclass(frozen=True)
class _Window:
    """What is known of a window: as seen, and in every replicate.

    `between` has shape (n_parts + 1, 2) and `drawn` (n_replicates, n_parts + 1, 2): of each
    component and of the total its variance between providers and its covariance with the total,
    relative to the mean total.
    """

    parts: PartExcess
    mean: Floats
    between: Floats
    drawn: Floats
    fifths: Floats
    by_longest: Floats
    ratios: Floats
    logs: tuple[float, Floats]

    @classmethod
    def of(
        cls, parts: PartExcess, longest: PartExcess, observed: Floats, draws: NDArray[np.intp]
    ) -> "_Window":
        means = observed.mean(axis=0)
        logs = parts.on_log_scale()
        return cls(
            parts,
            np.append(means, means.sum()),
            _with_total(between_parts(parts)),
            _with_total(between_parts(parts, draws)),
            _fifths(parts, parts),
            _fifths(parts, longest),
            _ratios(parts, draws),
            (float(between_parts(logs)[0, 0]), between_parts(logs, draws)[:, 0, 0]),
        )

    @property
    def total(self) -> float:
        """Mean cost of an episode."""
        return float(self.mean[-1])

    @property
    def covariance(self) -> tuple[Floats, Floats]:
        """Covariances with the total in squares of the currency: as seen, and by replicate."""
        return self.between[:, 1] * self.total**2, self.drawn[:, :, 1] * self.total**2

    @property
    def over(self) -> Floats:
        """Mean total over the mean of every component and of the total; NaN where that is 0."""
        return np.divide(
            self.total, self.mean, out=np.full_like(self.mean, np.nan), where=self.mean > 0
        )

    @property
    def cv(self) -> tuple[Floats, Floats]:
        """Standard deviations over the mean: as seen, and by replicate."""
        return _root(self.between[:, 0]) * self.over, _root(self.drawn[:, :, 0]) * self.over

    def rows(self, days: int) -> Iterator[dict[str, object]]:
        """Yield the rows of the table, but for what the window adds."""
        sd, drawn_sd = _root(self.between[:, 0]), _root(self.drawn[:, :, 0])
        cv, drawn_cv = self.cv
        share, drawn_share = _shares(self.between[:, 1]), _shares(self.drawn[:, :, 1])
        errors = np.column_stack(
            [np.diagonal(self.parts.error, axis1=1, axis2=2), self.parts.total_error]
        )
        for place, component in enumerate((*COMPONENTS, TOTAL)):
            low, high = self.fifths[:, place]
            first, last = self.by_longest[:, place]
            yield {
                "window": days,
                "component": component,
                "mean": self.mean[place],
                "share_of_mean": self.mean[place] / self.total,
                **_bounded("between_sd", sd[place] * self.total, drawn_sd[:, place] * self.total),
                **_bounded("cv", cv[place], drawn_cv[:, place]),
                **_bounded("share_of_variance", share[place], drawn_share[:, place]),
                "quintile_1": low,
                "quintile_5": high,
                "gap": high - low,
                "relative_gap": (high - low) / self.fifths[0, -1],
                "gap_by_longest": last - first,
                "relative_gap_by_longest": (last - first) / self.by_longest[0, -1],
                "reliability": _reliability(self.between[place, 0], errors[:, place]),
                **(self._of_total(sd[-1], drawn_sd[:, -1]) if component == TOTAL else {}),
            }

    def _of_total(self, sd: float, drawn: Floats) -> dict[str, float]:
        low, high = self.fifths[:, -1]
        root, roots = _root(np.array(self.logs[0])), _root(self.logs[1])
        return {
            **_bounded("relative_gap", high / low - 1, self.ratios - 1),
            **_bounded("relative_gap_beyond_chance", _gap_of(sd), _gap_of(drawn)),
            **_bounded("log_sd", root, roots),
        }


def _with_total(between: Floats) -> Floats:
    """Return the variance of each part and of the total, and their covariance with the total."""
    with_total = between.sum(axis=-1)
    whole = with_total.sum(axis=-1, keepdims=True)
    variance = np.concatenate([np.diagonal(between, axis1=-2, axis2=-1), whole], axis=-1)
    return np.stack([variance, np.concatenate([with_total, whole], axis=-1)], axis=-1)


def _fifths(parts: PartExcess, by: PartExcess) -> Floats:
    """Return adjusted costs of the outer fifths of providers, of every part and the total."""
    if len(parts.n) < FEWEST_IN_FIFTHS:
        return np.full((2, parts.observed.shape[1] + 1), np.nan)
    order = by.ratio
    whole = parts.expected.sum(axis=1)
    mean = parts.observed.sum(axis=0) / parts.n.sum()
    total = mean.sum()
    sides = [
        outer_fifths(order, o - e, whole)
        for o, e in zip(parts.observed.T, parts.expected.T, strict=True)
    ]
    found = [mean + total * np.array([one[side] for one in sides]) for side in (0, 1)]
    return np.array([np.append(one, one.sum()) for one in found])


def _ratios(parts: PartExcess, draws: NDArray[np.intp]) -> Floats:
    """Return the total of the highest fifth over that of the lowest in every replicate."""
    if len(parts.n) < FEWEST_IN_FIFTHS:
        return np.full(len(draws), np.nan)
    low, high = outer_fifths(
        parts.ratio[draws], parts.observed.sum(axis=1)[draws], parts.expected.sum(axis=1)[draws]
    )
    return np.asarray(high / low)


def _gap_of(cv: Floats | float) -> Floats:
    """Return how far the outer fifths of a normal distribution are apart, over the lower."""
    reach = np.minimum(FIFTH_OF_NORMAL * np.asarray(cv), 1 - 1e-9)
    return np.asarray((1 + reach) / (1 - reach) - 1)


def _root(variance: Floats) -> Floats:
    return np.sqrt(np.maximum(variance, 0.0))


def _shares(covariance: Floats) -> Floats:
    """Return what parts carry of the total, which comes last; NaN where it does not vary."""
    whole = covariance[..., -1:]
    return np.divide(covariance, whole, out=np.full_like(covariance, np.nan), where=whole > 0)


def _reliability(variance: float, error: Floats) -> float:
    between = max(float(variance), 0.0)
    if between == 0.0:
        return 0.0
    return float(np.median(between / (between + error)))


def _added(windows: list[_Window]) -> dict[str, Floats]:
    """Return what every window adds to what the one before had, over the total of the longest."""
    seen, drawn = zip(*(one.covariance for one in windows), strict=True)
    added = np.diff(np.stack(seen), axis=0, prepend=0.0)
    replicates = np.diff(np.stack(drawn), axis=0, prepend=0.0)
    whole, wholes = seen[-1][-1], drawn[-1][:, -1]
    share = added / whole if whole > 0 else np.full_like(added, np.nan)
    shares = np.divide(
        replicates, wholes[:, None], out=np.full_like(replicates, np.nan),
        where=wholes[:, None] > 0,
    )  # fmt: skip
    return _columns("variance_added", share, shares)


def _changed(windows: list[_Window]) -> dict[str, Floats]:
    """Return how far the variation of every window is from that of the shortest."""
    seen, drawn = (np.stack(one) for one in zip(*(one.cv for one in windows), strict=True))
    return _columns("cv_change", seen - seen[0], drawn - drawn[0])


def _columns(name: str, values: Floats, drawn: Floats) -> dict[str, Floats]:
    """Return columns of figures and bounds, of shape (n_windows, n_parts), row by row."""
    low, high = _percentiles(drawn, axis=1)
    return {
        name: values.ravel(), f"{name}_lower95": low.ravel(), f"{name}_upper95": high.ravel()
    }  # fmt: skip


def _bounded(name: str, value: Floats | float, drawn: Floats) -> dict[str, float]:
    """Return a figure and its bounds."""
    low, high = _percentiles(drawn, axis=0)
    return {name: float(value), f"{name}_lower95": float(low), f"{name}_upper95": float(high)}


def _percentiles(values: Floats, axis: int) -> tuple[Floats, Floats]:
    """Return percentiles of the replicates that have a value; NaN where fewer than half have."""
    known = np.isfinite(values)
    few = known.mean(axis=axis) < 0.5
    filled = np.where(np.expand_dims(few, axis), 0.0, values)
    low, high = np.nanpercentile(filled, _PERCENTILES, axis=axis)
    return np.where(few, np.nan, low), np.where(few, np.nan, high)
