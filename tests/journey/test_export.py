"""Norway's studies from episodes to the portal's file, and every way in which that is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskadj.digest import digest_of_file
from riskadj.episodes import COLUMNS
from riskadj.errors import OutputError, RiskadjError, StudyError, ValuesError
from riskadj.pipeline import run_study
from riskadj.report.portal.export import export_skde
from riskadj.report.portal.skde import COLUMNS as SIX
from riskadj.report.portal.skde import TYPES, Indicator, is_organisation_number
from riskadj.study import load_study
from riskadj.study.report import SkdeRules

pytestmark = pytest.mark.usefixtures("undrawn")

STUDIES = Path(__file__).parents[2] / "configs" / "studies"
NUMBERS = [one for one in range(974_000_000, 974_001_000) if is_organisation_number(one)]
HOSPITALS = {f"{one:02d}": NUMBERS[one] for one in range(12)}
NORWAY = {  # indicator, score, amount of improvement and what it has to reach, as the registry says
    "norway_cervical": ("nakke_ndiendr12mnd35pst", "ndi", lambda a, b: 100 * (a - b) / a, 35),
    "norway_disc": ("nkr_rygg_odi20p12mnd_prolaps", "odi", lambda a, b: a - b, 20),
    "norway_stenosis": (
        "nkr_rygg_odi30pst12mnd_stenose",
        "odi",
        lambda a, b: 100 * (a - b) / a,
        30,
    ),
}
SCORES = {"ndi": (45.0, 100), "odi": (42.0, 100), "nrs_arm": (6.5, 10), "nrs_leg": (6.0, 10)}
FAST = ("tracking.uri=off", "learners=[{kind: linear}]", "fairness.drift=false")


def episodes(group: str, seed: int = 1) -> pd.DataFrame:
    """Return operations at 12 hospitals in two years, one hospital small, some unanswered."""
    rng = np.random.default_rng(seed)
    volumes = [60] * 10 + [24, 15]
    hospital = np.tile(np.repeat(list(HOSPITALS), volumes), 2)
    n = len(hospital)
    frame = pd.DataFrame(
        {
            "episode_id": [f"E{one}" for one in range(n)],
            "provider_id": hospital,
            "procedure_group": np.where(rng.random(n) < 0.03, "OTHER", group),
            "index_date": [f"{year}-05-17" for year in np.repeat([2022, 2023], n // 2)],
            "elective": (rng.random(n) < 0.97).astype(int),
            "age_years": rng.integers(20, 85, n),
            "sex": rng.choice(["male", "female"], n),
            "bmi": rng.normal(27, 4, n).clip(17, 45).round(1),
            "smoker": rng.integers(0, 2, n),
            "asa": rng.integers(1, 4, n),
            "education": rng.choice(["school", "college"], n),
            "symptom_period": rng.integers(1, 5, n),
            "previous_surgery": (rng.random(n) < 0.03).astype(int),
            "comorb_depression": rng.integers(0, 2, n),
        }
    )
    skill = rng.normal(0, 0.1, len(HOSPITALS))[hospital.astype(int)]
    for name, (mean, most) in SCORES.items():
        before = rng.normal(mean, most / 6, n).clip(0, most).round()
        left = (0.5 - skill + 0.1 * frame["smoker"] + rng.normal(0, 0.3, n)).clip(0, 1.5)
        after = pd.Series((before * left).clip(0, most).round())
        frame[f"q1_score_{name}"] = np.where(rng.random(n) < 0.01, 0, before)
        frame[f"q2_score_{name}"] = after.mask(pd.Series(rng.random(n) < 0.02))
    return frame


def study_of(name: str, folder: Path, *overrides: str):
    group = load_study(STUDIES / f"{name}.yaml").cohort.procedure_group
    episodes(group).to_csv(folder / "episodes.csv", index=False)
    paths = f"data.paths=[{folder / 'episodes.csv'}]"
    return load_study(STUDIES / f"{name}.yaml", [paths, *FAST, *overrides])


def ran(folder: Path, name: str, *overrides: str) -> Path:
    """Return the run folder of a study."""
    run_study(study_of(name, folder, *overrides), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the run folder of each of the three studies, its episodes beside it."""
    return {name: ran(tmp_path_factory.mktemp(name), name) for name in NORWAY}


