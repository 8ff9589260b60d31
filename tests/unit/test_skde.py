"""The portal's import file: refused for each of the portal's reasons, and for nothing else."""

import numpy as np
import pandas as pd
import pytest

from riskadj.errors import (
    ColumnError,
    EmptyCohortError,
    OutputError,
    StudyError,
    ValuesError,
)
from riskadj.report.portal.skde import (
    CHECKS,
    COLUMNS,
    Indicator,
    is_organisation_number,
    portal_faults,
    responders,
    skde_table,
    write_skde,
)

OSLO, BERGEN = 974589095, 974557746
TYPES = {"odi20": "andel", "ndi_mean": "gjennomsnitt", "odi_graded": "beregnet_andel"}
KNOWN = {OSLO, BERGEN}


def good() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "context": ["caregiver", "resident"],
            "year": [2023, 2024],
            "orgnr": [OSLO, BERGEN],
            "ind_id": "odi20",
            "var": [0, 40],
            "denominator": [35, 40],
        }
    )


def graded() -> pd.DataFrame:
    return good().assign(ind_id="odi_graded", var=[0.125, 41.5])


def change(column, value, row=1):
    def made(table):
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
        return table

    return made


FAULTS = [
    ("missing_var", lambda t: t.drop(columns=["orgnr"]), "none called orgnr"),
    ("missing_var", lambda t: t.drop(columns=["var", "year"]), "none called year, var"),
    ("invalid_var", lambda t: t.assign(note="x"), "got 'note'"),
    ("invalid_context", change("context", "careprovider"), "got 'careprovider' in row 2"),
    ("invalid_context", change("context", "Caregiver"), "got 'Caregiver'"),
    ("invalid_org", change("orgnr", "Oslo"), "got 'Oslo'"),
    ("invalid_org", change("orgnr", -1), "got -1"),
    ("invalid_org", change("orgnr", 974633574), "organisations that the portal knows"),
    ("invalid_ind", change("ind_id", "odi2O"), "got 'odi2O'"),
    ("numeric_var", change("var", "12,5"), "got '12,5' in row 2"),
    ("natural_var", change("var", 3.5), "whole numbers of 0 or more; got 3.5"),
    ("natural_var", change("var", -1), "got -1"),
    ("overflow_var", change("var", 41), "got 41 of 40 in row 2"),
    ("numeric_denominator", change("denominator", "forty"), "got 'forty'"),
    ("numeric_denominator", change("denominator", True), "got True"),
    ("natural_denominator", change("denominator", 40.5), "got 40.5"),
    ("zero_denominator", lambda t: t.assign(var=0, denominator=[35, 0]), "above 0; got 0"),
    ("numeric_year", change("year", "2023/24"), "got '2023/24'"),
    ("natural_year", change("year", 2023.5), "got 2023.5"),
    ("natural_year", change("year", -2023), "got -2023"),
    ("values_exists", change("var", None), "got nothing in row 2"),
    ("values_exists", change("orgnr", np.nan, row=0), "got nothing in row 1"),
    ("values_exists", change("context", " "), "context: wanted a value"),
    ("values_exists", change("ind_id", ""), "ind_id: wanted a value"),
    ("values_exists", change("denominator", np.inf), "denominator: wanted a value"),
    ("mixing_ind", change("ind_id", "ndi_mean"), "'ndi_mean'"),
]


@pytest.mark.parametrize("types", [None, TYPES])
@pytest.mark.parametrize("table", [good(), good().astype({"year": str, "var": str})])
def test_a_sound_table_has_no_fault(table, types):
    assert portal_faults(table, types) == []
    assert portal_faults(table, TYPES, KNOWN) == []


@pytest.mark.parametrize(("check", "spoil", "says"), FAULTS)
def test_each_reason_has_its_own_message(check, spoil, says):
    (fault,) = portal_faults(spoil(good()), TYPES, KNOWN)
    assert fault.check == check
    assert says in str(fault)


def test_every_check_is_tried():
    tried = {one for one, _, _ in FAULTS} | {"duplicated_inds", "decimals_var"}
    assert tried == set(CHECKS)


def test_every_row_at_fault_is_named_and_five_are_shown():
    table = pd.concat([good()] * 6, ignore_index=True)
    table["var"] = 100
    (fault,) = portal_faults(table)
    assert fault.rows == tuple(range(1, 13))
    assert "rows 1, 2, 3, 4, 5 and 7 more" in str(fault)


def test_several_reasons_are_all_given():
    table = good().assign(context="area", var=[-1, 99], extra=1)
    found = [one.check for one in portal_faults(table, TYPES)]
    assert found == ["invalid_var", "invalid_context", "natural_var", "overflow_var"]


def test_capitals_count_in_the_names_of_columns():
    found = portal_faults(good().rename(columns={"var": "Var"}))
    assert [one.check for one in found] == ["missing_var", "invalid_var"]


