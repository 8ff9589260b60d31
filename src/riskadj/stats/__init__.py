"""Arithmetic on arrays: provider effects, their uncertainty, and how much to believe them."""

from riskadj.stats.accuracy import Accuracy, accuracy
from riskadj.stats.agreement import (
    correlate_effects,
    flag_agreement,
    split_half,
    year_on_year,
)
from riskadj.stats.anchor_baseline import threshold_along_baseline, threshold_by_baseline
from riskadj.stats.anchor_intervals import bootstrap_threshold
from riskadj.stats.anchors import estimate_threshold, mean_change
from riskadj.stats.balance import balance
from riskadj.stats.blocks import Rows
from riskadj.stats.bootstrap import (
    ProviderBootstrap,
    bootstrap_over,
    bootstrap_predicted_over_expected,
)
from riskadj.stats.calibration import (
    Calibration,
    CalibrationBins,
    CalibrationCurve,
    assess_calibration,
    calibration_bins,
    calibration_curve,
    calibration_line,
    groups_by_rank,
    recalibrated_risk,
)
from riskadj.stats.cluster_accuracy import accuracy_by_cluster, accuracy_difference
from riskadj.stats.clusters import ClusterSums, Estimate, interval_by_cluster, sums_by_cluster
from riskadj.stats.discrimination import (
    Brier,
    ClusterFigure,
    ClusterPerformance,
    brier_score,
    c_statistic,
    discrimination,
    discrimination_difference,
    performance_by_cluster,
)
from riskadj.stats.dispersion import adjusted_z, between_variance, dispersion
from riskadj.stats.event_counts import (
    exact_ratio_interval,
    exact_test,
    poisson_binomial_tails,
    score_test,
    wald_test,
)
from riskadj.stats.fits import (
    AllOrNoneWarning,
    FitWarning,
    FixedEffects,
    NotConvergedWarning,
    RandomIntercept,
    SeparationWarning,
)
from riskadj.stats.fixed_effects import fit_fixed_effects, fixed_effects_over
from riskadj.stats.follow_up import FollowUpRates, follow_up_rates
from riskadj.stats.funnels import (
    expected_at_limits,
    funnel_effect,
    funnel_limits,
    poisson_limits,
    predictive_limits_of_binomial,
    predictive_limits_of_count,
    predictive_limits_of_sum,
)
from riskadj.stats.groups import Groups, group_rows
from riskadj.stats.imputation import impute
from riskadj.stats.intervals import Interval, proportion_interval, ratio_interval
from riskadj.stats.limits import Z95, Z998, limits_of_mean, z_of_mean
from riskadj.stats.meta_analysis import PooledEstimate, pool_estimates
from riskadj.stats.multiplicity import (
    benjamini_hochberg,
    empirical_null,
    empirical_null_z,
    two_sided_p,
)
from riskadj.stats.overlap import case_mix_overlap
from riskadj.stats.pooling import Pooled, normal_score, pool, student_cut
from riskadj.stats.provider_draws import ProviderDraws, pool_differences, pool_ratios
from riskadj.stats.provider_sums import ProviderSums, Values, provider_sums
from riskadj.stats.random_intercept import fit_random_intercept, random_intercept_over
from riskadj.stats.ranks import expected_rank, rank_probabilities
from riskadj.stats.reliability import (
    inter_unit_reliability,
    intraclass_correlation,
    reliability,
    volume_needed,
)
from riskadj.stats.response import ResponseModel, fit_response
from riskadj.stats.response_weights import ResponseWeights, response_weights
from riskadj.stats.sandwich import ClusterRegression, mean_by_cluster, regress_by_cluster
from riskadj.stats.shrinkage import shrink
from riskadj.stats.standardise import (
    direct_standardisation,
    indirect_standardisation,
    predicted_over_expected,
    reference_effect,
)
from riskadj.stats.tipping import TippingPoints, delta_range, effect_with_delta, tipping_points
from riskadj.stats.weighted_means import WeightedMeans, weighted_means

__all__ = [
    "ProviderSums",
    "Rows",
    "Values",
    "provider_sums",
    "bootstrap_over",
    "fixed_effects_over",
    "random_intercept_over",
    "FollowUpRates",
    "ResponseModel",
    "ResponseWeights",
    "WeightedMeans",
    "balance",
    "fit_response",
    "follow_up_rates",
    "response_weights",
    "weighted_means",
    "Pooled",
    "ProviderDraws",
    "impute",
    "normal_score",
    "pool",
    "pool_differences",
    "pool_ratios",
    "student_cut",
    "TippingPoints",
    "delta_range",
    "effect_with_delta",
    "tipping_points",
    "bootstrap_threshold",
    "estimate_threshold",
    "mean_change",
    "threshold_along_baseline",
    "threshold_by_baseline",
    "ClusterRegression",
    "ClusterSums",
    "Estimate",
    "PooledEstimate",
    "accuracy_by_cluster",
    "accuracy_difference",
    "interval_by_cluster",
    "mean_by_cluster",
    "pool_estimates",
    "regress_by_cluster",
    "sums_by_cluster",
    "Brier",
    "ClusterFigure",
    "ClusterPerformance",
    "brier_score",
    "c_statistic",
    "discrimination",
    "discrimination_difference",
    "performance_by_cluster",
    "Calibration",
    "CalibrationBins",
    "CalibrationCurve",
    "assess_calibration",
    "calibration_bins",
    "calibration_curve",
    "recalibrated_risk",
    "AllOrNoneWarning",
    "Accuracy",
    "FitWarning",
    "FixedEffects",
    "Groups",
    "Interval",
    "NotConvergedWarning",
    "ProviderBootstrap",
    "RandomIntercept",
    "SeparationWarning",
    "Z95",
    "Z998",
    "accuracy",
    "adjusted_z",
    "benjamini_hochberg",
    "between_variance",
    "bootstrap_predicted_over_expected",
    "calibration_line",
    "case_mix_overlap",
    "correlate_effects",
    "direct_standardisation",
    "dispersion",
    "empirical_null",
    "empirical_null_z",
    "exact_ratio_interval",
    "exact_test",
    "expected_at_limits",
    "expected_rank",
    "fit_fixed_effects",
    "fit_random_intercept",
    "flag_agreement",
    "funnel_effect",
    "funnel_limits",
    "group_rows",
    "groups_by_rank",
    "indirect_standardisation",
    "inter_unit_reliability",
    "intraclass_correlation",
    "limits_of_mean",
    "poisson_binomial_tails",
    "poisson_limits",
    "predicted_over_expected",
    "predictive_limits_of_binomial",
    "predictive_limits_of_count",
    "predictive_limits_of_sum",
    "proportion_interval",
    "rank_probabilities",
    "ratio_interval",
    "reference_effect",
    "reliability",
    "score_test",
    "shrink",
    "split_half",
    "two_sided_p",
    "volume_needed",
    "wald_test",
    "year_on_year",
    "z_of_mean",
]
