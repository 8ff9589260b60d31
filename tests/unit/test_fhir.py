"""FHIR R4 Bundles: what becomes an episode, what is counted as left out, what is refused."""

import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskadj.episodes import COLUMNS, fhir_json, find_faults, to_declared
from riskadj.episodes.fhir import read_fhir
from riskadj.episodes.fhir_mapping import FhirMapping
from riskadj.episodes.mapping import read_mapping
from riskadj.episodes.scores import add_scores
from riskadj.errors import (
    FileFormatError,
    FileMissingError,
    RiskadjError,
    UnknownNameError,
    ValuesError,
)

ROOT = Path(__file__).parents[2]
HIP_BUNDLE = ROOT / "tests" / "examples" / "fhir_hip.json"
MAPPINGS = ROOT / "configs" / "mappings"
HIP = read_mapping(MAPPINGS / "fhir_hip.yaml", FhirMapping)
SPINE = read_mapping(MAPPINGS / "fhir_spine.yaml", FhirMapping)

Resource = dict[str, Any]
SIMPLE: Resource = {
    "format": "fhir",
    "procedures": [
        {"group": "HIP_PRIM", "codes": [{"system": "s", "code": "hip"}]},
        {"group": "KNEE_PRIM", "codes": [{"system": "s", "code": "knee"}]},
    ],
    "provider": {"look_in": ["performer", "on_behalf_of", "service_provider"]},
    "before": {"at_least": 0, "at_most": 90, "choose": "last"},
    "after": {"at_least": 100, "at_most": 400, "choose": "first"},
    "instruments": [{"instrument": "EQ_VAS", "answer": "number", "score": "vas"}],
}


def mapping(**changes: Any) -> FhirMapping:
    return FhirMapping.model_validate(SIMPLE | changes)


def reference(target: str) -> Resource:
    return {"reference": target}


def operation(
    key: str = "op", patient: str = "p", day: str = "2021-06-01", **more: Any
) -> Resource:
    """Return a Procedure: a hip replacement at H01."""
    made = {
        "resourceType": "Procedure",
        "id": key,
        "status": "completed",
        "code": {"coding": [{"system": "s", "code": "hip"}]},
        "subject": reference(f"Patient/{patient}"),
        "performedDateTime": day,
        "performer": [{"actor": reference("Organization/H01")}],
    }
    return {name: value for name, value in (made | more).items() if value is not None}


def response(authored: str | None, vas: Any = 50, patient: str = "p", **more: Any) -> Resource:
    """Return a QuestionnaireResponse with an EQ VAS."""
    made = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": reference(f"Patient/{patient}"),
        "authored": authored,
        "item": [{"linkId": "vas", "answer": [{"valueInteger": vas}]}],
    }
    return {name: value for name, value in (made | more).items() if value is not None}


def written(folder: Path, *resources: Resource, name: str = "bundle.json", **more: Any) -> Path:
    entries = [{"resource": one} for one in resources]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries} | more
    path = folder / name
    path.write_text(json.dumps(bundle), encoding="utf-8")
    return path


def left_out(table: pd.DataFrame) -> dict[str, int]:
    return table.attrs["left_out"]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    def read_resources(*resources: Resource, **changes: Any) -> pd.DataFrame:
        return read_fhir(written(tmp_path, *resources), mapping(**changes))

    return read_resources


Read = Callable[..., pd.DataFrame]
BEFORE, AFTER = response("2021-05-01", 40), response("2021-12-01", 80)


def scores(table: pd.DataFrame, row: int = 0) -> tuple[str, str]:
    return table["q1_score_eqvas"][row], table["q2_score_eqvas"][row]


# A bundle as it comes.


