"""What is different between two runs, and what of it is not told."""

import json
from pathlib import Path

import pandas as pd
import pytest
from worlds import study_content

from riskadj.audit import diff_runs
from riskadj.audit.diff import NOT_SHOWN, SMALL
from riskadj.audit.told import (
    as_json,
    as_markdown,
    models_in_words,
    settings_in_words,
    write_diff,
)
from riskadj.digest import digest_of_file, digest_of_json
from riskadj.errors import FileFormatError, FileMissingError, OutputError, ValuesError
from riskadj.report.folder import MARK, files_in, write_csv, write_json
from riskadj.report.provenance import sealed

COLUMNS = ["outcome", "learner", "provider_id", "n", "adjusted", "flag", "suppression"]
SHOWN = {
    "H01": ("40", "20.5", "Not an outlier", ""),
    "H02": ("50", "21.5", "Positive outlier (95%)", ""),
    "H03": ("60", "19.5", "Not an outlier", ""),
}
HIDDEN = ("", "", "Insufficient records", "all")
FLOW = [("ohs", "episodes", "read", 0, 600), ("ohs", "cohort", "under 18", 10, 590)]
METRICS = {"ohs": {"linear": {"n": 300, "r2": 0.25, "mae": 6.0}}}


def write_run(
    folder: Path, providers=SHOWN, study=None, flow=FLOW, metrics=METRICS, data="a", numpy="2.4.6"
) -> Path:
    """Write as much of a run folder as a comparison reads, whole in itself."""
    folder.mkdir(parents=True)
    rows = [("ohs", "linear", name, *cells) for name, cells in providers.items()]
    write_csv(pd.DataFrame(rows, columns=COLUMNS), folder / "providers.csv")
    names = ["outcome", "station", "reason", "left", "remaining"]
    write_csv(pd.DataFrame(flow, columns=names), folder / "flow.csv")
    write_json(metrics, folder / "metrics.json")
    write_json(study or study_content(), folder / "study.json")
    provenance = {
        "code": {"version": "0.1.0", "digest": "c" * 64},
        "data": [{"name": "episodes.csv", "digest": data * 64, "rows": 600}],
        "environment": {"python": "3.11.7", "packages": {"numpy": numpy}},
        "stages": [{"stage": "run", "digest": run_of(folder), "seconds": None}],
    }
    return seal(folder, provenance)


def run_of(folder: Path) -> str:
    return digest_of_json([one.read_text() for one in sorted(folder.iterdir())])


def seal(folder: Path, content: dict) -> Path:
    files = {name: digest_of_file(path) for name, path in files_in(folder).items()}
    write_json(sealed({**content, "files": files}), folder / MARK)
    return folder


def write_settlement(
    folder: Path, run: Path, paid: dict[str, tuple[str, int]], currency="GBP", contract="bpt"
) -> Path:
    folder.mkdir()
    rows = [(name, status, minor) for name, (status, minor) in paid.items()]
    totals = pd.DataFrame(rows, columns=["provider_id", "status", "total_minor"])
    write_csv(totals, folder / "settlement.csv")
    digest = json.loads((run / MARK).read_bytes())["stages"][-1]["digest"]
    summary = {
        "contract": {"name": contract}, "run": digest, "currency": currency, "minor_digits": 2,
    }  # fmt: skip
    write_json(summary, folder / "settlement.json")
    return seal(folder, {"settlement": "s"})


def changed(providers=SHOWN, **flags):
    """Return providers with other flags."""
    return {
        name: (*cells[:2], flags.get(name, cells[2]), cells[3]) for name, cells in providers.items()
    }


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "a")


def test_a_run_does_not_differ_from_itself(run):
    found = diff_runs(run, run)
    assert found.same_run
    assert found.answer.startswith("Both are the same run")
    assert all(table.empty for name, table in found.tables.items() if name != "counts")


