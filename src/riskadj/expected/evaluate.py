"""How good expectations are on episodes that their models never saw.

Intervals allow for episodes of a provider resembling each other: the provider is what is drawn.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.cohort import Cohort, Winsorising
from riskadj.errors import ArrayError, NoVariationError
from riskadj.expected.crossfit import Expectations
from riskadj.stats import (
    Estimate,
    accuracy,
    accuracy_by_cluster,
    accuracy_difference,
    assess_calibration,
    brier_score,
    calibration_bins,
    calibration_curve,
    discrimination,
    discrimination_difference,
    groups_by_rank,
    interval_by_cluster,
    mean_by_cluster,
    sums_by_cluster,
)
from riskadj.stats.cost_fit import cost_fit
from riskadj.stats.park import ParkTest, park_test
from riskadj.stats.predictive_ratios import predictive_ratios_by_tenth
from riskadj.study.kinds import Family

DECILES = 10
FIFTHS = 5
"""Of the expectation, in the curve of a subgroup."""
VOLUME = "(provider volume)"
"""Stands for how many episodes a provider has, as a column of the subgroup table."""
VOLUMES = ("small", "middle", "large")
NOT_RECORDED = "not recorded"
"""The group of those of whom a column says nothing."""
KIND_OF: Mapping[str, str] = {"gaussian": "mean", "binomial": "risk", "gamma": "mean"}
_KEYS = ["outcome", "learner"]
_ENDS = ("", "_lower95", "_upper95")
SUBGROUP_COLUMNS = [
    *_KEYS, "column", "level", "n", "observed", "expected", "difference", "lower95", "upper95",
    *(f"{figure}{end}" for figure in ("slope", "intercept") for end in _ENDS), "r2",
    *(f"{figure}{end}" for figure in ("c_statistic", "brier") for end in _ENDS),
]  # fmt: skip
DIFFERENCE_COLUMNS = [
    "outcome", "learner", "other", "figure", "n", "difference", "lower95", "upper95",
]  # fmt: skip
CALIBRATION_COLUMNS = [*_KEYS, "decile", "n", "expected", "observed", "difference"]
CURVE_COLUMNS = [
    *_KEYS, "column", "level", *CALIBRATION_COLUMNS[len(_KEYS):], "lower95", "upper95",
]  # fmt: skip
CEILING_COLUMNS = [*CALIBRATION_COLUMNS, "lower95", "upper95"]
RATIO_COLUMNS = ["predictive_ratio", "predictive_ratio_lower95", "predictive_ratio_upper95"]
"""Further columns of calibration, of costs."""
SLOPE_COLUMNS = [*_KEYS, "used", "n_providers", "sd", "largest"]
AT_BEST = 1e-9
"""Scores this close to the best one are it."""
VALIDATION_COLUMNS = [
    *_KEYS, "left_out", "figure", "groups", "value", "lower95", "upper95", "prediction_lower95",
    "prediction_upper95", "tau", "too_small", "smallest_n",
]  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """Figures on held-out episodes, in the unit of what is modelled.

    Attributes
    ----------
    metrics : mapping of str to mapping
        Learner -> `n, r2, mae, rmse, bias, total_ratio, calibration_slope,
        calibration_intercept, drift, r2_before_recalibration, largest_decile_error, ici`; all on
        what is modelled. `drift` is the mean of observed - expected that recalibration removed;
        `ici` the mean distance of the calibration curve from the diagonal. Of chances also
        `c_statistic, brier`, and `r2` is the scaled Brier score. Of costs also `cpm`, Cumming's
        prediction measure; `park_slope`, the power of the mean that variance goes with;
        `negative_share`, of expectations before recalibration; `top_coded_n, top_coded_share`,
        what capping took off. With `_lower95` and `_upper95` where there is an interval, NaN with
        too few providers; `bias` has one where nothing is recalibrated.
    calibration : DataFrame
        The columns of `CURVE_COLUMNS`, by decile of expectation; `column` and `level` are empty.
        The interval is of the difference. Where an outcome is a cost also `predictive_ratio`,
        expected over observed, with `_lower95` and `_upper95`; NaN for other outcomes.
    subgroups : DataFrame
        The columns of `SUBGROUP_COLUMNS`: those asked for, and thirds of providers by volume.
    curves : DataFrame
        The same as `calibration` of every subgroup, by fifth of the expectation within it, which
        `decile` counts.
    ceiling : DataFrame
        The columns of `CEILING_COLUMNS`: the share of episodes at the best score, by decile of its
        expectation; of learners that expect it.
    slopes : DataFrame
        `outcome, learner, used, n_providers, sd, largest`: how far providers' mean expectations
        are moved by slopes within providers, in the unit of what is modelled.
    differences : DataFrame
        The columns of `DIFFERENCE_COLUMNS`: how much a figure of one learner is above that of
        another on the same episodes.
    validation : DataFrame
        Internal-external validation, as from `validate_elsewhere`; empty where nobody asked.
    """

    metrics: Mapping[str, Mapping[str, float]]
    calibration: pd.DataFrame
    subgroups: pd.DataFrame
    curves: pd.DataFrame
    ceiling: pd.DataFrame
    slopes: pd.DataFrame
    differences: pd.DataFrame
    validation: pd.DataFrame = field(
        default_factory=partial(pd.DataFrame, columns=VALIDATION_COLUMNS)
    )


def evaluate(expectations: Expectations, subgroups: tuple[str, ...] = ()) -> Evaluation:
    """Evaluate every learner.

    Parameters
    ----------
    expectations : Expectations
    subgroups : tuple of str
        Columns of the episodes to report by; those that the data lack are passed over. Numbers
        of more than ten values are reported by fifths.
    """
    cohort, family = expectations.cohort, expectations.cohort.outcome.compares.family
    levels = {
        name: levels_of(cohort.test[name]).fillna(NOT_RECORDED).to_numpy()
        for name in subgroups
        if name in cohort.test.columns
    }
    levels[VOLUME] = volume_thirds(cohort.test["provider_id"])
    metrics, calibrations, groups, curves = {}, [], [], []
    by_learner = {name: _numbered(rows) for name, rows in expectations.by_learner()}
    for learner, rows in by_learner.items():
        calibration = _curve(rows, family, DECILES)
        metrics[learner] = _metrics(rows, calibration, cohort)
        if family == "gamma":
            calibration = calibration.assign(**_ratios_by_tenth(rows))
        calibrations.append(calibration)
        few = rows[[*_KEYS, "provider_id", "observed_score", "expected_score"]]
        groups += [_subgroup(few, name, level, family) for name, level in levels.items()]
        curves += [
            _curve(part, family, FIFTHS, name, key)
            for name, level in levels.items()
            for key, part in few.groupby(level)
        ]
    return Evaluation(
        metrics,
        pd.concat(calibrations, ignore_index=True),
        pd.concat(groups, ignore_index=True),
        pd.concat(curves, ignore_index=True),
        _ceiling(expectations, by_learner),
        _slopes(expectations),
        pd.DataFrame(_differences(by_learner, family), columns=DIFFERENCE_COLUMNS),
    )


def _numbered(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with providers as numbers in the order of their names, which sort faster."""
    codes, _ = pd.factorize(rows["provider_id"], sort=True)
    return rows.assign(provider_id=codes)


