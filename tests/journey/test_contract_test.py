"""riskadj contract, from contracts and a scenario to what they would do."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from riskadj.digest import digest_of_file

CONFIGS = Path(__file__).parents[2] / "configs"
SPINE = CONFIGS / "scenarios" / "spine_small.yaml"
STOCKHOLM, TEAM = (
    CONFIGS / "contracts" / f"{name}.yaml" for name in ("stockholm_spine", "us_team_spine")
)
SMALL = ("--set-scenario", "episodes_per_period=700", "--set-scenario", "providers.number=12",
         "--set-scenario", "claims.others=0", "--worlds", "2")  # fmt: skip
FILES = ["by_volume.csv", "differences.csv", "drift.csv", "figures/paid_right.svg",
         "figures/share_by_volume.svg", "operating.csv", "operating.json", "provenance.json",
         "providers.csv"]  # fmt: skip


def files_of(folder):
    return sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("trial") / "out"


@pytest.fixture
def tried(riskadj, out):
    """Run the command once, and return what it told; the folder is there for all tests."""
    if not out.exists():
        code, told, error = riskadj("contract", "test", STOCKHOLM, TEAM, "--scenario", SPINE,
                                    "--out", out, *SMALL)  # fmt: skip
        assert code == 0, error
        (out.parent / "told.txt").write_text(told, encoding="utf-8")
    return (out.parent / "told.txt").read_text(encoding="utf-8")


def test_the_command_says_what_is_misallocated_and_what_to_watch(tried, out):
    assert files_of(out) == FILES
    told = " ".join(tried.split())
    assert "Money misallocated against known truth, spine_small" in told
    assert "Nothing here says that payment improves outcomes. Watch who is treated instead" in told
    assert re.search(r"Case mix: in [012] of 2 worlds", told)
    assert "us_team_spine: USD of 2023 in the contract and SEK of 2023 in the world" in told
    assert "of its rules not confirmed in their source" in told
    assert re.search(r"In the same worlds as \w+ by linear, the best here: \w+ by linear: [\d.]+ "
                     r"percentage points more misallocated \(-?[\d.]+ to [\d.]+", told)  # fmt: skip
    assert re.search(
        r"\d+ of 24 provider-years wrongly paid, of which too few \d+; too few in", told
    )
    assert all(len(one) <= 80 for one in tried.splitlines() if str(out) not in one)


def test_every_payment_is_in_the_table_and_no_patient_is(tried, out):
    providers = pd.read_csv(out / "providers.csv")
    assert len(providers) == 2 * 2 * 12
    assert (providers["right"] * 100 - providers["right_minor"]).abs().max() < 1e-3
    summed = providers.groupby("contract")[["right_minor", "paid_minor"]].agg(
        lambda one: one.abs().sum() / 100
    )
    table = pd.read_csv(out / "operating.csv").set_index("contract")
    for name in ("right", "paid"):
        assert (summed[f"{name}_minor"] - table[name]).abs().max() < 0.01
    for name in FILES:
        text = (out / name).read_text(encoding="utf-8")
        assert not re.search(r"\b[EN]\d{7}\b", text), name


def test_figures_of_the_comparison_have_intervals_that_stay_where_they_can_be(tried, out):
    table = pd.read_csv(out / "operating.csv")
    for name in ("misallocated_share", "wrongly_paid", "wrongly_paid_too_few"):
        bounds = table[[f"{name}_lower95", name, f"{name}_upper95"]]
        assert bounds.dropna().apply(lambda row: row.is_monotonic_increasing, axis=1).all()
        assert bounds.stack().between(0, 1).all()
    assert (table["settled"] + table["too_few"] == table["provider_years"]).all()
    differences = pd.read_csv(out / "differences.csv").set_index("figure")
    row, shares = differences.loc["misallocated_share"], table["misallocated_share"]
    assert row["difference"] == pytest.approx(shares[1] - shares[0], rel=1e-6)
    bands = pd.read_csv(out / "by_volume.csv")
    few = bands["provider_years"] < 10
    assert bands.loc[few, "told"].eq("fewer than 10 provider-years").all()
    assert bands.loc[few, "misallocated_share"].isna().all()


def test_every_file_is_in_the_provenance(tried, out):
    listed = json.loads((out / "provenance.json").read_bytes())
    assert sorted([*listed["files"], "provenance.json"]) == files_of(out)
    for name, digest in listed["files"].items():
        assert digest_of_file(out / name) == digest
    summary = json.loads((out / "operating.json").read_bytes())
    assert summary["digest"] == listed["trial"]
    assert len(set(summary["seeds"])) == 2
    assert [one["name"] for one in summary["contracts"]] == ["stockholm_spine", "us_team_spine"]
    assert summary["settings"]["margin"] == 1.0


def test_figures_describe_themselves_and_keep_their_names(tried, out):
    for name in ("paid_right", "share_by_volume"):
        svg = (out / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert svg.count("aria-label=") == 1
        ids = re.findall(r'\bid="([^"]+)"', svg)
        assert ids == [] or all(one.startswith(name.replace("_", "-")) for one in ids)
    assert "us_team_spine by linear" in svg


def test_the_bytes_are_the_same_whatever_the_threads(riskadj, tmp_path):
    for name, threads in (("one", 1), ("two", 2)):
        with threadpool_limits(threads):
            code, _, error = riskadj(
                "contract", "test", TEAM, "--scenario", SPINE, "--out", tmp_path / name, *SMALL,
                "--learner", "linear", "--learner", "lightgbm", "--worlds", "1",
            )  # fmt: skip
        assert code == 0, error
    assert files_of(tmp_path / "one") == FILES
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_earlier_trial_is_replaced_and_nothing_else_is(riskadj, tried, tmp_path):
    other = tmp_path / "run"
    other.mkdir()
    (other / "provenance.json").write_text('{"files": {}}', encoding="utf-8")
    again = (*SMALL, "--worlds", "1")
    code, _, error = riskadj("contract", "test", TEAM, "--scenario", SPINE, "--out", other, *again)
    assert (code, files_of(other)) == (40, ["provenance.json"])
    assert "a folder of its own for the trial" in error
    for _ in range(2):
        mine = tmp_path / "mine"
        assert riskadj("contract", "test", TEAM, "--scenario", SPINE, "--out", mine, *again)[0] == 0
    assert files_of(mine) == FILES


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--worlds", "0"), 10, "worlds"),
        (("--fair", "1"), 10, "target_share"),
        (("--margin", "-1"), 10, "margin"),
        (("--learner", "reference"), 12, "got 'reference'"),
        (("--set", "outcomes=[ohs]", "--set", "steps.1.measures.0.outcome=ohs"), 12, "got 'ohs'"),
        (("--set-scenario", "claims=null"), 10, "--study"),
        (("--study", "none.yaml"), 20, "none.yaml"),
    ],
)
def test_what_is_refused_leaves_nothing(riskadj, tmp_path, arguments, code, told):
    out = tmp_path / "out"
    left, _, error = riskadj(
        "contract", "test", TEAM, "--scenario", SPINE, "--out", out, *SMALL, *arguments
    )
    assert (left, out.exists()) == (code, False)
    assert told in error
    assert error.strip().count("\n") == 0


def test_a_study_gives_what_a_scenario_without_claims_lacks(riskadj, tmp_path):
    scenario = CONFIGS / "scenarios" / "norway_lumbar.yaml"
    study = CONFIGS / "studies" / "norway_lumbar.yaml"
    code, told, error = riskadj(
        "contract", "test", CONFIGS / "contracts" / "norway_spine.yaml", "--scenario", scenario,
        "--study", study, "--out", tmp_path / "out", "--worlds", "1",
        "--set-scenario", "episodes_per_period=900",
    )  # fmt: skip
    assert code == 0, error
    assert "norway_spine" in told


def test_a_penalty_on_readmission_ratios_is_tried_on_the_true_ones(riskadj, tmp_path):
    code, told, error = riskadj(
        "contract", "test", CONFIGS / "contracts" / "us_hrrp.yaml", "--scenario",
        CONFIGS / "scenarios" / "us_tha.yaml", "--out", tmp_path / "out", "--worlds", "2",
        "--set-scenario", "episodes_per_period=2000", "--set-scenario", "claims.others=0",
    )  # fmt: skip
    assert code == 0, error
    assert "us_hrrp" in told
    paid = pd.read_csv(tmp_path / "out" / "providers.csv")
    for name in ("right_minor", "paid_minor"):
        assert (paid[name] <= 0).all()
        assert (paid[name] < 0).any()
    assert (paid["right_minor"] != paid["paid_minor"]).any()


def test_the_schema_is_that_of_a_contract(riskadj):
    code, told, _ = riskadj("contract", "schema")
    assert code == 0
    assert {"steps", "budget", "too_few"} <= set(json.loads(told)["properties"])


def test_what_a_programme_publishes_is_counted_and_judged_as_in_life(riskadj, tmp_path):
    """England: operations from the participation file, criteria from the registry's table."""
    code, told, error = riskadj(
        "contract", "test", CONFIGS / "contracts" / "england_bpt_hip.yaml",
        "--scenario", CONFIGS / "scenarios" / "england_hip.yaml",
        "--study", CONFIGS / "studies" / "england_hip.yaml", "--learner", "linear",
        "--out", tmp_path / "out", "--worlds", "1", "--set-scenario", "episodes_per_period=2500",
    )  # fmt: skip
    assert code == 0, error
    assert "not known in these worlds" not in " ".join(told.split())
    paid = pd.read_csv(tmp_path / "out" / "providers.csv")
    settled = paid[paid["status"] == "settled"]
    passed = settled["gates_paid"] == "best_practice passed"
    assert 0 < passed.sum() < len(settled)
    assert (settled["paid_minor"] == 55_000 * settled["volume"] * passed).all()
    assert paid["volume"].sum() > 2500  # more were operated on than were asked
