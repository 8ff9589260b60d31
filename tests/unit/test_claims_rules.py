"""Rules of episodes as records: what must be said, and what makes no sense."""

from pathlib import Path
from typing import Any

import pytest
from claims_worlds import RULES, rules_of
from pydantic import ValidationError

from riskadj.claims import ClaimRules
from riskadj.claims.rules import PART_OF_SETTING, SETTINGS
from riskadj.episodes.columns import COST_PARTS, COST_WINDOWS

NEEDED = (
    "patients", "index", "windows", "counted_from", "overlap", "transfers", "death",
    "disenrolment", "lookback_days", "currency", "price_year", "period", "known_drgs",
)  # fmt: skip


@pytest.mark.parametrize("name", NEEDED)
def test_a_choice_that_a_cost_depends_on_must_be_made(name: str) -> None:
    given = {key: value for key, value in RULES.items() if key != name}
    with pytest.raises(ValidationError, match=name):
        ClaimRules.model_validate(given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widnows": [30]}, "Extra inputs"),
        ({"windows": [90, 30]}, "shortest first"),
        ({"windows": [30, 30]}, "each once"),
        ({"windows": [45]}, "30, 60, 90, 180 or 365"),
        ({"windows": []}, "at least 1"),
        ({"index": {}}, "at least 1"),
        ({"index": {"A": {}}}, "drgs, procedures or both; got neither"),
        ({"index": {"A": {"setting": "snf", "drgs": ["1"]}}}, "inpatient claims only"),
        ({"index": {"A": {"drgs": ["1"]}, "B": {"drgs": ["1"]}}}, "the same in 'A' and 'B'"),
        ({"index": {"A": {"drgs": [True]}}}, "wanted a code"),
        ({"known_drgs": ["470", "467"]}, "wanted DRGs of known_drgs; got '468'"),
        ({"death": "annualise"}, "wanted annualise_from_days"),
        ({"annualise_from_days": 30}, "wanted annualise_from_days"),
        ({"lookback_days": 0, "comorbidity": {"charlson": True}}, "wanted lookback_days above 0"),
        ({"comorbidity": {"cms_hcc": "V22"}}, "'V24' or 'V28'"),
        ({"currency": "dollars"}, "pattern"),
        ({"minor_units": 5}, "less than or equal to 4"),
        ({"period": {"begins": "2020-01-02", "ends": "2020-01-01"}}, "begins up to ends"),
        ({"duplicates": "drop"}, "'refuse' or 'keep'"),
        ({"transfers": "merge"}, "'to_first', 'to_last' or 'separate'"),
    ],
)
def test_rules_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ClaimRules.model_validate({**RULES, **change})


def test_codes_that_yaml_reads_as_numbers_are_codes() -> None:
    rules = ClaimRules.model_validate({**RULES, "index": {"HIP": {"drgs": [470, " 469 "]}}})
    assert rules.index["HIP"].drgs == ("470", "469")


def test_every_setting_is_a_part_of_the_cost() -> None:
    assert set(PART_OF_SETTING) == set(SETTINGS)
    assert set(PART_OF_SETTING.values()) == set(COST_PARTS)


def test_the_windows_are_those_that_have_columns(tmp_path: Path) -> None:
    assert rules_of(tmp_path, windows=COST_WINDOWS).windows == COST_WINDOWS
