"""How providers are estimated and held against limits, and how far a flag hangs on that."""

import warnings
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from riskadj.errors import TooFewProvidersError
from riskadj.profile import estimates
from riskadj.profile.analysis import analyse, without_peers
from riskadj.profile.belief import (
    AGREEMENT_COLUMNS,
    BELIEF_COLUMNS,
    RELIABILITY_COLUMNS,
    Raw,
    agreements,
    believe,
    overlap,
    reliabilities,
)
from riskadj.profile.estimates import METHODS, Sample, estimate
from riskadj.profile.flags import (
    PLACES,
    cut_of,
    flag_labels,
    per_cent,
    places_from_z,
)
from riskadj.profile.limits import LIMITS, Yardstick, yardstick
from riskadj.profile.predicted import PREDICTED_COLUMNS, predict
from riskadj.profile.sensitivity import (
    CHOICES,
    analyse_all,
    analysis_columns,
    declared,
    flags_of_all,
    sensitivity,
)
from riskadj.stats import (
    FitWarning,
    NotConvergedWarning,
    benjamini_hochberg,
    between_variance,
    fit_random_intercept,
    reliability,
    two_sided_p,
)
from riskadj.study.profile import ProfileRules

CUTS = (1.96, 3.0902)
LEARNS = ("multiplicative", "additive", "winsorised", "trimmed", "empirical_null")
FIGURES = ["adjusted", "error", "middle", "spread", "z"]


def rules_of(**changes: Any) -> ProfileRules:
    return ProfileRules.model_validate(
        {"method": "nhs_england", "minimum_n": 5, "suppress_below": 2} | changes
    )


def effects_of(providers: int = 60, seed: int = 1, tau: float = 1.0) -> tuple[Any, Any]:
    """Return observed effects of providers of unequal size, and their standard errors."""
    rng = np.random.default_rng(seed)
    error = 6 / np.sqrt(rng.integers(20, 300, providers))
    return rng.normal(0, np.hypot(tau, error)), error


def sample_of(
    providers: int = 12, each: int = 60, seed: int = 2, tau: float = 1.0, **changes: Any
) -> Sample:
    """Return episodes of providers that differ by `tau`; they are in random order."""
    rng = np.random.default_rng(seed)
    provider = rng.permutation(np.repeat(np.arange(providers), each))
    expected = rng.normal(20, 4, provider.size)
    observed = expected + rng.normal(0, tau, providers)[provider] + rng.normal(0, 6, provider.size)
    labels = np.array([f"P{one:02d}" for one in provider])
    whole = Sample(observed, expected, labels, None, "dersimonian_laird")
    return replace(whole, **changes)


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", LIMITS)
def test_limits_keep_the_side_and_the_order_of_providers_of_one_size(limits: str) -> None:
    effect, _ = effects_of()
    error = np.full(60, 0.7)
    held = yardstick(limits, effect, error, CUTS)
    z = (effect - held.middle(error)) / held.spread(error)
    assert (np.argsort(z) == np.argsort(effect)).all()
    assert 0 < held.inner < held.outer


def test_nominal_limits_are_standard_errors_and_nothing_else() -> None:
    effect, error = effects_of()
    held = yardstick("nominal", effect, error, CUTS)
    assert held == Yardstick(1.96, 3.0902, shift=0.0, factor=1.0, tau=0.0)
    assert (held.spread(error) == error).all()
    assert (held.middle(error) == 0).all()


def test_multiplicative_limits_grow_by_the_root_of_the_mean_squared_z() -> None:
    error = np.array([1.0, 2.0, 0.5, 4.0])
    held = yardstick("multiplicative", np.array([3.0, -6.0, 1.5, -12.0]), error, CUTS)
    assert held.factor == pytest.approx(3.0)
    assert held.spread(error) == pytest.approx(3.0 * error)


def test_multiplicative_limits_never_shrink() -> None:
    held = yardstick("multiplicative", np.array([0.1, -0.1, 0.2, 0.0]), np.ones(4), CUTS)
    assert held == Yardstick(*CUTS)