def test_a_bundle_becomes_one_row_per_operation() -> None:
    raw, faults = to_declared(read_fhir(HIP_BUNDLE, HIP), COLUMNS)
    table, score_faults = add_scores(raw)
    assert faults + score_faults + find_faults(table, COLUMNS) == []
    assert table["episode_id"].tolist() == ["op1", "op2", "op3"]
    assert table["patient_id"].tolist() == ["p1", "p2", "p3"]
    assert table["provider_id"].tolist() == ["H01", "H02", "H01"]
    assert table["procedure_group"].tolist() == ["HIP_PRIM", "HIP_REV", "HIP_PRIM"]
    assert table["sex"].tolist() == ["female", "male", "female"]
    assert table["age_years"].tolist()[:2] == [70.0, 77.0]  # the day before her 71st birthday
    assert table["q1_score_ohs"].tolist() == [24.0, 6.0, 12.0]
    assert table["q1_score_eq5d"].tolist() == [0.516, 0.202, -0.594]
    row = table.iloc[0]
    assert (row["q2_score_ohs"], row["q2_score_eq5d"], row["q2_score_eqvas"]) == (48.0, 1.0, 80.0)
    assert (row["symptom_period"], row["satisfaction"]) == (2.0, 2.0)
    assert [str(row[name].date()) for name in ("q1_date", "index_date", "q2_date")] == [
        "2021-05-20", "2021-06-01", "2021-12-05",
    ]  # fmt: skip


def test_everything_that_is_not_used_is_counted_with_its_reason() -> None:
    assert left_out(read_fhir(HIP_BUNDLE, HIP)) == {
        "procedures: no code of the mapping": 1,
        "procedures: no day of operation": 1,
        "responses: a follow-up dated before the operation": 1,
        "responses: no operation of their patient": 1,
        "responses: not completed or amended": 1,
        "responses: of questionnaires that the mapping leaves out": 1,
        "responses: outside the window after the operation": 1,
    }


def test_an_age_is_missing_where_the_date_of_birth_is_no_whole_date() -> None:
    assert read_fhir(HIP_BUNDLE, HIP)["age_years"].tolist() == ["70", "77", ""]


@pytest.mark.parametrize(
    "name", ["b.json.gz", "b.ndjson", "b.ndjson.gz", "b.jsonl", "bundles.ndjson"]
)
def test_other_files_of_the_same_resources_read_the_same(name: str, tmp_path: Path) -> None:
    bundle = json.loads(HIP_BUNDLE.read_text())
    lines = [json.dumps(one["resource"]) for one in bundle["entry"]]
    if name.startswith("bundles"):  # the pages of a search, one on each line
        more = {"link": [{"relation": "next", "url": "u"}]}
        half = [
            bundle | {"entry": bundle["entry"][:5]} | more,
            bundle | {"entry": bundle["entry"][5:]},
        ]
        lines = [json.dumps(one) for one in half]
    text = json.dumps(bundle) if "json.gz" in name and "nd" not in name else "\n\n".join(lines)
    content = b"\xef\xbb\xbf" * ("nd" not in name and "jsonl" not in name) + text.encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    got, want = read_fhir(path, HIP), read_fhir(HIP_BUNDLE, HIP)
    pd.testing.assert_frame_equal(got, want)
    assert left_out(got) == left_out(want)


def test_instruments_that_number_their_items_alike_are_told_apart(tmp_path: Path) -> None:
    def filled(name: str, day: str, level: int) -> Resource:
        items = [{"linkId": str(n), "answer": [{"valueInteger": level}]} for n in range(1, 11)]
        url = f"http://example.org/Questionnaire/{name}|1.2"
        return response(day, questionnaire=url, item=items)

    code = {"coding": [{"system": "http://example.org/procedure", "code": "lumbar-disc"}]}
    stay = {"resourceType": "Encounter", "id": "e", "serviceProvider": reference("Organization/O")}
    surgery = operation(code=code, performer=None, encounter=reference("Encounter/e"))
    rows = [stay, surgery, filled("odi", "2021-05-01", 2), filled("ndi", "2021-05-03", 5)]
    table, _ = add_scores(to_declared(read_fhir(written(tmp_path, *rows), SPINE), COLUMNS)[0])
    assert table["q1_score_odi"].tolist() == [40.0]
    assert table["q1_score_ndi"].tolist() == [100.0]
    assert str(table["q1_date"][0].date()) == "2021-05-01"


