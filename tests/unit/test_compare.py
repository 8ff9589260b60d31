"""Runs held against each other: on the same episodes, in order, by flag and in money."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from worlds import study_content

from riskadj.digest import digest_of_file, digest_of_json
from riskadj.errors import ColumnError, FileFormatError, FileMissingError, OutputError, ValuesError
from riskadj.experiment import compare_runs
from riskadj.experiment.compare import shown, write_comparison
from riskadj.experiment.drawn import drawn_sums
from riskadj.experiment.figures import decimals_by, told
from riskadj.experiment.paired import OTHER_TARGET
from riskadj.payment.status import SETTLED
from riskadj.report.folder import MARK, files_in, write_csv, write_json, write_parquet
from riskadj.report.provenance import sealed

FLAG = {
    2: "Positive outlier (99.8%)", 1: "Positive outlier (95%)", 0: "Not an outlier",
    -1: "Negative outlier (95%)", -2: "Negative outlier (99.8%)",
}  # fmt: skip
N, PROVIDERS = 400, 10


def truth(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    expected = rng.normal(30, 5, N)
    return pd.DataFrame(
        {
            "outcome": "ohs",
            "episode_id": [f"E{one:04d}" for one in range(N)],
            "provider_id": [f"H{one % PROVIDERS:02d}" for one in range(N)],
            "observed_score": expected + rng.normal(0, 5, N),
            "expected_score": expected,
        }
    )


def write_run(
    folder: Path, learner="linear", noise=0.0, places=None, adjusted=None, study=None, shift=0.0,
    also=None,
) -> Path:  # fmt: skip
    """Write as much of a run folder as is compared, whole in itself."""
    folder.mkdir(parents=True)
    rows = truth().assign(learner=learner)
    rows["expected_score"] += noise * np.random.default_rng(2).normal(size=N)
    rows["observed_score"] += shift
    both = [rows] if also is None else [rows, rows.assign(learner=also)]
    write_parquet(pd.concat(both, ignore_index=True), folder / "expectations.parquet")
    places = places or [0] * PROVIDERS
    values = adjusted or [20.0 + one for one in range(PROVIDERS)]
    providers = pd.DataFrame(
        {
            "outcome": "ohs", "learner": learner, "n": 40,
            "provider_id": [f"H{one:02d}" for one in range(PROVIDERS)],
            "adjusted": values, "flag": [FLAG[one] for one in places], "suppression": "",
        }
    )  # fmt: skip
    hidden = providers.iloc[[0]].assign(
        provider_id="H99", adjusted=np.nan, flag="Insufficient records", suppression="all"
    )
    write_csv(pd.concat([providers, hidden]), folder / "providers.csv")
    flow = pd.DataFrame(
        [("ohs", "episodes", "read", 0, N)],
        columns=["outcome", "station", "reason", "left", "remaining"],
    )
    write_csv(flow, folder / "flow.csv")
    write_json({"ohs": {learner: {"n": N}}}, folder / "metrics.json")
    write_json(study or study_content(), folder / "study.json")
    digest = digest_of_json([folder.name])
    return seal(folder, {"data": [], "stages": [{"stage": "run", "digest": digest}]})


def seal(folder: Path, content: dict) -> Path:
    files = {name: digest_of_file(path) for name, path in files_in(folder).items()}
    write_json(sealed({**content, "files": files}), folder / MARK)
    return folder


def settle(folder: Path, run: Path, paid: list[int]) -> None:
    """Write as much of a settlement as is compared."""
    folder.mkdir()
    rows = [(f"H{one:02d}", SETTLED, f"{x}.00", x * 100) for one, x in enumerate(paid)]
    columns = ["provider_id", "status", "total", "total_minor"]
    write_csv(pd.DataFrame(rows, columns=columns), folder / "settlement.csv")
    digest = json.loads((run / MARK).read_text())["stages"][-1]["digest"]
    summary = {"run": digest, "currency": "GBP", "minor_digits": 2, "contract": {"name": "bpt"}}
    write_json(summary, folder / "settlement.json")
    seal(folder, {"settlement": digest_of_json([folder.name])})


def test_a_run_is_the_same_as_itself(tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    row = compare_runs([a, b]).rows[0]
    assert (row["r2_difference"], row["mae_difference"], row["slope_difference"]) == (0, 0, 0)
    assert (row["spearman"], row["kendall"]) == (1, 1)
    assert (row["flags_changed"], row["flags_compared"], row["episodes"]) == (0, PROVIDERS, N)
    assert row["flags_changed_lower95"] is row["flags_changed_upper95"] is None
    assert "R2 the same as that of ohs-linear" in compare_runs([a, b]).answer


def test_rows_of_either_run_without_a_counterpart_are_named(tmp_path):
    a, b = write_run(tmp_path / "a", also="tree"), write_run(tmp_path / "b", also="stack")
    found = compare_runs([a, b])
    assert [one["row"] for one in found.rows] == ["ohs-linear"]
    assert found.left_out == (
        "b, ohs-stack: a has nothing to hold it against",
        "a, ohs-tree: b has nothing to hold against it",
    )
    assert all(one in found.as_markdown() for one in found.left_out)


def test_an_outcome_of_one_run_with_no_other_learner_is_named(tmp_path):
    both = write_run(tmp_path / "a", also="tree")
    rows = pd.read_parquet(both / "expectations.parquet")
    alone = rows[rows["learner"] == "linear"].assign(outcome="vas")
    write_parquet(pd.concat([rows, alone], ignore_index=True), both / "expectations.parquet")
    content = json.loads((both / "study.json").read_text())
    second = content["outcomes"][0] | {"name": "vas", "instrument": "EQ_VAS"}
    write_json(content | {"outcomes": [*content["outcomes"], second]}, both / "study.json")
    mark = json.loads((both / MARK).read_text())
    (both / MARK).unlink()
    seal(both, {key: mark[key] for key in ("data", "stages")})
    found = compare_runs([both])
    assert [one["row"] for one in found.rows] == ["ohs-tree"]
    assert found.left_out == ("a, vas-linear: no other learner to hold against it",)


def test_a_column_has_one_number_of_decimals():
    rows = [("cost", {"mae_difference": 1377.4, "mae_difference_lower95": 1092.0,
                      "mae_difference_upper95": 1633.0}),
            ("cost", {"mae_difference": -87.1831, "mae_difference_lower95": -299.8784,
                      "mae_difference_upper95": 127.1978}),
            ("ohs", {"mae_difference": 0.5, "repeats": 3})]  # fmt: skip
    decimals = decimals_by(rows, ["mae_difference"])
    said = [told(row, "mae_difference", decimals[of, "mae_difference"]) for of, row in rows]
    assert said == ["1,377 (1,092 to 1,633)", "-87 (-300 to 127)", "0.5000"]
    assert told(rows[1][1], "mae_difference") == said[1]


def test_a_worse_expectation_is_told_from_a_better_one(tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", noise=3.0)
    row = compare_runs([a, b]).rows[0]
    rows = truth()
    rest = rows["observed_score"] - rows["expected_score"]
    noisy = rest - 3.0 * np.random.default_rng(2).normal(size=N)
    total = ((rows["observed_score"] - rows["observed_score"].mean()) ** 2).sum()
    assert row["r2_difference"] == pytest.approx(((rest**2).sum() - (noisy**2).sum()) / total)
    assert row["r2_difference_upper95"] < 0 < row["mae_difference_lower95"]
    assert "R2 below" in compare_runs([a, b]).answer


def test_intervals_hang_on_the_seed_alone(tmp_path):
    runs = [write_run(tmp_path / "a"), write_run(tmp_path / "b", noise=1.0)]
    assert compare_runs(runs, seed=4).rows == compare_runs(runs, seed=4).rows
    assert compare_runs(runs, seed=4).rows != compare_runs(runs, seed=5).rows


def test_flags_that_moved_are_counted_and_named_and_those_hidden_are_not(tmp_path):
    a = write_run(tmp_path / "a", places=[2, 1, 0, 0, 0, 0, 0, 0, -1, -2])
    b = write_run(tmp_path / "b", places=[1, 1, 0, 0, 0, 0, 0, 1, 1, -2])
    row = compare_runs([a, b]).rows[0]
    assert (row["flags_changed"], row["sides_changed"]) == (3, 2)
    assert row["flags_changed_lower95"] < 3 < row["flags_changed_upper95"] <= PROVIDERS
    assert 0 <= row["sides_changed_lower95"] < 2 < row["sides_changed_upper95"]
    ends = "({flags_changed_lower95} to {flags_changed_upper95})".format(**row)
    assert shown(row, "flags_changed") == f"3 of {PROVIDERS} {ends}"
    assert f"3 of {PROVIDERS} {ends}" in compare_runs([a, b]).as_markdown()
    assert {one["provider_id"] for one in row["changed"]} == {"H00", "H07", "H08"}
    assert {"from": FLAG[2], "to": FLAG[1], "providers": 1} in row["moves"]
    assert "H99" not in json.dumps(compare_runs([a, b]).as_json())


def test_providers_that_swap_places_lower_both_rank_correlations(tmp_path):
    order = [20.0 + one for one in (1, 0, *range(2, PROVIDERS))]
    runs = [write_run(tmp_path / "a"), write_run(tmp_path / "b", adjusted=order)]
    row = compare_runs(runs).rows[0]
    assert row["spearman"] == pytest.approx(1 - 6 * 2 / (PROVIDERS * (PROVIDERS**2 - 1)))
    assert row["kendall"] == pytest.approx(1 - 2 / 45)
    assert row["spearman_lower95"] <= row["spearman"] <= row["spearman_upper95"]
    assert row["largest_move"] == pytest.approx(1.0)


def test_another_target_has_no_difference_in_fit_and_says_why(tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", shift=2.0)
    found = compare_runs([a, b])
    assert found.rows[0]["r2_difference"] is None
    assert found.rows[0]["notes"] == [OTHER_TARGET]
    assert found.rows[0]["spearman"] == 1
    assert OTHER_TARGET in found.as_markdown()


def test_learners_of_two_runs_go_together_where_each_has_one(tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", learner="lightgbm")
    row = compare_runs([a, b]).rows[0]
    assert (row["row"], row["against"]) == ("ohs-lightgbm", "ohs-linear")


def test_money_that_moves_is_half_the_sum_of_differences(tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", noise=1.0)
    settle(tmp_path / "a-paid", a, [100] * PROVIDERS)
    settle(tmp_path / "b-paid", b, [130, 80, 90, *[100] * (PROVIDERS - 3)])
    paid = compare_runs([a, b]).money[0]
    money = paid.money
    assert (paid.run, money.moved, money.net, money.compared) == ("b", "30.00", "0.00", PROVIDERS)
    assert paid.gross == "60.00"
    assert "30.00 GBP change hands (0.00 to " in compare_runs([a, b]).as_markdown()


def test_the_interval_of_money_is_of_other_providers_like_these(tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", noise=1.0)
    more = [130, 80, 90, *[100] * (PROVIDERS - 3)]
    settle(tmp_path / "a-paid", a, [100] * PROVIDERS)
    settle(tmp_path / "b-paid", b, more)
    paid = compare_runs([a, b], seed=3).money[0]
    rng = np.random.default_rng(9)
    each = np.array(more) - 100
    drawn = each[rng.integers(PROVIDERS, size=(20_000, PROVIDERS))]
    for got, sums in ((paid.gross_ends, np.abs(drawn).sum(axis=1)), (paid.net_ends, drawn.sum(1))):
        assert [float(one) for one in got] == pytest.approx(
            np.quantile(sums, (0.025, 0.975)), abs=11
        )
    assert [2 * float(one) for one in paid.moved_ends] == [float(one) for one in paid.gross_ends]
    told = json.loads(json.dumps(compare_runs([a, b], seed=3).as_json()))["money"][0]
    assert (told["net_lower95"], told["net_upper95"]) == paid.net_ends
    assert told["sum_of_differences_upper95"] == paid.gross_ends[1]


def test_where_nobody_is_paid_otherwise_there_is_no_interval_and_that_is_said(tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", noise=1.0)
    for one in (a, b):
        settle(tmp_path / f"{one.name}-paid", one, [100] * PROVIDERS)
    found = compare_runs([a, b])
    assert found.money[0][-3:] == (None, None, None)
    assert "0.00 GBP change hands between 10 providers" in found.as_markdown()
    assert "drawing says nothing" in found.as_markdown()


@pytest.mark.parametrize(("changed", "n"), [(8, 234), (39, 234), (2, 34)])
def test_the_interval_of_a_count_is_that_of_a_binomial(changed, n):
    """Drawing providers of whom k of n changed gives binomial(n, k / n)."""
    (ends,) = drawn_sums(np.arange(n)[:, None] < changed, seed=1, replicates=20_000)
    known = stats.binom.ppf((0.025, 0.975), n, changed / n)
    assert np.abs(np.array(ends) - known).max() <= 1


def test_the_interval_does_not_hang_on_the_order_of_providers():
    values = np.random.default_rng(1).integers(-9, 9, (40, 2))
    assert drawn_sums(values, 5, 500) == drawn_sums(values[::-1], 5, 500)
    assert drawn_sums(values, 5, 500) != drawn_sums(values, 6, 500)


@pytest.mark.parametrize("values", [[[0]] * 9, [[1]] * 9, [[0], [1]], np.zeros((0, 1))])
def test_where_drawing_says_nothing_there_is_no_interval(values):
    assert drawn_sums(values, 1, 200) == (None,)


@pytest.mark.parametrize("name", ["told.md", "told.json"])
def test_all_of_it_is_written_where_asked(tmp_path, name):
    found = compare_runs([write_run(tmp_path / "a"), write_run(tmp_path / "b", noise=1.0)])
    write_comparison(found, tmp_path / name)
    assert "ohs-linear" in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    ("out", "error"), [("told.txt", ValuesError), ("none/told.md", OutputError)]
)
def test_a_place_that_cannot_be_written_is_refused(tmp_path, out, error):
    found = compare_runs([write_run(tmp_path / "a"), write_run(tmp_path / "b")])
    with pytest.raises(error):
        write_comparison(found, tmp_path / out)


def test_runs_that_cannot_be_compared_are_refused(tmp_path):
    a = write_run(tmp_path / "a")
    with pytest.raises(ValuesError, match="got none"):
        compare_runs([])
    with pytest.raises(ValuesError, match="got one only"):
        compare_runs([a])
    with pytest.raises(FileMissingError, match="wanted the folder of a finished run"):
        compare_runs([a, tmp_path / "nowhere"])


def test_a_changed_byte_of_the_episodes_is_refused(tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    path = b / "expectations.parquet"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(FileFormatError, match=r"expectations\.parquet"):
        compare_runs([a, b])


def test_episodes_without_their_columns_are_refused(tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    write_parquet(truth()[["episode_id"]], b / "expectations.parquet")
    content = json.loads((b / MARK).read_text())
    (b / MARK).unlink()
    seal(b, {key: content[key] for key in ("data", "stages")})
    with pytest.raises(ColumnError, match="observed_score"):
        compare_runs([a, b])
