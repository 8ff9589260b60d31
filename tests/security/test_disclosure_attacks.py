"""Attacks on what leaves: whatever is subtracted from whatever, no hidden small number follows.

Worlds are made to be hostile: few providers, most of them tiny, hardly anybody missing, so that
totals less what is shown leave little room. Everything that any table shows goes into one system of
equations and inequalities, and a linear programme says between which numbers a hidden one has to
be: for a small one that has to be no narrower than `below`.
"""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from released import Cell, Released, too_tight
from small_numbers import Hostile
from worlds import make_study

from riskadj.cohort.rates import ALL, RATE_COLUMNS
from riskadj.expected.evaluate import VOLUME, VOLUMES, volume_thirds
from riskadj.fairness.drift import ACCESS
from riskadj.pipeline import Run
from riskadj.report.disclosure import (
    SUPPRESSED,
    coarse_contributions,
    suppress_drift,
    suppress_flow,
    suppress_metrics,
    suppress_missing,
    suppress_providers,
    suppress_rates,
    suppress_strata,
    suppress_subgroups,
    suppress_thirds,
)

CHAIN = ("q1", "q2_sent", "q2_returned", "answered")
SIZES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 25, 40, 80, 200)
SEEDS = st.integers(0, 10**6)
BELOW = st.sampled_from([3, 6, 11])
few_examples = settings(max_examples=6, deadline=None, derandomize=True)


# --- providers, thirds by volume, and rates of follow-up, of several outcomes at once -------------


def lose(rng: np.random.Generator, counts: np.ndarray, most: float) -> np.ndarray:
    """Return how many are left of each count; of half the kinds of loss nobody is lost."""
    return rng.binomial(counts, 1 - most * rng.random() * rng.integers(0, 2))