# Which response belongs where.


@pytest.mark.parametrize(
    ("authored", "want", "reason"),
    [
        ("2021-03-02", ("", ""), "outside the window before the operation"),
        ("2021-03-03", ("50", ""), ""),
        ("2021-06-01", ("50", ""), ""),
        ("2021-06-02", ("", ""), "outside the window after the operation"),
        ("2021-09-08", ("", ""), "outside the window after the operation"),
        ("2021-09-09", ("", "50"), ""),
        ("2022-07-06", ("", "50"), ""),
        ("2022-07-07", ("", ""), "outside the window after the operation"),
        ("2021-06-01T23:30:00-11:00", ("50", ""), ""),
        ("2021-05", ("", ""), "no day of answering"),
        ("2021-02-30", ("", ""), "no day of answering"),
        ("yesterday", ("", ""), "no day of answering"),
        (None, ("", ""), "no day of answering"),
    ],
)
def test_a_response_belongs_to_the_round_whose_window_its_date_is_in(
    authored: str | None, want: tuple[str, str], reason: str, read: Read
) -> None:
    table = read(operation(), response(authored))
    assert scores(table) == want
    assert left_out(table) == ({f"responses: {reason}": 1} if reason else {})


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"status": "in-progress"}, "not completed or amended"),
        ({"status": "entered-in-error"}, "not completed or amended"),
        ({"status": None}, "not completed or amended"),
        ({"subject": None}, "no operation of their patient"),
        ({"subject": reference("Patient/other")}, "no operation of their patient"),
        ({"item": None}, "no answer that the mapping reads"),
        ({"item": [{"linkId": "vas", "answer": []}]}, "no answer that the mapping reads"),
        ({"item": [{"linkId": "vas", "answer": [{}]}]}, "no answer that the mapping reads"),
        ({"partOf": [reference("Procedure/other")]}, "part of a procedure that is no episode"),
        ({"questionnaire": "u/private|3"}, "of questionnaires that the mapping leaves out"),
    ],
)
def test_a_response_that_cannot_serve_is_counted(more: Resource, reason: str, read: Read) -> None:
    table = read(operation(), BEFORE | more if None not in more.values() else {
        key: one for key, one in (BEFORE | more).items() if one is not None
    }, ignore_questionnaires=["u/private"])  # fmt: skip
    assert scores(table) == ("", "")
    assert left_out(table) == {f"responses: {reason}": 1}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"code": {"coding": [{"system": "t", "code": "hip"}]}}, "no code of the mapping"),
        ({"code": None}, "no code of the mapping"),
        (
            {"code": {"coding": [{"system": "s", "code": one} for one in ("hip", "knee")]}},
            "codes of several groups",
        ),
        ({"status": "not-done"}, "not completed"),
        ({"subject": None}, "no patient"),
        ({"performedDateTime": "2021"}, "no day of operation"),
        ({"performedDateTime": None, "performedString": "in spring"}, "no day of operation"),
        ({"performer": [{"actor": reference("Practitioner/x")}]}, "no provider"),
        (
            {"performer": [{"actor": reference(f"Organization/{one}")} for one in "AB"]},
            "several providers",
        ),
    ],
)
def test_a_procedure_that_is_no_episode_is_counted(more: Resource, reason: str, read: Read) -> None:
    table = read(operation("other", patient="q"), operation(**more))
    assert table["episode_id"].tolist() == ["other"]
    assert left_out(table) == {f"procedures: {reason}": 1}


def test_operations_of_one_group_on_one_day_are_both_left_out(read: Read) -> None:
    table = read(operation("a"), operation("b"), operation("c", patient="q"), BEFORE)
    assert table["episode_id"].tolist() == ["c"]
    assert left_out(table) == {
        "procedures: another of their group on the same day": 2,
        "responses: no operation of their patient": 1,
    }


