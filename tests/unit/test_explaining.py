"""Answers from a run folder: why this expectation, why this flag, and who is told nothing."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner
from worlds import episode_frame, study_content, text_table, write_study

from riskadj.cli.app import app
from riskadj.errors import (
    FileFormatError,
    FileMissingError,
    OutputError,
    RiskadjError,
    UnknownNameError,
    ValuesError,
)
from riskadj.pipeline import run_study
from riskadj.report.explained import (
    draw_explanation,
    draw_peers,
    say,
    to_markdown,
    write_explanation,
)
from riskadj.report.explaining import (
    ProviderAnswer,
    Ran,
    explain_episode,
    explain_provider,
    read_explained,
)
from riskadj.study import Outcome, load_study

SMALL, SMALL_TOO = "S01", "S02"
LEARNERS = [
    {"kind": "linear"},
    {"kind": "lightgbm", "trees": 12, "min_episodes_per_leaf": 20, "column_share": 0.9},
    {"kind": "reference"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of seven providers, two of which are too small to be told of."""
    home = tmp_path_factory.mktemp("explained")
    frame = episode_frame(n=900, providers=7, seed=3)
    inside = np.flatnonzero(frame["period"] == "2022")
    frame.loc[inside[:3], "provider_id"] = SMALL
    frame.loc[inside[3:7], "provider_id"] = SMALL_TOO
    text_table(frame).to_csv(home / "episodes.csv", index=False)
    content = study_content(
        learners=LEARNERS,
        explain={"interactions": True},
        profile__sensitivity={"methods": ["nhs_england"], "limits": ["nominal", "additive"]},
    )
    run_study(load_study(write_study(home, content)), home / "run")
    return home / "run"


@pytest.fixture(scope="module")
def ran(folder: Path) -> Ran:
    return read_explained(folder, episodes=True)


def shown_ids(ran: Ran) -> list[str]:
    return sorted(ran.tables["shap_providers"]["provider_id"].unique())


@pytest.fixture
def answer(ran: Ran) -> ProviderAnswer:
    return explain_provider(ran, "H00", learner="lightgbm")


# --- the files of a run ---------------------------------------------------------------------------


def test_a_run_holds_what_every_learner_that_adds_up_makes_of_its_columns(folder: Path) -> None:
    features = pd.read_csv(folder / "shap_features.csv")
    assert features["learner"].unique().tolist() == ["linear", "lightgbm"]
    assert set(features["role"]) == {"clinical", "social"}
    roles = pd.read_csv(folder / "shap_roles.csv")
    assert roles.groupby("learner")["share"].sum().tolist() == pytest.approx([1.0, 1.0])
    folds = pd.read_csv(folder / "shap_folds.csv")
    assert set(folds["part"]) == {"half 1", "half 2"}
    pairs = pd.read_csv(folder / "shap_interactions.csv")
    assert set(pairs["learner"]) == {"lightgbm"}


def test_tables_by_provider_have_no_row_of_a_hidden_one(folder: Path) -> None:
    shown = pd.read_csv(folder / "shap_providers.csv")["provider_id"]
    assert not {SMALL, SMALL_TOO} & set(shown)


# --- a provider -----------------------------------------------------------------------------------


def test_parts_of_a_provider_sum_to_its_difference_in_the_run(
    answer: ProviderAnswer, ran: Ran
) -> None:
    rows = ran.tables["shap_providers"].query("provider_id == 'H00' and learner == 'lightgbm'")
    assert answer.parts["contribution"].sum() == pytest.approx(rows["difference"].iloc[0])
    assert answer.parts["contribution"].abs().is_monotonic_decreasing


def test_the_study_s_own_analysis_comes_first_and_is_that_of_the_provider_table(
    answer: ProviderAnswer,
) -> None:
    first = answer.analyses.iloc[0]
    assert (first["learner"], first["method"], first["limits"]) == (
        "lightgbm", "nhs_england", "nominal",
    )  # fmt: skip
    assert first["flag"] == answer.facts["flag"]
    assert first["adjusted"] == pytest.approx(answer.facts["adjusted"])
    assert len(answer.analyses) == 6