@pytest.fixture
def disc(runs, tmp_path):
    return Path(shutil.copytree(runs["norway_disc"], tmp_path / "run"))


@pytest.fixture
def organisations(tmp_path):
    return written(tmp_path, HOSPITALS.items())


def written(folder: Path, pairs, header="provider_id,orgnr") -> Path:
    path = folder / "organisations.csv"
    rows = [f"{provider},{number}" for provider, number in pairs]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def edit(run: Path, name: str, change) -> None:
    """Change a file of a run and its digest, as if the run had written it so."""
    path = run / name
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    mark = json.loads((run / "provenance.json").read_text(encoding="utf-8"))
    mark["files"][name] = digest_of_file(path)
    (run / "provenance.json").write_text(json.dumps(mark), encoding="utf-8")


def edit_skde(run: Path, **changes) -> None:
    def change(text: str) -> str:
        content = json.loads(text)
        content["export"]["skde"] |= changes
        return json.dumps(content)

    edit(run, "study.json", change)


def counted(run: Path, name: str) -> pd.DataFrame:
    """Return the portal's rows counted straight from the episodes, by the registry's rule."""
    table = pd.read_csv(run.parent / "episodes.csv", dtype={"provider_id": str})
    table = table[table["procedure_group"] != "OTHER"]
    table = table[table["index_date"].str.startswith("2023")]
    if name != "norway_cervical":
        table = table[(table["elective"] == 1) & (table["previous_surgery"] == 0)]
    indicator, measure, amount, least = NORWAY[name]
    improved = amount(table[f"q1_score_{measure}"], table[f"q2_score_{measure}"])
    table = table[np.isfinite(improved)].assign(good=improved >= least)
    by = table.groupby("provider_id")["good"].agg(["sum", "size"]).query("size >= 20")
    rows = [
        ("caregiver", 2024, HOSPITALS[provider], indicator, good, all_of_them)
        for provider, good, all_of_them in by.itertuples()
    ]
    return pd.DataFrame(rows, columns=list(SIX))


@pytest.mark.parametrize("name", NORWAY)
def test_each_study_runs_and_its_file_holds_what_counting_the_episodes_gives(
    name, runs, organisations, riskadj, tmp_path
):
    out = tmp_path / "skde.csv"
    code, printed, err = riskadj(
        "export", runs[name], "--format", "skde", "--out", out, "--organisations", organisations
    )
    assert (code, err) == (0, "")
    pd.testing.assert_frame_equal(
        pd.read_csv(out), counted(runs[name], name), check_dtype=False, check_column_type=False
    )
    indicator = NORWAY[name][0]
    assert f"wrote {out}: 2023, as 2024" in printed
    assert f"{indicator}: 11 rows, 1 unit left out (under 20 episodes" in printed
    assert "Komma for columns and Punktum for decimals" in printed
    assert "only the portal knows which organisations and indicators it takes" in printed
    assert not any(word in printed for word in ("warning", "added together"))


@pytest.mark.parametrize("name", NORWAY)
def test_every_outcome_is_compared_between_hospitals(name, runs):
    table = pd.read_csv(runs[name] / "providers.csv", dtype={"provider_id": str})
    study = load_study(STUDIES / f"{name}.yaml")
    assert set(table["outcome"]) == {one.name for one in study.outcomes}
    for _, rows in table.groupby(["outcome", "learner"]):
        assert rows["adjusted"].notna().sum() == 11
        assert rows["observed"].dropna().between(0, 1).all()


def test_the_observed_share_is_that_of_every_learner(runs):
    for run in runs.values():
        table = pd.read_csv(run / "providers.csv")
        shares = table.groupby(["outcome", "provider_id"])[["observed", "n"]].nunique(dropna=False)
        assert (shares == 1).all(axis=None)


def test_only_the_run_folder_is_read(disc, organisations, tmp_path):
    for one in disc.iterdir():
        if one.name not in ("study.json", "providers.csv", "provenance.json"):
            shutil.rmtree(one) if one.is_dir() else one.unlink()
    made = export_skde(disc, tmp_path / "skde.csv", organisations)
    assert sum(made.rows.values()) == 11


