"""Identities of provider effects: what a fit may depend on, and what it may not."""

import sys
from dataclasses import fields
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy.special import expit
from threadpoolctl import threadpool_limits

from riskadj.stats.fixed_effects import fit_fixed_effects
from riskadj.stats.random_intercept import fit_random_intercept

few = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FIXED = {
    "fixed gaussian": partial(fit_fixed_effects, family="gaussian"),
    "fixed binomial": partial(fit_fixed_effects, family="binomial"),
    "firth": partial(fit_fixed_effects, family="binomial", firth=True),
}
RANDOM = {
    "reml": partial(fit_random_intercept, family="gaussian"),
    "ml": partial(fit_random_intercept, family="gaussian", method="ml"),
    "correlated": partial(fit_random_intercept, family="gaussian", correlated=True),
    "random binomial": partial(fit_random_intercept, family="binomial"),
    "random gamma": partial(fit_random_intercept, family="gamma"),
    "correlated gamma": partial(fit_random_intercept, family="gamma", correlated=True),
}
FITS = {**FIXED, **RANDOM}
GAUSSIAN = ("fixed gaussian", "reml", "ml", "correlated")
EVENTS = ("fixed binomial", "firth", "random binomial")
AMOUNTS = ("random gamma", "correlated gamma")
every_fit = pytest.mark.parametrize("kind", FITS)
gaussian_fits = pytest.mark.parametrize("kind", GAUSSIAN)
fits_of_counted_episodes = pytest.mark.parametrize("kind", [*EVENTS, *AMOUNTS])
seeds = st.integers(0, 10_000)
factors = st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3)

EXACT = 1e-9
"""In standard errors: the same arithmetic in another order."""
LEFT = 1e-6
"""What a climb that is called settled may leave to go."""
ON_ANOTHER_WAY = 1e-3
"""Of two climbs to the same summit, each called settled."""


def make_world(kind, seed, largest=25, providers=7):
    """Return episodes of providers of 4 or more; each has events and others."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(providers), rng.integers(4, largest, providers))
    n, first = len(code), np.flatnonzero(np.diff(code, prepend=-1))
    X = rng.normal(size=(n, 3)) * [1.0, 2.0, 0.5]
    eta = X @ [0.3, -0.2, 0.4] + 0.5 * rng.normal(size=providers)[code]
    if kind in EVENTS:
        y = (rng.random(n) < expit(eta)).astype(float)
        y[first], y[first + 1] = 0.0, 1.0
    else:
        y = eta + rng.normal(size=n) if kind in GAUSSIAN else rng.gamma(2, np.exp(eta) / 2)
    order = rng.permutation(n)
    rows = {"y": y, "X": X, "provider": code, "weights": rng.uniform(0.5, 2, n)}
    rows["offset"] = rng.normal(size=n) / 4
    return SimpleNamespace(**{name: row[order] for name, row in rows.items()})


def answers(found):
    """Return the estimates of a fit by name, those its family does not have as 0."""
    names = ("coef", "effects", "intercept", "between_coef", "sigma", "residual_sd", "shape")
    return {name: np.nan_to_num(getattr(found, name)) for name in names if hasattr(found, name)}


def exact(kind):
    """Return what rounding may change: where a fit is a climb, also where it ends."""
    return EXACT if kind in GAUSSIAN else LEFT


def assert_same(found, expected, other, within, leaving=()):
    """Compare estimates, in units of the other fit's typical standard error."""
    assert found.converged
    unit = max(other.coef_se.mean(), np.median(other.effects_se), EXACT)
    units = {"coef": other.coef_se, "between_coef": getattr(other, "between_se", 1.0)}
    for name, value in expected.items():
        if name not in leaving:
            difference = np.abs(answers(found)[name] - value)
            allowed = within * units.get(name, unit) * (1 + np.abs(value)) + 1e-13
            np.testing.assert_array_less(difference, allowed, err_msg=name)


def assert_same_errors(found, errors, effects_se, within):
    np.testing.assert_allclose(found.coef_se, errors, rtol=within)
    np.testing.assert_allclose(found.effects_se, effects_se, rtol=within, atol=1e-12)