SIGNED = re.compile(r"[+\N{MINUS SIGN}]?\d+\.\d+")


def numbers_in(words: str) -> list[float]:
    return [float(one.replace("\N{MINUS SIGN}", "-")) for one in SIGNED.findall(words)]


@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_parts_add_up_before_the_reader_s_eyes(learner: str, ran: Ran) -> None:
    for one in shown_ids(ran):
        said = say(explain_provider(ran, one, learner=learner))
        words = dict(said.paragraphs)["Why this expectation"].replace(",", "")
        difference, parts = words.split("Column by column")
        expected, size, mean, _ = numbers_in(difference)
        total = size if "better" in difference else -size
        assert expected - mean == pytest.approx(total, abs=1e-9)
        listed, made, _ = re.split("which makes|Score before", parts)
        assert sum(numbers_in(listed)) == pytest.approx(total, abs=1e-9)
        assert numbers_in(made) == [pytest.approx(total)]
        column = [numbers_in(number)[0] for _, number in said.tables[0].rows]
        assert sum(column[:-1]) == pytest.approx(column[-1], abs=1e-9)
        assert column[-1] == pytest.approx(total)


def test_room_to_gain_and_what_a_start_says_of_the_score_after_are_one_part(ran: Ran) -> None:
    answer = explain_provider(ran, "H00", learner="linear")
    words = dict(say(answer).paragraphs)["Why this expectation"]
    start, room, after = numbers_in(words.split("Score before: its patients")[1])
    parts = answer.parts.set_index("feature")["contribution"]
    assert abs(room) == start
    assert room == pytest.approx(parts["(score before)"], abs=0.005)
    assert room + after == pytest.approx(
        parts["(score before)"] + parts[answer.outcome.measured.before], abs=0.005
    )
    assert "room to gain" not in words.split("which makes")[0]


def test_room_to_the_limit_is_above_0_where_the_result_is_within(answer: ProviderAnswer) -> None:
    rows = answer.analyses
    within = rows["adjusted"].between(rows["lower"], rows["upper"])
    assert ((rows["to_limit"] >= 0) == within).all()


def test_peers_are_the_nearest_others_by_mean_contributions(
    answer: ProviderAnswer, ran: Ran
) -> None:
    wide = (
        ran.tables["shap_providers"]
        .query("learner == 'lightgbm' and feature != '(rounding)'")
        .pivot(index="provider_id", columns="feature", values="contribution")
    )
    far = ((wide - wide.loc["H00"]) ** 2).sum(axis=1).pow(0.5).drop("H00").nsmallest(5)
    assert answer.peers["provider_id"].tolist() == far.index.tolist()
    assert answer.peers["distance"].to_numpy() == pytest.approx(far.to_numpy())
    assert answer.peers[["n", "ci_lower95", "ci_upper95"]].notna().all(axis=None)


def test_an_answer_says_why_what_would_change_it_and_against_whom(answer: ProviderAnswer) -> None:
    said = say(answer)
    assert [heading for heading, _ in said.paragraphs] == [
        "Why this expectation", "Why this flag", "What would change it",
        "Compared with its peers", "To bear in mind",
    ]  # fmt: skip
    words = dict(said.paragraphs)
    assert f"{int(answer.facts['n'])} episodes" in words["Why this expectation"]
    assert str(answer.facts["flag"]) in words["Why this flag"]
    assert "z = " in words["Why this flag"]
    assert re.search(r"[0-9.]+ points (inside|beyond) the (lower|upper) 95 % limit",
                     words["Why this flag"])  # fmt: skip
    assert "of the run's 6 analyses" in words["What would change it"]
    assert "Rounding: parts are told in whole groups" in words["To bear in mind"]