def test_additive_limits_allow_for_the_variance_that_equal_errors_leave() -> None:
    effect = np.array([3.0, -2.0, 1.0, -4.0, 2.0])
    held = yardstick("additive", effect, np.full(5, 0.5), CUTS)
    assert held.tau**2 == pytest.approx(effect.var(ddof=1) - 0.25)
    assert held.spread(np.array([0.0, 1.0])) == pytest.approx([held.tau, np.hypot(1, held.tau)])


def test_outliers_widen_winsorised_and_trimmed_limits_less_than_additive_ones() -> None:
    effect, error = effects_of(seed=3)
    effect[:3] = (20.0, -20.0, 15.0)
    tau = {one: yardstick(one, effect, error, CUTS).tau for one in LIMITS}
    assert tau["trimmed"] < tau["winsorised"] < tau["additive"]


def test_the_empirical_null_is_the_middle_of_all_providers() -> None:
    z = 0.3 + 1.5 * ndtri((np.arange(400) + 0.5) / 400)
    error = np.linspace(0.2, 2.0, 400)
    held = yardstick("empirical_null", z * error, error, CUTS)
    assert held.shift == pytest.approx(0.3, abs=0.05)
    assert held.factor == pytest.approx(1.5, abs=0.05)
    assert held.middle(error) == pytest.approx(held.shift * error)


@settings(max_examples=60, deadline=None)
@given(
    z=st.lists(st.floats(-6, 6, allow_nan=False), min_size=2, max_size=60),
    level=st.sampled_from([0.9, 0.95, 0.998]),
)
def test_limits_of_benjamini_and_hochberg_flag_whom_their_procedure_finds(
    z: list[float], level: float
) -> None:
    scores = np.array(z)
    held = yardstick("benjamini_hochberg", scores, np.ones(len(z)), (cut_of(level), cut_of(0.9999)))
    found = benjamini_hochberg(two_sided_p(scores)) < two_sided_p(cut_of(level))
    assert ((np.abs(scores) > held.inner) == found).all()
    assert held.inner >= cut_of(level)
    assert held.outer >= held.inner


