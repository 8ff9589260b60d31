"""What is known of patients beside their claims: their file, and their questionnaires."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from claims_worlds import line, patient, rules_of, write_world

from riskadj.claims import read_claims
from riskadj.episodes import Column, Episodes, ValuesFault
from riskadj.errors import ColumnError

INDEX = line("ann", "2020-03-01", to_date="2020-03-05", drg="470", paid_amount="1000")


def read(folder: Path, lines: Any, ann: Any = None, **changes: Any) -> Episodes:
    files = write_world(folder, lines, [patient("ann", **(ann or {})), patient("bob")])
    return read_claims(files, rules_of(folder, **changes), threads=1)


def test_patients_may_bring_what_is_known_of_them(tmp_path: Path) -> None:
    mine = Column(
        name="frailty", kind="number", known_at="baseline", role="clinical", meaning="x", low=0
    )
    ann = {"bmi": "31.5", "frailty": "2", "unheard_of": "9", "cost_index": "-5"}
    files = write_world(tmp_path, [INDEX], [patient("ann", **ann)])
    one = read_claims(files, rules_of(tmp_path), [mine]).table.iloc[0]
    assert (one["bmi"], one["frailty"], one["cost_index"]) == (31.5, 2.0, 1000.0)
    assert "unheard_of" not in one


@pytest.mark.parametrize("bmi", ["500", "fat"])
def test_what_is_known_of_patients_is_checked(tmp_path: Path, bmi: str) -> None:
    with pytest.raises(ValuesFault, match="bmi: wanted"):
        read(tmp_path, [INDEX], {"bmi": bmi})


def with_proms(folder: Path, rows: list[dict[str, Any]], **changes: Any) -> Episodes:
    proms = folder / "proms.csv"
    pd.DataFrame(rows).to_csv(proms, index=False)
    lines = [INDEX, line("ann", "2021-03-01", drg="470", claim_id="second")]
    return read(folder, lines, proms=proms, **changes)


def test_questionnaires_go_to_the_nearest_episode(tmp_path: Path) -> None:
    rows = [
        {"patient_id": "ann", "index_date": "2020-02-16", "q1_score_ohs": 20, "q2_score_ohs": 40},
        {"patient_id": "ann", "index_date": "2020-03-02", "q1_score_ohs": 10, "q2_score_ohs": 30},
        {"patient_id": "ann", "index_date": "2020-09-01", "q1_score_ohs": 11, "q2_score_ohs": 31},
        {"patient_id": "zoe", "index_date": "2020-03-01", "q1_score_ohs": 12, "q2_score_ohs": 32},
    ]
    found = with_proms(tmp_path, rows, proms_within_days=14)
    assert found.table["q1_score_ohs"].fillna(-1).tolist() == [10, -1]
    assert found.table["index_date"].dt.strftime("%Y-%m-%d").tolist()[0] == "2020-03-01"
    assert found.left_out == {
        "questionnaires: no episode within 14 days": 2,
        "questionnaires: another is nearer to the episode": 1,
    }
    assert [one.name for one in found.sources][-2:] == ["proms.csv", "claims rules"]


def test_answers_are_scored(tmp_path: Path) -> None:
    answers = {f"q1_item_ohs_{number:02d}": 3 for number in range(1, 13)}
    rows = [{"patient_id": "ann", "index_date": "2020-03-01", **answers}]
    assert with_proms(tmp_path, rows).table["q1_score_ohs"].tolist()[0] == 36


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ({"q1_score_ohs": 49}, ValuesFault, "q1_score_ohs: wanted 0 to 48"),
        ({"index_date": ""}, ValuesFault, "wanted a patient_id and an index_date"),
        ({"bmi": 30}, ColumnError, "that the patients do not have; got 'bmi'"),
    ],
)
def test_questionnaires_that_are_wrong_are_refused(
    tmp_path: Path, row: dict[str, Any], error: type[Exception], message: str
) -> None:
    (tmp_path / "proms.csv").touch()
    given = {"patient_id": "ann", "index_date": "2020-03-01", **row}
    pd.DataFrame([given]).to_csv(tmp_path / "proms.csv", index=False)
    with pytest.raises(error, match=message):
        read(tmp_path, [INDEX], {"bmi": "30"}, proms=tmp_path / "proms.csv")


def test_a_questionnaire_given_twice_is_refused(tmp_path: Path) -> None:
    rows = [{"patient_id": "ann", "index_date": "2020-03-01", "q1_score_ohs": 10}] * 2
    with pytest.raises(ValuesFault, match="each patient and index_date once; 2 rows"):
        with_proms(tmp_path, rows)
