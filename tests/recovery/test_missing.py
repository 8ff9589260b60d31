"""Missing follow-up: bias and coverage of the analyses, and the delta that was planted."""

import pytest

from recovery.missing import (
    BETWEEN,
    COMPLETE,
    DONORS,
    FULL,
    IMPUTED,
    RANDOM,
    RESPONSES,
    WEIGHTED,
    boundary,
    compare,
    event_flags,
    flags,
    planted,
    ratios,
    trimmed,
)

BY_EXPECTED, BY_COVARIATE = "at random, expected value", "at random, covariate"
COMPLETELY = "completely at random"
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


def test_a_few_worlds_already_show_what_drawing_providers_to_the_others_costs():
    lines = flags(COMPLETELY, 2.0, 0.3, replicates=4)
    assert lines[RANDOM].flagged < 0.95 * lines[IMPUTED].flagged
    assert lines[RANDOM].coverage > lines[IMPUTED].coverage


each_world = pytest.mark.parametrize("response", RESPONSES)
each_spread = pytest.mark.parametrize("between", BETWEEN)


@pytest.mark.slow
@each_world
@each_spread
@pytest.mark.parametrize(
    ("who_answers", "analysis"),
    [
        (COMPLETELY, COMPLETE),
        (COMPLETELY, WEIGHTED),
        (COMPLETELY, IMPUTED),
        (BY_EXPECTED, COMPLETE),
        (BY_EXPECTED, WEIGHTED),
        (BY_EXPECTED, IMPUTED),
        (BY_COVARIATE, WEIGHTED),
        (BY_COVARIATE, IMPUTED),
    ],
)
def test_intervals_cover_however_much_or_little_providers_differ(
    who_answers, analysis, between, response
):
    assert 0.935 <= flags(who_answers, between, response)[analysis].coverage <= 0.965


@pytest.mark.slow
@each_world
@pytest.mark.parametrize("who_answers", [COMPLETELY, BY_EXPECTED, BY_COVARIATE])
def test_providers_that_do_not_differ_are_flagged_as_often_as_limits_say(who_answers, response):
    assert 0.035 <= flags(who_answers, 0.0, response)[IMPUTED].flagged <= 0.065


@pytest.mark.slow
@each_world
@pytest.mark.parametrize("between", BETWEEN[1:])
@pytest.mark.parametrize("who_answers", [COMPLETELY, BY_EXPECTED])
def test_imputation_finds_those_who_differ_as_often_as_complete_cases_do(
    who_answers, between, response
):
    lines = flags(who_answers, between, response)
    assert lines[IMPUTED].right >= 0.9 * lines[COMPLETE].right
    assert lines[IMPUTED].flagged >= 0.9 * lines[COMPLETE].flagged


@pytest.mark.slow
@each_world
def test_where_a_covariate_explains_who_answers_imputed_flags_are_right_more_often(response):
    lines = flags(BY_COVARIATE, 2.0, response)
    assert lines[IMPUTED].right >= lines[COMPLETE].right


@pytest.mark.slow
@pytest.mark.parametrize("between", [0.0, 0.75])
def test_drawn_to_the_others_those_who_few_answered_of_are_hardly_ever_flagged(between):
    """What `own` effects are for: estimates that are drawn, with the error of ones that are not."""
    lines = flags(COMPLETELY, between, 0.3)
    assert lines[RANDOM].coverage > 0.975
    assert lines[RANDOM].flagged < 0.4 * lines[COMPLETE].flagged


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
def test_imputed_effects_are_nearer_the_truth_and_their_flags_nearest_those_of_full_data(
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
    # Effects drawn to each other lose some of their spread; a provider's own keep it.
    assert lines[RANDOM].spread < 0.95 < lines[IMPUTED].spread < lines[DONORS].spread < 1.1


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
@pytest.mark.parametrize("between", BETWEEN[1:])
def test_the_delta_that_takes_a_provider_to_its_limit_is_found(between):
    found = boundary(between)
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


@pytest.mark.slow
@each_world
@each_spread
@pytest.mark.parametrize("who_answers", [COMPLETELY, BY_EXPECTED, BY_COVARIATE])
def test_intervals_for_the_share_of_events_cover_however_little_providers_differ(
    who_answers, between, response
):
    line = event_flags(who_answers, between, response)[IMPUTED]
    assert 0.935 <= line.coverage <= 0.965
    if not between:
        assert 0.035 <= line.flagged <= 0.065


@pytest.mark.slow
@each_world
@pytest.mark.parametrize("between", BETWEEN[1:])
@pytest.mark.parametrize("who_answers", [COMPLETELY, BY_EXPECTED])
def test_imputed_events_find_those_who_differ_as_often_as_complete_cases_do(
    who_answers, between, response
):
    lines = event_flags(who_answers, between, response)
    assert lines[IMPUTED].right >= 0.9 * lines[COMPLETE].right
    assert lines[RANDOM].right < 0.9 * lines[COMPLETE].right
