"""Comorbidity out of diagnoses: tables, hierarchies and weights."""

import numpy as np
import pytest

from riskadj.claims.comorbidity import (
    AGE_STEPS,
    CHARLSON_1987,
    CHARLSON_2011,
    CHARLSON_CODES,
    ELIXHAUSER_CODES,
    PREFIX_LENGTHS,
    SCHEMES,
    VAN_WALRAVEN,
    SchemeName,
    conditions_and_indices,
    hcc_codes,
    hcc_profiles,
    mask_of,
    prefix_masks,
    prefixes,
)
from riskadj.episodes import COLUMNS
from riskadj.errors import UnknownNameError

BOTH = pytest.mark.parametrize("name", ["charlson", "elixhauser"])


def found(diagnoses: str, name: SchemeName) -> dict[str, float]:
    mask = np.array([mask_of(diagnoses.split(), SCHEMES[name])])
    return {key: float(value[0]) for key, value in conditions_and_indices(mask, name).items()}


def held(diagnoses: str, name: SchemeName) -> set[str]:
    rows = found(diagnoses, name).items()
    return {key.removeprefix(f"{name}_") for key, value in rows if value and key not in INDICES}


INDICES = {index for scheme in SCHEMES.values() for index in scheme.indices}


@BOTH
def test_a_table_has_a_row_for_every_condition(name: SchemeName) -> None:
    scheme = SCHEMES[name]
    assert set(scheme.codes) == set(scheme.conditions)
    for one in scheme.indices.values():
        assert set(one) == set(scheme.conditions)
    assert {*scheme.above, *scheme.above.values()} <= set(scheme.conditions)


@BOTH
def test_every_column_is_declared_and_its_range_can_be_reached(name: SchemeName) -> None:
    everything = (1 << len(SCHEMES[name].conditions)) - 1
    columns = conditions_and_indices(np.array([0, everything]), name)
    for one, values in columns.items():
        assert COLUMNS[one].low <= values.min() <= values.max() <= COLUMNS[one].high


@pytest.mark.parametrize("table", [CHARLSON_CODES, ELIXHAUSER_CODES], ids=["charlson", "elix"])
def test_beginnings_of_codes_are_of_the_lengths_looked_for(table: dict[str, str]) -> None:
    every = [one for codes in table.values() for one in prefixes(codes)]
    assert {len(one) for one in every} == set(PREFIX_LENGTHS)
    for codes in table.values():
        inside = prefixes(codes)
        assert len(inside) == len(set(inside))
        assert not [one for one in inside if len(one) == 4 and one[:3] in inside]


def test_the_tables_are_as_long_as_they_were_when_checked() -> None:
    # Counted in the codes of Quan et al. 2005 as a program written apart from this one has them.
    counted = {name: len(prefixes(codes)) for name, codes in CHARLSON_CODES.items()}
    assert counted == {
        "myocardial_infarction": 3, "heart_failure": 14, "peripheral_vascular": 13,
        "cerebrovascular": 13, "dementia": 7, "lung": 21, "rheumatic": 9, "peptic_ulcer": 4,
        "liver_mild": 19, "diabetes": 25, "diabetes_complicated": 25, "paralysis": 12,
        "kidney": 22, "cancer": 83, "liver_severe": 11, "metastatic_cancer": 4, "aids": 4,
    }  # fmt: skip
    assert sum(len(prefixes(codes)) for codes in ELIXHAUSER_CODES.values()) == 399


@pytest.mark.parametrize(
    ("diagnoses", "conditions"),
    [
        ("I252", {"myocardial_infarction"}),
        ("I25.2", {"myocardial_infarction"}),
        ("i252", {"myocardial_infarction"}),
        ("I251", set()),
        ("I25", set()),
        ("I2", set()),
        ("E1165", {"diabetes"}),
        ("E1122", {"diabetes_complicated"}),
        ("E1122 E119", {"diabetes_complicated"}),
        ("K703 K729", {"liver_severe"}),
        ("C509 C787", {"metastatic_cancer"}),
        ("C509", {"cancer"}),
        ("C449", set()),
        ("C860", set()),
        ("M0690 J449 G811", {"rheumatic", "lung", "paralysis"}),
        ("", set()),
    ],
)
def test_charlson_conditions_are_found(diagnoses: str, conditions: set[str]) -> None:
    assert held(diagnoses, "charlson") == conditions