def test_of_two_operations_of_a_group_a_response_belongs_to_those_around_it(read: Read) -> None:
    table = read(
        operation("second", day="2021-10-01"),
        operation("first", day="2021-04-01"),
        response("2021-09-01", 60),  # 153 days after the first, 30 before the second
        response("2022-02-01", 90),  # in the window of both, but after the second
    )
    by_key = {key: scores(table, row) for row, key in enumerate(table["episode_id"])}
    assert by_key == {"first": ("", "60"), "second": ("60", "90")}


def test_a_response_that_names_its_procedure_belongs_to_that_one(read: Read) -> None:
    table = read(
        operation("second", day="2021-10-01"),
        operation("first", day="2021-04-01"),
        response("2022-02-01", 90, partOf=[reference("Procedure/first")]),
    )
    by_key = {key: scores(table, row) for row, key in enumerate(table["episode_id"])}
    assert by_key == {"first": ("", "90"), "second": ("", "")}


def test_operations_of_other_groups_do_not_take_a_response_away(read: Read) -> None:
    knee = {"coding": [{"system": "s", "code": "knee"}]}
    table = read(operation("hip"), operation("knee", day="2021-07-01", code=knee), AFTER)
    assert table["q2_score_eqvas"].tolist() == ["80", "80"]


@pytest.mark.parametrize(
    ("window", "choose", "want"),
    [
        ("before", "last", "45"),
        ("before", "first", "40"),
        ("after", "last", "90"),
        ("after", "first", "80"),
    ],
)
def test_of_several_responses_the_mapping_says_which(
    window: str, choose: str, want: str, read: Read
) -> None:
    dates = {
        "before": ("2021-05-20T10:00:00Z", "2021-05-20"),
        "after": ("2022-01-01", "2021-12-01"),
    }
    late, early = dates[window]
    values = {"before": (45, 40), "after": (90, 80)}[window]
    table = read(
        operation(),
        response(late, values[0]),
        response(early, values[1]),
        **{window: SIMPLE[window] | {"choose": choose}},
    )
    assert want in scores(table)
    assert left_out(table) == {"responses: not chosen": 1}


def test_an_amended_response_replaces_the_one_of_the_same_time(read: Read) -> None:
    for rows in ([BEFORE, BEFORE | {"status": "amended", "item": AFTER["item"]}],):
        for order in (rows, rows[::-1]):
            table = read(operation(), *order)
            assert scores(table) == ("80", "")
            assert left_out(table) == {"responses: not chosen": 1}


def test_responses_of_one_time_that_differ_are_both_left_out(read: Read) -> None:
    table = read(operation(), BEFORE, BEFORE | {"item": AFTER["item"]}, AFTER)
    assert scores(table) == ("", "80")
    assert left_out(table) == {"responses: contradict another of the same time": 2}


def test_a_resource_given_twice_counts_once(read: Read) -> None:
    again = BEFORE | {"id": "r"}
    table = read(operation(), operation(), again, again)
    assert scores(table) == ("40", "")
    assert left_out(table) == {
        "procedures: the same one again": 1,
        "responses: the same one again": 1,
    }


@pytest.mark.parametrize(
    ("questionnaire", "authored", "reason"),
    [
        ("u/after", "2021-05-01", "a follow-up dated before the operation"),
        ("u/after", "2021-06-01", "outside the window after the operation"),
        ("u/before", "2021-12-01", "a first questionnaire dated after the operation"),
        ("u/before|2", "2021-05-01", ""),
    ],
)
def test_a_questionnaire_of_one_round_is_never_taken_for_the_other(
    questionnaire: str, authored: str, reason: str, read: Read
) -> None:
    windows = {of: SIMPLE[of] | {"questionnaires": [f"u/{of}"]} for of in ("before", "after")}
    table = read(operation(), response(authored, questionnaire=questionnaire), **windows)
    assert left_out(table) == ({f"responses: {reason}": 1} if reason else {})


# References, providers, patients.


