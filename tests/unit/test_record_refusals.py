"""Keys that do not go together, or a currency that is none, are refused with what was wanted."""

from types import SimpleNamespace

import pytest
from pydantic import ValidationError
from worlds import make_study

from riskadj.casemix.roles import _discharge_faults
from riskadj.episodes import COLUMNS
from riskadj.payment.terms import ContractCurrency, check_whole

CURRENCIES = {
    "no text": ({"code": 1}, "string"),
    "no such currency": ({"code": "XXQ", "minor_digits": 2}, "ISO 4217"),
    "more digits than there are": ({"code": "EUR", "minor_digits": 3}, "2 or fewer for EUR"),
    "no record": ("EUR", "ContractCurrency"),
}


@pytest.mark.parametrize(("given", "says"), CURRENCIES.values(), ids=CURRENCIES)
def test_a_currency_that_is_none_is_refused(given, says):
    with pytest.raises(ValidationError, match=says):
        ContractCurrency.model_validate(given)


def test_a_currency_has_its_own_digits_unless_it_is_given_fewer():
    assert ContractCurrency.model_validate({"code": "EUR"}).minor_digits == 2
    assert ContractCurrency.model_validate({"code": "EUR", "minor_digits": 0}).minor_digits == 0


STUDIES = {
    "shrunken effects with other limits": (
        {"method": "empirical_bayes", "limits": "additive"}, "nominal"
    ),
    "levels that are not in order": ({"levels": [0.998, 0.95]}, "levels"),
    "methods without limits": (
        {"sensitivity": {"methods": ["fixed_effects"], "limits": []}}, "limits"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("profile", "says"), STUDIES.values(), ids=STUDIES)
def test_rules_of_profiles_that_do_not_go_together_are_refused(profile, says):
    with pytest.raises(ValueError, match=says):
        make_study(profile={"minimum_n": 30, "suppress_below": 6} | profile)


@pytest.mark.parametrize(
    ("name", "says"), [("nowhere", "wanted columns of the episodes"), ("sex", "known during")]
)
def test_what_is_coded_at_discharge_has_to_be_there_and_known_then(name, says):
    study = SimpleNamespace(casemix=SimpleNamespace(coded_at_discharge=[name]))
    (fault,) = _discharge_faults(COLUMNS, study)
    assert says in str(fault)


def test_parts_that_do_not_sum_to_one_are_refused():
    check_whole("weights", [0.5, 0.5])
    with pytest.raises(ValueError, match=r"wanted weights that sum to 1; got 0\.5 \+ 0\.4"):
        check_whole("weights", [0.5, 0.4])