def test_every_provider_shown_has_an_answer(ran: Ran) -> None:
    for one in shown_ids(ran):
        for learner in ("linear", "lightgbm"):
            text = to_markdown(say(explain_provider(ran, one, learner=learner)))
            assert "nan" not in text.lower().replace("finan", "")


@pytest.mark.parametrize("hidden", [SMALL, SMALL_TOO])
def test_a_hidden_provider_is_refused_without_a_number(hidden: str, ran: Ran) -> None:
    with pytest.raises(ValuesError, match="disclosure control hides") as refused:
        explain_provider(ran, hidden)
    assert not re.search(r"\d", str(refused.value).replace(hidden, ""))


def test_a_provider_unlike_any_is_told_where_they_are(ran: Ran) -> None:
    with pytest.raises(UnknownNameError, match=r"providers\.csv in the run folder has them all"):
        explain_provider(ran, "nobody")


def test_an_unknown_provider_is_told_of_shown_ones_only(ran: Ran) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'H0\d'\?"):
        explain_provider(ran, "H0")
    with pytest.raises(UnknownNameError) as refused:
        explain_provider(ran, "S0")
    assert "S01" not in str(refused.value)
    assert "S02" not in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"outcome": "oks"}, "wanted an outcome of the run \\(ohs\\); got 'oks'"),
        ({"learner": "linaer"}, "Did you mean 'linear'"),
        ({"learner": "reference"}, "wanted an explained learner of the run \\(linear, lightgbm\\)"),
    ],
)
def test_an_unknown_outcome_or_learner_is_refused(
    asked: dict[str, str], wanted: str, ran: Ran
) -> None:
    with pytest.raises(UnknownNameError, match=wanted):
        explain_provider(ran, "H00", **asked)


def test_a_cost_is_told_in_per_cent_and_over_the_mean(answer: ProviderAnswer) -> None:
    cost = Outcome(
        name="cost", kind="cost", column="cost_total_90d", currency="EUR", price_year=2022
    )
    parts = answer.parts.assign(contribution=0.0)
    parts.loc[0, "contribution"] = np.log(0.9)
    dear = replace(answer, outcome=cost, parts=parts)
    words = dict(say(dear).paragraphs)
    assert "10.0 % cheaper than that of" in words["Why this expectation"]
    assert "of the mean cost" in words["Why this flag"]


def test_a_provider_with_too_few_episodes_has_an_expectation_and_no_flag(
    answer: ProviderAnswer,
) -> None:
    few = replace(
        answer,
        facts={**answer.facts, "adjusted": np.nan, "n": 12},
        analyses=answer.analyses.head(0),
    )
    words = dict(say(few).paragraphs)
    assert words["Why this flag"].startswith("It is not compared: 12 episodes")
    assert "No analysis compares it" in words["What would change it"]


def test_what_would_change_it_names_the_choices_that_do(answer: ProviderAnswer) -> None:
    flags = [answer.places.flags[0]] * 6
    table = answer.analyses.assign(flag=flags)
    agreed = replace(answer, facts={**answer.facts, "flag": flags[0]}, analyses=table)
    assert "No declared choice of learner" in dict(say(agreed).paragraphs)["What would change it"]
    table.loc[table["limits"] == "additive", "flag"] = "Not an outlier"
    moved = dict(say(replace(agreed, analyses=table)).paragraphs)["What would change it"]
    assert "3 of the run's 6 analyses" in moved
    assert "additive limits: 3 of 3" in moved


def test_a_provider_that_is_compared_in_no_analysis_has_no_rows_of_them(ran: Ran) -> None:
    alone = replace(ran, tables={**ran.tables, "analyses": ran.tables["analyses"].head(0)})
    found = explain_provider(alone, "H00", learner="lightgbm").analyses
    assert found.empty
    assert {"lower", "upper", "to_limit"} <= set(found.columns)


