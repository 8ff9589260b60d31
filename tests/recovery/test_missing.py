"""Missing follow-up: bias and coverage of the analyses, and the delta that was planted."""

import pytest

from recovery.missing import (
    COMPLETE,
    DONORS,
    FULL,
    IMPUTED,
    WEIGHTED,
    boundary,
    compare,
    planted,
    ratios,
    trimmed,
)

BY_EXPECTED, BY_COVARIATE = "at random, expected value", "at random, covariate"
CEILING, NOT_AT_RANDOM = "at random, covariate, ceiling", "not at random"
ADJUSTED = (WEIGHTED, IMPUTED, DONORS)
each_adjusted = pytest.mark.parametrize("analysis", ADJUSTED)


def test_a_few_worlds_already_show_what_complete_cases_miss():
    lines = compare(BY_COVARIATE, replicates=8)
    assert lines[COMPLETE].bias_few > 0.3
    assert abs(lines[IMPUTED].bias_few) < lines[COMPLETE].bias_few
    assert 0.85 < lines[IMPUTED].coverage <= 1.0


def test_a_few_flags_with_the_planted_delta_are_those_of_full_data():
    found = planted(replicates=8)
    assert found.same_with_delta > found.same_at_random + 0.2


@pytest.mark.slow
@pytest.mark.parametrize("analysis", [FULL, COMPLETE, *ADJUSTED])
def test_all_analyses_cover_where_answers_go_with_what_is_expected(analysis):
    line = compare(BY_EXPECTED)[analysis]
    assert 0.935 <= line.coverage <= 0.975
    assert abs(line.bias_few) < 0.15
    assert abs(line.bias_many) < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("who_answers", [BY_COVARIATE, CEILING])
@each_adjusted
def test_weights_and_imputation_take_away_what_a_covariate_explains(who_answers, analysis):
    lines = compare(who_answers)
    assert lines[COMPLETE].bias_few > 10 * lines[COMPLETE].bias_error
    assert abs(lines[analysis].bias_few) < lines[COMPLETE].bias_few * 0.45
    assert abs(lines[analysis].bias_many) < abs(lines[COMPLETE].bias_many) * 0.45
    assert 0.935 <= lines[analysis].coverage <= 0.975
    assert lines[COMPLETE].coverage < 0.935


@pytest.mark.slow
@pytest.mark.parametrize("who_answers", [BY_EXPECTED, BY_COVARIATE, CEILING])
def test_imputed_effects_are_nearest_the_truth_and_their_flags_nearest_those_of_full_data(
    who_answers,
):
    lines = compare(who_answers)
    for other in (COMPLETE, WEIGHTED):
        assert lines[IMPUTED].rmse < lines[other].rmse
        assert lines[IMPUTED].same_flag >= lines[other].same_flag - 0.01


@pytest.mark.slow
def test_at_a_ceiling_means_from_the_normal_model_are_as_good_as_those_from_donors():
    lines = compare(CEILING)
    assert lines[IMPUTED].rmse <= lines[DONORS].rmse
    assert abs(lines[IMPUTED].bias_few - lines[DONORS].bias_few) < 0.05
    # What shrinks them is the normal spread of effects that are not: donors keep a little more.
    assert lines[IMPUTED].spread < lines[DONORS].spread < 1


@pytest.mark.slow
@pytest.mark.parametrize("analysis", [COMPLETE, *ADJUSTED])
def test_no_analysis_covers_where_answers_are_not_at_random(analysis):
    line = compare(NOT_AT_RANDOM)[analysis]
    assert line.coverage < 0.935
    assert line.bias_few > 0.5
    assert line.bias_many < -0.5


@pytest.mark.slow
@each_adjusted
def test_they_are_still_nearer_than_complete_cases(analysis):
    lines = compare(NOT_AT_RANDOM)
    assert lines[analysis].bias_few < lines[COMPLETE].bias_few - 0.2
    assert lines[analysis].coverage > lines[COMPLETE].coverage + 0.03


@pytest.mark.slow
def test_trimming_undoes_less_with_the_own_rate_as_numerator():
    own, overall = (trimmed(one, (0.01, 0.99)) for one in ("provider", "overall"))
    assert own.bias_few < overall.bias_few - 0.05
    assert abs(own.rmse - overall.rmse) < 0.05


@pytest.mark.slow
def test_without_trimming_the_numerator_is_no_matter_and_bias_is_paid_for_in_spread():
    own, overall = (trimmed(one, (0.0, 1.0)) for one in ("provider", "overall"))
    assert own.bias_few == pytest.approx(overall.bias_few, abs=1e-9)
    assert abs(own.bias_few) < 0.1
    assert own.rmse > trimmed("provider", (0.01, 0.99)).rmse


@pytest.mark.slow
def test_flags_with_the_planted_delta_are_those_of_full_data_as_often_as_they_should():
    found = planted()
    assert found.same_with_delta == pytest.approx(found.expected_share, abs=0.02)
    assert found.same_with_delta > 0.88
    assert found.same_at_random < 0.65


@pytest.mark.slow
def test_the_delta_that_takes_a_provider_to_its_limit_is_found():
    found = boundary()
    assert abs(found.bias) < 4 * found.bias_error + 0.02
    assert 0.935 <= found.coverage <= 0.975
    assert 0.48 <= found.flagged <= 0.52


@pytest.mark.slow
def test_imputed_ratios_of_events_cover_and_those_of_complete_cases_do_not():
    found = ratios()
    assert found.bias_complete > 0.15
    assert abs(found.bias_imputed) < 0.2 * found.bias_complete
    assert 0.935 <= found.coverage_imputed <= 0.975
    assert found.coverage_complete < 0.9
