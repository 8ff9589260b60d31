"""What an error shows of the numbers it refuses: plain ones, without the type they came in."""

import re

import numpy as np
import pytest

from riskadj.errors import ArrayError
from riskadj.stats import (
    benjamini_hochberg,
    case_mix_overlap,
    dispersion,
    empirical_null,
    exact_ratio_interval,
    fit_fixed_effects,
    fit_random_intercept,
    funnel_effect,
    predicted_over_expected,
    predictive_limits_of_count,
    ratio_interval,
    split_half,
    wald_test,
    year_on_year,
)
from riskadj.stats.arrays import finite, one_of, plain, whole

F, WHOLE, NAN = np.float64, np.int64, np.nan
TWO = [0.5, 0.5]
LABELS = np.array(["a", "b"])


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: one_of("family", np.str_("x"), ("a", "b")), "got 'x'."),
        (lambda: one_of("family", WHOLE(1), ("a", "b")), "got 1."),
        (lambda: whole("draws", WHOLE(0), 1), "got 0."),
        (lambda: whole("draws", F(1.0), 1), "got 1.0."),
        (lambda: finite("y", [1.0, NAN]), "got 1 that is not, first at row 1."),
        (lambda: finite("y", [NAN, NAN]), "got 2 that are not, first at row 0."),
        (lambda: ratio_interval(1, 1.0, "exact", F(1.0)), "got 1.0."),
        (lambda: exact_ratio_interval(TWO, LABELS, [1, 0], F(1.5)), "got 1.5."),
        (lambda: wald_test(TWO, TWO, df=F(-1)), "got -1.0."),
        (lambda: dispersion([1.0, 2.0], "winsorised", F(0.7)), "got 0.7."),
        (lambda: dispersion([1.0, 2.0], WHOLE(3)), "got 3."),
        (lambda: empirical_null([1.0, 2.0], width=F(99)), "got 99.0."),
        (lambda: case_mix_overlap(TWO, LABELS, groups=WHOLE(1)), "got 1."),
        (lambda: case_mix_overlap(TWO, LABELS, central=F(2)), "got 2.0."),
        (lambda: funnel_effect("ratio_cqc", [1], [1], target=F(2)), "got 2.0."),
        (lambda: funnel_effect("ratio_cqc", [1], [1], sd=F(2)), "got 2.0 for"),
        (lambda: predictive_limits_of_count([1.0], F(0.1)), "got 0.1."),
        (lambda: split_half(TWO, LABELS, seed=1, splits=WHOLE(0)), "got 0."),
        (lambda: year_on_year(TWO, LABELS, np.array([2018, 2018])), "got 2018 only."),
        (lambda: year_on_year(TWO, LABELS, np.array(["x", "x"])), "got 'x' only."),
        (
            lambda: predicted_over_expected([1, 2, 3], np.array(["a", "a", "b"]), [1, 2, 3], 0.0),
            "got several in 'a'.",
        ),
        (lambda: predicted_over_expected([1, 2], LABELS, 1, 0, weights=[1, 0]), "none in 'b'."),
        (lambda: fit_fixed_effects([1, 2], [1, 2], [1, 1], np.str_("z")), "got 'z'."),
    ],
)  # fmt: skip
def test_an_error_shows_plain_numbers(ask, says):
    with pytest.raises(ArrayError, match=re.escape(says)) as e:
        ask()
    assert "np." not in str(e.value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(F(0.5), "0.5"), (WHOLE(3), "3"), (np.str_("a"), "'a'"), (np.True_, "True"), (None, "None")],
)
def test_what_is_plain_reads_as_python_writes_it(value, shown):
    assert repr(plain(value)) == shown


@pytest.mark.parametrize("fit", [fit_fixed_effects, fit_random_intercept])
@pytest.mark.parametrize(
    ("without", "says"),
    [
        (1, "got 1 provider without. Leave its episodes"),
        (2, "got 2 providers without. Leave their"),
    ],
)
def test_providers_without_weight_are_counted_in_words_that_agree(fit, without, says):
    provider = np.repeat(np.arange(5), 4)
    rng = np.random.default_rng(0)
    with pytest.raises(ArrayError, match=re.escape(says)):
        fit(rng.normal(size=20), rng.normal(size=20), provider, weights=provider >= without)


def test_levels_that_are_fine_are_taken_of_any_kind():
    assert benjamini_hochberg([0.01, 0.5]).shape == (2,)
    assert ratio_interval(1, 1.0, "exact", F(0.9)).lower > 0