def test_a_provider_without_episodes_that_are_modelled_is_refused_as_such(ran: Ran) -> None:
    rows = ran.tables["providers"]
    nobody = rows[rows["provider_id"] == "H00"].assign(provider_id="H77", n=0, suppression="")
    more = replace(ran, tables={**ran.tables, "providers": pd.concat([rows, nobody])})
    with pytest.raises(UnknownNameError, match="H77: wanted one with episodes that are modelled"):
        explain_provider(more, "H77")


def test_an_outcome_that_nothing_explains_is_refused(ran: Ran) -> None:
    empty = {**ran.tables, "shap_features": ran.tables["shap_features"].head(0)}
    with pytest.raises(
        UnknownNameError, match=r"outcome ohs: wanted expectations with contributions"
    ):
        explain_provider(replace(ran, tables=empty), "H00")


def test_a_flag_of_no_side_is_changed_by_nothing_and_nobody_has_no_peers(
    answer: ProviderAnswer,
) -> None:
    other = replace(answer, facts={**answer.facts, "flag": "No data"}, peers=answer.peers.head(0))
    words = dict(say(other).paragraphs)
    assert words["What would change it"] == (
        "It is not flagged (No data), so no analysis changes its flag."
    )
    assert "Nobody else is compared." in words.values()


# --- an episode -----------------------------------------------------------------------------------


def of_provider(ran: Ran, provider_id: str) -> str:
    rows = ran.tables["shap"]
    return str(rows.loc[rows["provider_id"] == provider_id, "episode_id"].iloc[0])


def test_parts_of_an_episode_lead_from_the_base_to_its_expectation(ran: Ran) -> None:
    episode = explain_episode(ran, of_provider(ran, "H01"), learner="lightgbm")
    total = episode.base + episode.parts["contribution"].sum()
    assert total == pytest.approx(episode.expected_score, abs=1e-6)
    assert episode.parts["beyond"].between(0, 1).all()
    assert episode.provider_id == "H01"


def test_an_episode_s_numbers_add_up_before_the_reader_s_eyes(ran: Ran) -> None:
    episode = explain_episode(ran, of_provider(ran, "H01"), learner="lightgbm")
    words = dict(say(episode).paragraphs)["Why this expectation"]
    _, base, moved, after, before, gain, sd = numbers_in(words)
    assert base + moved == pytest.approx(after)
    assert after - before == pytest.approx(gain)
    assert gain == pytest.approx(episode.expected, abs=0.005)
    assert sd > 0


def test_what_another_value_would_do_is_what_lines_give_those_who_have_it(ran: Ran) -> None:
    """Two patients who differ in one column alone; a line moves both by the same slope."""
    rows = ran.tables["shap"].query("learner == 'linear'").dropna(axis=1, how="all")
    episode = explain_episode(ran, of_provider(ran, "H01"), learner="linear")
    parts = episode.parts.set_index("feature")
    own = rows[rows["episode_id"] == episode.episode_id].iloc[0]
    direction = episode.outcome.measured.direction
    names = [one for one in parts.index if one != episode.outcome.measured.before]
    for name in names:
        out = parts.at[name, "outermost"]
        for end, share, way in (("low", out, "higher"), ("high", 1 - out, "lower")):
            shift = direction * (rows[name].quantile(share, interpolation=way) - own[name])
            assert parts.at[name, end] == pytest.approx(episode.expected + shift)
    before = episode.outcome.measured.before
    starts = ran.tables["expectations"].query("learner == 'linear'").set_index("episode_id")
    gains = rows[before] - rows["episode_id"].map(starts["baseline_score"])
    shift = gains.quantile(0.95, interpolation="lower") - gains[own.name]
    assert parts.at[before, "high"] == pytest.approx(episode.expected + shift)


