"""New York State's cardiac report cards of 2008 to 2016, recomputed from their own columns.

The Department of Health publishes, by hospital, procedure and year, cases, deaths, the expected
rate in per cent to two decimals, the risk-adjusted rate, 95 per cent limits, and a flag. The file
is public but not ours to pass on; these tests are skipped where ../shared/data/ny_cardiac is
absent.

What is recomputed: expected deaths = expected rate x cases; risk-adjusted rate = observed /
expected x statewide rate; limits = those of observed / expected, times the statewide rate, by
Byar's approximation. The file does not name the method of its limits. Byar's fits all rows; the
exact Poisson limits fit two in three.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskadj.stats.intervals import ratio_interval

DATA = Path(__file__).parents[3] / "shared" / "data" / "ny_cardiac"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="New York's public file is not here"),
]

COLUMNS = {
    "Hospital Name": "hospital",
    "Procedure": "procedure",
    "Year of Hospital Discharge": "year",
    "Number of Cases": "cases",
    "Number of Deaths": "deaths",
    "Observed Mortality Rate": "observed",
    "Expected Mortality Rate": "expected",
    "Risk-Adjusted Mortality Rate": "adjusted",
    "Lower Limit of Confidence Interval": "lower",
    "Upper Limit of Confidence Interval": "upper",
    "Comparison Results": "flag",
}
KEY = ["procedure", "year"]
HALF = 0.005
"""Half of the last digit that is printed."""
STATEWIDE = "Statewide Rate"
SAME = "Rate not different than Statewide Rate"
HIGHER = "Rate significantly higher than Statewide Rate"
LOWER = "Rate significantly lower than Statewide Rate"
UNCAPPED = [
    ("Bronx-Lebanon-Cncourse", "Non-Emergency PCI", "2011", 140.57),
    ("Bronx-Lebanon-Cncourse", "Non-Emergency PCI", "2012", 125.27),
]
"""The only rows with a limit above 100 per cent; all others stop there."""


@pytest.fixture(scope="module")
def published():
    table = pd.read_csv(DATA / "ny_cardiac_by_hospital_2008_2016.csv").rename(columns=COLUMNS)
    return table[list(COLUMNS.values())]


@pytest.fixture(scope="module")
def hospitals(published):
    rows = published[published["flag"] != STATEWIDE].reset_index(drop=True)
    sums = rows.groupby(KEY)[["deaths", "cases"]].transform("sum")
    return rows.assign(
        rate=100 * sums["deaths"] / sums["cases"],
        expected_deaths=rows["expected"] * rows["cases"] / 100,
    )


def limits(rows, method):
    """Return limits of the risk-adjusted rate from the printed expected rate."""
    ratio = ratio_interval(rows["deaths"], rows["expected_deaths"], method)
    return ratio.lower * rows["rate"], ratio.upper * rows["rate"]


def flags(lower, upper, rate):
    return np.select([lower > rate, upper < rate], [HIGHER, LOWER], SAME)


def expected_rates_that_print_as(printed, at_one, cases, capped):
    """Return from and to which expected rates give a number that is printed so.

    The number is `at_one` / expected deaths; at 100 per cent and capped it may be any larger one.
    """
    with np.errstate(divide="ignore"):
        largest = 100 * at_one / (cases * np.maximum(printed - HALF, 0.0))
        smallest = 100 * at_one / (cases * (printed + HALF))
    smallest = np.where(capped & (printed >= 100), 0.0, smallest)
    is_zero = at_one == 0
    smallest = np.where(is_zero & (printed == 0), 0.0, smallest)
    largest = np.where(is_zero & (printed == 0), np.inf, largest)
    return smallest, largest


def some_expected_rate_fits(rows, method):
    """Return whether one unrounded expected rate explains all four printed numbers of a row."""
    count = ratio_interval(rows["deaths"], 1.0, method)
    smallest, largest = rows["expected"] - HALF, rows["expected"] + HALF
    capped = ~(rows["upper"] > 100)
    for printed, counts in (
        ("adjusted", rows["deaths"]),
        ("lower", count.lower),
        ("upper", count.upper),
    ):
        low, high = expected_rates_that_print_as(
            rows[printed], counts * rows["rate"], rows["cases"], capped
        )
        smallest, largest = np.maximum(smallest, low), np.minimum(largest, high)
    return smallest <= largest + 1e-9


def test_statewide_rows_are_the_sums_of_the_hospitals(published, hospitals):
    state = published[published["flag"] == STATEWIDE].set_index(KEY).sort_index()
    sums = hospitals.groupby(KEY)[["cases", "deaths"]].sum().sort_index()
    assert (len(state), len(hospitals)) == (37, 1863)
    pd.testing.assert_frame_equal(state[["cases", "deaths"]], sums)
    rate = 100 * sums["deaths"] / sums["cases"]
    for column in ("observed", "expected", "adjusted"):
        assert (state[column] - rate).abs().max() <= HALF + 1e-9


def test_observed_rates_are_deaths_by_cases(hospitals):
    observed = 100 * hospitals["deaths"] / hospitals["cases"]
    assert (hospitals["observed"] - observed).abs().max() <= HALF + 1e-9


def test_expected_deaths_sum_to_the_observed_within_their_rounding(hospitals):
    by = hospitals.assign(slack=HALF * hospitals["cases"] / 100).groupby(KEY)
    sums = by[["deaths", "expected_deaths", "slack"]].sum()
    assert ((sums["deaths"] - sums["expected_deaths"]).abs() <= sums["slack"]).all()


def test_every_adjusted_rate_and_limit_follows_from_one_expected_rate(hospitals):
    """All 1,863 rows: an expected rate that prints as published gives the other three numbers."""
    fits = some_expected_rate_fits(hospitals, "byar")
    assert fits.sum() == len(hospitals) == 1863


@pytest.mark.parametrize(("method", "rows"), [("exact", 1246), ("midp", 3)])
def test_other_limits_do_not_explain_the_printed_ones(hospitals, method, rows):
    assert some_expected_rate_fits(hospitals, method).sum() == rows


def test_printed_expected_rates_give_most_numbers_to_the_last_digit(hospitals):
    """The rest differ because the expected rate itself is printed to two decimals."""
    lower, upper = limits(hospitals, "byar")
    adjusted = hospitals["deaths"] / hospitals["expected_deaths"] * hospitals["rate"]
    capped = upper.where(hospitals["upper"] > 100, upper.clip(upper=100))
    same = {
        name: (mine - hospitals[name]).abs() <= HALF + 1e-9
        for name, mine in (("adjusted", adjusted), ("lower", lower), ("upper", capped))
    }
    assert {name: int(one.sum()) for name, one in same.items()} == {
        "adjusted": 1375,
        "lower": 1675,
        "upper": 866,
    }


def test_limits_stop_at_100_per_cent_but_for_two_rows(hospitals):
    over = hospitals[hospitals["upper"] > 100]
    found = over[["hospital", "procedure", "year", "upper"]].itertuples(index=False, name=None)
    assert sorted(found) == UNCAPPED
    _, upper = limits(hospitals, "byar")
    stopped = hospitals["upper"] == 100
    assert stopped.sum() == 3
    assert (upper[stopped] > 100).all()
    assert (upper[~stopped] > 100).sum() == len(UNCAPPED)


def test_every_flag_is_the_published_one(hospitals):
    got = flags(*limits(hospitals, "byar"), hospitals["rate"])
    np.testing.assert_array_equal(got, hospitals["flag"])
    counts = hospitals["flag"].value_counts().to_dict()
    assert counts == {SAME: 1728, HIGHER: 82, LOWER: 53}


def test_exact_limits_change_one_flag(hospitals):
    """4 deaths of 132, 1.08 expected: 95 per cent limits just over or just under 1."""
    got = flags(*limits(hospitals, "exact"), hospitals["rate"])
    changed = hospitals[got != hospitals["flag"]]
    assert changed[["hospital", "procedure", "year"]].to_numpy().tolist() == [
        ["NYU Hospitals Center", "CABG", "2011"]
    ]
    assert got[changed.index].tolist() == [HIGHER]


def test_printed_limits_alone_leave_one_tie(hospitals):
    """An upper limit printed as 1.24 was below a statewide rate of 1.2377, printed as 1.24 too."""
    got = flags(hospitals["lower"], hospitals["upper"], hospitals["rate"])
    tied = hospitals[got != hospitals["flag"]]
    assert tied[["hospital", "procedure", "year"]].to_numpy().tolist() == [
        ["NYP-Weill Cornell", "All PCI", "2016"]
    ]
    assert abs(tied["upper"].item() - tied["rate"].item()) < HALF
