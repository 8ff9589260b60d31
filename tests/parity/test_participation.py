"""NHS England's participation, linkage, issue and response rates, from its own counts.

The files are public but not ours to pass on; these tests say so and are skipped where
../shared/data/nhs_proms is absent.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskadj.stats.follow_up import RATES, follow_up_rates

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "nhs_proms"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public NHS files are not here"),
]

COUNTS = {
    "procedures": "Total HES Procedures",
    "q1": "Total Pre-Op Qs",
    "linked": "Total Linked",
    "q2_sent": "Total Q2s sent to date",
    "q2_returned": "Total Q2s returned to date",
}
PUBLISHED = {
    "participation": "Participation Rate",
    "linkage": "Linkage rate",
    "issue": "Issue rate",
    "response": "Response rate",
}
GROUPS = ("All Procedures", "Hip Replacement", "Primary Hip Replacement")
YEARS = ("1617", "1718", "1819")
ROUNDED = 5.1e-8
"""Half a unit of the seventh decimal place, to which rates are published."""
ENGLAND = {
    "participation": 0.8588845,
    "linkage": 0.7791805,
    "issue": 0.9309099,
    "response": 0.696984,
}
"""2018/19, all procedures."""


def counts_of(year, group):
    """Return the counts and rates of rows in which nothing is suppressed."""
    table = pd.read_csv(DATA / f"participation_hip_{year}.csv", dtype=str, encoding="latin-1")
    table = table.set_index("Organisation Code")
    columns = {**COUNTS, **PUBLISHED}
    found = pd.DataFrame(
        {
            name: pd.to_numeric(table[f"{group} - {column}"], errors="coerce")
            for name, column in columns.items()
        }
    )
    return found.dropna()


def rates_of(counts):
    return follow_up_rates(**{name: counts[name].to_numpy() for name in COUNTS})


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("year", YEARS)
@pytest.mark.parametrize("name", RATES)
def test_every_published_rate_is_that_of_its_counts(year, group, name):
    counts = counts_of(year, group)
    mine = getattr(rates_of(counts), name)
    assert len(counts) > 180
    # Of nobody, none: published as 0.
    np.testing.assert_allclose(np.nan_to_num(mine), counts[name], rtol=0, atol=ROUNDED)
    assert np.isnan(mine).sum() == (counts[RATES[name].whole] == 0).sum()


def test_the_rates_of_england_are_those_of_2018_19():
    counts = counts_of("1819", "All Procedures").loc[["England"]]
    assert counts.iloc[0][[*COUNTS]].tolist() == [175_041, 150_340, 117_142, 139_953, 97_545]
    mine = rates_of(counts)
    for name, published in ENGLAND.items():
        assert getattr(mine, name)[0] == pytest.approx(published, abs=ROUNDED)


@pytest.mark.parametrize(("year", "above"), [("1617", 119), ("1718", 89), ("1819", 80)])
def test_many_providers_hand_out_more_questionnaires_than_they_have_procedures(year, above):
    assert rates_of(counts_of(year, "All Procedures")).over_participation.sum() == above