def made_up(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return profiles and rates of a few providers under one to three outcomes."""
    rng = np.random.default_rng(seed)
    episodes = rng.choice(SIZES, int(rng.integers(2, 12)))
    names = [f"P{one:02d}" for one in range(len(episodes))]
    profiles, rates = [], []
    for outcome in ("a", "b", "c")[: int(rng.integers(1, 4))]:
        counts = {"procedures": episodes}
        left = episodes
        for name, most in zip(CHAIN, (0.15, 0.15, 0.45, 0.03), strict=True):
            left = counts[name] = lose(rng, left, most)
        keys = {"outcome": outcome, "provider_id": names}
        n = lose(rng, left, 0.02)
        profiles.append(
            pd.DataFrame(keys).assign(
                learner="linear",
                n=n,
                episodes=episodes,
                observed=1.0,
                flag="",
                adjusted=np.where(n >= 30, 1.0, np.nan),
            )
        )
        of_one = pd.DataFrame(keys | counts)
        whole = of_one[[*counts]].sum().to_frame().T.assign(outcome=outcome, provider_id=ALL)
        rates.append(pd.concat([whole, of_one]).assign(source="episodes", counted=""))
    table = pd.concat(rates, ignore_index=True).reindex(columns=RATE_COLUMNS)
    return pd.concat(profiles, ignore_index=True), table.astype(
        dict.fromkeys(("procedures", "linked", *CHAIN), float)
    )


def thirds(profiles: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of thirds of providers by volume, each with who is in it."""
    rows = []
    for outcome, found in profiles.groupby("outcome"):
        episode = pd.Series(np.repeat(found["provider_id"].to_numpy(), found["n"]))
        third = pd.Series(volume_thirds(episode)).groupby(episode.to_numpy()).first()
        for level in VOLUMES:
            members = [*third.index[third == level]]
            n = int(found.loc[found["provider_id"].isin(members), "n"].sum())
            rows += [(outcome, "linear", VOLUME, level, n, members)] if members else []
    return pd.DataFrame(rows, columns=["outcome", "learner", "column", "level", "n", "members"])


def tell_providers(
    profiles: pd.DataFrame, rates: pd.DataFrame, below: int, by: str = "records"
) -> tuple[Released, dict[Cell, float]]:
    """Return all that is shown of providers after disclosure control, and the truth."""
    shown = suppress_providers(profiles, below, by)
    told = suppress_rates(rates, shown, below)
    names = profiles["provider_id"].unique()
    known, truth = Released(), {}
    for real, seen in zip(profiles.itertuples(), shown.itertuples(), strict=True):
        n, episodes = (real.outcome, "n", real.provider_id), ("episodes", real.provider_id)
        truth |= {n: real.n, episodes: real.episodes}
        known.at_most(n, episodes)
        if seen.suppression != SUPPRESSED:
            known.show(n, seen.n)
            known.show(episodes, seen.episodes)
    for outcome, found in profiles.groupby("outcome"):
        known.total([(outcome, "n", one) for one in names], found["n"].sum())
    by_volume = thirds(profiles)
    rows = suppress_subgroups(by_volume.drop(columns="members"), below)
    rows = suppress_thirds(rows, profiles, shown, below)
    for real, seen in zip(by_volume.itertuples(), rows.itertuples(), strict=True):
        if pd.notna(seen.n):
            known.total([(real.outcome, "n", one) for one in real.members], seen.n)
    tell_rates(known, truth, rates, told)
    return known, truth


def tell_rates(
    known: Released, truth: dict[Cell, float], rates: pd.DataFrame, told: pd.DataFrame
) -> None:
    """Tell what the rates show of all, and of each."""
    names = rates.loc[rates["provider_id"] != ALL, "provider_id"].unique()
    for (_, real), (_, seen) in zip(rates.iterrows(), told.iterrows(), strict=True):
        outcome, provider = real["outcome"], real["provider_id"]
        counts = {name: (outcome, name) for name in CHAIN} | {"procedures": ("episodes",)}
        shown = {name: cell for name, cell in counts.items() if pd.notna(seen[name])}
        if provider == ALL:
            for name, cell in shown.items():
                known.total([(*cell, one) for one in names], seen[name])
            continue
        for name, cell in shown.items():
            known.show((*cell, provider), seen[name])
        truth |= {(outcome, name, provider): real[name] for name in CHAIN}
        for more, less in pairwise(("episodes", *((outcome, one) for one in (*CHAIN, "n")))):
            known.at_most(_of(less, provider), _of(more, provider))


def _of(counted: str | tuple[str, str], provider: str) -> Cell:
    return (counted, provider) if isinstance(counted, str) else (*counted, provider)


def recovered(seed: int, below: int, by: str = "records") -> dict[Any, Any]:
    """Return the small numbers about providers that follow, or nearly; of a whole that is small
    itself, none is looked for."""
    profiles, rates = made_up(seed)
    if profiles.groupby("outcome")["n"].sum().min() < below:
        return {}
    known, truth = tell_providers(profiles, rates, below, by)
    small = {cell: value for cell, value in truth.items() if value < below}
    if by == "episodes":
        small = {cell: value for cell, value in small.items() if cell[0] == "episodes"}
    return dict(too_tight(known, small, below))


@few_examples
@given(SEEDS, BELOW)
def test_no_small_number_of_a_provider_follows_from_all_tables_of_all_outcomes(
    seed: int, below: int
) -> None:
    assert not recovered(seed, below)


@few_examples
@given(SEEDS)
def test_where_episodes_are_counted_no_few_episodes_follow(seed: int) -> None:
    assert not recovered(seed, 6, "episodes")


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 400, 100))
def test_no_small_number_of_a_provider_follows_in_hundreds_of_worlds(start: int) -> None:
    found = {seed: recovered(seed, (3, 6, 11)[seed % 3]) for seed in range(start, start + 100)}
    assert not {seed: cells for seed, cells in found.items() if cells}


def test_the_attacker_finds_what_is_hidden_alone() -> None:
    known = Released()
    known.show("b", 40)
    known.total(["a", "b"], 43)
    assert too_tight(known, {"a": 3}, 6) == {"a": (3, 3.0, 3.0)}


def test_the_attacker_finds_what_two_outcomes_tell_together() -> None:
    """Partners that differ by outcome tell of the one that both protect."""
    rows = pd.DataFrame({"provider_id": ["P0", "P1", "P2", "P3"], "episodes": [4, 9, 10, 90]})
    of = {"a": [4, 9, 10, 90], "b": [4, 9, 8, 90]}
    whole = pd.concat([rows.assign(outcome=one, n=n) for one, n in of.items()], ignore_index=True)
    profiles = whole.assign(learner="linear", observed=1.0, adjusted=1.0, flag="")
    hidden = suppress_providers(profiles, 6).query("suppression == 'all'")
    partners = hidden.groupby("outcome")["provider_id"].agg(set)
    assert partners["a"] & {"P1", "P2"} == partners["b"] & {"P1", "P2"} == {"P1"}