def fit(kind, world, *rows, **changes):
    given = {name: getattr(world, name) for name in ("y", "X", "provider", *rows)}
    return FITS[kind](**{**given, **changes})


def set_everywhere(monkeypatch, **constants):
    """Set module constants of the kernels, wherever they are."""
    for name, value in constants.items():
        holders = [one for key, one in sys.modules.items() if key.startswith("riskadj.stats.")]
        found = [one for one in holders if hasattr(one, name)]
        assert found
        for one in found:
            monkeypatch.setattr(one, name, value)


# --- episodes come in any order, providers have any name ---


@every_fit
@few
@given(seed=seeds)
def test_the_order_of_episodes_changes_nothing(kind, seed):
    world = make_world(kind, seed)
    order = np.random.default_rng(seed).permutation(len(world.y))
    found = fit(kind, world, "weights", "offset")
    rows = {name: row[order] for name, row in vars(world).items()}
    shuffled = FITS[kind](**rows)
    assert_same(shuffled, answers(found), found, exact(kind))
    assert_same_errors(shuffled, found.coef_se, found.effects_se, exact(kind))
    assert shuffled.loglik == pytest.approx(found.loglik, rel=exact(kind))
    # Without spread two climbs end alike, and rounding says which of them is reported.
    assert shuffled.passes == found.passes


@every_fit
@few
@given(seed=seeds)
def test_other_labels_permute_the_effects_only(kind, seed):
    world = make_world(kind, seed)
    new = np.random.default_rng(seed).permutation(7)
    found, renamed = fit(kind, world), fit(kind, world, provider=new[world.provider])
    expected = answers(found)
    expected["effects"] = found.effects[np.argsort(new)]
    assert_same(renamed, expected, found, exact(kind))
    assert_same_errors(renamed, found.coef_se, found.effects_se[np.argsort(new)], exact(kind))
    assert renamed.n.tolist() == found.n[np.argsort(new)].tolist()


