"""Identities of episodes out of claims, on random worlds, and the slow and plain way beside."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from claims_worlds import plain_episodes, random_world, rules_of, write_world
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from riskadj.claims import ClaimRules, read_claims
from riskadj.claims.comorbidity import SCHEMES, conditions_and_indices
from riskadj.claims.events import first_of_overlapping, overlapping_any
from riskadj.digest import digest_of_frame
from riskadj.episodes.columns import COST_PARTS
from riskadj.errors import EmptyCohortError

few = settings(max_examples=10, deadline=None, derandomize=True)
fewer = settings(max_examples=3, deadline=None, derandomize=True)
many = settings(max_examples=100, deadline=None, derandomize=True)

SEEDS = st.integers(0, 10_000)
CHOICES = st.fixed_dictionaries(
    {
        "windows": st.sampled_from([(30, 90), (60,), (30, 60, 180), (90, 365)]),
        "counted_from": st.sampled_from(["discharge", "admission"]),
        "overlap": st.sampled_from(["first", "drop_both"]),
        "transfers": st.sampled_from(["to_first", "to_last", "separate"]),
        "death": st.sampled_from(["keep", "exclude", "annualise"]),
        "disenrolment": st.sampled_from(["exclude", "annualise"]),
        "lookback_days": st.sampled_from([30, 180]),
        "annualise_from_days": st.sampled_from([1, 20]),
        "comorbidity": st.just({"charlson": True, "elixhauser": True}),
    }
)
SAME = {
    "patient_id": "patient_id", "provider_id": "provider_id",
    "procedure_group": "procedure_group", "index_date": "index_date",
    "discharge_date": "discharge_date",
}  # fmt: skip


def rules_for(folder: Path, choices: dict[str, Any]) -> ClaimRules:
    if "annualise" not in (choices["death"], choices["disenrolment"]):
        choices = {**choices, "annualise_from_days": None}
    return rules_of(folder, **choices)


def cents(values: pd.Series) -> list[int]:
    return np.round(values * 100).astype(np.int64).tolist()


def episodes_of(files: list[Path], rules: ClaimRules, **settings: Any) -> pd.DataFrame:
    try:
        return read_claims(files, rules, **settings).table
    except EmptyCohortError:
        return pd.DataFrame()


@few
@given(seed=SEEDS, choices=CHOICES)
def test_the_database_makes_what_a_loop_over_patients_makes(
    seed: int, choices: dict[str, Any]
) -> None:
    lines, patients = random_world(seed)
    with tempfile.TemporaryDirectory() as name:
        files = write_world(Path(name), lines, patients)
        rules = rules_for(Path(name), choices)
        table = episodes_of(files, rules, threads=1)
    plain = plain_episodes(lines, patients, rules)
    assert len(table) == len(plain)
    assume(len(plain))
    for ours, theirs in SAME.items():
        dates = ours.endswith("date")
        held = table[ours].dt.date if dates else table[ours]
        assert held.tolist() == plain[theirs].tolist()
    assert table["drg"].fillna("").tolist() == plain["drg"].tolist()
    assert cents(table["cost_index"]) == plain["index"].tolist()
    assert cents(table["prior_cost"]) == plain["prior"].tolist()
    for days in rules.windows:
        for part in COST_PARTS:
            assert cents(table[f"cost_{part}_{days}d"]) == plain[f"{part}_{days}"].tolist()
        assert (table[f"readmitted_{days}d"] == plain[f"readmitted_{days}"]).all()
    for scheme in SCHEMES:
        wanted = conditions_and_indices(plain[scheme].to_numpy(dtype=np.int64), scheme)
        for column, values in wanted.items():
            assert table[column].tolist() == values.tolist()


@fewer
@given(seed=SEEDS, choices=CHOICES)
def test_totals_are_sums_of_their_parts_and_grow_with_the_window(
    seed: int, choices: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        files = write_world(Path(name), *random_world(seed, n_patients=30))
        rules = rules_for(Path(name), choices)
        table = read_claims(files, rules, threads=1).table
    before = np.asarray(cents(table["cost_index"]))
    for days in rules.windows:
        parts = sum(np.asarray(cents(table[f"cost_{part}_{days}d"])) for part in COST_PARTS)
        total = np.asarray(cents(table[f"cost_total_{days}d"]))
        np.testing.assert_array_equal(total, parts + cents(table["cost_index"]))
        assert (total >= before).all()
        before = total
    flags = table[[f"readmitted_{days}d" for days in rules.windows]]
    assert (flags.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


@fewer
@given(seed=SEEDS, choices=CHOICES, order=st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_files_nor_the_threads_change_a_byte(
    seed: int, choices: dict[str, Any], order: Any
) -> None:
    lines, patients = random_world(seed, n_patients=20)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rules = rules_for(folder, choices)
        whole = read_claims(write_world(folder, lines, patients), rules, threads=1).table
        order.shuffle(lines)
        order.shuffle(patients)
        write_world(folder, lines, patients)
        cut = order.randrange(1, len(lines))
        files = []
        for number, part in enumerate((lines[cut:], lines[:cut])):
            files.append(folder / f"part{number}.parquet")
            pd.DataFrame(part).to_parquet(files[-1])
        parts = read_claims(files, rules, threads=2, memory_limit="500MB").table
    assert digest_of_frame(whole) == digest_of_frame(parts)
    pd.testing.assert_frame_equal(whole, parts)


WINDOWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(0, 30)), min_size=1, max_size=15
)


@many
@given(windows=WINDOWS)
def test_of_overlapping_windows_the_first_stands(windows: list[tuple[int, int, int]]) -> None:
    rows = np.array(sorted((who, day, day + days) for who, day, days in windows))
    until: dict[int, int] = {}
    wanted = []
    for who, start, last in rows.tolist():
        stands = start > until.get(who, -1)
        until[who] = last if stands else until[who]
        wanted.append(stands)
    assert first_of_overlapping(*rows.T).tolist() == wanted


@many
@given(windows=WINDOWS)
def test_windows_overlap_when_one_begins_in_the_other(windows: list[tuple[int, int, int]]) -> None:
    rows = np.array(sorted((who, day, day + days) for who, day, days in windows))
    wanted = [
        any(
            number != other and who == them and start <= until and begin <= last
            for other, (them, begin, until) in enumerate(rows.tolist())
        )
        for number, (who, start, last) in enumerate(rows.tolist())
    ]
    assert overlapping_any(*rows.T).tolist() == wanted