@pytest.mark.parametrize(("having", "is_told"), [(20, True), (4, False)])
def test_what_a_rare_condition_does_is_told_unless_few_have_it(
    having: int, is_told: bool, ran: Ran
) -> None:
    """5 % of episodes and more do not have it; the study tells nothing of fewer than 6."""
    shap = ran.tables["shap"]
    chosen = (shap["learner"] == "linear").to_numpy()
    adds = np.full(chosen.sum(), 0.25)
    asked = of_provider(ran, "H01")
    others = np.flatnonzero((shap.loc[chosen, "episode_id"] != asked).to_numpy())
    adds[others[:having]] = -3.75
    rare = shap.assign(comorb_heart=shap["comorb_heart"].where(~chosen, 0.25))
    rare.loc[chosen, "comorb_heart"] = adds
    assert having < 0.05 * len(adds)
    episode = explain_episode(
        Ran(ran.study, {**ran.tables, "shap": rare}, ""), asked, "ohs", "linear"
    )
    heart = episode.parts.set_index("feature").loc["comorb_heart"]
    assert heart["low"] == pytest.approx(episode.expected - (4.0 if is_told else 0.0))
    assert heart["high"] == pytest.approx(episode.expected)
    said = say(episode)
    cell = next(cells for cells in said.tables[0].rows if "heart" in cells[0])[3]
    assert ("either way" not in cell) == is_told
    assert ("heart" in dict(said.paragraphs)["What would change it"]) == is_told
    assert "of episodes beyond on either side, so that rare ones count" in said.tables[0].note


def test_an_episode_s_answer_says_whom_it_is_for(ran: Ran) -> None:
    said = say(explain_episode(ran, of_provider(ran, "H01")))
    heading, words = said.paragraphs[0]
    assert heading == "Whom this is for"
    assert "about one patient" in words


def test_an_episode_of_a_hidden_provider_is_refused_likewise(ran: Ran) -> None:
    with pytest.raises(ValuesError, match="disclosure control hides") as refused:
        explain_episode(ran, of_provider(ran, SMALL))
    assert not re.search(r"\d", str(refused.value).replace(SMALL, ""))


def test_an_unknown_episode_is_told_no_other_s_name(ran: Ran) -> None:
    with pytest.raises(UnknownNameError) as refused:
        explain_episode(ran, "E0000")
    assert not re.search(r"E\d{5}", str(refused.value))


FINAL = {"name": "ohs", "instrument": "OHS", "kind": "final_score"}


def as_outcome(ran: Ran, outcome: Outcome) -> Ran:
    return replace(ran, study=ran.study.model_copy(update={"outcomes": (outcome,)}))


def test_an_episode_s_parts_of_a_score_are_those_of_what_is_modelled(ran: Ran) -> None:
    after = as_outcome(ran, Outcome.model_validate(FINAL))
    episode = explain_episode(after, of_provider(ran, "H01"), learner="linear")
    rows = ran.tables["shap"].query("learner == 'linear'").dropna(axis=1, how="all")
    before = episode.outcome.measured.before
    own = rows.loc[rows["episode_id"] == episode.episode_id, before].iloc[0]
    shift = rows[before].quantile(0.95, interpolation="lower") - own
    found = episode.parts.set_index("feature").at[before, "high"]
    assert found == pytest.approx(episode.expected + shift)
    words = dict(say(episode).paragraphs)["Why this expectation"]
    assert "What is modelled: from" in words
    assert "that is a gain of" not in words


def test_an_episode_s_answer_is_silent_on_a_spread_that_is_not_known(ran: Ran) -> None:
    episode = explain_episode(ran, of_provider(ran, "H01"), learner="lightgbm")
    told = [dict(say(one).paragraphs)["Why this expectation"]
            for one in (episode, replace(episode, sd=float("nan")))]  # fmt: skip
    assert ["standard deviation" in one for one in told] == [True, False]


def test_the_figure_of_an_episode_sums_the_parts_it_has_no_bars_for(ran: Ran) -> None:
    episode = explain_episode(ran, of_provider(ran, "H01"), learner="linear")
    many = pd.concat([episode.parts] * 9, ignore_index=True)
    many = many.assign(contribution=0.5)
    svg = draw_explanation(replace(episode, parts=many))
    shown = re.search(r"(\d+) others \+(\d+\.\d+)", svg)
    assert shown is not None
    assert int(shown[1]) < len(many)
    assert float(shown[2]) == pytest.approx(0.5 * int(shown[1]))