def test_what_differs_is_found_in_each_table(run, tmp_path):
    other = write_run(
        tmp_path / "b",
        changed(H01="Negative outlier (95%)"),
        study_content(profile__minimum_n=20),
        [("ohs", "episodes", "read", 0, 500), FLOW[1]],
        {"ohs": {"linear": {"n": 300, "r2": 0.5, "mae": 6.0}}},
        data="b",
        numpy="2.5.0",
    )
    found = diff_runs(run, other)
    assert found.data.to_numpy().tolist() == [["episodes.csv", "a" * 12, "b" * 12, "600", "600"]]
    assert found.study.to_numpy().tolist() == [["profile.minimum_n", "30", "20"]]
    assert found.software.to_numpy().tolist() == [["numpy", "2.4.6", "2.5.0"]]
    assert found.models.to_numpy()[:, :6].tolist() == [["ohs", "linear", "r2", 0.25, 0.5, 0.25]]
    assert found.models[["a_n", "b_n"]].to_numpy().tolist() == [["300", "300"]]
    assert found.flow.to_numpy().tolist() == [["ohs", "episodes", "read", "600", "500"]]
    assert found.flags.to_numpy().tolist() == [
        ["ohs", "linear", "H01", "Not an outlier", "Negative outlier (95%)"]
    ]
    assert found.answer == (
        "Different: 1 data file, 1 setting, 1 version, 1 figure of models, 1 flag."
    )


def test_flags_are_counted_from_where_to_where(run, tmp_path):
    found = diff_runs(run, write_run(tmp_path / "b", changed(H02="Not an outlier")))
    counts = {(one.a, one.b): one.providers for one in found.counts.itertuples()}
    assert counts == {
        ("Not an outlier", "Not an outlier"): 2,
        ("Positive outlier (95%)", "Not an outlier"): 1,
    }


def test_a_learner_that_only_one_run_has_is_told_once(run, tmp_path):
    metrics = {"ohs": {**METRICS["ohs"], "lightgbm": {"n": 300, "r2": 0.3, "mae": 5.0}}}
    other = write_run(tmp_path / "b", metrics=metrics)
    for found, sides in (
        (diff_runs(run, other), ["no", "yes"]),
        (diff_runs(other, run), ["yes", "no"]),
    ):
        assert found.models.to_numpy()[:, :5].tolist() == [["ohs", "lightgbm", "fitted", *sides]]
        assert found.flags.empty


OTHER = {"name": "eq5d", "instrument": "EQ5D3L_UK_TTO", "kind": "gain", "threshold": None}


@pytest.fixture
def wider(tmp_path):
    """Return a run like the first, with one more outcome."""
    study = study_content()
    study["outcomes"] = [*study["outcomes"], OTHER]
    flow = [*FLOW, ("eq5d", "episodes", "read", 0, 600)]
    return write_run(
        tmp_path / "wider", study=study, flow=flow, metrics={**METRICS, "eq5d": METRICS["ohs"]}
    )


def test_an_outcome_that_only_one_run_has_is_one_line_and_nothing_of_it_is_compared(run, wider):
    for found in (diff_runs(run, wider), diff_runs(wider, run)):
        assert found.study["key"].tolist() == ["outcomes.eq5d"]
        assert settings_in_words(found) == [("outcomes.eq5d", "only in wider")]
        assert found.flow.empty
        assert found.models.empty
        assert found.flags.empty
        assert found.answer == "Different: 1 setting."
        assert found.not_compared.startswith(f"Not compared: eq5d (only in {wider}); money (")
    assert diff_runs(run, wider).only_b == diff_runs(wider, run).only_a == ("eq5d",)


def test_settings_are_told_by_what_came_and_went(run, tmp_path):
    columns = study_content()["casemix"]["columns"]
    other = study_content(profile__minimum_n=20, casemix__columns=[*columns[1:], "bmi_too"])
    told = dict(settings_in_words(diff_runs(run, write_run(tmp_path / "b", study=other))))
    assert told == {
        "casemix.columns": f"without {columns[0]}; with bmi_too",
        "profile.minimum_n": "30 \N{RIGHTWARDS ARROW} 20",
    }


FAIR = {"groups": ["sex"], "weight": 0.5, "price": {"steps": 3}}


@pytest.mark.parametrize("nothing", [None, {}, []])
def test_a_block_that_only_one_run_has_is_one_row_and_one_setting(nothing, run, tmp_path):
    without = {**study_content(), "fairness": {"fair": nothing, "audit": True}}
    a = write_run(tmp_path / "b", study=without)
    b = write_run(tmp_path / "c", study={**without, "fairness": {"fair": FAIR, "audit": True}})
    for found, sides in (
        (diff_runs(a, b), ["", "in the study"]),
        (diff_runs(b, a), ["in the study", ""]),
    ):
        assert found.study.to_numpy().tolist() == [["fairness.fair", *sides]]
        assert settings_in_words(found) == [("fairness.fair", "only in c")]
        assert found.answer == "Different: 1 setting."