def calibration_table(rows: pd.DataFrame, groups: int = DECILES) -> pd.DataFrame:
    """Return observed against expected scores by decile of the expected, or fewer groups."""
    decile = groups_by_rank(rows["expected_score"], groups)
    means = (
        rows[["expected_score", "observed_score"]]
        .groupby(decile)
        .agg(
            n=("expected_score", "size"),
            expected=("expected_score", "mean"),
            observed=("observed_score", "mean"),
        )
        .rename_axis("decile")
        .reset_index()
    )
    means["difference"] = means["observed"] - means["expected"]
    return _keyed(means, rows)


def _curve(
    rows: pd.DataFrame, family: Family, groups: int, column: str = "", level: str = ""
) -> pd.DataFrame:
    """Return a calibration table with intervals of observed - expected, of a group of episodes."""
    table = calibration_table(rows, groups)
    ends = unless_impossible(partial(_CURVE_ENDS[KIND_OF[family]], rows, groups))
    lower, upper = (np.nan, np.nan) if ends is None else ends
    return table.assign(column=column, level=level, lower95=lower, upper95=upper)[CURVE_COLUMNS]


def _ends_of_means(rows: pd.DataFrame, groups: int) -> list[tuple[float, ...]]:
    """Return the ends of intervals, each group of which has those of its mean difference."""
    rest = (rows["observed_score"] - rows["expected_score"]).to_numpy()
    provider = rows["provider_id"].to_numpy()
    group = groups_by_rank(rows["expected_score"], groups)
    found = [
        unless_impossible(partial(mean_by_cluster, rest[group == one], provider[group == one]))
        for one in np.unique(group)
    ]
    return [tuple(getattr(one, end, np.nan) for one in found) for end in ("lower", "upper")]