def test_row_labels_of_the_table_do_not_matter():
    table = good()
    table.index = [7, 7]
    table["var"] = [1, 41]
    (fault,) = portal_faults(table)
    assert fault.rows == (2,)


def test_computed_values_may_be_broken_negative_and_above_the_denominator():
    assert portal_faults(graded().assign(var=[-3.25, 99.125]), TYPES, KNOWN) == []


def test_computed_values_have_three_decimals_at_most():
    (fault,) = portal_faults(graded().assign(var=[0.1255, 41.5]), TYPES)
    assert (fault.check, fault.rows) == ("decimals_var", (1,))


@pytest.mark.parametrize(
    ("ind_id", "faults"),
    [("odi_graded", ["duplicated_inds"]), ("odi20", []), ("ndi_mean", [])],
)
def test_only_computed_shares_come_once(ind_id, faults):
    table = pd.concat([good(), good()], ignore_index=True).assign(ind_id=ind_id)
    found = portal_faults(table, TYPES)
    assert [one.check for one in found] == faults
    for one in found:
        assert one.rows == (1, 2, 3, 4)


def test_the_same_unit_in_another_context_or_year_is_no_duplicate():
    table = pd.concat([graded(), graded().assign(year=2022)], ignore_index=True)
    other = table.assign(context=["resident", "caregiver"] * 2)
    assert portal_faults(pd.concat([table, other]), TYPES) == []


@pytest.mark.parametrize(
    "table", [pd.DataFrame(), good().iloc[:0], pd.DataFrame({"var": [None, "x"]})]
)
def test_odd_tables_are_judged_and_do_not_break(table):
    assert all(str(one) for one in portal_faults(table, TYPES, KNOWN))


PROVIDERS = pd.DataFrame(
    {
        "provider_id": ["A", "B", "C", "D"],
        "responders": [60, 12, 7, np.nan],
        "n": [90, 20, 19, np.nan],
    }
)
ORGNR = {"A": 13, "B": 12, "C": 11, "D": 14}


def test_providers_become_rows_and_small_units_are_left_out_and_counted():
    made = skde_table(PROVIDERS, Indicator("odi20"), ORGNR, year=2024)
    assert list(made.table.columns) == list(COLUMNS)
    assert made.table.to_numpy().tolist() == [
        ["caregiver", 2024, 12, "odi20", 12, 20],
        ["caregiver", 2024, 13, "odi20", 60, 90],
    ]
    assert (made.left_out, made.minimum) == (2, 20)
    assert portal_faults(made.table) == []


@pytest.mark.parametrize(("minimum", "kept"), [(1, 3), (19, 3), (20, 2), (21, 1)])
def test_the_minimum_is_the_studys(minimum, kept):
    made = skde_table(PROVIDERS, Indicator("odi20"), ORGNR, year=2024, minimum=minimum)
    assert len(made.table) == kept
    assert made.left_out == 4 - kept


def test_sites_of_one_organisation_are_added_up_before_they_are_too_small():
    made = skde_table(PROVIDERS, Indicator("odi20"), ORGNR | {"C": 12}, year=2024)
    assert made.table[["orgnr", "var", "denominator"]].to_numpy().tolist() == [
        [12, 19, 39],
        [13, 60, 90],
    ]
    assert made.left_out == 1
    assert dict(made.together) == {12: ("B", "C")}


def test_computed_values_of_one_organisation_are_not_added_up():
    indicator = Indicator("ndi_mean", "gjennomsnitt")
    made = skde_table(PROVIDERS, indicator, ORGNR | {"B": 13}, var="n", year=2024)
    assert made.table["orgnr"].tolist() == [13, 13]
    assert dict(made.together) == {}


@pytest.mark.parametrize("number", [OSLO, BERGEN, 974633574, 974795787, 974589052])
def test_numbers_of_real_hospitals_pass_their_check_digit(number):
    assert is_organisation_number(number)
    others = range(number - number % 10, number - number % 10 + 10)
    assert [one for one in others if is_organisation_number(one)] == [number]
    swapped = int(str(number)[1::-1] + str(number)[2:])
    assert not is_organisation_number(swapped)


@pytest.mark.parametrize("number", [0, -974589095, 97458909, 9745890950, 123456789])
def test_numbers_of_no_organisation_fail_it(number):
    assert not is_organisation_number(number)


def test_the_portal_does_not_ask_for_the_check_digit():
    assert portal_faults(good().assign(orgnr=[123456789, 1])) == []


def test_a_sum_with_a_hidden_part_is_left_out():
    made = skde_table(PROVIDERS, Indicator("odi20"), ORGNR | {"D": 13}, year=2024)
    assert made.table["orgnr"].tolist() == [12]


def test_several_periods_do_not_make_an_organisation_of_several_providers():
    table = pd.concat([PROVIDERS.assign(period="2023"), PROVIDERS.assign(period="2024")])
    assert dict(skde_table(table, Indicator("odi20"), ORGNR).together) == {}
    made = skde_table(table, Indicator("odi20"), ORGNR | {"B": 13})
    assert dict(made.together) == {13: ("A", "B")}