# --- strata, flow, drift, shares ------------------------------------------------------------------


@few_examples
@given(SEEDS, BELOW)
def test_no_small_stratum_follows_from_how_many_of_it_there_are(seed: int, below: int) -> None:
    rng = np.random.default_rng(seed)
    strata, n_providers = ("alone", "care", "family"), int(rng.integers(3, 9))
    counts = rng.choice([0, 2, 4, 7, 12, 30], (n_providers, len(strata)), p=[0.1, *5 * [0.18]])
    counts[:, 0] += 60 * (rng.random(n_providers) < 0.4)
    names = [f"P{one}" for one in range(n_providers)]
    rows = [
        ("a", "linear", "stratify", stratum, name, float(n))
        for name, row in zip(names, counts, strict=True)
        for stratum, n in zip(("", *strata), (row.sum(), *row), strict=True)
        if n
    ]
    columns = ["outcome", "learner", "mode", "stratum", "provider_id", "n"]
    whole = pd.DataFrame(rows, columns=columns)
    profiles = pd.DataFrame({"outcome": "a", "learner": "linear", "provider_id": names,
                             "n": counts.sum(axis=1), "episodes": counts.sum(axis=1),
                             "adjusted": 1.0, "flag": ""})  # fmt: skip
    providers = suppress_providers(profiles, below)
    gone = providers.loc[providers["suppression"] == SUPPRESSED, "provider_id"]
    shown = suppress_strata(whole[~whole["provider_id"].isin(gone)], whole, below)
    known, truth = Released(), {}
    for at, stratum in enumerate(strata):
        known.total([(stratum, one) for one in names], counts[:, at].sum())
        truth |= {(stratum, one): counts[row, at] for row, one in enumerate(names)}
    for one in shown[shown["stratum"] != ""].itertuples():
        known.show((one.stratum, one.provider_id), one.n)
    told = set(shown.loc[shown["stratum"] != "", "provider_id"])
    for name in told:  # a stratum that a provider has no row of is one that it has nobody of
        for stratum in strata:
            known.shown.setdefault((stratum, name), 0.0)
    for row, name in enumerate(names):
        if name not in set(gone):
            known.total([(stratum, name) for stratum in strata], counts[row].sum())
    small = {cell: value for cell, value in truth.items() if value < below}
    tight = too_tight(known, small, below)
    totals = counts.sum(axis=0)
    assert not {
        cell: ends for cell, ends in tight.items()
        if totals[strata.index(cell[0])] >= below
        and counts.sum(axis=1)[names.index(cell[1])] >= below
    }  # fmt: skip


REASONS = ("another procedure than HIP_PRIM", "a period neither in train nor in test", "young",
           "no consent")  # fmt: skip
LACKING = ("no score before", "no score after")