def _ends_of_shares(rows: pd.DataFrame, groups: int) -> list[NDArray[np.float64]]:
    """Return the same of shares, whose intervals hold where everybody or nobody responds, too."""
    found = calibration_bins(
        rows["observed_score"], rows["expected_score"], groups, "risk", rows["provider_id"]
    )
    return [found.lower - found.expected, found.upper - found.expected]


_CURVE_ENDS: Mapping[str, Callable[[pd.DataFrame, int], Sequence[Any]]] = {
    "mean": _ends_of_means,
    "risk": _ends_of_shares,
}


def _metrics(rows: pd.DataFrame, calibration: pd.DataFrame, cohort: Cohort) -> dict[str, float]:
    family = cohort.outcome.compares.family
    observed, expected = rows["observed_score"].to_numpy(), rows["expected_score"].to_numpy()
    raw, provider = rows["expected_score_raw"].to_numpy(), rows["provider_id"].to_numpy()
    before, drift = accuracy(observed, raw), _sure(observed, raw, provider, "bias")
    found = assess_calibration(observed, expected, KIND_OF[family], rows["provider_id"])
    curve = calibration_curve(observed, expected, kind=KIND_OF[family])
    return (
        asdict(accuracy(observed, expected))
        | _sures(observed, expected, provider, {one: one for one in ("r2", "mae", "rmse")})
        | (_bounds("bias", drift) if np.array_equal(expected, raw) else {})
        | {"calibration_slope": found.slope.value}
        | _bounds("calibration_slope", found.slope)
        | {
            "calibration_intercept": found.intercept.value,
            **_bounds("calibration_intercept", found.intercept),
            "drift": before.bias,
            **_bounds("drift", drift),
            "r2_before_recalibration": before.r2,
            **_sures(observed, raw, provider, {"r2_before_recalibration": "r2"}),
            "largest_decile_error": float(calibration["difference"].abs().max()),
            "ici": curve.ici,
        }
        | (_of_chances(rows) if family == "binomial" else {})
        | (_of_costs(rows, cohort.winsorising) if family == "gamma" else {})
    )