def test_a_value_in_the_place_of_a_block_is_told_with_the_value(run, tmp_path):
    a = write_run(tmp_path / "b", study={**study_content(), "fairness": {"fair": 5}})
    b = write_run(tmp_path / "c", study={**study_content(), "fairness": {"fair": FAIR}})
    told = settings_in_words(diff_runs(a, b))
    assert told == [("fairness.fair", "5 \N{RIGHTWARDS ARROW} a block of settings")]


def test_what_arithmetic_leaves_is_no_difference(run, tmp_path):
    metrics = {"ohs": {"linear": {"n": 300, "r2": 0.25 + 1e-12, "mae": 6.0}}}
    assert diff_runs(run, write_run(tmp_path / "b", metrics=metrics)).models.empty


def test_a_figure_goes_with_its_interval_and_has_no_row_for_each_end(tmp_path):
    fits = [
        {"n": 300, "r2": at, "r2_lower95": at - 0.1, "r2_upper95": at + 0.1} for at in (0.3, 0.4)
    ]
    a, b = (
        write_run(tmp_path / name, metrics={"ohs": {"linear": one}})
        for name, one in zip("ab", fits, strict=True)
    )
    (row,) = models_in_words(diff_runs(a, b)).to_dict("records")
    assert (row["figure"], row["n"]) == ("R2", "300")
    assert row["a"] == "0.300 (0.200 to 0.400)"
    assert row["b"] == "0.400 (0.300 to 0.500)"


# What is not told ---------------------------------------------------------------------------------


def without(name, providers=SHOWN):
    return {key: cells for key, cells in providers.items() if key != name}


@pytest.mark.parametrize("first", [{**SHOWN, "H02": HIDDEN}, without("H02")])
def test_a_provider_hidden_in_one_run_is_told_apart_from_nobody(first, tmp_path):
    a, b = write_run(tmp_path / "a", first), write_run(tmp_path / "b")
    for found, side, other in ((diff_runs(a, b), "b", "a"), (diff_runs(b, a), "a", "b")):
        row = found.flags.set_index("provider_id").loc["H02"]
        assert (row[other], row[side]) == (NOT_SHOWN, "Positive outlier (95%)")
        assert "Insufficient records" not in as_markdown(found)


@pytest.mark.parametrize("second", [{**SHOWN, "H02": HIDDEN}, without("H02")])
def test_a_provider_hidden_in_one_run_and_absent_or_hidden_in_the_other_is_not_named(
    second, tmp_path
):
    a = write_run(tmp_path / "a", {**SHOWN, "H02": HIDDEN})
    b = write_run(tmp_path / "b", second)
    assert "H02" not in as_markdown(diff_runs(a, b))
    assert "H02" not in json.dumps(as_json(diff_runs(a, b)))


@pytest.mark.parametrize(("remaining", "told"), [(585, SMALL), (584, "584"), (595, SMALL)])
def test_how_few_more_were_left_out_is_not_told(remaining, told, run, tmp_path):
    flow = [FLOW[0], ("ohs", "cohort", "under 18", 600 - remaining, remaining)]
    found = diff_runs(run, write_run(tmp_path / "b", flow=flow))
    assert found.flow[["remaining_a", "remaining_b"]].to_numpy().tolist() == [["590", told]]


def test_how_few_more_are_behind_a_models_figures_is_not_told(run, tmp_path):
    metrics = {"ohs": {"linear": {"n": 299, "r2": 0.25, "mae": 6.0}}}
    found = diff_runs(run, write_run(tmp_path / "b", metrics=metrics))
    assert found.models.to_numpy()[:, :6].tolist() == [["ohs", "linear", "n", 300, SMALL, SMALL]]
    assert found.models[["a_n", "b_n"]].to_numpy().tolist() == [["300", SMALL]]
    assert "299" not in as_markdown(found)


# Money --------------------------------------------------------------------------------------------

PAID = {"H01": ("settled", 100_000), "H02": ("settled", 50_000), "H03": ("settled", 30_000)}