def test_periods_are_years_or_are_said_to_be():
    table = pd.concat([PROVIDERS.assign(period="2023"), PROVIDERS.assign(period="2024")])
    made = skde_table(table, Indicator("odi20"), ORGNR)
    assert made.table["year"].tolist() == [2023, 2023, 2024, 2024]
    table = PROVIDERS.assign(period="2018/19")
    made = skde_table(table, Indicator("odi20"), ORGNR, years={"2018/19": 2018})
    assert set(made.table["year"]) == {2018}
    with pytest.raises(ValuesError, match=r"got 2018/19\. Say which year"):
        skde_table(table, Indicator("odi20"), ORGNR)


def test_computed_values_are_rounded_to_what_the_portal_keeps(tmp_path):
    table = PROVIDERS.assign(adjusted=[22.67984, 20.0, 19.0, np.nan])
    indicator = Indicator("odi_graded", "beregnet_andel")
    made = skde_table(table, indicator, ORGNR, var="adjusted", year=2024)
    assert made.table["var"].tolist() == [20.0, 22.68]
    write_skde(made.table, tmp_path / "out.csv", TYPES)
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == [
        "caregiver,2024,12,odi_graded,20,20",
        "caregiver,2024,13,odi_graded,22.68,90",
    ]


def test_responders_are_counted_from_their_share():
    n = pd.Series([90.0, 7.0, np.nan])
    share = pd.Series([float(f"{61 / 90:.12g}"), 1.0, np.nan])  # as in a run folder
    got = responders(share, n)
    assert got[:2].tolist() == [61, 7]
    assert got.isna().tolist() == [False, False, True]


@pytest.mark.parametrize(("share", "n"), [(0.5, 3), (22.5, 4), (-0.25, 3)])
def test_what_is_no_share_of_episodes_has_no_responders(share, n):
    with pytest.raises(ValuesError, match="kind responder"):
        responders(pd.Series([0.5, share]), pd.Series([2, n]))


def test_the_file_is_the_portals_and_reads_back(tmp_path):
    path = tmp_path / "skde.csv"
    path.write_text("older")
    write_skde(good()[list(reversed(COLUMNS))], path, TYPES, KNOWN)
    assert path.read_bytes() == (
        b"context,year,orgnr,ind_id,var,denominator\n"
        b"caregiver,2023,974589095,odi20,0,35\n"
        b"resident,2024,974557746,odi20,40,40\n"
    )
    pd.testing.assert_frame_equal(
        pd.read_csv(path), good(), check_dtype=False, check_column_type=False
    )
    assert [one.name for one in tmp_path.iterdir()] == ["skde.csv"]


def test_a_file_that_would_be_refused_is_not_written(tmp_path):
    path = tmp_path / "skde.csv"
    path.write_text("older")
    with pytest.raises(
        ValuesError, match=r"got 41 of 40 in row 2\. year: .* got -1 in row 2\.$"
    ) as caught:
        write_skde(good().assign(var=[0, 41], year=[2023, -1]), path)
    assert [one.check for one in caught.value.faults] == ["overflow_var", "natural_year"]
    assert path.read_text() == "older"


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="Choose another place"):
        write_skde(good(), tmp_path / "none" / "skde.csv")
    with pytest.raises(OutputError, match="Nothing was kept"):
        write_skde(good(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "options", "error", "says"),
    [
        ({}, {"orgnr": {"A": 1}}, ValuesError, "none for 3, such as B, C, D"),
        ({"provider_id": ["A", "A", "B", "C"]}, {}, ValuesError, "'A' more than once"),
        ({"responders": [60.5, 12, 7, 1]}, {}, ValuesError, "var: wanted whole numbers; got 60.5"),
        ({}, {"minimum": 500}, EmptyCohortError, "500 episodes or more"),
        ({}, {"var": "responder"}, ColumnError, "Did you mean 'responders'"),
        ({}, {"year": None}, ColumnError, "'period'"),
    ],
)
def test_providers_that_make_no_rows_are_refused(change, options, error, says):
    arguments = {"orgnr": ORGNR, "year": 2024} | options
    with pytest.raises(error, match=says):
        skde_table(PROVIDERS.assign(**change), Indicator("odi20"), **arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("",), "ind_id"),
        (("x", "andle"), "Did you mean 'andel'"),
        (("x", "andel", "carer"), "context"),
    ],
)
def test_an_indicator_that_the_portal_does_not_have_is_refused(arguments, says):
    with pytest.raises(StudyError, match=says):
        Indicator(*arguments)


def test_a_type_that_the_portal_does_not_have_is_refused():
    with pytest.raises(StudyError, match="type: wanted one of andel"):
        portal_faults(good(), {"odi20": "share"})
