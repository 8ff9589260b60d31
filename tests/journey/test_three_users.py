"""A payer, a researcher and an auditor, each from question to answer by the command line alone.

Twice: on a small simulated world, and slowly on NHS England's hips, which are skipped where they
are not there.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from riskadj.cli import main
from riskadj.digest import digest_of_file
from riskadj.report.disclosure import SUPPRESSED
from riskadj.report.folder import MARK, files_in, write_json
from riskadj.report.provenance import run_digest, sealed
from riskadj.study.report import CardText

CONFIGS = Path(__file__).parents[2] / "configs"
DATA = CONFIGS.parents[1] / "shared" / "data" / "nhs_proms"
CONTRACT = CONFIGS / "contracts" / "england_bpt_hip.yaml"
SMALL = [
    "episodes_per_period=1600", "providers.number=8", "providers.volume_spread=0.3",
    "providers.effect_sd=4",
]  # fmt: skip
"""Hospitals of about 200 patients a year that differ by much."""
FEW, HIDDEN = 3, "P0XX"
"""How many patients the hospital has that nothing may be told of."""
LIGHT = [
    "outcomes=[{name: ohs, instrument: OHS, kind: gain}]",
    "learners=[{kind: linear}]",
    "profile.sensitivity={methods: [nhs_england], limits: [nominal, additive]}",
    "profile.replicates=0",
    "report.subgroups=[sex]",
    "fairness.drift=false",
    "tracking.uri=off",
]
PRICED = ["fairness.gaming=true", "fairness.price={currency: GBP, per_unit: {ohs: 20}}"]
WRITTEN = [
    f"card.{name}={'a person wrote this' if isinstance(one.default, str) else '[a person]'}"
    for name, one in CardText.model_fields.items()
]
NO_BASELINE = 'casemix.columns=[sex, age_band_10y, living_arrangements, "comorb_*"]'
WITH_BASELINE = 'casemix.columns=[sex, age_band_10y, living_arrangements, "comorb_*", q1_score_ohs]'
"""The researcher's one choice."""
SEED, REPLICATES = 5, 100
real = (
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public NHS files are not here"),
)


def setting(*changes):
    return [one for change in changes for one in ("--set", change)]


def command(*arguments):
    """Run a command that has to succeed, where no output is looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["riskadj", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
    assert not left.value.code


def small_world(home):
    """Return the shipped study of England's hips beside a small world with a tiny hospital."""
    shutil.copytree(CONFIGS / "studies", home / "configs" / "studies")
    world = home / "worlds" / "england_hip"
    command("simulate", CONFIGS / "scenarios/england_hip.yaml", "--out", world, *setting(*SMALL))
    table = pd.read_parquet(world / "episodes.parquet")
    late = table.index[(table["period"] == "2022/23") & table["q2_score_ohs"].notna()]
    table.loc[late[:FEW], "provider_id"] = HIDDEN
    table.to_parquet(world / "episodes.parquet")
    study = home / "configs" / "studies" / "england_hip.yaml"
    return SimpleNamespace(study=study, data=world, light=LIGHT)


def real_world(_):
    """Return NHS England's hips; more is hidden than the publisher hides, so that somebody is."""
    light = [*LIGHT, "profile.suppress_below=10"]
    return SimpleNamespace(study=CONFIGS / "studies" / "nhs_hip.yaml", data=DATA, light=light)


@pytest.fixture(
    scope="module",
    params=[pytest.param(small_world, id="small"), pytest.param(real_world, id="real", marks=real)],
)
def hips(request, tmp_path_factory):
    """Return a study, its data, and the run of it that payer, researcher and auditor begin with."""
    home = tmp_path_factory.mktemp("hips")
    found = request.param(home)
    found.home, found.run = home, home / "runs" / "hips"
    found.settings = [*found.light, WITH_BASELINE, *PRICED, *WRITTEN]
    command("run", found.study, "--out", found.run, *setting(*found.settings))
    found.providers = providers_of(found.run)
    return found


def providers_of(run):
    table = pd.read_csv(run / "providers.csv", dtype={"provider_id": "str"})
    return table.set_index("provider_id").sort_index()


def hidden_in(providers):
    return providers.index[providers["suppression"] == SUPPRESSED][0]


def flagged_in(providers):
    """Return who is furthest below the others."""
    return providers["z"].idxmin()


def words_of(text):
    return " ".join(text.split())


# --- the payer ------------------------------------------------------------------------------------