def test_an_episode_s_explanation_has_no_files_of_peers_and_analyses(
    ran: Ran, tmp_path: Path
) -> None:
    write_explanation(explain_episode(ran, of_provider(ran, "H01")), tmp_path / "why")
    assert sorted(one.name for one in (tmp_path / "why").iterdir()) == [
        "contributions.csv", "explanation.md", "explanation.svg", "provenance.json",
    ]  # fmt: skip


# --- the folder and the command -------------------------------------------------------------------


def test_an_explanation_is_written_whole_and_again(answer: ProviderAnswer, tmp_path: Path) -> None:
    for _ in range(2):
        write_explanation(answer, tmp_path / "why")
    files = json.loads((tmp_path / "why" / "provenance.json").read_text())["files"]
    assert sorted(files) == [
        "analyses.csv", "contributions.csv", "explanation.md", "explanation.svg", "peers.csv",
        "peers.svg",
    ]  # fmt: skip
    assert "## Why this flag" in (tmp_path / "why" / "explanation.md").read_text()


def test_a_provider_that_nobody_is_like_has_no_figure_of_peers(
    answer: ProviderAnswer, tmp_path: Path
) -> None:
    write_explanation(replace(answer, peers=answer.peers.head(0)), tmp_path / "why")
    assert not (tmp_path / "why" / "peers.svg").exists()


def test_an_explanation_never_takes_the_place_of_a_run(
    answer: ProviderAnswer, folder: Path
) -> None:
    with pytest.raises(OutputError, match="a folder of its own for the explanation"):
        write_explanation(answer, folder)


def test_the_figure_of_peers_has_everybody_s_number_and_interval(answer: ProviderAnswer) -> None:
    svg = draw_peers(answer)
    assert svg.count("aria-label") == 1
    assert svg == draw_peers(answer)
    for one in ("H00", *answer.peers["provider_id"]):
        assert f"{one} (n " in svg
    rows = say(answer).tables[2].rows
    assert [cells[0] for cells in rows] == ["H00", *answer.peers["provider_id"]]
    assert all(" to " in cells[4] for cells in rows)


def test_the_figure_has_one_description_and_is_the_same_each_time(answer: ProviderAnswer) -> None:
    svg = draw_explanation(answer)
    assert svg.count("aria-label") == 1
    assert svg == draw_explanation(answer)


def test_a_folder_that_is_no_run_or_was_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="the folder of a finished run"):
        read_explained(tmp_path)
    for one in folder.iterdir():
        if one.is_file():
            (tmp_path / one.name).write_bytes(one.read_bytes())
    changed = tmp_path / "shap_providers.csv"
    changed.write_text(changed.read_text().replace("H00", "H09"))
    with pytest.raises(FileFormatError, match="as its run wrote it"):
        read_explained(tmp_path)


def test_the_command_answers_in_80_columns(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["explain", str(folder), "--provider", "H00", "--out", str(tmp_path / "why")]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "What would change it" in shown.output
    lines = [one for one in shown.output.splitlines() if not one.startswith("explanation ")]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("asked", [[], ["--provider", "H00", "--episode", "E1"]])
def test_the_command_wants_one_of_provider_and_episode(asked: list[str], folder: Path) -> None:
    shown = CliRunner().invoke(app, ["explain", str(folder), *asked])
    assert shown.exit_code == 2


def test_the_command_refuses_a_hidden_provider_with_an_exit_code_of_its_own(folder: Path) -> None:
    shown = CliRunner().invoke(app, ["explain", str(folder), "--provider", SMALL])
    assert isinstance(shown.exception, RiskadjError)
    assert shown.exception.exit_code == ValuesError.exit_code