LABELS = {
    "text": lambda code: np.char.add("p", code.astype(str)),
    "objects": lambda code: [f"p{one}" for one in code],
    "floats": lambda code: code.astype(float),
    "small integers": lambda code: code.astype(np.int8),
    "a categorical": lambda code: pd.Categorical([f"p{one}" for one in code]),
    "a series": lambda code: pd.Series(code, index=np.arange(len(code))[::-1]),
    "categories in another order": lambda code: pd.Series(
        pd.Categorical([f"p{one}" for one in code], [f"p{one}" for one in range(9, -1, -1)])
    ),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("kind", ["fixed gaussian", "random binomial"])
def test_labels_of_any_kind_give_the_same_bytes(kind, labels):
    world = make_world(kind, 1)
    found, other = fit(kind, world), fit(kind, world, provider=labels(world.provider))
    assert bytes_of(other) == bytes_of(found)
    assert [str(one).strip("p.0") for one in other.providers[1:]] == list("123456")


@every_fit
def test_frames_lists_and_arrays_of_any_order_are_taken_alike(kind):
    world = make_world(kind, 2)
    found = fit(kind, world)
    frame = pd.DataFrame(world.X, columns=["age", "sex", "pain"])
    for X in (frame, world.X.tolist(), np.asfortranarray(world.X), np.repeat(world.X, 2, 0)[::2]):
        assert_same(fit(kind, world, X=X), answers(found), found, exact(kind))
    other = fit(kind, world, y=pd.Series(world.y), X=frame.astype(object))
    assert_same(other, answers(found), found, exact(kind))


# --- covariates in another unit, order or place ---


@every_fit
@few
@given(seed=seeds, factor=factors)
def test_a_covariate_in_another_unit_changes_its_coefficient_only(kind, seed, factor):
    world, scale = make_world(kind, seed), np.array([factor, 1.0, 1.0])
    found, scaled = fit(kind, world), fit(kind, world, X=world.X * scale)
    rescaled = {name: value.copy() for name, value in answers(scaled).items()}
    for name in ("coef", "between_coef"):
        if name in rescaled and rescaled[name].size:
            rescaled[name] *= scale
    unscaled = SimpleNamespace(**rescaled, converged=scaled.converged)
    assert_same(unscaled, answers(found), found, ON_ANOTHER_WAY)
    assert_same_errors(scaled, found.coef_se / np.abs(scale), found.effects_se, ON_ANOTHER_WAY)


@every_fit
@few
@given(seed=seeds, order=st.permutations(range(3)))
def test_covariates_in_another_order_permute_their_coefficients(kind, seed, order):
    world = make_world(kind, seed)
    found, permuted = fit(kind, world), fit(kind, world, X=world.X[:, order])
    expected = answers(found)
    expected["coef"] = found.coef[order]
    if expected.get("between_coef", np.empty(0)).size:
        expected["between_coef"] = found.between_coef[order]
    unit = SimpleNamespace(coef_se=found.coef_se[order], effects_se=found.effects_se)
    assert_same(permuted, expected, unit, ON_ANOTHER_WAY)
    assert_same_errors(permuted, found.coef_se[order], found.effects_se, ON_ANOTHER_WAY)


@every_fit
@few
@given(seed=seeds, places=st.tuples(*[st.floats(-3, 3)] * 3))
def test_covariates_from_another_zero_move_only_what_is_meant_at_zero(kind, seed, places):
    world, by = make_world(kind, seed), np.array(places)
    found, moved = fit(kind, world), fit(kind, world, X=world.X + by)
    expected = answers(found)
    if kind in FIXED:
        expected["effects"] = found.effects - by @ found.coef
    else:
        slopes = found.coef + (found.between_coef if found.between_coef.size else 0.0)
        expected["intercept"] = found.intercept - by @ slopes
    # The spread of fixed effects is estimated from errors at zero: not compared.
    assert_same(moved, expected, found, ON_ANOTHER_WAY, ("sigma",) if kind in FIXED else ())
    np.testing.assert_allclose(moved.coef_se, found.coef_se, rtol=2e-3)
    assert moved.loglik == pytest.approx(found.loglik, rel=1e-7)


# --- weights and offsets ---


@fits_of_counted_episodes
@few
@given(seed=seeds)
def test_weights_of_two_are_every_episode_twice(kind, seed):
    world = make_world(kind, seed)
    weighted = fit(kind, world, weights=np.full(len(world.y), 2.0))
    twice = {name: np.repeat(getattr(world, name), 2, axis=0) for name in ("y", "X", "provider")}
    doubled = FITS[kind](**twice)
    assert_same(weighted, answers(doubled), doubled, ON_ANOTHER_WAY)
    assert_same_errors(weighted, doubled.coef_se, doubled.effects_se, ON_ANOTHER_WAY)
    assert weighted.loglik == pytest.approx(doubled.loglik, rel=1e-7)
    assert (2 * weighted.n).tolist() == doubled.n.tolist()


@every_fit
@few
@given(seed=seeds)
def test_episodes_of_weight_zero_are_not_there(kind, seed):
    world = make_world(kind, seed)
    kept = np.random.default_rng(seed).random(len(world.y)) < 0.8
    # Four of each provider stay, with and without event: none is left empty or without contrast.
    kept |= pd.Series(world.y).groupby([world.provider, world.y == 1]).cumcount().to_numpy() < 4
    weighted = fit(kind, world, "offset", weights=np.where(kept, world.weights, 0.0))
    absent = FITS[kind](**{name: row[kept] for name, row in vars(world).items()})
    assert bytes_of(weighted) == bytes_of(absent)


@every_fit
@few
@given(seed=seeds, slope=st.floats(-0.5, 0.5))
def test_an_offset_takes_a_known_slope_out_of_the_coefficients(kind, seed, slope):
    world = make_world(kind, seed)
    found, known = fit(kind, world), fit(kind, world, offset=slope * world.X[:, 0])
    expected = answers(found)
    expected["coef"] = found.coef - [slope, 0.0, 0.0]
    assert_same(known, expected, found, ON_ANOTHER_WAY)
    assert_same_errors(known, found.coef_se, found.effects_se, ON_ANOTHER_WAY)
    assert known.loglik == pytest.approx(found.loglik, rel=1e-7)


@gaussian_fits
@few
@given(seed=seeds, factor=st.floats(1e-6, 1e6))
def test_the_unit_of_inverse_variances_moves_the_residual_only(kind, seed, factor):
    world = make_world(kind, seed)
    found = fit(kind, world, "weights")
    other = fit(kind, world, weights=factor * world.weights)
    expected = answers(found)
    expected["residual_sd"] = found.residual_sd * np.sqrt(factor)
    assert_same(other, expected, found, 1e-6)
    assert_same_errors(other, found.coef_se, found.effects_se, 1e-6)


# --- outcomes in another unit ---


@gaussian_fits
@few
@given(seed=seeds, factor=st.floats(1e-6, 1e9), place=st.floats(-10, 10))
def test_gaussian_outcomes_in_another_unit_scale_all_answers(kind, seed, factor, place):
    world = make_world(kind, seed)
    found, scaled = fit(kind, world), fit(kind, world, y=factor * (world.y + place))
    expected = {name: factor * value for name, value in answers(found).items()}
    name = "effects" if kind in FIXED else "intercept"
    expected[name] = expected[name] + factor * place
    unit = SimpleNamespace(coef_se=factor * found.coef_se, effects_se=factor * found.effects_se)
    for each, value in expected.items():
        np.testing.assert_allclose(
            answers(scaled)[each], value, rtol=1e-7, atol=1e-7 * unit.coef_se.mean(), err_msg=each
        )
    assert_same_errors(scaled, unit.coef_se, unit.effects_se, 1e-7)
    assert scaled.converged


@pytest.mark.parametrize("kind", EVENTS)
@few
@given(seed=seeds)
def test_counting_the_episodes_without_event_turns_the_signs(kind, seed):
    world = make_world(kind, seed)
    found, turned = fit(kind, world), fit(kind, world, y=1 - world.y)
    turn = {"coef", "effects", "intercept"}
    expected = {k: -v if k in turn else v for k, v in answers(found).items()}
    assert_same(turned, expected, found, 1e-6)
    assert_same_errors(turned, found.coef_se, found.effects_se, 1e-5)


# --- how the work is cut up ---


def bytes_of(found):
    """Return every number of a fit, by name; labels and warnings left out."""
    left_out = ("providers", "warnings")
    return {
        one.name: np.asarray(getattr(found, one.name)).tobytes()
        for one in fields(found)
        if one.name not in left_out
    }


@every_fit
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_the_size_of_a_chunk_changes_nothing(monkeypatch, kind, chunk):
    world = make_world(kind, 3)
    found = fit(kind, world, "weights", "offset")
    set_everywhere(monkeypatch, CHUNK=chunk)
    other = fit(kind, world, "weights", "offset")
    assert_same(other, answers(found), found, exact(kind))
    assert_same_errors(other, found.coef_se, found.effects_se, exact(kind))


@every_fit
def test_a_provider_may_span_several_chunks(monkeypatch, kind):
    world = make_world(kind, 4, largest=9_000, providers=5)
    assert len(world.y) > 20_000
    found = fit(kind, world, "weights", "offset")
    set_everywhere(monkeypatch, CHUNK=10**9)
    other = fit(kind, world, "weights", "offset")
    assert_same(other, answers(found), found, 1e-7)


@every_fit
def test_one_thread_and_two_give_the_same_bytes(kind):
    assert len(set(by_threads(kind, providers=40, largest=1_500))) == 1


@pytest.mark.parametrize("kind", ["fixed gaussian", "fixed binomial", "reml", "random gamma"])
def test_one_thread_and_two_give_the_same_bytes_with_12000_providers(kind):
    """OpenBLAS shares a sum of more than 10,000 numbers among its threads."""
    assert len(set(by_threads(kind, providers=12_000, largest=6))) == 1


def by_threads(kind, **size):
    world = make_world(kind, 5, **size)
    for threads in (1, 2, 1, 2):
        with threadpool_limits(threads):
            yield tuple(bytes_of(fit(kind, world, "weights", "offset")).items())