def test_numbers_can_be_in_the_study_and_those_of_the_file_go_first(disc, tmp_path):
    edit_skde(disc, organisations=HOSPITALS)
    other = written(tmp_path, [("00", 999_999_999), ("11", "")])
    export_skde(disc, tmp_path / "skde.csv", other)
    got = set(pd.read_csv(tmp_path / "skde.csv")["orgnr"])
    assert got == {*list(HOSPITALS.values())[1:11], 999_999_999}


def test_hidden_providers_are_left_out_and_counted(disc, organisations, tmp_path):
    def hide(text: str) -> str:
        table = pd.read_csv(pd.io.common.StringIO(text), dtype=str, keep_default_na=False)
        table.loc[table["provider_id"].isin(["03", "04"]), ["n", "observed"]] = ""
        return table.to_csv(index=False)

    edit(disc, "providers.csv", hide)
    made = export_skde(disc, tmp_path / "skde.csv", organisations)
    assert list(made.rows.values()) == [9]
    assert list(made.left_out.values()) == [3]


@pytest.mark.parametrize(
    ("changes", "given", "year"),
    [
        ({}, None, 2024),
        ({}, 2025, 2025),
        ({"year": 2025}, None, 2025),
        ({"year": 2025}, 2023, 2023),
        ({"years": {}}, None, 2023),
    ],
)
def test_the_year_is_the_callers_or_the_studys_or_the_periods(
    changes, given, year, disc, organisations, tmp_path
):
    edit_skde(disc, **changes)
    assert export_skde(disc, tmp_path / "skde.csv", organisations, given).year == year
    assert set(pd.read_csv(tmp_path / "skde.csv")["year"]) == {year}


@pytest.mark.parametrize("given", [1999, 2022, 2031, 9999])
@pytest.mark.parametrize("said", ["--year", "export.skde.year", "export.skde.years"])
def test_a_year_before_the_period_or_still_to_come_is_refused(
    said, given, disc, organisations, tmp_path, monkeypatch
):
    monkeypatch.setattr("riskadj.report.portal.export._this_year", lambda: 2030)
    key = said.removeprefix("export.skde.")
    if said != "--year":
        edit_skde(disc, **{key: {"2023": given} if key == "years" else given})
    with pytest.raises(StudyError, match=rf"{said}: wanted a year from 2023, .*got {given}\."):
        export_skde(disc, tmp_path / "skde.csv", organisations, given if said == "--year" else None)
    assert not (tmp_path / "skde.csv").exists()


def test_the_year_of_the_period_and_this_one_are_taken(disc, organisations, tmp_path, monkeypatch):
    monkeypatch.setattr("riskadj.report.portal.export._this_year", lambda: 2030)
    for year in (2023, 2030):
        assert export_skde(disc, tmp_path / "skde.csv", organisations, year).year == year


def test_providers_of_one_organisation_are_one_unit_and_the_message_says_so(
    disc, riskadj, tmp_path
):
    file = written(tmp_path, (HOSPITALS | {"11": HOSPITALS["10"]}).items())
    out = tmp_path / "skde.csv"
    code, printed, _ = riskadj(
        "export", disc, "--format", "skde", "--out", out, "--organisations", file
    )
    assert code == 0
    assert f"10 and 11 added together as {HOSPITALS['10']}: one organisation number" in printed
    assert "11 rows, 0 units left out" in printed
    table = pd.read_csv(disc / "providers.csv", dtype={"provider_id": str})
    both = table.query("outcome == 'odi_success' and learner == 'linear'").set_index("provider_id")
    row = pd.read_csv(out).set_index("orgnr").loc[HOSPITALS["10"]]
    assert row["denominator"] == both.loc[["10", "11"], "n"].sum()
    assert both.loc["11", "n"] < 20 <= row["denominator"]


@pytest.mark.parametrize(
    ("pairs", "warned"),
    [
        ([("P999", NUMBERS[20])], "got P999, not compared there."),
        ([("012", NUMBERS[20])], "got 012, not compared there."),
        ([("00", 123456789)], "the last one their check digit; got 123456789 (00)."),
        ([("00", 12), ("01", 13)], "got 12 (00), 13 (01)."),
    ],
)
def test_what_the_portal_may_take_but_looks_like_a_slip_is_a_warning(
    pairs, warned, disc, riskadj, tmp_path
):
    file = written(tmp_path, (HOSPITALS | dict(pairs)).items())
    out = tmp_path / "skde.csv"
    code, printed, err = riskadj(
        "export", disc, "--format", "skde", "--out", out, "--organisations", file
    )
    assert (code, err) == (0, "")
    (line,) = (one for one in printed.splitlines() if one.startswith("warning: "))
    assert warned in line
    assert len(pd.read_csv(out)) == 11


