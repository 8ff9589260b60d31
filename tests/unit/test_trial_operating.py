"""What figures say of right and paid money: shares, intervals, fair volumes and differences."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settling import contract

from riskadj.stats.clusters import sums_by_cluster
from riskadj.trial.differences import DIFFERENCE_COLUMNS
from riskadj.trial.fair import fair_line, fair_volume, find_fair
from riskadj.trial.intervals import SHARE, of_count, on_scale
from riskadj.trial.measures import FIGURES, WRONGLY, measure
from riskadj.trial.operating import FEWEST, TOO_FEW, operating
from riskadj.trial.settling import PAID_COLUMNS
from riskadj.trial.variants import Variant

PLAIN = contract(currency={"code": "SEK"}, price_year=2023)


def paid_rows(right, paid, volume=100, worlds=1, target=1_000_000):
    """Return rows of amounts in minor units, the same in every world."""
    table = pd.DataFrame(
        {"right_minor": right, "paid_minor": paid, "volume": volume, "target_minor": target}
    )
    table = pd.concat([table.assign(world=one) for one in range(worlds)], ignore_index=True)
    table = table.assign(
        contract=PLAIN.name, learner="linear", provider_id=[f"P{one}" for one in table.index],
        status="settled", gates_right="", gates_paid="", failed_though_fine=np.nan,
        passed_though_failing=np.nan,
    )  # fmt: skip
    return table[PAID_COLUMNS]


def figures_of(rows, tolerance=0.0):
    return operating(rows, (Variant(PLAIN),), tolerance, 0.8).table.iloc[0]


def test_figures_are_those_of_a_calculator():
    """Right +100, -100, paid +60, +20 for 100 episodes each: off 40 and 120."""
    row = figures_of(paid_rows([10_000, -10_000], [6_000, 2_000]))
    assert (row["right"], row["paid"], row["misallocated"]) == (200.0, 80.0, 80.0)
    assert row["misallocated_share"] == pytest.approx(160 / 280)
    assert row["misallocated_of_right"] == pytest.approx(0.4)
    assert row["misallocated_per_episode"] == pytest.approx(0.4)
    assert row["follows_truth"] == pytest.approx(1 - (0.4**2 + 1.2**2) / (2 * 0.2**2))
    assert row["squared_correlation"] == pytest.approx(1.0)
    assert (row["bonus_for_penalty"], row["penalty_for_bonus"]) == (0.5, 0.0)
    assert np.isnan(row["failed_though_fine"])


def test_amounts_within_the_tolerance_are_neither_bonus_nor_penalty():
    rows = paid_rows([10_000, -900], [-10_000, 5_000])
    assert figures_of(rows)["bonus_for_penalty"] == 0.5
    row = figures_of(rows, tolerance=0.001)
    assert (row["bonus_for_penalty"], row["penalty_for_bonus"]) == (0.0, 0.5)


def test_who_is_wrongly_paid_is_so_in_one_way_and_for_want_of_episodes_or_not():
    """In order: other sign, other sign, something for nothing, nothing for something, right."""
    right = [9_000, -9_000, 0, 9_000, 9_000]
    paid = [-9_000, 9_000, 5_000, 0, 2_000]
    rows = paid_rows(right, paid)
    rows.loc[rows.index[[1, 3]], "status"] = "at target"
    row = figures_of(rows, tolerance=0.001)
    assert [row[one] for one in WRONGLY] == [0.2, 0.2, 0.2, 0.2]
    assert (row["wrongly_paid"], row["wrongly_paid_too_few"]) == (0.8, 0.4)
    assert row["too_few"] == 2
    assert row["misallocated_too_few"] == pytest.approx((180 + 90) / (180 + 180 + 50 + 90 + 70))


def test_a_small_step_over_the_tolerance_is_not_wrongly_paid():
    row = figures_of(paid_rows([900, 5_000], [1_100, 5_100]), tolerance=0.001)
    assert row["wrongly_paid"] == 0.0


amounts = st.lists(st.integers(-(10**7), 10**7), min_size=4, max_size=4)


@settings(max_examples=30, deadline=None)
@given(right=amounts, paid=amounts)
def test_the_misallocated_share_goes_from_0_to_1(right, paid):
    of = measure(paid_rows(right, paid), PLAIN, 0.0).drop(columns="world").sum()
    share = float(FIGURES["misallocated_share"]({k: np.array([v]) for k, v in of.items()})[0])
    if not any(right) and not any(paid):
        assert np.isnan(share)
        return
    assert -1e-12 <= share <= 1 + 1e-12
    assert (share == 0) == (right == paid)


def test_all_is_misallocated_where_nothing_is_right():
    row = figures_of(paid_rows([0, 0, 0, 0], [4_000, -4_000, 1_000, -1_000]))
    assert row["misallocated_share"] == 1.0
    assert row["follows_truth"] == pytest.approx(0.0)
    assert row["fair_from"].startswith("not known")


def test_intervals_come_from_worlds_and_are_empty_with_one():
    rng = np.random.default_rng(1)
    right = rng.normal(0, 10_000, 40).astype(int)
    one = paid_rows(right, right + rng.normal(0, 4000, 40).astype(int))
    assert np.isnan(figures_of(one)["follows_truth_lower95"])
    other = paid_rows(right, right + rng.normal(0, 4000, 40).astype(int)).assign(world=1)
    row = figures_of(pd.concat([one, other]))
    low, high = row["misallocated_share_lower95"], row["misallocated_share_upper95"]
    assert 0 <= low < row["misallocated_share"] < high <= 1


def test_the_fair_volume_is_where_chance_is_a_fifth_of_what_payments_differ_by():
    """Errors of variance 90,000 / n beside a spread of 30^2: a fifth at 4 x 90,000 / 900 = 400."""
    rng = np.random.default_rng(2)
    volume = np.exp(rng.uniform(np.log(30), np.log(3000), 20_000)).astype(int)
    right = rng.normal(0, 30, volume.size)
    paid = right + rng.normal(0, np.sqrt(90_000 / volume))
    rows = paid_rows((100 * volume * right).astype(int), (100 * volume * paid).astype(int), volume)
    measured = measure(rows, PLAIN, 0.0)
    found = fair_volume(fair_line(measured), measured["volume"].to_numpy(), 0.8)
    assert found == pytest.approx(400, rel=0.15)
    told = figures_of(rows)["fair_from"]
    assert told == f"{int(np.ceil(found))} (interval not known)"


worlds_of_amounts = st.lists(
    st.lists(st.integers(-(10**6), 10**6), min_size=8, max_size=8), min_size=2, max_size=5
)
SHARES = ("misallocated_share", "misallocated_too_few", "squared_correlation", *WRONGLY,
          "wrongly_paid", "wrongly_paid_too_few")  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(worlds=worlds_of_amounts, few=st.integers(0, 4))
def test_intervals_hold_their_figure_and_stay_where_it_can_be(worlds, few):
    parts = [
        paid_rows(one[:4], one[4:]).assign(world=place) for place, one in enumerate(worlds)
    ]  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    rows.loc[rows.index[:few], "status"] = "at target"
    row = figures_of(rows)
    for name in FIGURES:
        value, lower, upper = (row[f"{name}{end}"] for end in ("", "_lower95", "_upper95"))
        if np.isnan(lower):
            continue
        assert lower <= value + 1e-9 * abs(value)
        assert value <= upper + 1e-9 * abs(value)
        assert upper <= 1 or name not in (*SHARES, "follows_truth")
        assert lower >= 0 or name == "follows_truth"


def test_where_nobody_is_counted_the_interval_is_that_of_so_many_draws():
    """None of 40 in 4 worlds: 1 - 0.025^(1 / n), n = 40 x (t of 39 over t of 3 degrees)^2."""
    sums = sums_by_cluster({"wrong": np.zeros(40)}, np.repeat(range(4), 10))
    bounds = of_count(sums, "wrong", "n")
    n = 40 * (2.0226909200 / 3.1824463053) ** 2
    assert bounds.lower == 0
    assert bounds.upper == pytest.approx(1 - 0.025 ** (1 / n), rel=1e-8)


def test_a_count_that_clusters_in_worlds_is_less_sure():
    apart, together = (
        of_count(sums_by_cluster({"wrong": wrong}, np.repeat(range(8), 10)), "wrong", "n")
        for wrong in (np.tile([1.0, 0, 0, 0, 0, 0, 0, 1, 0, 0], 8), np.repeat([1.0, 0, 0, 0], 20))
    )
    assert together.upper - together.lower > 2 * (apart.upper - apart.lower)


def test_shares_hold_their_intervals_with_six_worlds():
    rng = np.random.default_rng(4)
    held, n = {"money": 0, "count": 0}, 400
    for _ in range(n):
        chance = rng.beta(3, 17, 6)  # worlds differ: 0.15 on average
        wrong = rng.binomial(50, chance)
        sums = sums_by_cluster({"wrong": wrong.astype(float), "of": np.full(6, 50.0)}, range(6))
        money = on_scale(sums, lambda of: of["wrong"] / of["of"], SHARE)
        count = of_count(sums, "wrong", "of")
        held["money"] += money.lower <= 0.15 <= money.upper
        held["count"] += count.lower <= 0.15 <= count.upper
    assert all(0.92 < one / n < 0.985 for one in held.values()), held


# --- fair volume ----------------------------------------------------------------------------------


def measured_worlds(worlds, noise=90_000, seed=0, providers=60):
    """Return worlds in which errors are a fifth of what payments differ by at 4 x noise / 30^2."""
    rng, size = np.random.default_rng(seed), worlds * providers
    volume = np.exp(rng.uniform(np.log(30), np.log(3000), size))
    right = rng.normal(0, 30, size)
    paid = right + rng.normal(0, np.sqrt(noise / volume))
    return pd.DataFrame(
        {
            "world": np.repeat(np.arange(worlds), providers), "volume": volume, "settled": 1.0,
            "squared_off": volume * (paid - right) ** 2, "spread_paid": volume * paid**2,
        }
    )  # fmt: skip


def test_the_interval_of_the_fair_volume_holds_the_true_one():
    found = [find_fair(measured_worlds(6, seed=seed), 0.8) for seed in range(60)]
    held = np.mean([one.lower <= 400 and not one.upper < 400 for one in found])
    assert 0.88 < held <= 0.99


def test_the_interval_of_the_fair_volume_narrows_with_worlds():
    widths = []
    for worlds in (3, 12, 48):
        found = find_fair(measured_worlds(worlds), 0.8)
        upper = found.most if np.isnan(found.upper) else found.upper
        widths.append(np.log(upper / found.lower))
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


def test_one_world_tells_a_fair_volume_and_no_interval():
    found = find_fair(measured_worlds(1, providers=400), 0.8)
    assert np.isfinite(found.volume)
    assert np.isnan([found.lower, found.upper]).all()


def test_an_interval_has_no_end_where_no_volume_is_surely_enough():
    found = find_fair(measured_worlds(4, noise=450_000), 0.8)
    assert np.isfinite(found.lower)
    assert np.isnan(found.upper)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ((-3.0, -0.1, 0.0), 20.0),
        ((5.0, -0.5, 0.0), np.nan),
        ((-1.0, 0.5, 0.0), np.nan),
        ((-5.0, 0.1, 0.0), 20.0),
        ((-np.inf, 0.0, 0.0), 20.0),
        ((np.nan, np.nan, np.nan), np.nan),
        ((-8.0, 3.2, -0.4), np.exp((3.2 + np.sqrt(3.2**2 - 1.6 * (8 + np.log(0.2)))) / 0.8)),
    ],
)
def test_nothing_is_said_of_volumes_that_are_not_there(line, found):
    got = fair_volume(line, np.array([20.0, 500.0]), 0.8)
    assert got == pytest.approx(found, rel=0.01, nan_ok=True)


def test_gate_errors_are_told_by_side():
    rows = pd.DataFrame(
        {
            "world": 0, "contract": PLAIN.name, "learner": "linear", "provider_id": list("abcd"),
            "volume": 50, "status": ["settled"] * 2 + ["at target"] * 2,
            "right_minor": 0, "paid_minor": 0,
            "target_minor": 0, "gates_right": "", "gates_paid": "",
            "failed_though_fine": [1.0, 0.0, 0.0, 0.0],
            "passed_though_failing": [0.0, 1.0, 1.0, 0.0],
        }
    )[PAID_COLUMNS]  # fmt: skip
    row = operating(rows, (Variant(PLAIN),), 0.001, 0.8).table.iloc[0]
    assert (row["failed_though_fine"], row["passed_though_failing"]) == (0.25, 0.5)
    assert (row["misjudged"], row["misjudged_too_few"]) == (0.75, 0.25)


def test_bands_with_figures_add_up_to_what_their_providers_get():
    right = np.arange(1, 26) * 1000
    rows = paid_rows(right, right + 500, volume=[50] * 15 + [100] * 10)
    bands = operating(rows, (Variant(PLAIN),), 0.0, 0.8).by_volume
    assert bands["provider_years"].tolist() == [15, 10]
    for name, total in (("right", right.sum() / 100), ("misallocated", 25 * 5 / 2)):
        assert bands[name].sum() == pytest.approx(total)


@pytest.mark.parametrize(("number", "shown"), [(FEWEST - 1, False), (FEWEST, True)])
def test_a_band_of_few_provider_years_has_a_word_in_the_place_of_figures(number, shown):
    rng = np.random.default_rng(3)
    right = rng.normal(0, 10_000, number).astype(int)
    rows = paid_rows(right, right + rng.normal(0, 3000, number).astype(int), volume=50)
    band = operating(rows, (Variant(PLAIN),), 0.0, 0.8).by_volume.iloc[0]
    assert (band["provider_years"], band["told"]) == (number, "" if shown else TOO_FEW)
    assert np.isfinite(band["misallocated_share"]) == shown
    if not shown:
        assert band[list(FIGURES)].isna().all()


def test_what_follows_the_truth_in_a_band_wants_providers_paid_on_their_own_results():
    right = np.linspace(-10_000, 10_000, 20).astype(int)
    rows = paid_rows(right, right // 2, volume=50)
    rows.loc[rows.index[FEWEST - 1 :], "status"] = "at target"
    band = operating(rows, (Variant(PLAIN),), 0.0, 0.8).by_volume.iloc[0]
    assert (band["settled"], band["too_few"]) == (FEWEST - 1, 20 - FEWEST + 1)
    assert np.isnan(band["follows_truth"])
    assert np.isfinite(band["misallocated_share"])


# --- differences ----------------------------------------------------------------------------------

OTHER = contract(name="other", currency={"code": "SEK"}, price_year=2023)


def compared(errors, worlds=6):
    """Return the differences of two contracts in worlds that share their chance."""
    rng, parts = np.random.default_rng(8), []
    for world in range(worlds):
        right = rng.normal(0, 20_000 * rng.uniform(0.3, 3), 30)
        chance = rng.normal(0, 8_000, 30)
        for one, error in zip((PLAIN, OTHER), errors, strict=True):
            rows = paid_rows(right.astype(int), (right + error * chance).astype(int))
            parts.append(rows.assign(world=world, contract=one.name))
    rows = pd.concat(parts, ignore_index=True)
    return operating(rows, (Variant(PLAIN), Variant(OTHER)), 0.0, 0.8)


def test_contracts_are_held_against_the_best_world_by_world():
    found = compared((1.2, 1.0))
    row = found.differences.set_index("figure").loc["misallocated_share"]
    table = found.table.set_index("contract")["misallocated_share"]
    assert (row["contract"], row["best_contract"]) == (PLAIN.name, "other")
    assert row["difference"] == pytest.approx(table[PLAIN.name] - table["other"])
    assert 0 < row["difference_lower95"] < row["difference"] < row["difference_upper95"]


def test_what_the_worlds_share_cancels_in_a_difference():
    found = compared((1.2, 1.0))
    row = found.differences.set_index("figure").loc["misallocated_share"]
    width = row["difference_upper95"] - row["difference_lower95"]
    best = found.table.iloc[0]
    alone = best["misallocated_share_upper95"] - best["misallocated_share_lower95"]
    assert width < 0.3 * alone


def test_contracts_that_pay_the_same_do_not_differ():
    rows = compared((1.0, 1.0)).differences
    assert (rows["difference"] == 0).all()
    assert (rows[["difference_lower95", "difference_upper95"]].dropna() == 0).all(axis=None)


def test_a_difference_has_no_interval_with_one_world_and_there_is_none_of_one_contract():
    assert compared((1.2, 1.0), worlds=1).differences["difference_lower95"].isna().all()
    alone = operating(paid_rows([1, 2], [2, 1]), (Variant(PLAIN),), 0.0, 0.8).differences
    assert alone.empty
    assert list(alone) == DIFFERENCE_COLUMNS