@pytest.mark.parametrize(
    "target",
    [
        "Patient/p",
        "http://x.org/fhir/Patient/p",
        "http://x.org/fhir/Patient/p/_history/3",
        "urn:uuid:1",
    ],
)
def test_a_patient_is_found_however_the_reference_is_written(target: str, tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "id": "p", "gender": "male", "birthDate": "1950-06-01"}
    entries = [
        {"fullUrl": "urn:uuid:1", "resource": patient},
        {"resource": operation()},
        {"resource": BEFORE | {"subject": reference(target)}},
    ]
    table = read_fhir(written(tmp_path, entry=entries), mapping())
    assert scores(table) == ("40", "")
    assert (table["age_years"][0], table["sex"][0]) == ("71", "male")


def test_a_patient_may_be_named_by_an_identifier_that_is_theirs_alone(read: Read) -> None:
    def patient(key: str, *values: str) -> Resource:
        named = [{"system": "mrn", "value": one} for one in values]
        return {"resourceType": "Patient", "id": key, "identifier": named}

    def told(value: str) -> Resource:
        return {"subject": {"identifier": {"system": "mrn", "value": value}}}

    table = read(
        operation(),
        patient("p", "1", "shared"),
        patient("q", "2", "shared"),
        BEFORE | told("1"),
        AFTER | told("shared"),
    )
    assert scores(table) == ("40", "")
    assert left_out(table) == {"responses: no operation of their patient": 1}


HOUSE = {
    "resourceType": "Organization",
    "id": "H01",
    "identifier": [{"system": "ods", "value": "RAA"}],
}
SURGEON = reference("Practitioner/x")


@pytest.mark.parametrize(
    "more",
    [
        {"performer": [{"actor": reference("Organization/H01")}]},
        {"performer": [{"actor": SURGEON, "onBehalfOf": reference("Organization/H01")}]},
        {"performer": None, "encounter": reference("Encounter/e")},
        {
            "performer": [{"actor": reference("#house")}],
            "contained": [HOUSE | {"id": "house"}],
        },
        {"performer": [{"actor": {"type": "Organization", "identifier": HOUSE["identifier"][0]}}]},
    ],
)
def test_a_provider_is_found_where_the_mapping_looks(more: Resource, read: Read) -> None:
    stay = {
        "resourceType": "Encounter",
        "id": "e",
        "serviceProvider": reference("Organization/H01"),
    }
    provider = SIMPLE["provider"] | {"identifier_system": "ods"}
    table = read(HOUSE, stay, operation(**more), provider=provider)
    assert table["provider_id"].tolist() == ["RAA"]


def test_a_provider_without_the_identifier_asked_for_is_none(read: Read) -> None:
    provider = SIMPLE["provider"] | {"identifier_system": "other"}
    with pytest.raises(FileFormatError, match=r"got none \(procedures: no provider: 1\)"):
        read(HOUSE, operation(), provider=provider)


@pytest.mark.parametrize(("gender", "want"), [("female", "female"), ("other", ""), ("unknown", "")])
def test_a_gender_without_a_place_in_the_table_is_missing(
    gender: str, want: str, read: Read
) -> None:
    patient = {"resourceType": "Patient", "id": "p", "gender": gender}
    assert read(patient, operation())["sex"].tolist() == [want]


# Answers.


def one_answer(read: Read, answer: Resource, kind: str, **more: Any) -> str:
    question = {"column": "satisfaction", "link_id": "sat", "round": "after", "answer": kind}
    item = [{"linkId": "sat", "answer": [answer]}]
    table = read(operation(), AFTER | {"item": item}, questions=[question | more])
    return str(table["satisfaction"][0])


def coding(code: str | None = "a", weight: Any = None, name: str = "ordinalValue") -> Resource:
    url = f"http://hl7.org/fhir/StructureDefinition/{name}"
    made: Resource = {"system": "s"} | ({"code": code} if code else {})
    return {"valueCoding": made | {"extension": [{"url": url, "valueDecimal": weight}]}}