@pytest.fixture(scope="module")
def two_years(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    both = ('split.train=["2022", "2023"]', 'split.test=["2022", "2023"]', "split.folds=3")
    years = ('export.skde.years={"2022": 2024, "2023": 2024}', "learners=[{kind: linear}]")
    return ran(folder, "norway_disc", *both, *years)


def test_two_years_are_one_when_the_study_says_so(two_years, organisations, tmp_path):
    made = export_skde(two_years, tmp_path / "skde.csv", organisations)
    assert "2022, 2023 together, as 2024" in made.told()[0]
    assert pd.read_csv(tmp_path / "skde.csv")["denominator"].max() > 60


def test_two_years_without_one_year_are_refused(two_years, organisations, tmp_path):
    run = Path(shutil.copytree(two_years, tmp_path / "run"))
    edit_skde(run, years={})
    with pytest.raises(StudyError, match=r"got 2022, 2023\. Say which with --year"):
        export_skde(run, tmp_path / "skde.csv", organisations)
    edit_skde(run, years={"2022": 2024, "2023": 2024}, year=None)
    assert export_skde(run, tmp_path / "skde.csv", organisations).year == 2024


# Refusals ----------------------------------------------------------------------------------------


def without_block(run: Path) -> None:
    edit(run, "study.json", lambda text: json.dumps(json.loads(text) | {"export": {}}))


def as_gain(run: Path) -> None:
    """Make the exported outcome one that is no share."""

    def change(text: str) -> str:
        content = json.loads(text)
        content["outcomes"][0] |= {"kind": "gain", "threshold": None}
        return json.dumps(content)

    edit(run, "study.json", change)


def no_share(run: Path) -> None:
    def change(text: str) -> str:
        table = pd.read_csv(pd.io.common.StringIO(text), dtype=str, keep_default_na=False)
        table.loc[table["provider_id"] == "05", "observed"] = "0.123456"
        return table.to_csv(index=False)

    edit(run, "providers.csv", change)


REFUSED = [
    (without_block, 10, "a block export.skde"),
    (as_gain, 10, "outcomes of kind responder (odi_failure, odi_poor_state); got odi_success"),
    (lambda run: edit_skde(run, indicators={"odi_succes": "x"}), 10, "got odi_succes"),
    (
        lambda run: edit_skde(run, indicators={"odi_success": "x", "odi_failure": "x"}),
        10,
        "an indicator each",
    ),
    (lambda run: edit_skde(run, indicators={"odi_success": " "}), 10, "the portal's name"),
    (lambda run: edit_skde(run, context="carer"), 10, "'caregiver' or 'resident'"),
    (lambda run: edit_skde(run, type="median"), 10, "'andel'"),
    (lambda run: edit_skde(run, years={"2023": 23}), 10, "a year for the period 2023; got 23"),
    (lambda run: edit_skde(run, year=-1), 10, "export.skde.year: wanted a year from 2023"),
    (
        lambda run: edit_skde(run, organisations={"A": -5}),
        23,
        "export.skde.organisations: wanted organisation numbers; got -5 for A. Correct the study",
    ),
    (lambda run: edit_skde(run, minimum=5000), 30, "5000 episodes or more"),
    (no_share, 23, "wanted shares of n episodes"),
    (lambda run: (run / "providers.csv").unlink(), 20, "a folder without providers.csv"),
    (lambda run: (run / "provenance.json").write_text("{"), 21, "wanted JSON"),
    (lambda run: (run / "provenance.json").write_text("[]"), 21, "as its run wrote it"),
    (
        lambda run: (run / "providers.csv").write_text("outcome\nx\n"),
        21,
        "providers.csv: wanted the file as its run wrote it",
    ),
]


@pytest.mark.parametrize(("spoil", "code", "says"), REFUSED, ids=[one[2] for one in REFUSED])
def test_what_makes_no_file_is_refused_in_one_line(
    spoil, code, says, disc, organisations, riskadj, tmp_path
):
    spoil(disc)
    out = tmp_path / "skde.csv"
    left, printed, err = riskadj(
        "export", disc, "--format", "skde", "--out", out, "--organisations", organisations
    )
    assert (left, printed) == (code, "")
    assert says in err
    assert err.count("\n") == 1
    assert not out.exists()


ORGANISATIONS = [
    (lambda pairs: pairs[3:], 23, "none for 3, such as 00, 01, 02"),
    (lambda pairs: [*pairs, ("00", "1")], 23, "several for 00"),
    (lambda pairs: [("00", "Oslo"), *pairs[1:]], 23, "got 'Oslo' in row 1. Correct it there."),
    (lambda pairs: [("00", "0"), *pairs[1:]], 23, "got '0' in row 1."),
    (lambda pairs: [("00", "1" * 19), *pairs[1:]], 23, "'1111111111111111111' in row 1."),
    (
        lambda pairs: [*pairs[:4], ("04", "97458 9052"), ("", ""), ("05", "-5"), *pairs[6:]],
        23,
        "organisations.csv: orgnr: wanted organisation numbers, digits alone; got '97458 9052' in "
        "row 5, '-5' in row 7. Correct them there.",
    ),
]


@pytest.mark.parametrize(("spoil", "code", "says"), ORGANISATIONS)
def test_organisations_that_do_not_fit_are_refused(spoil, code, says, disc, riskadj, tmp_path):
    file = written(tmp_path, spoil(list(HOSPITALS.items())))
    out = tmp_path / "skde.csv"
    left, _, err = riskadj(
        "export", disc, "--format", "skde", "--out", out, "--organisations", file
    )
    assert left == code
    assert says in err
    assert "skde.csv" not in err
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [("provider_id;orgnr\n00;1\n", "with commas between; got provider_id;orgnr"), (None, "none")],
)
def test_a_file_of_organisations_that_is_none_is_refused(content, says, disc, tmp_path):
    file = tmp_path / "numbers.csv"
    if content:
        file.write_text(content)
    with pytest.raises(RiskadjError, match=says):
        export_skde(disc, tmp_path / "skde.csv", file)