def _ceiling(expectations: Expectations, by_learner: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return observed against expected shares at the best score, by decile of the expected."""
    cohort, tables = expectations.cohort, []
    best = cohort.outcome.measured.best
    for learner, rows in by_learner.items():
        model = expectations.models.get(learner)
        share = model and model.expected_share_at_ceiling(cohort.test, rows["fold"])
        if share is None:
            continue
        there = (rows["observed_score"] - best).abs() < AT_BEST
        shares = rows[[*_KEYS, "provider_id"]].assign(
            expected_score=share, observed_score=there.astype(float)
        )
        tables.append(_curve(shares, "binomial", DECILES)[CEILING_COLUMNS])
    nothing = pd.DataFrame(columns=CEILING_COLUMNS)
    return pd.concat(tables, ignore_index=True) if tables else nothing


def _slopes(expectations: Expectations) -> pd.DataFrame:
    """Summarise how far slopes within providers move expectations."""
    outcome = expectations.cohort.outcome.name
    rows = [
        (outcome, learner, expectations.uses_within(learner), len(shift), shift.std(),
         shift.abs().max())
        for learner, shift in expectations.shifts.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=SLOPE_COLUMNS)


def _of_chances(rows: pd.DataFrame) -> dict[str, float]:
    observed, expected = rows["observed_score"].to_numpy(), rows["expected_score"].to_numpy()
    found = discrimination(observed, expected, rows["provider_id"])
    return (
        {"c_statistic": found.value}
        | _bounds("c_statistic", found)
        | {"brier": brier_score(observed, expected).brier}
        | _sures(observed, expected, rows["provider_id"].to_numpy(), {"brier": "mse"})
    )


def _of_costs(rows: pd.DataFrame, capped: Winsorising | None) -> dict[str, float]:
    observed, expected = rows["observed_score"].to_numpy(), rows["expected_score"].to_numpy()
    provider = rows["provider_id"].to_numpy()
    park = unless_impossible(lambda: park_test(observed, expected, provider))
    return (
        {"cpm": cost_fit(observed, expected).cpm}
        | _bounds("cpm", unless_impossible(lambda: _cpm_interval(observed, expected, provider)))
        | {"park_slope": park.slope if park else np.nan}
        | _bounds("park_slope", park)
        | {
            "negative_share": cost_fit(observed, rows["expected_score_raw"]).negative_share,
            "top_coded_n": float(capped.n_capped) if capped else 0.0,
            "top_coded_share": capped.share_capped if capped else 0.0,
        }
    )


def _cpm_interval(
    observed: NDArray[np.float64], expected: NDArray[np.float64], provider: NDArray[Any]
) -> Estimate:
    """Return Cumming's measure as providers are drawn, about the mean of all episodes."""
    columns = {"off": np.abs(observed - expected), "away": np.abs(observed - observed.mean())}
    return interval_by_cluster(
        sums_by_cluster(columns, provider), lambda of: 1 - of["off"] / of["away"]
    )


def _ratios_by_tenth(rows: pd.DataFrame) -> dict[str, Any]:
    """Return predictive ratios with their intervals, or nothing where a tenth has one provider."""
    found = unless_impossible(
        lambda: predictive_ratios_by_tenth(
            rows["observed_score"], rows["expected_score"], rows["provider_id"], groups=DECILES
        )
    )
    if found is None:
        return dict.fromkeys(RATIO_COLUMNS, np.nan)
    return dict(zip(RATIO_COLUMNS, (found.ratio, found.lower, found.upper), strict=True))


def unless_impossible(figure: Callable[[], Any]) -> Any:
    """Return a figure, or None where there are too few providers or nothing differs."""
    try:
        return figure()
    except (ArrayError, NoVariationError):
        return None


def _sure(
    observed: NDArray[np.float64], expected: NDArray[np.float64], provider: NDArray[Any], of: str
) -> Estimate | None:
    """Return a figure of closeness; none with too few providers, or a sample without variance."""
    found: Estimate | None = unless_impossible(
        lambda: accuracy_by_cluster(observed, expected, provider, of)
    )
    return found


def _sures(
    observed: NDArray[np.float64],
    expected: NDArray[np.float64],
    provider: NDArray[Any],
    figures: Mapping[str, str],
) -> dict[str, float]:
    """Return the ends of intervals of figures, by the name that each goes by."""
    ends: dict[str, float] = {}
    for name, figure in figures.items():
        ends |= _bounds(name, _sure(observed, expected, provider, figure))
    return ends


def _bounds(name: str, found: Estimate | ParkTest | None) -> dict[str, float]:
    lower, upper = (found.lower, found.upper) if found else (np.nan, np.nan)
    return {f"{name}_lower95": float(lower), f"{name}_upper95": float(upper)}


# --- subgroups ------------------------------------------------------------------------------------


def _subgroup(rows: pd.DataFrame, name: str, level: np.ndarray, family: Family) -> pd.DataFrame:
    table = pd.DataFrame(
        [_figures(part, family) | {"level": key} for key, part in rows.groupby(level)]
    )
    keys = {key: rows[key].iloc[0] for key in _KEYS} | {"column": name}
    return table.assign(**keys).reindex(columns=SUBGROUP_COLUMNS)


def _figures(part: pd.DataFrame, family: Family) -> dict[str, Any]:
    """Return how close expectations are in a part; what it is too small for is null."""
    observed, expected = part["observed_score"], part["expected_score"]
    figures = {
        "n": len(part),
        "observed": observed.mean(),
        "expected": expected.mean(),
        "difference": (observed - expected).mean(),
        "r2": accuracy(observed, expected).r2,
    }
    if family == "binomial":
        figures["brier"] = float(((observed - expected) ** 2).mean())
        if observed.nunique() < 2:  # what does not vary would seem to be sure
            return figures
    provider = part["provider_id"]
    try:
        mean = mean_by_cluster(observed - expected, provider)
        figures |= {"lower95": mean.lower, "upper95": mean.upper}
        if family == "binomial":
            brier = accuracy_by_cluster(observed, expected, provider, "mse", "jackknife")
            figures |= _with_ends("brier", brier)
        found = assess_calibration(observed, expected, KIND_OF[family], provider)
        figures |= _with_ends("slope", found.slope) | _with_ends("intercept", found.intercept)
        if family == "binomial":
            figures |= _with_ends("c_statistic", discrimination(observed, expected, provider))
    except (ArrayError, NoVariationError):
        pass
    return figures


def _with_ends(name: str, found: Estimate) -> dict[str, float]:
    ends = (found.value, found.lower, found.upper)
    return {f"{name}{end}": value for end, value in zip(_ENDS, ends, strict=True)}


def volume_thirds(provider: pd.Series) -> np.ndarray:
    """Return the third of providers, by number of episodes, that each episode's is in."""
    sizes = provider.value_counts().sort_index()
    third = pd.Series(groups_by_rank(sizes, len(VOLUMES)), sizes.index)
    return np.asarray(provider.map(third).map(dict(enumerate(VOLUMES, start=1))))


# --- learners against each other ------------------------------------------------------------------


def _differences(by_learner: Mapping[str, pd.DataFrame], family: Family) -> list[tuple[Any, ...]]:
    figures: dict[str, Callable[..., Estimate]] = {"r2": accuracy_difference}
    if family == "binomial":
        figures["c_statistic"] = discrimination_difference
    found = []
    for (other, theirs), (learner, ours) in combinations(by_learner.items(), 2):
        same = theirs.set_index("episode_id").loc[ours["episode_id"]]
        for figure, compare in figures.items():
            try:
                one = compare(
                    ours["observed_score"], ours["expected_score"],
                    same["expected_score"].to_numpy(), ours["provider_id"],
                )  # fmt: skip
            except ArrayError:
                continue
            key = (ours["outcome"].iloc[0], learner, other, figure, len(ours))
            found.append((*key, one.value, one.lower, one.upper))
    return found


def levels_of(values: pd.Series, like: pd.Series | None = None) -> pd.Series:
    """Return the group of each value: itself or, where numbers are many, its fifth.

    Parameters
    ----------
    values : Series
    like : Series, optional
        Whose numbers and fifths they are, such as those of another period; by default their own.

    Returns
    -------
    Series of text
        Missing where the value is. No value is in two groups by their names. What is beyond the
        least or the greatest number of `like` is in the group at that end.

    Examples
    --------
    >>> levels_of(pd.Series([1.0, 2.0])).tolist()
    ['1', '2']
    >>> levels_of(pd.Series([2.0, 3.0, 30.0]), pd.Series(range(11))).tolist()
    ['0 to 2', '3 to 4', '9 to 10']
    >>> levels_of(pd.Series([2.0, 3.0]), pd.Series(range(11)) + 0.5).tolist()
    ['0.5 to under 2.5', '2.5 to under 4.5']
    """
    like = values if like is None else like
    if not pd.api.types.is_numeric_dtype(values):
        return values.astype("str")
    if like.nunique() <= DECILES:  # text even where all are missing
        return values.map({one: f"{one:g}" for one in values.dropna().unique()}).astype("str")
    edges = np.unique(like.quantile(np.linspace(0, 1, FIFTHS + 1)).to_numpy(dtype=float))
    known = like.dropna().to_numpy(dtype=float)
    labels, place = (_whole_fifths if (known % 1 == 0).all() else _fifths)(edges)
    at = np.minimum(place(values.to_numpy(dtype=float, na_value=np.nan)), len(labels) - 1)
    named = np.array(labels, dtype=object)[at]
    return pd.Series(named, values.index, name=values.name).where(values.notna()).astype("str")


Place = Callable[[NDArray[np.float64]], NDArray[np.intp]]
"""From numbers to the place of the group of each."""


def _whole_fifths(edges: NDArray[np.float64]) -> tuple[list[str], Place]:
    """Return the names of groups of whole numbers, from the one after the last to its own last."""
    last = np.unique(np.floor(edges[1:]))
    first = [edges[0], *(last[:-1] + 1)]
    labels = [
        f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"
        for low, high in zip(first, last, strict=True)
    ]
    return labels, lambda numbers: np.searchsorted(last, numbers, side="left")


def _fifths(edges: NDArray[np.float64]) -> tuple[list[str], Place]:
    """Return the names of groups of other numbers, cut where these say, and not a digit beside."""
    decimals = 1 + next(
        (one for one in range(12) if np.unique(edges.round(one)).size == edges.size), 12
    )
    cuts = np.unique(edges[1:-1].round(decimals)) + 0.0
    unit = 10.0**decimals
    low, high = (
        way((end * unit).round(6)) / unit + 0.0
        for way, end in ((np.floor, edges[0]), (np.ceil, edges[-1]))
    )
    named = [f"{one:.{decimals}f}" for one in (low, *cuts)]
    labels = [f"{one} to under {other}" for one, other in pairwise(named)]
    return (
        [*labels, f"{named[-1]} to {high:.{decimals}f}"],
        lambda numbers: np.searchsorted(cuts, numbers, side="right"),
    )


def _keyed(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    for position, key in enumerate(_KEYS):
        table.insert(position, key, rows[key].iloc[0])
    return table