def made_up_flow(rng: np.random.Generator, outcomes: int) -> pd.DataFrame:
    """Return the flow of outcomes that share who is eligible."""
    left = rng.choice([0, 0, 1, 2, 4, 7, 20, 300], len(REASONS))
    eligible = 500
    parts = []
    for outcome in range(outcomes):
        rows = [("episodes", "read", 0, eligible + left.sum())]
        remaining = eligible + left.sum()
        lacking = rng.choice([0, 1, 3, 8, 50], len(LACKING))
        for reason, gone in zip((*REASONS, *LACKING), (*left, *lacking), strict=True):
            remaining -= gone
            rows.append(("cohort", reason, gone, remaining))
        rows += [("train", "periods 1", 0, remaining // 2), ("test", "periods 2", 0,
                 remaining - remaining // 2)]  # fmt: skip
        part = pd.DataFrame(rows, columns=["station", "reason", "left", "remaining"])
        parts.append(part.assign(outcome=f"o{outcome}"))
    return pd.concat(parts, ignore_index=True)


def flow_study() -> Any:
    rules = [{"column": "age_years", "below": 1, "reason": one} for one in REASONS[2:]]
    cohort = {"procedure_group": "HIP_PRIM", "follow_up_days": None, "exclude": rules}
    return make_study(cohort=cohort)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(SEEDS, BELOW, st.integers(1, 3))
def test_no_small_reason_to_leave_follows_from_the_flow(
    seed: int, below: int, outcomes: int
) -> None:
    flow = made_up_flow(np.random.default_rng(seed), outcomes)
    shown, tells_read = suppress_flow(flow, flow_study().cohort, below)
    known, truth = Released(), {}
    for _, rows in flow.groupby("outcome"):
        tell_flow(known, truth, rows, shown.loc[rows.index], tells_read)
    small = {cell: value for cell, value in truth.items() if value < below}
    assert not too_tight(known, small, below)


def tell_flow(
    known: Any, truth: dict[Any, float], rows: pd.DataFrame, shown: pd.DataFrame, tells_read: bool
) -> None:
    """Tell of one outcome what its flow shows; reasons that lack scores are told by the rates."""
    before: Any = "read"
    truth["read"] = float(rows["remaining"].iloc[0])
    if tells_read:
        known.show("read", truth["read"])
    for real, seen in zip(rows.itertuples(), shown.itertuples(), strict=True):
        shared = real.reason in (*REASONS, "read")
        if real.station == "train" or not shared:
            break
        after = ("remaining", real.reason)
        if real.reason == "read":
            after = "read"
        else:
            truth[real.reason] = real.left
            known.sums.append(({before: 1.0, real.reason: -1.0, after: -1.0}, 0.0))
        if pd.notna(seen.left) and real.reason != "read":
            known.show(real.reason, seen.left)
        if pd.notna(seen.remaining):
            known.show(after, seen.remaining)
        before = after
    known.show(before, 500)  # who is eligible follows from other tables


def test_the_flow_of_nobody_few_is_shown_whole() -> None:
    flow = made_up_flow(np.random.default_rng(3), 1).assign(left=[0, 9, 0, 30, 7, 8, 40, 0, 0])
    shown, tells_read = suppress_flow(flow, flow_study().cohort, 6)
    assert tells_read
    assert shown["left"].notna().all()


def test_a_single_few_hides_how_many_were_read_and_every_other_reason_stays() -> None:
    flow = made_up_flow(np.random.default_rng(3), 1).assign(left=[0, 0, 0, 3, 0, 0, 40, 0, 0])
    shown, tells_read = suppress_flow(flow, flow_study().cohort, 6)
    assert not tells_read
    assert shown["left"].isna().tolist() == [False, False, False, True, *5 * [False]]
    assert shown["remaining"].isna().tolist() == [True, True, True, *6 * [False]]


@few_examples
@given(SEEDS)
def test_no_small_part_of_those_not_named_follows_from_changes_by_provider(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"P{one}" for one in range(int(rng.integers(3, 8)))]
    before = rng.integers(6, 60, len(names))
    having = rng.binomial(before, rng.choice([0.1, 0.5, 0.9]))
    rows = [row_of("", before.sum(), having.sum(), 500)]
    told = rng.random(len(names)) < 0.7
    for name, n, with_it, named in zip(names, before, having, told, strict=True):
        cells = [one for one in (with_it, n - with_it) if one]
        rows += [row_of(name, n, with_it, min(cells))] if named else []
    drift = pd.DataFrame(rows)
    groups = pd.DataFrame({"outcome": ["a"], "group": ["sex"], "column": ["sex"], "n": [100.0]})
    providers = pd.DataFrame({"outcome": ["a"], "provider_id": ["none"], "suppression": [""]})
    shown = suppress_drift(drift, groups, providers, 6)
    of_one = shown[shown["provider_id"] != ""]
    with_it = round((of_one["before"] * of_one["n_from"]).sum())
    rests = [having.sum() - with_it, before.sum() - having.sum() - of_one["n_from"].sum() + with_it]
    assert of_one.empty or not [one for one in rests if 0 < one < 6]


def row_of(name: str, n: int, with_it: int, fewest: int) -> dict[str, Any]:
    share = with_it / n
    return {
        "outcome": "a", "learner": "", "part": ACCESS, "column": "sex", "level": "f",
        "provider_id": name, "adjusted_for": "yes", "from_period": "1", "to_period": "2",
        "n_from": float(n), "n_to": float(n), "before": share, "after": share, "stability": 0.0,
        "fewest": float(fewest),
    }  # fmt: skip


def test_shares_and_counts_of_few_patients_do_not_leave() -> None:
    missing = pd.DataFrame({"outcome": "a", "column": ["x", "y", "z"],
                            "share": [3 / 300, 0.0, 298 / 300], "n": 300})  # fmt: skip
    assert suppress_missing(missing, 6)["share"].isna().tolist() == [True, False, True]
    figures = {"n": 300, "top_coded_n": 3.0, "top_coded_share": 0.01}
    told = suppress_metrics({"cost": {"gamma": figures}}, 6)["cost"]["gamma"]
    assert told["n"] == 300
    assert np.isnan([told["top_coded_n"], told["top_coded_share"]]).all()


# --- a real run, everything that it writes --------------------------------------------------------


@pytest.fixture
def ran(hostile: Hostile) -> Run:
    run: Run = hostile.run
    return run


def read(ran: Run, name: str) -> pd.DataFrame:
    """Return a table as text, hidden cells empty."""
    return pd.read_csv(ran.folder / f"{name}.csv", dtype=str, keep_default_na=False)


SAME = {"n": "n", "answered": "n", "episodes": "episodes", "procedures": "episodes",
        "eligible": "q1", "q1": "q1"}  # fmt: skip
"""What columns of different tables count alike."""


def tell_run(ran: Run) -> tuple[Released, dict[Cell, float]]:
    """Tell every number of patients by provider that any file of a run shows, and every total."""
    known, truth = Released(), {}
    names = [*ran.results[0].casemix.cohort.volumes.index]
    for cohort in (one.casemix.cohort for one in ran.results):
        outcome, n = cohort.outcome.name, cohort.test["provider_id"].value_counts()
        truth |= {(outcome, "n", one): float(n.get(one, 0)) for one in names}
        truth |= {("episodes", one): float(cohort.volumes[one]) for one in names}
        for one in names:
            known.at_most((outcome, "n", one), ("episodes", one))
        total = ran.findings.metrics[outcome]["linear"]["n"]
        known.total([(outcome, "n", one) for one in names], total)
    for outcome, provider, name, value in shown_counts(ran):
        counted = ("episodes",) if name == "episodes" else (outcome, name)
        if provider == ALL:
            known.total([(*counted, one) for one in names], value)
        else:
            known.show((*counted, provider), value)
    return known, truth


def shown_counts(ran: Run) -> Iterator[tuple[str, str, str, float]]:
    """Yield outcome, provider, what is counted, and the number, wherever a table shows one."""
    social = read(ran, "social").query("stratum == ''")
    named = ("providers", "graded", "shap_providers", "follow_up", "rates")
    for rows in (social, *(read(ran, one) for one in named)):
        for column in SAME.keys() & set(rows):
            shown = rows[rows[column] != ""]
            for row in shown.to_dict("records"):
                yield row["outcome"], row["provider_id"], SAME[column], float(row[column])
    value = read(ran, "value")
    for row in value[value["n_both"] != ""].to_dict("records"):
        yield row["outcome"], row["provider_id"], "n", float(row["n_outcome"])
        yield row["cost_outcome"], row["provider_id"], "n", float(row["n_cost"])


def test_no_small_number_of_a_provider_follows_from_the_files_of_a_run(ran: Run) -> None:
    known, truth = tell_run(ran)
    small = {cell: value for cell, value in truth.items() if 0 < value < 6}
    assert len(small) >= 6, "the world has small providers"
    assert not too_tight(known, small, 6)


def test_no_level_of_few_patients_follows_from_the_files_of_a_run(ran: Run) -> None:
    test = ran.results[0].casemix.cohort.test
    counts = test["ethnicity"].value_counts()
    assert 0 < counts["c"] < 6
    known, truth = Released(), {level: float(n) for level, n in counts.items()}
    known.total(counts.index, len(test))
    for rows in (read(ran, "subgroups"), read(ran, "groups").query("fold == 'held out'")):
        shown = rows[(rows["outcome"] == "ohs") & (rows["column"] == "ethnicity")]
        for row in shown[shown["n"] != ""].to_dict("records"):
            known.show(row["level"], float(row["n"]))
    assert not too_tight(known, {"c": truth["c"]}, 6)


_COUNTS = """
answered eligible episodes left linked n n_both n_cost n_from n_outcome n_to patients
procedures q1 q2_returned q2_sent remaining
"""
COUNTS = frozenset(_COUNTS.split())
"""Columns that count patients or their episodes."""
SHARES = {
    "drift.csv": {"before": "n_from", "after": "n_to"},
    "groups.csv": {"at_better": "n", "at_worse": "n"},
}
"""By table: columns that are shares of patients, of how many."""
ANSWERED = {
    "follow_up.csv": {"response"},
    "rates.csv": {"participation", "linkage", "issue", "response"},
}
"""Shares of two counts that stand beside them; what is left of one is not hidden (PRIVACY.md)."""
_FIGURES = """
adjusted adjusted_complete adjusted_imputed adjusted_weighted at_better_above_all
at_worse_above_all baseline between between_lower95 between_upper95 brier c_statistic
centre change ci_lower95 ci_upper95 columns come_out contribution corrected correlation
counted currency decile df_imputed difference difference_weighted drift effective_n error
error_complete error_imputed error_weighted everybody expected factor fell first
flag_changes_at flag_moved_by flag_share flag_side_share from_period gain groups
highest_of_folds icc inner intercept lambda largest lower95 lower998 lowest_of_folds
mean_absolute mean_residual median_reliability middle missing_information money
n_providers net_compensation note observed outer overlap p_best_fifth p_worst_fifth
peer_group per_patient pooled pooled_lower95 pooled_upper95 predicted predicted_ratio
predictive_ratio providers r2 rank ratio ratio_complete ratio_imputed ratio_weighted
reliability response rose sd second share shift shrunken slope social stability
stability_by_chance standard_error standardised strata tau tipping_down tipping_nearest
tipping_up to_period upper95 upper998 volume_07 volume_09 weighted within within_providers
worth z z_complete z_imputed z_weighted
"""
FIGURES = frozenset(_FIGURES.split())
"""Columns of means, models, tests, money and names, none of which is a number of patients."""


def test_somebody_has_thought_of_every_column_of_numbers(ran: Run) -> None:
    """A column that is none of these has to be looked at, and put where it belongs."""
    thought_of = COUNTS | FIGURES
    for path in sorted(ran.folder.glob("*.csv")):
        own = thought_of | {*SHARES.get(path.name, ()), *ANSWERED.get(path.name, ())}
        numbers = {re.sub("_(lower|upper)95$", "", one) for one in numbers_of(path)}
        assert numbers <= own | {"ci", ""}, path.name


def numbers_of(path: Path) -> list[str]:
    return [*pd.read_csv(path).select_dtypes("number")]


def test_no_table_of_a_run_counts_few_patients(ran: Run) -> None:
    """No bare count from 1 to 5 is in any column that counts patients, nor follows by a share."""
    found = []
    for path in sorted(ran.folder.glob("*.csv")):
        table = pd.read_csv(path)
        for name in COUNTS & set(table):
            few = table[name].between(1, 5)
            if name == "patients":  # done to one patient at a time
                few &= table["done_to"] != "one patient"
            found += [(path.name, name)] if few.any() else []
        for name, of in SHARES.get(path.name, {}).items():
            told = table[table["part"] == ACCESS] if "part" in table else table
            having = (told[name] * told[of]).round()
            few = having.between(1, 5) | (told[of] - having).between(1, 5)
            found += [(path.name, name)] if few.any() else []
    assert not found


# --- numbers of patients by what they add to an expectation ---------------------------------------


def groups_told(
    shown: pd.DataFrame, exact: pd.DataFrame, steps: pd.DataFrame, below: int
) -> pd.DataFrame:
    """Return between which numbers of patients each shown contribution of a yes or no puts them.

    The attacker knows what each value adds, and the rule: every number there can be is tried.
    """
    full = np.isclose(steps["step"], steps["far"] - steps["origin"])
    two = steps[np.isclose(steps["near"], steps["origin"]) & full & (steps["step"] != 0)]
    keys = ["outcome", "learner", "provider_id", "feature"]
    rows = []
    for one in shown.merge(two).merge(exact[[*keys, "contribution"]], on=keys).itertuples():
        k = np.arange(one.n + 1)
        names = [f"{x:06d}" for x in k]
        tried = pd.DataFrame({
            "outcome": one.outcome, "learner": one.learner, "provider_id": names,
            "n": one.n, "feature": one.feature, "theme": "", "difference": 0.0,
            "contribution": one.origin + k * one.step / one.n,
        })  # fmt: skip
        rule = tried[keys].assign(origin=one.origin, step=one.step, near=one.near, far=one.far)
        told = coarse_contributions(tried, rule, below)
        told = told[told["feature"] == one.feature]["contribution"].to_numpy()
        fits = k[np.isclose(told, one.contribution_x, rtol=0, atol=1e-9)]
        true = (one.contribution_y - one.origin) / one.step * one.n
        rows.append((one.provider_id, one.n, one.feature, true, fits.min(), fits.max()))
    names = ["provider_id", "n", "feature", "true", "least", "most"]
    return pd.DataFrame(rows, columns=names)


def of_a_yes_or_no(ran: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    parts = [one.explanation for one in ran.results if one.explanation]
    steps = pd.concat([one.steps for one in parts])
    flags = {"sex", "comorb_heart", "comorb_depression", "living_arrangements"}
    exact = pd.concat([one.providers for one in parts])
    return exact[exact["feature"].isin(flags)], steps[steps["feature"].isin(flags)]


def test_no_number_of_patients_follows_from_contributions(ran: Run) -> None:
    exact, steps = of_a_yes_or_no(ran)
    shown = pd.read_csv(ran.folder / "shap_providers.csv")
    found = groups_told(shown, exact, steps, 6)
    assert len(found) > 20
    together = found.groupby(["provider_id", "n", "feature"]).agg(
        true=("true", "first"), least=("least", "max"), most=("most", "min")
    )
    n = together.index.get_level_values("n")
    few = together["true"].round().between(1, 5) | (n - together["true"]).round().between(1, 5)
    assert few.any(), "the world has few patients with a condition"
    assert (together["most"] - together["least"])[few].ge(5).all()


def test_exact_contributions_would_tell_numbers_of_patients(ran: Run) -> None:
    exact, steps = of_a_yes_or_no(ran)
    known = exact[(exact["n"] >= 6) & exact["feature"].str.startswith("comorb")]
    found = groups_told(known, exact, steps, 1)
    assert len(found) > 10
    assert (found["least"] == found["most"]).all()
    assert found["true"].sub(found["true"].round()).abs().max() < 1e-6


@few_examples
@given(SEEDS, BELOW)
def test_contributions_of_any_world_tell_no_few_patients(seed: int, below: int) -> None:
    rng = np.random.default_rng(seed)
    n = rng.integers(below, 8 * below, 12)
    having = rng.binomial(n, rng.choice([0.02, 0.1, 0.5, 0.95], 12))
    share = having.sum() / n.sum()
    of: dict[str, Any] = {"learner": "linear", "feature": "gout"}
    worlds = []
    for outcome, adds in zip("abc", rng.normal(0, 3, 3), strict=True):
        rare = 1 if share <= 0.5 else 0
        origin = adds * ((1 - rare) - share)
        far = adds * (rare - share)
        of |= {"outcome": outcome, "provider_id": [f"P{k}" for k in range(12)]}
        steps = pd.DataFrame({**of, "origin": origin, "step": far - origin, "near": origin,
                              "far": far})  # fmt: skip
        exact = pd.DataFrame({**of, "n": n, "theme": "", "difference": 0.0,
                              "contribution": adds * (having / n - share)})  # fmt: skip
        shown = coarse_contributions(exact, steps, below)
        worlds.append(groups_told(shown[shown["feature"] == "gout"], exact, steps, below))
    found = (
        pd.concat(worlds)
        .groupby(["provider_id", "n"])
        .agg(true=("true", "first"), least=("least", "max"), most=("most", "min"))
    )
    true = found["true"].round()
    rest = found.index.get_level_values("n") - true
    few = true.between(1, below - 1) | rest.between(1, below - 1)
    assert (found["most"] - found["least"])[few].ge(below - 1).all()


def test_capped_costs_of_few_patients_are_neither_counted_nor_told_in_words(ran: Run) -> None:
    capped = ran.results[2].casemix.cohort.winsorising
    assert capped is not None
    assert 0 < capped.n_capped < 6
    texts = [(ran.folder / one).read_text() for one in ("flow.csv", "card.md", "card.json")]
    assert not [one for one in texts if re.search(r"count as it: \d", one)]
    assert (
        json.loads((ran.folder / "metrics.json").read_text())["cost"]["linear"]["top_coded_n"]
        is None
    )


def test_hidden_providers_are_named_in_their_own_rows_only(ran: Run) -> None:
    providers = read(ran, "providers")
    hidden = providers[providers["suppression"] == SUPPRESSED]
    everywhere = set(hidden.groupby("provider_id").size().loc[lambda n: n == 3].index)
    assert everywhere >= {"H03", "H06"}
    for path in sorted(ran.folder.rglob("*")):
        if path.suffix in (".svg", ".md") or path.name == "card.json":
            text = path.read_text(encoding="utf-8")
            assert not [one for one in everywhere if one in text], path.name


# --- nothing by episode ---------------------------------------------------------------------------


def files_logged(hostile: Hostile) -> dict[str, Path]:
    """Return every file that was logged, by its path in the store of artifacts."""
    store = hostile.home / "store"
    return {str(one.relative_to(store)): one for one in store.rglob("*") if one.is_file()}


def test_nothing_that_is_logged_has_a_row_per_episode(hostile: Hostile) -> None:
    cohort = hostile.run.results[0].casemix.cohort
    least = min(len(cohort.train), len(cohort.test))
    files = files_logged(hostile)
    assert {Path(one).suffix for one in files} >= {".csv", ".json", ".html", ".svg", ".db"}
    assert not [one for one in files if Path(one).suffix in (".parquet", ".pkl", ".npy", ".npz")]
    for name, path in files.items():
        if path.suffix == ".csv":
            rows = pd.read_csv(path)
            keys = [one for one in ("outcome", "learner") if one in rows]
            longest = rows.groupby(keys).size().max() if keys and len(rows) else len(rows)
            assert "episode_id" not in rows, name
            assert longest < least, name


def test_no_episode_is_named_in_what_is_logged_or_on_the_page(hostile: Hostile) -> None:
    kept = pd.read_parquet(hostile.home / "run" / "expectations.parquet", columns=["episode_id"])
    names = [one.encode() for one in kept["episode_id"].unique()[::5]]
    assert len(names) > 40
    for path in [*files_logged(hostile).values(), hostile.home / "run" / "page.html"]:
        content = path.read_bytes()
        assert not [one for one in names if one in content], path.name


def test_no_list_on_the_page_or_the_card_is_as_long_as_the_episodes(hostile: Hostile) -> None:
    sizes = {len(one.casemix.cohort.test) for one in hostile.run.results}
    sizes |= {len(one.casemix.cohort.train) for one in hostile.run.results}
    page = (hostile.home / "run" / "page.html").read_text(encoding="utf-8")
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)
    card = (hostile.home / "run" / "card.json").read_text(encoding="utf-8")
    assert blocks
    for content in (*blocks, card):
        assert not sizes & set(lengths(json.loads(content)))


def lengths(content: Any) -> Iterator[int]:
    """Yield how long every list in some content is."""
    if isinstance(content, list):
        yield len(content)
    inside = content.values() if isinstance(content, dict) else content
    for one in inside if isinstance(content, (dict, list)) else ():
        yield from lengths(one)


def test_metrics_and_parameters_that_are_logged_count_no_few_patients(hostile: Hostile) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=hostile.study.tracking.uri)
    logged = client.get_run(hostile.run.logged.run_id).data
    counts = {name: one for name, one in logged.metrics.items() if name.endswith(("_n", ".n"))}
    assert counts
    assert not [name for name, one in counts.items() if 0 < one < 6]
    assert "top_coded_n" not in " ".join(counts)
    assert logged.params["data.pseudonymise.key_file"] == "secret.key"
