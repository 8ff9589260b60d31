"""Whatever of the public arithmetic is given something wrong says which argument it was."""

from importlib import import_module

import numpy as np
import pytest

from riskadj import stats
from riskadj.errors import ArrayError

N, PROVIDERS = 240, 12
_rng = np.random.default_rng(11)
PROVIDER = np.repeat(np.arange(PROVIDERS), N // PROVIDERS)
X = _rng.normal(size=(N, 2))
Y = 3.0 + X @ [0.5, -0.2] + 0.3 * _rng.normal(size=PROVIDERS)[PROVIDER] + _rng.normal(size=N)
EXPECTED = 3.0 + X @ [0.5, -0.2]
RISK = 1 / (1 + np.exp(-X[:, 0]))
EVENT = (_rng.random(N) < RISK).astype(float)
OTHER = np.clip(RISK + 0.05 * X[:, 1], 0.01, 0.99)
WEIGHTS = _rng.uniform(0.5, 2.0, N)
EFFECT = _rng.normal(0.0, 0.5, PROVIDERS)
ERROR = _rng.uniform(0.1, 0.4, PROVIDERS)
COUNT = np.arange(10.0, 10.0 + PROVIDERS)
PRICE = 100 * np.exp(0.3 * X[:, 0])
COST = PRICE * _rng.gamma(2, 0.5, N)
MEMBER = (X[:, 1] > 0).astype(float)
SHARE = np.linspace(0.1, 0.6, PROVIDERS)

CALLS = {
    "accuracy": {"observed": Y, "expected": EXPECTED},
    "adjusted_z": {"effect": EFFECT, "standard_error": ERROR,
                   "dispersion": stats.dispersion(EFFECT / ERROR, standard_error=ERROR)},
    "assess_calibration": {"observed": Y, "expected": EXPECTED, "cluster": PROVIDER},
    "balance": {"X": X, "weight": WEIGHTS},
    "benjamini_hochberg": {"p": SHARE},
    "between_variance": {"effect": EFFECT, "standard_error": ERROR},
    "brier_score": {"event": EVENT, "risk": RISK},
    "c_statistic": {"event": EVENT, "risk": RISK},
    "calibration_bins": {"observed": Y, "expected": EXPECTED},
    "calibration_curve": {"observed": Y, "expected": EXPECTED, "points": 5},
    "calibration_line": {"observed": Y, "expected": EXPECTED},
    "case_mix_overlap": {"expected": RISK, "provider": PROVIDER, "weights": WEIGHTS},
    "correlate_effects": {"first": EFFECT, "second": EFFECT + ERROR, "first_error": ERROR,
                          "second_error": ERROR},
    "direct_standardisation": {"linear_predictor": X[:, 0], "provider": PROVIDER,
                               "provider_effect": EFFECT, "weights": WEIGHTS},
    "discrimination": {"event": EVENT, "risk": RISK, "cluster": PROVIDER},
    "discrimination_difference": {"event": EVENT, "risk": RISK, "other": OTHER},
    "dispersion": {"z": EFFECT},
    "effect_with_delta": {"responders": EFFECT, "imputed": EFFECT, "missing": SHARE, "delta": 1.0},
    "empirical_null": {"z": np.linspace(-2, 2, 60)},
    "exact_ratio_interval": {"probability": RISK, "provider": PROVIDER, "observed": EVENT},
    "exact_test": {"probability": RISK, "provider": PROVIDER, "observed": EVENT},
    "expected_at_limits": {"observed": COUNT},
    "expected_rank": {"effect": EFFECT, "sd": ERROR},
    "fit_fixed_effects": {"y": Y, "X": X, "provider": PROVIDER, "weights": WEIGHTS, "offset": RISK},
    "fit_random_intercept": {"y": Y, "X": X, "provider": PROVIDER, "weights": WEIGHTS,
                             "offset": RISK},
    "fit_response": {"answered": EVENT, "X": X, "provider": PROVIDER},
    "flag_agreement": {"first": np.repeat([-1, 0, 1], 4), "second": np.tile([-1, 0, 1], 4)},
    "funnel_effect": {"kind": "mean", "numerator": 3 * COUNT, "denominator": COUNT, "target": 3.0,
                      "sd": 1.0},
    "funnel_limits": {"kind": "mean", "denominator": COUNT, "target": 3.0, "sd": 1.0},
    "groups_by_rank": {"values": Y},
    "impute": {"observed": np.where(EVENT == 1, Y, np.nan), "expected": EXPECTED,
               "provider": PROVIDER, "seed": 1, "imputations": 2},
    "indirect_standardisation": {"observed": EVENT, "expected": RISK, "provider": PROVIDER,
                                 "weights": WEIGHTS, "overall": 0.3},
    "inter_unit_reliability": {"values": Y, "provider": PROVIDER},
    "limits_of_mean": {"n": COUNT, "centre": 1.0, "sd": 2.0, "z": 1.96, "tau": 0.1},
    "mean_by_cluster": {"values": Y, "cluster": PROVIDER},
    "normal_score": {"t": EFFECT, "df": COUNT},
    "performance_by_cluster": {"observed": Y, "expected": EXPECTED, "cluster": PROVIDER,
                               "minimum_n": 3},
    "poisson_binomial_tails": {"probability": RISK, "provider": PROVIDER, "observed": EVENT},
    "poisson_limits": {"expected": COUNT},
    "pool": {"estimates": np.outer([1.0, 1.1, 0.9], EFFECT), "variances": np.tile(ERROR, (3, 1))},
    "pool_estimates": {"estimate": EFFECT, "standard_error": ERROR},
    "predicted_over_expected": {"linear_predictor": X[:, 0], "provider": PROVIDER,
                                "provider_effect": EFFECT, "average_effect": 0.0,
                                "weights": WEIGHTS},
    "predictive_limits_of_binomial": {"n": COUNT, "target": SHARE},
    "predictive_limits_of_count": {"expected": COUNT},
    "predictive_limits_of_sum": {"probability": RISK, "provider": PROVIDER},
    "proportion_interval": {"events": COUNT / 2, "n": COUNT},
    "rank_probabilities": {"effect": EFFECT, "sd": ERROR, "seed": 1, "draws": 100},
    "ratio_interval": {"observed": COUNT, "expected": COUNT + 1},
    "recalibrated_risk": {"risk": RISK, "intercept": 0.1, "slope": 0.9},
    "reference_effect": {"effects": EFFECT, "weights": COUNT},
    "regress_by_cluster": {"y": Y, "X": X, "cluster": PROVIDER},
    "reliability": {"standard_error": ERROR, "tau2": 0.1, "estimator": "reml"},
    "response_weights": {"answered": EVENT, "probability": OTHER, "provider": PROVIDER},
    "score_test": {"probability": RISK, "provider": PROVIDER, "observed": EVENT},
    "shrink": {"effect": EFFECT, "standard_error": ERROR, "tau2": 0.1},
    "split_half": {"values": Y, "provider": PROVIDER, "seed": 1, "splits": 2, "weights": WEIGHTS},
    "student_cut": {"cut": 1.96, "df": COUNT},
    "tipping_points": {"effect": EFFECT, "error": ERROR, "missing": SHARE},
    "two_sided_p": {"z": EFFECT},
    "wald_test": {"effect": EFFECT, "standard_error": ERROR, "reference": 0.1},
    "weighted_means": {"residual": Y, "weight": WEIGHTS, "provider": PROVIDER},
    "year_on_year": {"values": Y, "provider": PROVIDER, "period": np.tile([1, 2], N // 2),
                     "minimum_n": 2},
    "z_of_mean": {"mean": EFFECT, "n": COUNT, "centre": 0.0, "sd": 1.0, "tau": 0.1},
    "lowest.expected_lowest": {"values": Y, "n": 2},
    "log_ratios.relative_residuals": {"observed": COST, "expected": PRICE},
    "log_ratios.log_ratios": {"observed": COST, "expected": PRICE, "provider": PROVIDER},
    "log_ratios.log_levels": {"observed": COST, "expected": PRICE, "provider": PROVIDER},
    "log_ratios.shrunken_ratios": {"effect": EFFECT, "error": ERROR, "covariate": COUNT},
    "log_ratios.drawn_ratios": {"effect": EFFECT, "error": ERROR, "replicates": 5, "seed": 1},
    "predictive_ratios.predictive_ratio": {"y": COST, "expected": PRICE, "member": EVENT,
                                           "cluster": PROVIDER},
    "predictive_ratios.net_compensation": {"y": COST, "expected": PRICE, "member": EVENT,
                                           "cluster": PROVIDER},
    "predictive_ratios.predictive_ratios_by_tenth": {"y": COST, "expected": PRICE,
                                                     "cluster": PROVIDER, "weights": WEIGHTS},
    "cost_fit.cost_fit": {"y": COST, "expected": PRICE, "weights": WEIGHTS},
    "cost_fit.top_coded_share": {"y": COST, "cap": 120.0},
    "park.park_test": {"y": COST, "expected": PRICE, "cluster": PROVIDER},
    "rank_agreement.rank_agreement": {"first": EFFECT, "second": EFFECT + ERROR, "seed": 1},
    "period_changes.period_change": {"values": Y, "later": EVENT, "cluster": PROVIDER},
    "period_changes.provider_changes": {"values": Y, "later": EVENT, "provider": PROVIDER},
    "period_changes.stability_index": {"before": SHARE / SHARE.sum(), "after": COUNT / COUNT.sum()},
    "fair_regression.fit_fair": {"y": COST, "X": X, "groups": EVENT[None], "weights": WEIGHTS,
                                 "penalty": 1.0},
    "constrained.constrained_least_squares": {"y": COST, "X": X, "groups": EVENT[None],
                                              "weights": WEIGHTS, "penalty": 1.0},
    "group_audit.difference_within": {"values": Y, "member": EVENT, "cluster": PROVIDER},
    "group_audit.share_against_all": {"event": EVENT, "member": MEMBER, "cluster": PROVIDER},
    "cost_parts.part_excess": {"observed": COST[:, None], "expected": PRICE[:, None],
                               "provider": PROVIDER},
    "graded.slopes_within": {"y": Y, "offset": EXPECTED, "factors": X, "provider": PROVIDER},
    "graded.slope_between": {"y": Y, "offset": EXPECTED, "factors": SHARE[PROVIDER],
                             "provider": PROVIDER},
    "graded.shift_to_total": {"predictor": X[:, 0], "total": 100.0},
}  # fmt: skip
LABELS = {"penalty", "provider", "cluster", "period", "kind", "seed", "estimator", "dispersion"}
MAY_BE_MISSING = {("impute", "observed")}
"""Where NaN says something."""
UNCHECKED = {
    "graded.shift_to_total",
    "limits_of_mean",
    "z_of_mean",
    "effect_with_delta",
    "flag_agreement",
}
"""A line of arithmetic, which answers NaN with NaN; a flag may be anything."""
NAMED = {
    ("weighted_means", "residual"): "residual of responders",
    ("graded.slopes_within", "factors"): "X",
    ("graded.slope_between", "factors"): "X",
}


def numbers():
    return [
        pytest.param(function, name, id=f"{function}-{name}")
        for function, given in CALLS.items() if function not in UNCHECKED
        for name in given if name not in LABELS
    ]  # fmt: skip


def ask(function, **changed):
    module, _, name = function.rpartition(".")
    where = import_module(f"riskadj.stats.{module}") if module else stats
    return getattr(where, name)(**(CALLS[function] | changed))


def changed(function, name, to):
    """Return an argument with its last number changed."""
    values = np.array(CALLS[function][name], dtype=object if to == "x" else float)
    values.flat[-1] = to
    return values if values.ndim else values.item()


@pytest.mark.parametrize("function", [one for one in CALLS if one not in UNCHECKED])
def test_what_is_sound_is_not_refused(function):
    ask(function)


@pytest.mark.parametrize(("function", "name"), numbers())
def test_a_number_that_is_missing_is_refused_by_name(function, name):
    if (function, name) in MAY_BE_MISSING:
        return
    called = NAMED.get((function, name), name)
    with pytest.raises(ArrayError, match=rf"^{called}: wanted .*; got .*\.$"):
        ask(function, **{name: changed(function, name, np.nan)})


@pytest.mark.parametrize(("function", "name"), numbers())
def test_text_is_refused_by_name(function, name):
    called = NAMED.get((function, name), name)
    with pytest.raises(ArrayError, match=rf"^{called}: wanted .*; got .*\.$"):
        ask(function, **{name: changed(function, name, "x")})


ALONE = {"cost_fit.top_coded_share", "funnel_effect", "funnel_limits", "lowest.expected_lowest",
         "recalibrated_risk", "reliability"}  # fmt: skip
"""What goes with arrays of any shape, or has one only."""
ROWS = {
    *("y", "X", "observed", "expected", "event", "answered", "values", "residual", "risk", "other"),
    *("linear_predictor", "probability", "weights", "weight", "offset", "effect", "first", "z"),
    *("sd", "standard_error", "target", "error", "missing", "variances"),
}


@pytest.mark.parametrize(
    ("function", "name"),
    [one for one in numbers() if one.values[1] in ROWS and len(CALLS[one.values[0]]) > 1],
)
@pytest.mark.parametrize("cut", [lambda a: a[:-1], lambda a: a[..., None, None]])
def test_arrays_that_do_not_go_together_are_refused(function, name, cut):
    if function in ALONE:
        return
    with pytest.raises(ArrayError, match=r"wanted .*; got .*\.$"):
        ask(function, **{name: cut(np.asarray(CALLS[function][name]))})


@pytest.mark.parametrize(
    ("function", "name", "least"),
    [
        ("brier_score", "groups", 1),
        ("calibration_bins", "groups", 1),
        ("calibration_curve", "points", 2),
        ("split_half", "seed", 0),
        ("split_half", "splits", 1),
        ("split_half", "minimum_n", 2),
        ("year_on_year", "minimum_n", 2),
        ("performance_by_cluster", "minimum_n", 3),
        ("performance_by_cluster", "minimum_events", 2),
        ("rank_probabilities", "seed", 0),
        ("rank_probabilities", "draws", 1),
        ("rank_probabilities", "quantile", 2),
        ("impute", "seed", 0),
        ("impute", "imputations", 2),
        ("impute", "donors", 1),
        ("case_mix_overlap", "groups", 2),
        ("lowest.expected_lowest", "n", 1),
        ("log_ratios.drawn_ratios", "replicates", 2),
        ("predictive_ratios.predictive_ratios_by_tenth", "groups", 1),
        ("period_changes.provider_changes", "fewest", 2),
        ("rank_agreement.rank_agreement", "replicates", 50),
    ],
)
def test_a_whole_number_has_a_least_one(function, name, least):
    ask(function, **{name: least})
    for wrong in (least - 1, least + 0.5):
        with pytest.raises(ArrayError, match=rf"^{name}: wanted .*; got {wrong}\.$"):
            ask(function, **{name: wrong})


@pytest.mark.parametrize(
    "function",
    ["assess_calibration", "calibration_bins", "discrimination", "exact_ratio_interval",
     "expected_at_limits", "mean_by_cluster", "performance_by_cluster", "poisson_limits",
     "pool_estimates", "predictive_limits_of_binomial", "predictive_limits_of_count",
     "predictive_limits_of_sum", "proportion_interval", "rank_probabilities", "ratio_interval",
     "regress_by_cluster", "shrink", "funnel_limits"],
)  # fmt: skip
@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_a_level_is_between_0_and_1(function, level):
    says = rf"^level: wanted a number (between 0 and|from 0\.5 to) 1; got {level}\.$"
    with pytest.raises(ArrayError, match=says):
        ask(function, level=level)
    ask(function, level=0.5)


@pytest.mark.parametrize(
    ("function", "name", "known"),
    [
        ("between_variance", "method", "dersimonian_laird"),
        ("dispersion", "trim", "none"),
        ("fit_fixed_effects", "family", "gaussian"),
        ("fit_random_intercept", "family", "gaussian"),
        ("fit_random_intercept", "method", "reml"),
        ("exact_ratio_interval", "method", "exact"),
        ("exact_test", "method", "exact"),
        ("calibration_curve", "method", "local"),
        ("calibration_bins", "kind", "mean"),
        ("direct_standardisation", "link", "logit"),
        ("predicted_over_expected", "link", "logit"),
        ("fit_response", "provider_effect", "random"),
        ("impute", "family", "gaussian"),
        ("impute", "draw", "model"),
        ("impute", "effects", "own"),
        ("expected_rank", "best", "high"),
        ("predictive_limits_of_count", "rule", "at_most"),
        ("ratio_interval", "method", "exact"),
        ("pool_estimates", "method", "reml"),
        ("pool_estimates", "scale", "identity"),
        ("reference_effect", "reference", "median"),
        ("response_weights", "numerator", "provider"),
        ("adjusted_z", "model", "additive"),
    ],
)
def test_a_word_that_is_not_known_is_refused_with_those_that_are(function, name, known):
    ask(function, **{name: known})
    with pytest.raises(ArrayError, match=rf"^{name}: wanted one of .*{known}.*; got 'unheard'\.$"):
        ask(function, **{name: "unheard"})
