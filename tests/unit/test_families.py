"""Slopes of likelihoods against differences of the likelihood itself."""

import numpy as np
import pytest

from riskadj.errors import ArrayError
from riskadj.stats.families import FAMILIES

ETA = np.array([-6.0, -1.3, -0.2, 0.0, 0.4, 2.1, 7.0])
OUTCOMES = {
    "gaussian": np.array([-3.0, 0.0, 0.5, 1.0, 2.0, 2.5, 9.0]),
    "binomial": np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]),
    "gamma": np.array([0.01, 0.5, 1.0, 2.0, 3.0, 5.0, 900.0]),
}
LIKELIHOOD = {
    "gaussian": lambda y, eta: -((y - eta) ** 2) / 2,
    "binomial": lambda y, eta: y * eta - np.log1p(np.exp(eta)),
    "gamma": lambda y, eta: np.log(y) - eta - y / np.exp(eta),
}
each_family = pytest.mark.parametrize("name", FAMILIES)


def slope(of, at, by=1e-5):
    return (of(at + by) - of(at - by)) / (2 * by)


@each_family
def test_slopes_are_those_of_the_likelihood(name):
    family, y = FAMILIES[name], OUTCOMES[name]
    found = family.slopes(y, ETA)
    assert found.loglik == pytest.approx(LIKELIHOOD[name](y, ETA), abs=1e-12)
    scale = 1e-8 + 1e-8 * np.abs(found.loglik).max()
    assert found.score == pytest.approx(
        slope(lambda at: LIKELIHOOD[name](y, at), ETA), rel=1e-6, abs=scale
    )
    assert found.weight == pytest.approx(
        -slope(lambda at: family.slopes(y, at).score, ETA), rel=1e-6, abs=1e-9
    )
    assert found.bend == pytest.approx(
        slope(lambda at: family.slopes(y, at).weight, ETA), rel=1e-6, abs=1e-9
    )


@each_family
def test_a_link_and_its_mean_undo_each_other(name):
    family = FAMILIES[name]
    assert family.link(family.mean(ETA)) == pytest.approx(ETA)


@pytest.mark.parametrize(
    ("name", "y", "says"),
    [
        ("gaussian", [2.0, 2.0], "y: wanted outcomes that differ; got 2 for all."),
        ("binomial", [0.0, 2.0], "y: wanted 0 or 1, event or none; got other values."),
        ("binomial", [1.0, 1.0], "y: wanted episodes with and without the event; got 1 for all."),
        ("gamma", [0.0, 1.0],
         "y: wanted amounts above 0; got 0. Model zeros apart (two-part)."),
    ],
)  # fmt: skip
def test_outcomes_of_no_such_family_are_refused(name, y, says):
    with pytest.raises(ArrayError) as refused:
        FAMILIES[name].check(np.array(y))
    assert str(refused.value) == says


@each_family
def test_outcomes_of_a_family_are_taken(name):
    FAMILIES[name].check(OUTCOMES[name])