@pytest.mark.parametrize(
    ("diagnoses", "conditions"),
    [
        ("I10", {"hypertension"}),
        ("I10 I119", {"hypertension_complicated"}),
        ("I426", {"heart_failure", "alcohol"}),
        ("F315", {"psychoses", "depression"}),
        ("E1165 E119", {"diabetes_complicated"}),
        ("C900", {"lymphoma"}),
        ("C901", set()),
        ("C509 C787", {"metastatic_cancer"}),
        ("K703", {"liver", "alcohol"}),
    ],
)
def test_elixhauser_conditions_are_found(diagnoses: str, conditions: set[str]) -> None:
    assert held(diagnoses, "elixhauser") == conditions


@pytest.mark.parametrize(
    ("diagnoses", "of_1987", "of_2011"),
    [
        ("", 0, 0),
        ("I252 I509", 2, 2),
        ("E119 E1122 N189", 4, 2),
        ("B24", 6, 4),
        ("C509 C787 F03", 7, 8),
        ("K703 K729", 3, 4),
    ],
)
def test_charlson_indices(diagnoses: str, of_1987: int, of_2011: int) -> None:
    columns = found(diagnoses, "charlson")
    assert columns["charlson_index"] == of_1987
    assert columns["charlson_index_2011"] == of_2011


def test_the_most_that_anybody_can_have_is_what_the_papers_say() -> None:
    everything = np.array([(1 << 17) - 1])
    columns = conditions_and_indices(everything, "charlson")
    # 24: Quan et al. 2011. 29: ten weights of 1 less two milder forms, three of 2, 3, 6 and 6.
    assert columns["charlson_index_2011"].tolist() == [24]
    assert columns["charlson_index"].tolist() == [29]


def test_weights_are_of_the_size_published() -> None:
    assert sorted(CHARLSON_1987.values()) == [1] * 10 + [2] * 4 + [3, 6, 6]
    assert sorted(CHARLSON_2011.values()) == [0] * 5 + [1] * 4 + [2] * 5 + [4, 4, 6]
    assert {name: one for name, one in VAN_WALRAVEN.items() if one < 0} == {
        "valvular": -1, "obesity": -4, "anaemia_blood_loss": -2, "anaemia_deficiency": -2,
        "drugs": -7, "depression": -3,
    }  # fmt: skip
    assert sum(one for one in VAN_WALRAVEN.values() if one > 0) == 89


def test_van_walraven_adds_up() -> None:
    columns = found("I509 E669 C787 C509 I10", "elixhauser")
    assert columns["elixhauser_van_walraven"] == 7 - 4 + 12
    assert columns["elixhauser_count"] == 4


@BOTH
def test_the_masks_of_beginnings_say_the_same_as_the_table(name: SchemeName) -> None:
    scheme = SCHEMES[name]
    for prefix, mask in prefix_masks(scheme).items():
        named = {one for bit, one in enumerate(scheme.conditions) if mask >> bit & 1}
        assert named == {one for one, codes in scheme.codes.items() if prefix in prefixes(codes)}


# --- CMS-HCC ---


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="wanted V24 or V28; got 'V22'"):
        hcc_codes("V22")


@pytest.mark.parametrize(("age", "sex"), [(np.nan, "male"), (70.0, None), (70.0, np.nan)])
def test_nothing_is_guessed_of_a_patient_of_unknown_age_or_sex(age: float, sex: str | None) -> None:
    profiles = hcc_profiles(["I509"], np.array([age]), [sex], "V24")
    assert np.isnan(profiles.score).all()
    assert np.isnan(profiles.conditions).all()


def test_a_segment_without_a_coefficient_for_the_age_gives_no_score() -> None:
    ages = np.array([64.0, 65.0, 64.0])
    young = hcc_profiles(["I509"] * 3, ages, ["male"] * 3, "V24", "CNA")
    assert np.isnan(young.score).tolist() == [True, False, True]
    assert young.conditions.tolist() == [1, 1, 1]
    assert not np.isnan(hcc_profiles(["I509"], ages[:1], ["male"], "V24", "CND").score).any()


@pytest.mark.parametrize("version", ["V24", "V28"])
@pytest.mark.parametrize("segment", ["CNA", "CND", "INS"])
def test_nothing_changes_between_the_steps_of_age(version: str, segment: str) -> None:
    from hccpy.hcc import HCCEngine

    engine = HCCEngine(version[1:])
    codes = ["J449", "D66", "C50911", "I509", "E1122", "F3481"]
    ages = np.arange(0, 101)
    for sex in ("male", "female"):
        ours = hcc_profiles([" ".join(codes)] * 101, ages.astype(float), [sex] * 101, version,
                            segment)  # type: ignore[arg-type]  # fmt: skip
        for age in ages:
            profile = engine.profile(codes, age=int(age), sex=sex[0].upper(), elig=segment)
            known = "" not in profile["details"]
            theirs = profile["risk_score"] if known else np.nan
            np.testing.assert_equal(ours.score[age], float(theirs))
    assert AGE_STEPS[0] == 0
