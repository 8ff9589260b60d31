"""What gets into a page, what does not, and what is refused."""

import json
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_folder import (
    HIDDEN,
    NASTY,
    RUN,
    page_data,
    provider_names,
    sealed,
    values,
    write_run,
    write_settled,
)

from riskadj.errors import FileFormatError, FileMissingError, OutputError, ValuesError
from riskadj.fairness.drift import DRIFT_COLUMNS
from riskadj.fairness.fair import FAIR_COLUMNS
from riskadj.fairness.groups import GROUP_COLUMNS
from riskadj.fairness.social import SOCIAL_COLUMNS
from riskadj.report.folder import MARK, read_csv, read_json
from riskadj.report.page.build import page_of, write_page
from riskadj.report.page.render import json_text
from riskadj.report.page.tables import files_read, packed
from riskadj.report.words import HEADINGS, WAYS, format_number
from riskadj.tracking.log import MAY_LEAVE

MEGABYTES = 1e6
SECRETS = {
    "analyses.csv": {"adjusted": 7777.125, "z": 77.125},
    "shap_providers.csv": {"contribution": 8888.25, "difference": 88.25},
    "value.csv": {"shrunken_outcome": 9999.5, "n_outcome": 1133.5},
    "graded.csv": {"z": 5566.75, "observed": 4455.5},
    "social.csv": {"z": 3344.75, "observed": 2233.5},
}
MAY_HAVE = ("analyses", "contributions", "value", "graded")
"""Numbers that would tell of a hidden provider, were they in its rows."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("page") / "run", 60)


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    return write_settled(tmp_path_factory.mktemp("page") / "settled", provider_names(60)[:-1])


@pytest.fixture(scope="module")
def text(run, settled, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "page.html"
    write_page(run, out, settled)
    return out.read_text(encoding="utf-8")


def copied(run, tmp_path):
    target = tmp_path / "run"
    target.mkdir()
    for one in run.iterdir():
        (target / one.name).write_bytes(one.read_bytes())
    return target


def numbers_in(table):
    columns = (values(one, table["n"]) for one in table["columns"].values())
    return [one for column in columns for one in column if isinstance(one, int | float)]


# --- what is in it ---


def test_every_provider_and_outcome_is_in_it(text):
    data = page_data(text)
    assert sorted(data["providers"]) == sorted(provider_names(60))
    assert [one["name"] for one in data["outcomes"]] == ["ohs", "eq5d", "cost"]
    assert data["settlement"]["currency"] == "SEK"


def test_it_stands_alone(text):
    assert "default-src 'none'" in text.replace("&#39;", "'")
    assert "unsafe" not in text
    assert re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*\"", text) == []


@pytest.mark.parametrize(("element", "rule"), [("script", "script-src"), ("style", "style-src")])
def test_the_policy_lets_in_its_own_script_and_style_alone(text, element, rule):
    inside = re.search(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)[1]
    digest = b64encode(sha256(inside.encode()).digest()).decode()
    assert f"{rule} 'sha256-{digest}'" in text.replace("&#39;", "'")


def test_a_name_that_is_markup_stays_a_name(text):
    assert NASTY not in text
    assert NASTY in page_data(text)["providers"]
    assert text.count("<script") == 2


@given(st.text())
def test_any_text_comes_back_from_a_script_element(words):
    written = json_text({"it": words})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"it": words}


@given(st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), min_size=1))
def test_packed_numbers_are_those_of_the_table_to_six_digits(numbers):
    column = packed(pd.DataFrame({"x": pd.Series(numbers, dtype=float)}))["columns"]["x"]
    for value, kept in zip(numbers, values(column, len(numbers)), strict=True):
        assert kept == (None if value is None else pytest.approx(value, rel=1e-5, abs=1e-300))


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1),
    st.integers(0, 4),
    st.integers(1, 5),
)
def test_packed_numbers_come_back_to_the_decimals_shown(numbers, decimals, times):
    repeated = [one for one in numbers for _ in range(times)]
    table = packed(pd.DataFrame({"x": pd.Series(repeated, dtype=float)}), shown={"x": decimals})
    for value, kept in zip(repeated, values(table["columns"]["x"], len(repeated)), strict=True):
        half = 0.5 * 10**-decimals * (1 + 1e-6)
        assert kept is None if value is None else abs(kept - value) <= half


@given(st.lists(st.sampled_from(["a", "b", "", "c"]), min_size=1, max_size=6), st.integers(1, 5))
def test_packed_texts_come_back_however_they_are_repeated(texts, times):
    for repeated in (texts * times, [one for one in texts for _ in range(times)]):
        table = packed(pd.DataFrame({"x": repeated}))
        assert values(table["columns"]["x"], len(repeated)) == repeated


def test_a_number_of_many_digits_keeps_all_before_its_point():
    assert packed(pd.DataFrame({"x": [1_234_567_890.9, 0.1234567891]}))["columns"]["x"] == [
        1_234_567_891,
        0.123456789,
    ]


# As a card writes them; 40.48 over 40.5 to 41, and 0.745 over 0.75 to 0.8, were rounded twice.
ROUNDED_ONCE = [
    ("rank", 40.48, 0), ("rank", 40.5, 0), ("rank_upper95", 2.451, 0), ("reliability", 0.7449, 2),
    ("reliability", 0.94499, 2), ("z", 0.125, 2), ("adjusted", 22.00496, 2),
    ("observed", 22.025, 2), ("observed", 22.125, 2), ("expected", 28_345.496, 0),
    ("adjusted", -1.005, 2), ("ci_lower95", 0.0450049, 4), ("adjusted", 1.145, 2),
    ("observed", -0.4, 0),
]  # fmt: skip


def shown_by_the_page(numbers):
    """Return what the page's own script writes, by node, of numbers with so many decimals."""
    script = (files("riskadj.report") / "templates" / "page.core.js").read_text(encoding="utf-8")
    own = script.split("// --- numbers ---")[1].split("function span")[0]
    asked = f'const MINUS = "\u2212";{own};console.log(JSON.stringify({json.dumps(numbers)}'
    return json.loads(
        subprocess.run(
            [shutil.which("node"), "-e", f"{asked}.map(one => number(...one))))"],
            check=True, capture_output=True, text=True, encoding="utf-8",
        ).stdout
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, to run the page's script")
def test_page_and_card_write_every_number_alike(run, tmp_path):
    run = copied(run, tmp_path)
    table = pd.read_csv(run / "providers.csv", keep_default_na=False)
    table = table[(table["outcome"] == "ohs") & (table["learner"] == "linear")]
    table = table[table["suppression"] == ""].reset_index(drop=True).astype(object)
    for at, (name, value, _) in enumerate(ROUNDED_ONCE):
        table.loc[at, name] = value
    table.to_csv(run / "providers.csv", index=False)
    write_page(sealed(run), tmp_path / "page.html")
    (part,) = page_data((tmp_path / "page.html").read_text(encoding="utf-8"))["tables"]["providers"]
    kept = part["table"]
    numbers = [
        [values(kept["columns"][name], kept["n"])[at], decimals]
        for at, (name, _, decimals) in enumerate(ROUNDED_ONCE)
    ]
    wanted = [format_number(value, decimals) for _, value, decimals in ROUNDED_ONCE]
    assert shown_by_the_page(numbers) == wanted


def test_what_an_audit_shows_is_rounded_once(run, tmp_path):
    run = copied(run, tmp_path)
    pd.DataFrame({"group": ["sex"], "fewest": [7], "mean_residual": [12.3499], "n": [1234]}).to_csv(
        run / "groups.csv", index=False
    )
    write_page(sealed(run), tmp_path / "page.html")
    data = page_data((tmp_path / "page.html").read_text(encoding="utf-8"))
    columns = data["audited"][0]["table"]["columns"]
    assert columns == {"group": {"levels": ["sex"]}, "mean_residual": [12.3], "n": [1234]}


AUDITS = (GROUP_COLUMNS, SOCIAL_COLUMNS, FAIR_COLUMNS, DRIFT_COLUMNS)


@pytest.mark.parametrize("columns", AUDITS, ids=["groups", "social", "fair", "drift"])
def test_every_column_of_an_audit_is_called_in_words(columns):
    stems = {re.sub("_?(lower95|upper95)$", "", one) for one in columns} - {"fewest", ""}
    assert not [one for one in stems if "_" in one and one not in HEADINGS]
    assert not {"mode", "strata", "between", "r2", "own", "n"} & stems - set(HEADINGS)


def test_case_mix_estimators_and_ways_are_in_words(run, tmp_path):
    run = copied(run, tmp_path)
    pd.DataFrame({"group": ["age_years"], "column": ["q1_score_ohs"]}).to_csv(
        run / "groups.csv", index=False
    )
    write_page(sealed(run), tmp_path / "page.html")
    data = page_data((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert data["features"]["age_years"] == "age at the operation"
    assert data["features"]["q1_score_ohs"] == "Oxford Hip Score (before)"
    assert data["estimators"]["dersimonian_laird"] == "DerSimonian\N{EN DASH}Laird"
    (social,) = [one for one in data["audited"] if "social" in one["title"]]
    assert "no interval" not in social["note"]
    table = social["table"]
    assert set(values(table["columns"]["mode"], table["n"])) <= set(WAYS.values())


def test_a_column_that_several_tables_have_is_in_the_page_once(text):
    written = [json.dumps(one) for one in page_data(text)["columns"]]
    assert len(written) == len(set(written))


def test_every_row_of_analyses_comes_back_as_people_are_shown_it(run, text):
    there = read_csv(run / "analyses.csv")
    for part in page_data(text)["tables"]["analyses"]:
        rows = there
        for name, value in part["of"].items():
            rows = rows[rows[name] == value]
        table = part["table"]
        assert values(table["columns"]["provider_id"], table["n"]) == rows["provider_id"].tolist()
        decimals = {"ohs": 2, "eq5d": 4, "cost": 0}[part["of"]["outcome"]]
        kept = values(table["columns"]["lower95"], table["n"])
        assert kept == pytest.approx(rows["lower95"].tolist(), abs=0.5001 * 10**-decimals)


def test_amounts_are_kept_to_the_last_minor_unit(settled, text):
    paid = pd.read_csv(settled / "settlement.csv")["total_minor"].tolist()
    assert page_data(text)["settlement"]["totals"]["columns"]["total_minor"] == paid


def test_300_providers_by_3_outcomes_take_less_than_3_megabytes(tmp_path):
    run = write_run(tmp_path / "run", 300)
    settled = write_settled(tmp_path / "settled", provider_names(300)[:-1])
    written = write_page(run, tmp_path / "page.html", settled)
    assert (written.providers, written.outcomes) == (300, 3)
    assert written.size < 3 * MEGABYTES


def test_the_same_run_gives_the_same_page_whether_it_is_being_written_or_finished(run, tmp_path):
    provenance = read_json(run / MARK)
    write_page(run, tmp_path / "page.html")
    there = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert there == page_of(run, provenance)
    with_itself = provenance["files"] | {"page.html": "ab" * 32}
    assert there == page_of(run, provenance | {"files": with_itself})


def test_it_may_be_logged():
    assert "page.html" in MAY_LEAVE


# --- what is not ---


def test_nothing_of_a_hidden_provider_gets_in_even_if_a_table_has_it(run, tmp_path):
    run = copied(run, tmp_path)
    for file, numbers in SECRETS.items():
        table = pd.read_csv(run / file)
        row = table.iloc[[0]].assign(provider_id=HIDDEN, **numbers)
        pd.concat([table, row]).to_csv(run / file, index=False)
    table = pd.read_csv(run / "providers.csv")
    table.loc[table["provider_id"] == HIDDEN, "observed"] = 6666.5
    table.to_csv(run / "providers.csv", index=False)
    write_page(sealed(run), tmp_path / "page.html")
    written = (tmp_path / "page.html").read_text(encoding="utf-8")
    data = page_data(written)
    parts = [part["table"] for parts in data["tables"].values() for part in parts]
    parts += [one["table"] for one in data["audited"]]
    told = [one for table in parts for one in numbers_in(table)]
    for secret in (6666.5, *(one for rows in SECRETS.values() for one in rows.values())):
        assert not [one for one in told if abs(one - secret) < 0.006], secret
        assert str(secret) not in written
    for name in MAY_HAVE:
        for part in data["tables"][name]:
            table = part["table"]
            assert HIDDEN not in values(table["columns"]["provider_id"], table["n"])
    assert len(data["tables"]["graded"]) == 10


def test_groups_of_an_audit_are_shown_and_rows_of_hidden_providers_are_not(run, tmp_path):
    run = copied(run, tmp_path)
    pd.DataFrame({"provider_id": ["P0003", HIDDEN], "figure": ["1.25", "5555.5"]}).to_csv(
        run / "groups.csv", index=False
    )
    write_page(sealed(run), tmp_path / "page.html")
    written = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "5555.5" not in written
    assert page_data(written)["audited"][0]["title"] == "Groups of patients"


def test_no_file_with_a_row_per_episode_is_read(run):
    assert not [one for one in files_read(read_json(run / MARK)["files"]) if "parquet" in one]


# --- what is refused ---


def test_a_folder_that_holds_no_run_is_refused(tmp_path):
    with pytest.raises(FileMissingError, match="wanted the folder of a finished run"):
        write_page(tmp_path / "nowhere", tmp_path / "page.html")


@pytest.mark.parametrize("file", ["providers.csv", "analyses.csv", "study.json", "card.json"])
def test_a_run_that_was_changed_is_refused(run, tmp_path, file):
    run = copied(run, tmp_path)
    (run / file).write_bytes((run / file).read_bytes() + b"\n")
    with pytest.raises(FileFormatError, match=file):
        write_page(run, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_settlement_of_another_run_is_refused(run, tmp_path):
    other = write_settled(tmp_path / "settled", ["P0000"], run="ee" * 32)
    with pytest.raises(ValuesError, match=f"settlement of this run, {RUN[:12]}; got one of eeee"):
        write_page(run, tmp_path / "page.html", other)


def test_a_settlement_that_was_changed_is_refused(run, tmp_path):
    settled = write_settled(tmp_path / "settled", ["P0000"])
    (settled / "lines.csv").write_text("provider_id\n", encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"lines\.csv"):
        write_page(run, tmp_path / "page.html", settled)


def test_a_page_goes_neither_into_the_run_nor_where_nobody_can_write(run, tmp_path):
    with pytest.raises(OutputError, match="outside the run folder"):
        write_page(run, run / "other.html")
    with pytest.raises(OutputError, match="Choose another --out"):
        write_page(run, tmp_path / "no" / "folder" / "page.html")