@pytest.mark.parametrize(
    ("answer", "kind", "codes", "want"),
    [
        ({"valueInteger": 3}, "number", {}, "3"),
        ({"valueDecimal": 3.0}, "number", {}, "3"),
        ({"valueDecimal": 0.1234567891}, "number", {}, "0.1234567891"),
        ({"valueInteger": 1}, "number", {"1": "5"}, "5"),
        (coding("a"), "coding", {}, "a"),
        (coding("a"), "coding", {"a": "2"}, "2"),
        (coding("a"), "coding", {"s|a": "2", "a": "3"}, "2"),
        (coding("a", 4), "ordinal", {}, "4"),
        (coding("a", 4, "itemWeight"), "ordinal", {}, "4"),
        ({"valueBoolean": True}, "text", {}, "true"),
        ({"valueString": "x"}, "text", {"x": "1"}, "1"),
        ({"valueDate": "2021-01-01"}, "text", {}, "2021-01-01"),
    ],
)
def test_an_answer_becomes_the_code_that_the_mapping_says(
    answer: Resource, kind: str, codes: dict[str, str], want: str, read: Read
) -> None:
    assert one_answer(read, answer, kind, codes=codes) == want


@pytest.mark.parametrize(
    ("answer", "kind", "codes", "said"),
    [
        ({"valueString": "3"}, "number", {}, "valueInteger or valueDecimal; got valueString"),
        ({"valueInteger": True}, "number", {}, "wanted valueInteger"),
        ({"valueInteger": 10**400}, "number", {}, "wanted valueInteger"),
        ({"valueQuantity": {"value": 3}}, "number", {}, "got valueQuantity"),
        ({"valueInteger": 3}, "coding", {}, "valueCoding with a code; got valueInteger"),
        (coding(None), "coding", {}, "valueCoding with a code"),
        (coding("b"), "coding", {"a": "1"}, "a code of the mapping; got 'b' in 1 response"),
        (coding("a", None), "ordinal", {}, "with an ordinalValue"),
        (coding("a", "4"), "ordinal", {}, "with an ordinalValue"),
        (coding("a", True), "ordinal", {}, "with an ordinalValue"),
        (coding("a", 4, "else"), "ordinal", {}, "with an ordinalValue"),
        ({"valueString": "SECRET"}, "text", {"x": "1"}, "a code of the mapping in 1 response"),
    ],
)
def test_an_answer_of_another_kind_is_an_error_that_names_the_question(
    answer: Resource, kind: str, codes: dict[str, str], said: str, read: Read
) -> None:
    with pytest.raises(ValuesError, match="linkId 'sat': wanted ") as caught:
        one_answer(read, answer, kind, codes=codes)
    assert said in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_several_answers_to_one_question_are_an_error(read: Read) -> None:
    twice = BEFORE | {"item": BEFORE["item"] * 2}
    both = BEFORE | {"item": [{"linkId": "vas", "answer": [{"valueInteger": n} for n in (1, 2)]}]}
    for one in (twice, both):
        with pytest.raises(ValuesError, match=r"'vas': wanted one answer; got 2 in 1 response, fi"):
            read(operation(), one)


def test_questions_within_groups_and_within_answers_are_found(read: Read) -> None:
    vas = BEFORE["item"][0]
    inner = {"linkId": "yes", "answer": [{"valueBoolean": True, "item": [vas]}]}
    group = {"linkId": "group", "item": [{"linkId": "inner", "item": [inner]}]}
    table = read(operation(), BEFORE | {"item": [group]}, ignore_link_ids=["yes"])
    assert scores(table) == ("40", "")


def test_questions_that_the_mapping_does_not_know_are_listed(read: Read) -> None:
    strange = [{"linkId": name, "answer": [{"valueInteger": 1}]} for name in ("vass", "pain")]
    with pytest.raises(UnknownNameError) as caught:
        read(operation(), BEFORE | {"item": strange}, AFTER | {"item": strange[:1]})
    assert "got 'vass' in 2, 'pain' in 1 responses. Did you mean 'vas'?" in str(caught.value)
    assert "ignore_link_ids" in str(caught.value)


@pytest.mark.parametrize(
    "more", [{"status": "stopped"}, {"item": [{"linkId": "strange", "text": "not answered"}]}]
)
def test_unknown_questions_without_answers_that_count_are_passed_over(
    more: Resource, read: Read
) -> None:
    strange = [{"linkId": "strange", "answer": [{"valueInteger": 1}]}]
    assert len(read(operation(), BEFORE | {"item": strange} | more)) == 1