def test_an_earlier_file_survives_a_refusal(disc, tmp_path):
    out = tmp_path / "skde.csv"
    out.write_text("earlier")
    with pytest.raises(ValuesError, match="in the FILE of --organisations, or in the study"):
        export_skde(disc, out)
    assert out.read_text() == "earlier"


@pytest.mark.parametrize("name", ["run/providers.csv", "run/skde.csv", "organisations.csv"])
def test_nothing_that_is_read_is_written_over(name, disc, organisations, tmp_path):
    before = {one: digest_of_file(one) for one in tmp_path.rglob("*") if one.is_file()}
    with pytest.raises(OutputError, match="Choose another --out"):
        export_skde(disc, tmp_path / name, organisations)
    assert before == {one: digest_of_file(one) for one in tmp_path.rglob("*") if one.is_file()}


def test_a_study_that_would_export_no_share_is_refused_before_it_runs(tmp_path):
    with pytest.raises(StudyError, match="outcomes of kind responder"):
        study_of("norway_disc", tmp_path, "export.skde.indicators={odi: x}")


def test_a_study_knows_every_type_of_the_portal_that_is_a_share():
    shares = [name for name, one in TYPES.items() if one.share]
    assert sorted(SkdeRules.model_fields["type"].annotation.__args__) == sorted(shares)
    for name in shares:
        assert Indicator("x", SkdeRules(indicators={"a": "x"}, type=name).type).type == name


@pytest.mark.parametrize("arguments", [(), ("--format", "csv"), ("--format", "skde")])
def test_a_format_and_a_file_have_to_be_said(arguments, riskadj, tmp_path):
    out = () if arguments[1:] == ("skde",) else ("--out", tmp_path / "x.csv")
    code, _, err = riskadj("export", tmp_path, *arguments, *out)
    assert code == 2
    assert "Usage" in err


def test_its_help_fits_a_terminal(riskadj, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, printed, _ = riskadj("export", "--help")
    assert code == 0
    assert max(map(len, printed.splitlines())) <= 80
    assert "skde" in printed


@pytest.mark.parametrize("name", NORWAY)
def test_each_study_adjusts_for_canonical_columns_only(name):
    patterns = load_study(STUDIES / f"{name}.yaml").casemix.columns
    assert all(one in COLUMNS or one.endswith("*") for one in patterns)