@pytest.mark.parametrize("limits", LIMITS)
@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 50))
def test_the_unit_of_the_score_does_not_matter(limits: str, scale: float, seed: int) -> None:
    effect, error = effects_of(seed=seed)
    one = yardstick(limits, effect, error, CUTS)
    other = yardstick(limits, effect * scale, error * scale, CUTS)
    assert other.tau == pytest.approx(one.tau * scale, rel=1e-6, abs=1e-9 * scale)
    for name in ("inner", "outer", "shift", "factor"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("limits", LIMITS)
def test_the_order_of_providers_does_not_move_their_limits(limits: str) -> None:
    effect, error = effects_of()
    order = np.random.default_rng(5).permutation(60)
    one = yardstick(limits, effect, error, CUTS)
    other = yardstick(limits, effect[order], error[order], CUTS)
    for name in ("inner", "outer", "shift", "factor", "tau"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-9, abs=1e-9)


def test_limits_that_learn_say_that_there_are_too_few_to_learn_from() -> None:
    effect, error = effects_of(13)
    with pytest.raises(TooFewProvidersError, match=r"'empirical_null'.*13 providers.*nominal"):
        yardstick("empirical_null", effect, error, CUTS)


@pytest.mark.parametrize("limits", LIMITS)
def test_a_single_provider_has_nominal_limits(limits: str) -> None:
    assert yardstick(limits, np.array([0.0]), np.array([1.0]), CUTS) == Yardstick(*CUTS)


@pytest.mark.parametrize("limits", LEARNS)
def test_over_dispersed_providers_have_wider_limits(limits: str) -> None:
    effect, error = effects_of(400, tau=3.0)
    held = yardstick(limits, effect, error, CUTS)
    outside = np.abs(effect - held.middle(error)) > held.inner * held.spread(error)
    nominal = (np.abs(effect) > 1.96 * error).mean()
    assert nominal > 0.5
    assert 0 < outside.mean() < 0.4 * nominal


# --- estimates ------------------------------------------------------------------------------------


def by_provider(sample: Sample) -> Any:
    frame = pd.DataFrame({"r": sample.observed - sample.expected, "p": sample.provider})
    return frame.groupby("p")["r"]


def test_nhs_englands_effect_is_the_mean_residual_about_that_of_all() -> None:
    sample = sample_of()
    found = estimate("nhs_england", sample)
    residual = sample.observed - sample.expected
    assert found.providers.tolist() == sorted(set(sample.provider))
    assert found.effect == pytest.approx(by_provider(sample).mean() - residual.mean())
    assert found.error == pytest.approx(
        residual.std(ddof=1) / np.sqrt(by_provider(sample).size().to_numpy())
    )


def test_a_stated_standard_deviation_replaces_that_of_the_episodes() -> None:
    found = estimate("nhs_england", sample_of(sd=9.0))
    assert found.error == pytest.approx(9.0 / np.sqrt(60))


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_episodes_and_the_names_of_providers_do_not_matter(method: str) -> None:
    sample = sample_of()
    one = estimate(method, sample)
    order = np.random.default_rng(4).permutation(sample.observed.size)
    shuffled = Sample(
        sample.observed[order],
        sample.expected[order],
        np.array([f"Z{99 - int(name[1:]):02d}" for name in sample.provider[order]]),
        None,
        sample.between,
    )
    other = estimate(method, shuffled)
    assert other.effect[::-1] == pytest.approx(one.effect, abs=1e-8)
    assert other.error[::-1] == pytest.approx(one.error, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_shift_of_every_outcome_moves_nobody(method: str) -> None:
    sample = sample_of()
    one, other = (
        estimate(method, replace(sample, observed=sample.observed + add)) for add in (0.0, 7.5)
    )
    assert other.effect == pytest.approx(one.effect, abs=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_providers_that_differ_a_lot(method: str) -> None:
    found = estimate(method, sample_of(providers=30, each=200, tau=4.0, seed=9))
    raw = estimate("nhs_england", sample_of(providers=30, each=200, tau=4.0, seed=9))
    assert np.corrcoef(found.effect, raw.effect)[0, 1] > 0.97
    assert (found.error > 0).all()


@pytest.mark.parametrize("method", ["nhs_england", "fixed_effects"])
def test_unshrunken_effects_are_centred_on_all_episodes(method: str) -> None:
    sample = sample_of()
    found = estimate(method, sample)
    sizes = by_provider(sample).size().to_numpy()
    assert sizes @ found.effect == pytest.approx(0.0, abs=1e-8)


def test_fixed_effects_take_the_slope_of_the_expectation_from_within_providers() -> None:
    sample = sample_of(providers=4, each=30)
    levels = np.array([3.0, -1.0, 0.5, -2.5])
    place = np.unique(sample.provider, return_inverse=True)[1]
    exact = replace(sample, observed=0.4 * sample.expected + levels[place])
    assert estimate("fixed_effects", exact).effect == pytest.approx(levels - levels.mean())


@pytest.mark.parametrize("method", ["random_intercept", "empirical_bayes"])
def test_shrunken_effects_lie_between_the_raw_ones_and_the_middle(method: str) -> None:
    sample = sample_of(tau=1.5)
    raw, found = estimate("nhs_england", sample), estimate(method, sample)
    assert (np.abs(found.effect) < np.abs(raw.effect) + 0.05).all()
    assert found.effect.std() < raw.effect.std()
    assert (found.error < raw.error).all()


@pytest.mark.parametrize("between", ["dersimonian_laird", "paule_mandel", "reml"])
def test_empirical_bayes_keeps_as_much_of_a_difference_as_is_reliable(between: str) -> None:
    sample = sample_of(tau=1.5, between=between)
    raw, found = estimate("nhs_england", sample), estimate("empirical_bayes", sample)
    tau2 = between_variance(raw.effect, raw.error, between).tau2
    lost = 1 - reliability(raw.error, tau2, estimator=between).value
    kept = 1 - lost * (lost.size - 2) / lost.size  # Morris 1983: lost is biased upwards
    assert found.effect == pytest.approx(kept * raw.effect)
    assert (found.error > raw.error * np.sqrt(kept)).all()


@pytest.mark.parametrize("method", ["random_intercept", "correlated_random_effects"])
def test_errors_of_many_providers_are_those_of_the_fit(method: str) -> None:
    sample = sample_of(providers=400, each=40, tau=1.5)
    found = estimate(method, sample)
    fit = fit_random_intercept(
        sample.observed, sample.expected, sample.provider,
        correlated=method == "correlated_random_effects",
    )  # fmt: skip
    assert found.error == pytest.approx(fit.effects_se, rel=0.02)
    assert (found.error > fit.effects_se).mean() > 0.9


def test_correlated_effects_are_right_where_quality_goes_with_case_mix() -> None:
    rng = np.random.default_rng(8)
    provider = np.repeat(np.arange(20), 80)
    quality = np.linspace(-4, 4, 20)
    expected = 20 + quality[provider] + rng.normal(0, 3, provider.size)
    observed = expected + quality[provider] + rng.normal(0, 2, provider.size)
    sample = Sample(observed, expected, provider, None, "reml")
    error = {one: np.abs(estimate(one, sample).effect - quality).mean() for one in METHODS}
    assert error["correlated_random_effects"] < 0.3
    assert error["correlated_random_effects"] < 1.2 * min(error.values())


def test_a_chance_keeps_to_its_bounds_whatever_the_method() -> None:
    rng = np.random.default_rng(3)
    provider = np.repeat(np.arange(12), 50)
    chance = rng.beta(8, 2, provider.size)
    observed = (rng.random(provider.size) < chance).astype(float)
    observed[provider == 3], observed[provider == 4] = 1.0, 0.0
    sample = Sample(observed, chance, provider, None, "reml", "binomial")
    for method in METHODS:
        found = analyse(sample, rules_of(), float(observed.mean()), method=method).table
        shown = found[["adjusted", "ci_lower", "ci_upper", "inner_lower", "outer_upper"]]
        assert found["place"][3] >= 1, method
        assert found["place"][4] == -2, method
        if estimate(method, sample).link == "logit":
            assert ((shown > 0) & (shown < 1)).all(axis=None), method


def test_where_less_is_better_the_side_of_a_flag_turns() -> None:
    sample = sample_of(tau=2.0)
    up, down = (analyse(sample, rules_of(), 22.5, better=one).table for one in (1, -1))
    assert (up["place"] == -down["place"]).all()
    assert (up["place"] != 0).any()
    assert (up["z"] == down["z"]).all()


def test_what_a_fit_warns_of_is_kept_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(_: Sample) -> estimates.Estimates:
        told = NotConvergedWarning("ended before the estimates settled")
        warnings.warn(told, stacklevel=1)
        return estimates.Estimates(np.array(["a"]), np.zeros(1), np.ones(1), (told,))

    monkeypatch.setattr(estimates, "METHODS", {"one": fit})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (told,) = estimate("one", sample_of()).warnings
    assert isinstance(told, FitWarning)


# --- flags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "text"), [(0.95, "95"), (0.998, "99.8"), (0.9, "90"), (0.9995, "99.95"), (0.5, "50")]
)
def test_levels_are_written_without_zeros_that_say_nothing(level: float, text: str) -> None:
    assert per_cent(level) == text


def test_labels_name_the_levels_that_a_study_chose() -> None:
    labels = flag_labels("nhs_england", (0.9, 0.99))
    assert [labels.of[one] for one in PLACES] == [
        "Positive outlier (99%)", "Positive outlier (90%)", "Not an outlier",
        "Negative outlier (90%)", "Negative outlier (99%)",
    ]  # fmt: skip


def test_cms_tells_sides_apart_and_nothing_else() -> None:
    labels = flag_labels("cms", (0.95, 0.998))
    assert labels.all == (
        "Better than the reference", "No different from the reference",
        "Worse than the reference", "Number of cases too small", "No cases",
    )  # fmt: skip
    assert labels.at([2, 1, 0, -1, -2]).tolist() == [*labels.all[:1] * 2, *labels.all[1:2],
                                                     *labels.all[2:3] * 2]  # fmt: skip


@pytest.mark.parametrize(
    ("level", "cut"), [(0.95, 1.96), (0.998, 3.0902), (0.9, 1.644854), (0.99, 2.575829)]
)
def test_cuts_are_normal_quantiles_and_nhs_englands_where_it_has_one(
    level: float, cut: float
) -> None:
    assert cut_of(level) == pytest.approx(cut, abs=5e-7)


@given(z=st.lists(st.floats(-9, 9), min_size=2, max_size=30))
def test_places_never_fall_as_z_rises_and_mirror_it(z: list[float]) -> None:
    scores = np.sort(z)
    places = places_from_z(scores)
    assert (np.diff(places) >= 0).all()
    assert (places_from_z(-scores) == -places).all()
    assert set(places) <= set(PLACES)


# --- one analysis ---------------------------------------------------------------------------------


def test_an_effect_of_nothing_is_adjusted_to_the_mean_gain() -> None:
    sample = sample_of()
    found = analyse(sample, rules_of(), mean=22.5)
    assert found.centre == pytest.approx(22.5)
    assert found.table["adjusted"].to_numpy() == pytest.approx(
        22.5 + estimate("nhs_england", sample).effect
    )
    assert (found.table["middle"] == 22.5).all()


def test_the_median_provider_is_at_the_median() -> None:
    sample = sample_of(providers=13)
    found = analyse(sample, rules_of(reference="median"), mean=22.5)
    assert found.table["z"].median() == pytest.approx(0.0)
    assert found.centre == pytest.approx(found.table["adjusted"].median())


def test_a_given_adjusted_gain_is_what_providers_are_compared_with() -> None:
    found = analyse(sample_of(), rules_of(reference=20.0), mean=22.5)
    assert found.centre == pytest.approx(20.0)
    z = (found.table["adjusted"] - 20.0) / found.table["error"]
    assert found.table["z"].to_numpy() == pytest.approx(z.to_numpy())


def test_providers_are_compared_with_their_peers_alone() -> None:
    sample = sample_of()
    names = sorted(set(sample.provider))
    peers = pd.Series(["small"] * 6 + ["large"] * 6, index=names)
    found = analyse(sample, rules_of(), 22.5, peers)
    assert np.isnan(found.centre)
    for group in ("small", "large"):
        mine = found.table.loc[peers[peers == group].index]
        assert mine["middle"].nunique() == 1
        assert mine["adjusted"].mean() == pytest.approx(mine["middle"].iloc[0])


def test_limits_learn_nothing_from_a_provider_without_peers() -> None:
    sample = sample_of(tau=2.0)
    names = sorted(set(sample.provider))
    peers = pd.Series(["alone"] + ["many"] * 11, index=names)
    own = sample.provider == names[0]
    far = replace(sample, observed=sample.observed + 0.5 * own, sd=6.0)
    one, other = (
        analyse(some, rules_of(), 22.5, peers, limits="additive")
        for some in (replace(sample, sd=6.0), far)
    )
    assert names[0] not in one.table.index
    assert one.measured.tau == pytest.approx(other.measured.tau)
    assert without_peers(pd.Series(9, names), rules_of(), peers).tolist() == names[:1]


def test_peers_that_are_all_alike_change_nothing() -> None:
    sample = sample_of()
    peers = pd.Series("all", index=sorted(set(sample.provider)))
    one, other = (analyse(sample, rules_of(), 22.5, some) for some in (None, peers))
    assert other.centre == pytest.approx(one.centre)
    pd.testing.assert_frame_equal(one.table, other.table)


def test_a_provider_with_too_few_episodes_teaches_limits_nothing() -> None:
    sample = sample_of()
    few = np.flatnonzero(sample.provider == "P00")[4:]
    cut = Sample(
        *(np.delete(one, few) for one in (sample.observed, sample.expected, sample.provider)),
        None, "reml",
    )  # fmt: skip
    found = analyse(cut, rules_of(), 22.5, limits="additive")
    assert "P00" not in found.table.index
    assert len(found.table) == 11


@pytest.mark.parametrize("limits", LIMITS)
def test_a_provider_is_flagged_where_its_gain_is_beyond_its_limits(limits: str) -> None:
    found = analyse(sample_of(40, tau=2.0), rules_of(), 22.5, limits=limits)
    rows = found.table
    for which, step in (("inner", 1), ("outer", 2)):
        above = rows["adjusted"] > rows[f"{which}_upper"]
        below = rows["adjusted"] < rows[f"{which}_lower"]
        assert (above == (rows["place"] >= step)).all()
        assert (below == (rows["place"] <= -step)).all()


# --- the declared analyses ------------------------------------------------------------------------


def test_without_others_the_studys_own_analysis_stands_alone() -> None:
    assert list(declared(rules_of(limits="winsorised"))) == [("nhs_england", "winsorised")]


def test_shrunken_methods_go_with_nominal_limits_and_none_comes_twice() -> None:
    asked = {
        "methods": ["nhs_england", "random_intercept", "empirical_bayes"],
        "limits": ["nominal", "additive"],
    }
    assert list(declared(rules_of(limits="additive", sensitivity=asked))) == [
        ("nhs_england", "additive"), ("nhs_england", "nominal"),
        ("random_intercept", "nominal"), ("empirical_bayes", "nominal"),
    ]  # fmt: skip


def test_what_there_are_too_few_providers_for_is_left_out_and_said() -> None:
    asked = {"methods": ["nhs_england"], "limits": ["additive", "empirical_null"]}
    done, left_out = analyse_all(sample_of(), rules_of(sensitivity=asked), 22.5, None)
    assert [one.limits for one in done] == ["nominal", "additive"]
    (told,) = left_out
    assert told.startswith("nhs_england, empirical_null: left out of the declared analyses.")
    assert "12 providers" in told


def test_the_studys_own_analysis_is_never_left_out() -> None:
    with pytest.raises(TooFewProvidersError, match="empirical_null"):
        analyse_all(sample_of(), rules_of(limits="empirical_null"), 22.5, None)


def test_every_provider_has_a_flag_under_every_analysis() -> None:
    asked = {"methods": ["nhs_england", "fixed_effects"], "limits": ["nominal", "additive"]}
    rules = rules_of(sensitivity=asked)
    labels = flag_labels("nhs_england", rules.levels)
    done = {
        name: analyse_all(sample_of(seed=seed, tau=3.0), rules, 22.5, None)[0]
        for seed, name in enumerate(("linear", "lightgbm"))
    }
    flags = flags_of_all("ohs", done, rules)
    assert list(flags) == analysis_columns(rules)
    assert len(flags) == 12 * 2 * 4
    assert set(flags["flag"]) <= set(labels.all)
    assert not flags.duplicated(["learner", "method", "limits", "provider_id"]).any()


LABELS = {
    "in": "Not an outlier",
    "out": "Negative outlier (95%)",
    "far": "Negative outlier (99.8%)",
    "good": "Positive outlier (95%)",
}


def flags_by_hand(flags: dict[tuple[str, str, str], str], provider: str = "P") -> pd.DataFrame:
    rows = [(*one, provider, LABELS[flag]) for one, flag in flags.items()]
    return pd.DataFrame(rows, columns=[*CHOICES, "provider_id", "flag"])


def test_a_flag_is_moved_by_the_choices_that_alone_give_another() -> None:
    flags = {
        ("a", "nhs_england", "nominal"): "out",
        ("a", "nhs_england", "additive"): "in",
        ("a", "fixed_effects", "nominal"): "out",
        ("a", "fixed_effects", "additive"): "in",
        ("b", "nhs_england", "nominal"): "out",
        ("b", "nhs_england", "additive"): "out",
        ("b", "fixed_effects", "nominal"): "in",
        ("b", "fixed_effects", "additive"): "in",
    }
    found = sensitivity(flags_by_hand(flags), rules_of()).set_index("learner")
    assert found["flag_share"].tolist() == [0.5, 0.5]
    assert found.loc["a", "flag_moved_by"] == "limits"
    assert found.loc["b", "flag_moved_by"] == "method"
    assert set(found["flag_holds_under"]) == {"a b"}


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_sensitivity_is_what_counting_by_hand_gives(data: st.DataObject) -> None:
    analyses = list(product("ab", ["nhs_england", "fixed_effects"], ["nominal", "additive"]))
    known = {one: data.draw(st.sampled_from(list(LABELS)), str(one)) for one in analyses}
    side = {"in": 0, "out": -1, "far": -1, "good": 1}
    found = sensitivity(flags_by_hand(known), rules_of()).set_index("learner")
    for learner in "ab":
        own = (learner, "nhs_england", "nominal")
        row = found.loc[learner]
        assert row["flag_share"] == sum(one == known[own] for one in known.values()) / len(known)
        beside = sum(side[one] == side[known[own]] for one in known.values())
        assert row["flag_side_share"] == beside / len(known)
        moving = [
            choice
            for place, choice in enumerate(CHOICES)
            if any(
                known[one] != known[own]
                for one in analyses
                if [at for at in range(3) if one[at] != own[at]] == [place]
            )
        ]
        assert row["flag_moved_by"].split() == moving


def test_a_provider_that_an_analysis_lacks_is_judged_by_the_others() -> None:
    flags = flags_by_hand({("a", "nhs_england", "nominal"): "out"}, "P")
    more = flags_by_hand(
        {("a", "nhs_england", "nominal"): "out", ("a", "nhs_england", "additive"): "in"}, "Q"
    )
    found = sensitivity(pd.concat([flags, more]), rules_of()).set_index("provider_id")
    assert found["flag_share"].to_dict() == {"P": 1.0, "Q": 0.5}
    assert found["flag_moved_by"].to_dict() == {"P": "", "Q": "limits"}


def test_a_change_of_severity_stays_on_its_side() -> None:
    flags = {
        ("a", "nhs_england", "nominal"): "out",
        ("a", "nhs_england", "additive"): "far",
        ("a", "fixed_effects", "nominal"): "in",
        ("a", "fixed_effects", "additive"): "good",
    }
    row = sensitivity(flags_by_hand(flags), rules_of()).iloc[0]
    assert (row["flag_share"], row["flag_side_share"]) == (0.25, 0.5)


def test_sides_are_those_of_the_words_that_a_study_chose() -> None:
    flags = flags_by_hand(
        {("a", "nhs_england", "nominal"): "in", ("a", "fixed_effects", "nominal"): "out"}
    )
    words = {LABELS["in"]: "No different from the reference",
             LABELS["out"]: "Worse than the reference"}  # fmt: skip
    flags["flag"] = flags["flag"].map(words)
    assert sensitivity(flags, rules_of(labels="cms"))["flag_side_share"].tolist() == [0.5]


# --- how much to believe it -----------------------------------------------------------------------


def raw_of(providers: int = 40, tau: float = 1.0, seed: int = 1) -> Raw:
    effect, error = effects_of(providers, seed, tau)
    names = [f"P{one:02d}" for one in range(providers)]
    return Raw(pd.Series(effect, names), pd.Series(error, names), 6.0)


def test_belief_is_one_row_per_provider() -> None:
    raw = raw_of()
    found = believe(raw, rules_of(), 22.5, seed=1)
    assert list(found) == BELIEF_COLUMNS
    assert list(found.index) == list(raw.effect.index)
    assert found["reliability"].between(0, 1).all()
    assert (found["shrunken_lower95"] <= found["shrunken"]).all()
    assert (found["rank_lower95"] <= found["rank_upper95"]).all()
    assert found["rank"].sum() == pytest.approx(40 * 41 / 2)


def test_rank_1_is_the_best() -> None:
    raw = raw_of(tau=8.0)
    found = believe(raw, rules_of(), 22.5, seed=1)
    assert found["rank"].idxmin() == found["shrunken"].idxmax()
    assert found["p_best_fifth"].sum() == pytest.approx(8.0)
    assert found.loc[found["shrunken"].idxmax(), "p_best_fifth"] > 0.95
    assert found.loc[found["shrunken"].idxmin(), "p_worst_fifth"] > 0.95


def test_small_providers_are_drawn_to_the_middle_the_most() -> None:
    raw = Raw(pd.Series([2.0, 2.0, -2.0, -2.0]), pd.Series([0.2, 2.0, 0.2, 2.0]), 6.0)
    found = believe(raw, rules_of(), 0.0, seed=1)
    assert found["shrunken"][0] > found["shrunken"][1] > 0
    assert found["reliability"][0] > found["reliability"][1]


def test_the_chosen_estimator_is_behind_reliability() -> None:
    raw = raw_of()
    for between in ("dersimonian_laird", "winsorised"):
        tau2 = between_variance(raw.effect, raw.error, between).tau2
        found = believe(raw, rules_of(between=between), 22.5, seed=1)["reliability"]
        assert found.to_numpy() == pytest.approx(tau2 / (tau2 + raw.error.to_numpy() ** 2))


def test_one_provider_has_nobody_to_be_compared_with() -> None:
    found = believe(raw_of(1), rules_of(), 22.5, seed=1)
    assert list(found) == BELIEF_COLUMNS
    assert found.isna().all(axis=None)


def test_reliability_is_told_by_every_estimator_and_one_of_them_is_used() -> None:
    found = reliabilities(raw_of(), rules_of(between="reml"))
    assert list(found) == RELIABILITY_COLUMNS
    assert found.loc[found["used"], "estimator"].tolist() == ["reml"]
    assert len(found) == 5
    needed = 0.7 / 0.3 * 36.0 / found["tau"] ** 2
    assert found["volume_07"].to_numpy() == pytest.approx(needed.to_numpy())
    assert (found["volume_09"] > found["volume_07"]).all()


def test_where_providers_do_not_differ_no_volume_is_enough() -> None:
    raw = Raw(pd.Series([0.1, -0.1, 0.0]), pd.Series([1.0, 1.0, 1.0]), 6.0)
    found = reliabilities(raw, rules_of()).set_index("estimator").loc["dersimonian_laird"]
    assert (found["tau"], found["median_reliability"]) == (0.0, 0.0)
    assert np.isinf(found["volume_07"])


def test_a_single_provider_has_no_reliability() -> None:
    assert reliabilities(raw_of(1), rules_of()).empty


def episodes(periods: tuple[str, ...] = ("2022",), tau: float = 4.0) -> pd.DataFrame:
    sample = sample_of(providers=20, each=60, tau=tau)
    rng = np.random.default_rng(6)
    return pd.DataFrame(
        {
            "observed": sample.observed,
            "expected": sample.expected,
            "provider_id": sample.provider,
            "period": rng.choice(list(periods), sample.observed.size),
        }
    )


def test_providers_that_differ_a_lot_come_out_again() -> None:
    found = agreements(episodes(("2021", "2022")), 10, seed=1)
    assert list(found) == AGREEMENT_COLUMNS
    assert found["kind"].tolist() == ["split_half", "year_on_year"]
    assert (found["correlation"] > 0.7).all()
    assert found.loc[1, ["first", "second"]].tolist() == ["2021", "2022"]


def test_one_period_has_no_other_to_agree_with() -> None:
    assert agreements(episodes(), 10, seed=1)["kind"].tolist() == ["split_half"]


def test_too_few_providers_agree_about_nothing() -> None:
    found = agreements(episodes(), 1000, seed=1)
    assert found.empty
    assert list(found) == AGREEMENT_COLUMNS


def test_overlap_is_low_for_a_provider_with_patients_of_its_own() -> None:
    rows = episodes()
    rows.loc[rows["provider_id"] == "P03", "expected"] += 100
    found = overlap(rows)
    assert found.between(0, 1).all()
    assert found.idxmin() == "P03"


# --- predicted over expected ----------------------------------------------------------------------


def test_a_prediction_lies_between_what_is_expected_and_what_was_observed() -> None:
    rows = episodes()
    table, told = predict(rows, "gaussian", replicates=0, seed=1)
    assert list(table) == PREDICTED_COLUMNS
    assert told == []
    means = rows.groupby("provider_id")[["observed", "expected"]].mean()
    away = (means["observed"] - means["expected"]).mean()
    low, high = (means["expected"] + away), means["observed"]
    assert ((table["predicted"] - low) * (table["predicted"] - high) <= 1e-9).all()
    assert table[PREDICTED_COLUMNS[2:]].isna().all(axis=None)


def test_the_bootstrap_puts_an_interval_around_the_ratio() -> None:
    table, _ = predict(episodes(), "gaussian", replicates=40, seed=1)
    lower, upper = (table[one] for one in PREDICTED_COLUMNS[2:])
    assert (lower < upper).all()
    assert table["predicted_ratio"].between(lower, upper).mean() > 0.8
    again, _ = predict(episodes(), "gaussian", replicates=40, seed=1)
    pd.testing.assert_frame_equal(table, again)