def test_the_list_of_unknown_questions_ends(read: Read) -> None:
    item = [{"linkId": "x" * 5000 + str(n), "answer": [{"valueInteger": 1}]} for n in range(99)]
    with pytest.raises(UnknownNameError, match="and 89 more responses") as caught:
        read(operation(), BEFORE | {"item": item})
    assert len(str(caught.value)) < 1200


# Files that are something else.


def deep(levels: int) -> str:
    item = '{"linkId":"a","item":[' * levels + "]}" * levels
    answers = f'{{"resourceType":"QuestionnaireResponse","item":[{item}]}}'
    return f'{{"resourceType":"Bundle","entry":[{{"resource":{answers}}}]}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "wanted FHIR R4 JSON"),
        ("<Bundle/>", "wanted FHIR R4 JSON"),
        ("[]", "got a JSON list"),
        ("3", "got a JSON number"),
        ('{"resourceType":"Patient"}', "got 'Patient' as its resourceType"),
        ('{"resourceType":["Bundle"]}', "got a JSON list as its resourceType"),
        ("{}", "got a JSON null as its resourceType"),
        ('{"resourceType":"Bundle","resourceType":"Bundle"}', "'resourceType' twice"),
        ('{"resourceType":"Bundle","total":NaN}', "NaN, which is no number"),
        ('{"resourceType":"Bundle","total":-Infinity}', "-Infinity, which is no number"),
        ('{"resourceType":"Bundle","total":' + "9" * 5000 + "}", "wanted FHIR R4 JSON"),
        ('{"resourceType":"Bundle","entry":' + "[" * 100_000, "nested too deeply"),
        (deep(65), "nested up to 64 deep"),
        ('{"resourceType":"Bundle"}', r"got none \(there is no Procedure\)"),
        ('{"resourceType":"Bundle","entry":{}}', "a list of objects for 'entry'.*JSON object"),
        ('{"resourceType":"Bundle","entry":[1]}', "a list of objects for 'entry'"),
        ('{"resourceType":"Bundle","entry":[{"resource":[]}]}', "an object for 'resource'"),
        ('{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Bundle"}}]}', "within"),
        ('{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Procedure"}}]}', "an id"),
        ('{"resourceType":"Bundle","type":"history"}', "of type 'history'"),
        ('{"resourceType":"Bundle","link":[{"relation":"next"}]}', "whole Bundle; got a page"),
        (
            '{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":7}}]}',
            "text for 'id' .* got a JSON number",
        ),
        (
            '{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"QuestionnaireResponse",'
            '"item":[{"linkId":"vas","answer":[{"valueInteger":1,"valueString":"1"}]}]}}]}',
            r"one value\[x\] in an answer; got 2",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_bundle_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match=said) as caught:
        read_fhir(path, mapping())
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", gzip.compress(b"{}", mtime=0)[:9], b"not packed"]
)
@pytest.mark.parametrize("ending", [".json", ".json.gz", ".ndjson.gz"])
def test_bytes_that_are_no_text_are_refused(content: bytes, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"bundle{ending}"
    path.write_bytes(content)
    with pytest.raises(FileFormatError):
        read_fhir(path, mapping())


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError):
        read_fhir(tmp_path / "bundle.json", mapping())


@pytest.mark.parametrize("ending", [".json", ".json.gz", ".ndjson", ".ndjson.gz"])
@pytest.mark.parametrize(("limit", "size"), [("MAX_DOCUMENT_BYTES", 20), ("MAX_FILE_BYTES", 400)])
def test_a_file_beyond_the_limits_is_refused_while_it_is_unpacked(
    limit: str, size: int, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.dumps(one) for one in (operation(), BEFORE, AFTER)]
    bundle = written(tmp_path, operation(), BEFORE, AFTER).read_text()
    text = "\n".join(lines) if "nd" in ending else bundle
    path = tmp_path / f"file{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    monkeypatch.setattr(fhir_json, limit, size)
    if limit == "MAX_FILE_BYTES" and "nd" not in ending:
        assert len(read_fhir(path, mapping())) == 1
        return
    with pytest.raises(FileFormatError, match=rf"wanted up to {size} bytes.* Split it by patient"):
        read_fhir(path, mapping())