def test_a_payer_finds_who_differs_asks_why_and_settles(hips, riskadj, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    providers, run = hips.providers, hips.run

    # Who differs, and how sure is that?
    judged = providers[providers["z"].notna()]
    worst, outside = flagged_in(providers), judged["z"].abs() > norm.ppf(0.999)
    assert judged.at[worst, "flag"] == "Negative outlier (99.8%)"
    assert (judged["flag"].str.contains("99.8") == outside).all()
    assert 0 < outside.sum() < len(judged)
    assert (judged["ci_lower95"] < judged["adjusted"]).all()
    assert (judged["adjusted"] < judged["ci_upper95"]).all()
    assert judged.at[worst, "ci_upper95"] < judged.at[worst, "centre"]
    assert judged["flag_share"].between(0, 1).all()

    # Why is it flagged?
    told = explained(riskadj, run, worst)
    assert "Negative outlier (99.8%)" in told
    assert f"{int(providers.at[worst, 'n']):,} episodes" in told
    assert "What would change it" in told

    # What hangs on what is recorded, in money
    money = pd.read_csv(run / "gaming.csv")
    assert set(money["currency"]) == {"GBP"}
    np.testing.assert_allclose(money["money"], 20 * money["worth"] * money["n"], rtol=1e-6)
    assert "Money, GBP" in (run / "card.md").read_text(encoding="utf-8")

    # Who is paid what?
    out = tmp_path / "settled"
    code, told, err = riskadj("settle", CONTRACT, run, "--out", out, *setting("learner=linear"))
    assert (code, "FAILS" in told) == (0, False), err
    totals = sums_of_a_settlement(out)
    gates = json.loads((out / "settlement.json").read_text(encoding="utf-8"))
    assert gates
    assert totals.at[worst, "total_minor"] == 0
    assert (totals["total_minor"] % 55_000 == 0).all()
    assert totals["total_minor"].sum() > 0
    assert pd.isna(totals.at[hidden_in(providers), "with_ohs"])

    # The page holds it all, and nobody who must not be told of
    page = tmp_path / "page.html"
    code, told, _ = riskadj("report", run, "--settlement", out, "--out", page)
    assert (code, "settled by" in told) == (0, True)
    html = page.read_text(encoding="utf-8")
    assert worst in html
    assert "Best-practice tariff, primary hip replacement" in html
    assert not re.search(r"""(src|href)=["']https?:""", html)


def explained(riskadj, run, provider):
    code, told, err = riskadj("explain", run, "--provider", provider, "--learner", "linear")
    assert (code, err) == (0, "")
    return words_of(told)


def sums_of_a_settlement(out):
    """Return totals, each the sum of its lines and what its statement says is due."""
    totals = pd.read_csv(out / "settlement.csv", dtype={"provider_id": "str", "total": "str"})
    lines = pd.read_csv(out / "lines.csv", dtype={"provider_id": "str"})
    totals = totals.set_index("provider_id")
    summed = lines.groupby("provider_id")["amount_minor"].sum()
    assert summed.reindex(totals.index).tolist() == totals["total_minor"].tolist()
    paid = lines[lines["kind"] == "payment"]
    for formula, minor in zip(paid["formula"], paid["amount_minor"], strict=True):
        episodes, amount = map(int, formula.split(" * "))
        assert episodes * amount * 100 == minor
    for name, row in totals.iterrows():
        assert row["total_minor"] == round(float(row["total"]) * 100)
        statement = (out / "statements" / f"{name}.txt").read_text(encoding="utf-8")
        due = re.search(r"^TOTAL +([0-9,.]+)$", statement, re.MULTILINE)
        assert due, name
        assert due[1].replace(",", "") == row["total"]
    return totals


# --- the researcher -------------------------------------------------------------------------------


def test_a_researcher_learns_what_one_choice_does(hips, riskadj, tmp_path, monkeypatch):
    """Whether to adjust for the score before: as two runs, and as the cells of an experiment."""
    monkeypatch.setenv("COLUMNS", "80")
    other = tmp_path / "runs" / "without"
    settings = [one for one in hips.settings if one not in (WITH_BASELINE, *PRICED)]
    changed = setting(*settings, NO_BASELINE, *PRICED)
    assert riskadj("run", hips.study, "--out", other, *changed)[0] == 0

    # Held against each other on the same episodes, with intervals
    out = tmp_path / "compared.json"
    code, told, err = riskadj(
        "compare", hips.run, other, "--seed", SEED, "--replicates", REPLICATES, "--out", out
    )
    assert (code, err) == (0, "")
    (row,) = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert row["r2_difference_lower95"] < row["r2_difference"] < row["r2_difference_upper95"] < 0
    assert row["spearman_lower95"] <= row["spearman"] <= row["spearman_upper95"] <= 1
    assert "R2 below" in words_of(told)
    both = flags_of(hips.providers).to_frame("a").join(flags_of(providers_of(other)).rename("b"))
    assert row["flags_compared"] == len(both.dropna())
    assert row["flags_changed"] == (both["a"] != both["b"]).sum()

    # What is different, and nothing else is
    changes = tmp_path / "changes.json"
    code, told, err = riskadj("diff", hips.run, other, "--out", changes)
    assert (code, err) == (0, "")
    found = json.loads(changes.read_text(encoding="utf-8"))
    assert {one["key"] for one in found["study"]} == {"casemix.columns"}
    assert not found["data"]
    assert not found["software"]
    assert len(found["flags"]) == row["flags_changed"]

    # The same as an experiment gives the same answer
    cells = an_experiment(hips, riskadj, tmp_path)
    (name,) = cells["without"]["rows"]
    for figure in ("r2_difference", "r2_difference_lower95", "r2_difference_upper95", "spearman",
                   "flags_changed"):  # fmt: skip
        assert cells["without"]["rows"][name][figure] == pytest.approx(row[figure], rel=1e-6)


def flags_of(providers):
    return providers.loc[providers["z"].notna(), "flag"]


def an_experiment(hips, riskadj, tmp_path):
    """Return the cells of two, by name; a second call works out none of them again."""
    folder = tmp_path / "01_baseline"
    folder.mkdir()
    content = {
        "question": "Does it matter whether the score before is adjusted for?",
        "expectation": "Yes: it says most of what can be said of the score after.",
        "study": str(hips.study),
        "settings": [one for one in hips.light if not one.startswith("tracking")],
        "grid": [{"with": [WITH_BASELINE], "without": [NO_BASELINE]}],
        "figures": ["r2", "r2_difference", "spearman", "flags_changed"],
        "seed": SEED,
        "replicates": REPLICATES,
    }
    (folder / "experiment.yaml").write_text(json.dumps(content), encoding="utf-8")
    asked = ("experiment", folder, "--work", tmp_path / "work", "--tracking-uri", "off")
    code, told, err = riskadj(*asked)
    assert (code, "2 cells worked out, 0 kept" in words_of(told)) == (0, True), err
    before = (folder / "results.json").read_bytes()
    code, told, err = riskadj(*asked)
    assert (code, "0 cells worked out, 2 kept" in words_of(told)) == (0, True), err
    assert (folder / "results.json").read_bytes() == before
    return {one["name"]: one for one in json.loads(before)["cells"]}


# --- the auditor ----------------------------------------------------------------------------------


def test_an_auditor_is_told_whether_it_holds(hips, riskadj, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    # Is the card written? That of the study as shipped is not, that of the run is
    code, told, err = riskadj("card", "check", hips.study)
    assert (code, "sign_off" in told, err) == (60, True, "")
    code, told, err = riskadj("card", "check", hips.run)
    assert (code, err) == (0, "")
    assert f"all {len(CardText.model_fields)} texts" in told

    # Does everything come out again?
    where, before = ("--data", hips.data), sorted(hips.run.parent.rglob("*"))
    code, told, err = riskadj("audit", hips.run, *where)
    assert code == 0, told + err
    number = len(files_in(hips.run))
    assert "Holds: a fresh run from the same study and data gives" in words_of(told)
    assert f"all {number} files again, byte for byte." in words_of(told)
    assert max(map(len, told.splitlines())) <= 80
    assert sorted(hips.run.parent.rglob("*")) == before  # nor was anything logged
    seal = json.loads((hips.run / MARK).read_bytes())["seal"]
    assert seal in told

    # A changed byte is named, wherever it is
    copy = tmp_path / "hips"
    shutil.copytree(hips.run, copy)
    for name in ("providers.csv", "card.html", "figures/" + first_figure(copy)):
        whole = (copy / name).read_bytes()
        (copy / name).write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
        code, told, _ = riskadj("audit", copy, *where, "--no-rerun")
        assert (code, name in words_of(told)) == (50, True), told
        (copy / name).write_bytes(whole)
    assert riskadj("audit", copy, *where, "--no-rerun", "--digest", seal)[0] == 0

    # Who rewrites a figure and every digest is found out by the seal that was kept
    worst = flagged_in(hips.providers)
    table = (copy / "providers.csv").read_text(encoding="utf-8")
    flattered = table.replace("Negative outlier (99.8%)", "Not an outlier")
    assert flattered != table
    (copy / "providers.csv").write_text(flattered, encoding="utf-8")
    seal_again(copy)
    assert providers_of(copy).at[worst, "flag"] == "Not an outlier"
    assert riskadj("audit", copy, *where, "--no-rerun")[0] == 0
    code, told, _ = riskadj("audit", copy, *where, "--no-rerun", "--digest", seal)
    assert (code, seal[:12] in told) == (50, True)

    # and by deriving the figures again
    code, told, _ = riskadj("audit", copy, *where)
    assert (code, "providers.csv" in told) == (53, True), told
    assert "flag of ohs, linear, " in words_of(told)
    assert "was Not an outlier, is Negative outlier (99.8%)" in words_of(told)


def first_figure(run):
    return sorted(one.name for one in (run / "figures").iterdir())[0]


def seal_again(folder):
    """Do what somebody does who knows how: make digests, chain and seal fit again."""
    content = json.loads((folder / MARK).read_bytes())
    content["files"] = {
        name: digest_of_file(path) for name, path in files_in(folder).items() if name != MARK
    }
    content["stages"][-1]["digest"] = run_digest(content)
    write_json(sealed(content), folder / MARK)


# --- what they mistype ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb",
    [
        ("explain", "RUN", "--provider", "P001"),
        ("report", "RUN", "--out", "page.html"),
        ("settle", CONTRACT, "RUN", "--out", "settled"),
        ("compare", "RUN", "RUN"),
        ("diff", "RUN", "RUN"),
        ("audit", "RUN"),
        ("card", "check", "RUN"),
        ("log", "RUN"),
        ("ui", "RUN"),
        ("export", "RUN", "--format", "skde", "--out", "portal.json"),
        ("approve", "RUN", "--by", "A", "--card", "RUN"),
    ],
    ids=lambda verb: " ".join(map(str, verb[:1])),
)
def test_an_unknown_run_is_refused_by_every_verb(verb, riskadj, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = riskadj(*("runs/nowhere" if one == "RUN" else one for one in verb))
    assert code == 20
    assert "runs/nowhere" in err
    assert "wanted" in err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "verb",
    [
        ("explain", "RUN", "--provider", "P001"),
        ("report", "RUN", "--out", "page.html"),
        ("diff", "RUN", "RUN"),
        ("audit", "RUN"),
        ("card", "check", "RUN"),
        ("ui", "RUN"),
    ],
    ids=lambda verb: " ".join(map(str, verb[:1])),
)
def test_a_run_that_is_nearly_named_gets_a_hint_and_a_folder_of_nothing_is_told(
    verb, riskadj, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    code, _, err = riskadj(*("dmeo" if one == "RUN" else one for one in verb))
    assert (code, "Did you mean 'demo'?" in words_of(err)) == (20, True), err
    code, _, err = riskadj(*("demo" if one == "RUN" else one for one in verb))
    assert code == 20
    assert re.search("got a folder with(out|\\s+neither)", words_of(err)), err


def test_a_store_in_the_place_of_a_study_is_told_where_it_goes(riskadj, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    code, _, err = riskadj("ui", "sqlite:////nope")
    assert (code, "--tracking-uri" in err) == (2, True), err
    code, _, err = riskadj("ui", "--tracking-uri", "sqlite:////nope")
    assert (code, "no database at /nope" in words_of(err)) == (41, True), err
    (tmp_path / "notes.txt").write_text("none")
    code, _, err = riskadj("ui", "notes.txt")
    assert (code, "got another file" in words_of(err)) == (21, True), err


def test_an_unknown_provider_gets_a_hint(hips, riskadj):
    name = hips.providers.index[hips.providers["suppression"].isna()][0]
    code, _, err = riskadj("explain", hips.run, "--provider", f"{name}x")
    assert (code, f"Did you mean '{name}'?" in words_of(err)) == (12, True), err


def test_nothing_is_told_of_a_hidden_provider(hips, riskadj, tmp_path):
    hidden = hidden_in(hips.providers)
    row = hips.providers.loc[hidden]
    assert row[["n", "observed", "expected", "adjusted", "z"]].isna().all()
    code, _, err = riskadj("explain", hips.run, "--provider", hidden)
    assert (code, "disclosure control hides" in words_of(err)) == (23, True), err
    assert not re.search(r"[0-9]", err.replace(hidden, ""))


def test_a_card_of_a_newer_version_is_refused_by_every_verb(hips, riskadj, tmp_path):
    card = json.loads((hips.run / "card.json").read_bytes())
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card | {"format": card["format"] + 1}), encoding="utf-8")
    for verb in (("card", "check", path), ("audit", path), ("approve", hips.run, "--by", "A",
                 "--card", path)):  # fmt: skip
        code, _, err = riskadj(*verb)
        assert (code, f"got {card['format'] + 1}" in words_of(err)) == (21, True), (verb, err)


def test_a_store_that_moved_is_refused_and_none_is_made(hips, riskadj, tmp_path):
    store = ("--tracking-uri", f"sqlite:///{tmp_path / 'moved.db'}")
    for verb in (("approve", hips.run, "--by", "A", "--card", hips.run), ("ui", hips.run)):
        code, _, err = riskadj(*verb, *store)
        assert (code, "no database at" in words_of(err)) == (41, True), (verb, err)
    assert not (tmp_path / "moved.db").exists()