@pytest.fixture
def two(run, tmp_path):
    """Return two runs, H03 hidden in the second, with settlements beside them."""
    other = write_run(tmp_path / "b", {**SHOWN, "H03": HIDDEN})
    write_settlement(tmp_path / "a-paid", run, PAID)
    paid = {
        "H01": ("settled", 90_000), "H02": ("settled", 57_000),
        "H03": ("settled, outcome hidden", 12_345),
    }  # fmt: skip
    write_settlement(tmp_path / "b-paid", other, paid)
    return run, other


def test_money_is_told_by_provider_and_in_all_without_those_who_are_hidden(two, tmp_path):
    for found in (diff_runs(*two), diff_runs(*two, (tmp_path / "a-paid", tmp_path / "b-paid"))):
        money = found.money
        assert money is not None
        assert money.providers.to_numpy().tolist() == [
            ["H01", "1000.00", "900.00", "-100.00"], ["H02", "500.00", "570.00", "70.00"],
        ]  # fmt: skip
        assert (money.moved, money.net) == ("85.00", "-30.00")
        assert (money.compared, money.left_out) == (2, 1)
        told = as_markdown(found) + json.dumps(as_json(found))
        assert "123.45" not in told
        assert "300.00" not in told


def test_a_settlement_of_another_run_is_refused(two, tmp_path):
    with pytest.raises(FileFormatError, match="got that of another run"):
        diff_runs(*two, (tmp_path / "b-paid", tmp_path / "a-paid"))


def test_a_settlement_that_was_changed_is_refused(two, tmp_path):
    (tmp_path / "a-paid" / "settlement.csv").write_text("provider_id,status,total_minor\n")
    with pytest.raises(FileFormatError, match=r"settlement\.csv: wanted the file"):
        diff_runs(*two)


def test_a_run_is_no_settlement(two):
    with pytest.raises(FileFormatError, match="wanted the folder of a settlement"):
        diff_runs(*two, two)


def test_settlements_in_two_currencies_are_refused(two, run, tmp_path):
    write_settlement(tmp_path / "sek", run, PAID, "SEK")
    with pytest.raises(ValuesError, match="got SEK and GBP"):
        diff_runs(*two, (tmp_path / "sek", tmp_path / "b-paid"))


def test_which_of_several_contracts_has_to_be_said(two, tmp_path):
    for one, folder in zip(two, ("c", "d"), strict=True):
        write_settlement(tmp_path / folder, one, PAID, contract="cjr")
    with pytest.raises(ValuesError, match="got bpt, cjr"):
        diff_runs(*two)


# What comes out -----------------------------------------------------------------------------------


def test_markdown_takes_any_name_as_it_stands(run, tmp_path):
    odd = {**SHOWN, "H|<b>`x`": ("40", "20", "Not an outlier", "")}
    text = as_markdown(diff_runs(run, write_run(tmp_path / "b", odd)))
    assert r"H\|&lt;b>\`x\`" in text


@pytest.mark.parametrize("suffix", [".md", ".json"])
def test_it_is_written_as_the_name_says(suffix, run, tmp_path):
    write_diff(diff_runs(run, run), tmp_path / f"out{suffix}")
    text = (tmp_path / f"out{suffix}").read_text(encoding="utf-8")
    assert "Both are the same run" in (json.loads(text)["answer"] if suffix == ".json" else text)


@pytest.mark.parametrize("name", ["out.txt", "out", "nowhere/out.md"])
def test_where_it_cannot_be_written_is_said(name, run, tmp_path):
    with pytest.raises(OutputError, match="--out"):
        write_diff(diff_runs(run, run), tmp_path / name)


def test_a_folder_that_is_no_run_is_refused(run, tmp_path):
    with pytest.raises(FileMissingError, match="wanted the folder of a finished run"):
        diff_runs(run, tmp_path)


def test_a_run_that_was_changed_is_refused(run):
    (run / "metrics.json").write_text("{}")
    with pytest.raises(FileFormatError, match=r"metrics\.json: wanted the file as its run wrote"):
        diff_runs(run, run)


def test_the_command_shows_it_at_80_columns(run, tmp_path, monkeypatch, capsys):
    from riskadj.cli.diff import diff

    monkeypatch.setenv("COLUMNS", "80")
    other = write_run(tmp_path / "b", changed(H01="Negative outlier (99.8%)"), data="b")
    diff(run, other, None, tmp_path / "all.md")
    lines = capsys.readouterr().out.splitlines()
    assert max(len(one) for one in lines if "all of it" not in one) <= 80
    assert "Different: 1 data file, 1 flag." in lines