def test_two_versions_of_one_resource_are_refused(read: Read) -> None:
    with pytest.raises(FileFormatError, match="two Procedure resources of one id that differ"):
        read(operation(), operation(day="2021-06-02"))


def test_one_full_url_of_two_resources_is_refused(tmp_path: Path) -> None:
    entries = [{"fullUrl": "u", "resource": operation(key)} for key in "ab"]
    with pytest.raises(FileFormatError, match="each fullUrl of one resource"):
        read_fhir(written(tmp_path, entry=entries), mapping())


# What holds of every bundle.

DAYS = st.integers(-200, 600).map(
    lambda n: str((pd.Timestamp("2021-06-01") + pd.Timedelta(n, "D")).date())
)
RESPONSES = st.lists(
    st.builds(
        lambda day, vas, patient, status: response(day, vas, patient, status=status),
        DAYS,
        st.integers(0, 3),
        st.sampled_from("abc"),
        st.sampled_from(["completed", "amended", "in-progress"]),
    ),
    max_size=12,
)
OPERATIONS = st.lists(st.tuples(st.sampled_from("ab"), DAYS), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(operations=OPERATIONS, responses=RESPONSES, data=st.data())
def test_nothing_is_dropped_and_the_order_of_resources_changes_nothing(
    operations: list[tuple[str, str]],
    responses: list[Resource],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("fhir")
    made = [operation(str(n), *one) for n, one in enumerate(operations)]
    made.append(operation("z", "z"))  # so that there is one
    shuffled = data.draw(st.permutations(made + responses))
    table, other = (
        read_fhir(written(folder, *rows), mapping()) for rows in (made + responses, shuffled)
    )
    pd.testing.assert_frame_equal(table, other.sort_values("episode_id", ignore_index=True))
    assert left_out(table) == left_out(other)
    counts = left_out(table)
    unused = {
        unit: sum(n for why, n in counts.items() if why.startswith(unit)) for unit in ("p", "r")
    }
    assert len(table) + unused["p"] == len(made)
    # A response may serve as one operation's follow-up and as the next one's first answers.
    served = (table[["q1_score_eqvas", "q2_score_eqvas"]] != "").to_numpy().sum()
    used = len(responses) - unused["r"]
    assert used <= served <= 2 * used


HOSTILE = (None, True, 7, 1e308, "x", [], {}, [None], [[]], [{}], {"reference": 1})


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_hostile_bundles_are_refused_in_one_line_that_names_nobody(
    value: Any, tmp_path: Path
) -> None:
    patient = {"resourceType": "Patient", "id": "SECRET", "birthDate": "1950-01-01"}
    surgery = operation("SECRET-1", "SECRET")
    good = json.loads(
        written(tmp_path, HOUSE, patient, surgery, response("2021-05-01", 40, "SECRET")).read_text()
    )
    path = tmp_path / "hostile.json"
    messages, read = [], 0
    for steps in _places(good):
        bundle = deepcopy(good)
        part = bundle
        for step in steps[:-1]:
            part = part[step]
        part[steps[-1]] = value
        path.write_text(json.dumps(bundle), encoding="utf-8")
        try:
            read += len(read_fhir(path, mapping()))
        except RiskadjError as error:
            messages.append(str(error))
    assert len(messages) + read == len(_places(good)) > 40
    assert len(messages) > 5
    assert not any("\n" in one or "SECRET" in one for one in messages)


def _places(content: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = content.items() if isinstance(content, dict) else enumerate(content)
    places = []
    for step, inner in steps:
        places.append((*above, step))
        if isinstance(inner, (dict, list)):
            places += _places(inner, (*above, step))
    return places
