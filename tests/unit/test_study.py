"""Studies: what YAML means, every fault by its line and name, and no hidden clinical choice."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field
from worlds import make_study, study_content, write_study

from riskadj.errors import FileMissingError, StudyError, UnknownNameError
from riskadj.record import Record
from riskadj.study import Study, load_study, read_yaml, study_schema
from riskadj.study.load import StudyFaults, build

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(
    [*(ROOT / "configs" / "studies").glob("*.yaml"), ROOT / "src/riskadj/study/demo.yaml"]
)
CLINICAL = [
    "name", "version", "title", "data", "data.format", "data.paths", "cohort",
    "cohort.procedure_group", "cohort.follow_up_days", "cohort.exclude", "outcomes",
    "outcomes.0.name", "outcomes.0.instrument", "outcomes.0.kind", "casemix", "casemix.columns",
    "casemix.allow_provider_influenced", "learners", "learners.0.kind", "split", "split.train",
    "split.test", "split.seed", "recalibration", "recalibration.method", "profile",
    "profile.method", "profile.minimum_n", "profile.suppress_below",
]  # fmt: skip


def yaml(folder: Path, text: str) -> dict[str, Any]:
    (folder / "some.yaml").write_text(text, encoding="utf-8")
    return read_yaml(folder / "some.yaml")


def changed(folder: Path, *overrides: str) -> Study:
    return load_study(write_study(folder), overrides)


def faults_of(folder: Path, *overrides: str, **changes: Any) -> list[str]:
    path = write_study(folder, study_content(**changes))
    with pytest.raises(StudyFaults) as caught:
        load_study(path, overrides)
    return [str(one) for one in caught.value.faults]


@pytest.mark.parametrize(
    ("written", "want"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("off", "off"),
        ("1e-3", 0.001),
        ("010", 10),
        ("0o10", 8),
        ("2018/19", "2018/19"),
        ("12:30", "12:30"),
        ("true", True),
        ("null", None),
    ],
)
def test_values_mean_what_yaml_1_2_says(written: str, want: object, tmp_path: Path) -> None:
    got = yaml(tmp_path, f"key: {written}")["key"]
    assert got == want
    assert isinstance(got, type(want))


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r'some\.yaml:2:.*duplicate key "seed"'):
        yaml(tmp_path, "seed: 1\nseed: 2\n")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a: [1,\nb: 2", r"some\.yaml:\d: wanted YAML 1\.2"),
        ("a: 'open", r"some\.yaml:1: wanted YAML 1\.2"),
        ("\tkey: 1", r"some\.yaml:1: wanted YAML 1\.2"),
        ("- a\n- b", "wanted a mapping"),
        ("", "wanted a mapping.*got nothing"),
        ("just words", "wanted a mapping"),
    ],
)
def test_what_is_no_mapping_in_yaml_is_refused_in_one_line(
    text: str, match: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=match) as caught:
        yaml(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_study_that_is_not_there_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none\.yaml: wanted a YAML file"):
        load_study(tmp_path / "none.yaml")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", "name: Hôpital".encode("latin-1")])
def test_a_study_in_another_encoding_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes(content)
    with pytest.raises(StudyError, match="UTF-8"):
        load_study(tmp_path / "study.yaml")


def test_a_folder_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="could not read it"):
        load_study(tmp_path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda one: one.stem)
def test_every_shipped_study_loads(path: Path) -> None:
    study = load_study(path)
    assert study.name == path.stem
    assert study.outcomes


@pytest.mark.parametrize("key", CLINICAL)
def test_nothing_that_an_answer_depends_on_has_a_default(key: str, tmp_path: Path) -> None:
    content: Any = study_content()
    *above, last = key.split(".")
    inner = content
    for step in above:
        inner = inner[int(step) if step.isdigit() else step]
    del inner[last]
    with pytest.raises(StudyError, match=f"{last}.*is missing. Add it"):
        load_study(write_study(tmp_path, content))


@pytest.mark.parametrize(
    ("override", "where", "hint"),
    [
        ("nme=x", "nme", "'name'"),
        ("data.fromat=csv", "data.fromat", "'format'"),
        ("cohort.procedure_grup=X", "cohort.procedure_grup", "'procedure_group'"),
        ("cohort.follow_up_days={at_lest: 1, at_most: 2}", "cohort.follow_up_days.at_lest",
         "'at_least'"),
        ("cohort.exclude=[{column: bmi, reason: x, belw: 1}]", "cohort.exclude.0.belw", "'below'"),
        ("outcomes.0.instrumnet=OHS", "outcomes.0.instrumnet", "'instrument'"),
        ("learners.1.tres=5", "learners.1.tres", "'trees'"),
        ("learners=[{kind: lightgbm, leafs: 5}]", "learners.0.leafs", "'leaves'"),
        ("learners.0.rigde=5", "learners.0.rigde", "'ridge'"),
        ("card.intended_us=x", "card.intended_us", "'intended_use'"),
        ("data.columns=[{nam: x}]", "data.columns.0.nam", "'name'"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_named_with_the_one_that_was_meant(
    override: str, where: str, hint: str, tmp_path: Path
) -> None:
    first = faults_of(tmp_path, override)[0]
    assert f" {where}: wanted a known key" in first
    assert f"Did you mean {hint}?" in first


def test_an_unknown_key_like_no_other_is_shown_those_that_are_known(tmp_path: Path) -> None:
    first = faults_of(tmp_path, "recalibration.zzz=1")[0]
    assert "Known here: method." in first


def test_an_option_of_another_learner_is_not_one_of_this(tmp_path: Path) -> None:
    assert "learners.0.trees: wanted a known key" in faults_of(tmp_path, "learners.0.trees=5")[0]


def test_a_fault_names_the_line_of_the_file(tmp_path: Path) -> None:
    path = write_study(tmp_path, study_content(split__folds="three"))
    line = 1 + next(
        number for number, one in enumerate(path.read_text().splitlines()) if '"folds"' in one
    )
    with pytest.raises(StudyError, match=rf"study\.yaml:{line}: split\.folds: .*got 'three'"):
        load_study(path)


def test_every_fault_is_found_at_once_unknown_keys_first(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path, "nme=x", split__folds=1, profile__minimum_n="many", outcomes=[], title=3
    )
    assert len(faults) == 5
    assert "nme" in faults[0]


def test_the_message_is_the_first_fault_and_how_many_more(tmp_path: Path) -> None:
    path = write_study(tmp_path, study_content(split__folds=1, profile__minimum_n=1))
    with pytest.raises(
        StudyError, match=r"\(1 more: riskadj validate lists them all\.\)"
    ) as caught:
        load_study(path)
    assert "\n" not in str(caught.value)


class Gaps(Record):
    """A file that is no study."""

    casemix: float = Field(ge=0, le=0.9)
    items: float
    eqvas: float


def test_the_message_of_any_other_file_is_every_fault() -> None:
    with pytest.raises(StudyFaults) as caught:
        build(Gaps, {"casemix": 2, "items": "few", "eqvass": 0}, "world.yaml")
    message = str(caught.value)
    assert len(caught.value.faults) == 4
    assert message.startswith("4 faults. (1) world.yaml: eqvass: wanted a known key")
    assert all(str(one) in message for one in caught.value.faults)
    assert "\n" not in message
    assert "riskadj validate" not in message


def test_one_fault_of_any_other_file_is_the_message() -> None:
    with pytest.raises(StudyFaults, match=r"^world\.yaml: casemix: wanted less than or equal to"):
        build(Gaps, {"casemix": 2, "items": 0, "eqvas": 0}, "world.yaml")


def responder(**changes: Any) -> dict[str, Any]:
    return {"name": "ohs", "instrument": "OHS", "kind": "responder", **changes}


@pytest.mark.parametrize(
    ("threshold", "wanted"),
    [
        ({"kind": "change", "value": 8}, ["threshold.source: wanted a value; the key is missing"]),
        ({"kind": "change", "value": 8, "source": "x", "by": 1}, ["threshold.by: wanted a known"]),
        (
            {"kind": "chang", "value": "x", "source": "y"},
            ["threshold.kind: wanted 'change'", "threshold.value: wanted a valid number"],
        ),
        (8, ["threshold: wanted a valid string or a mapping; got 8."]),
    ],
    ids=str,
)
def test_a_mapping_is_not_told_that_it_is_no_text(
    threshold: object, wanted: list[str], tmp_path: Path
) -> None:
    found = faults_of(tmp_path, outcomes=[responder(threshold=threshold)])
    assert len(found) == len(wanted)
    assert all(part in one for part, one in zip(wanted, found, strict=True))


def test_a_mapping_where_none_may_be_is_told_what_may(tmp_path: Path) -> None:
    (found,) = faults_of(tmp_path, cohort={
        "procedure_group": "HIP_PRIM", "follow_up_days": None,
        "exclude": [{"column": "sex", "reason": "sex", "values": [{"a": 1}]}],
    })  # fmt: skip
    assert "cohort.exclude.0.values.0: wanted a valid string or a valid number; got {'a'" in found


def test_an_unknown_instrument_keeps_its_own_kind_of_error(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    with pytest.raises(StudyFaults, match=r"instrument: .*Did you mean 'OHS'") as caught:
        load_study(path, ["outcomes.0.instrument=OHSS"])
    assert len(caught.value.faults) == 1
    assert isinstance(caught.value.faults[0], UnknownNameError)
    assert caught.value.exit_code == UnknownNameError.exit_code


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("learners=[{kind: lightgmb}]", "got 'lightgmb'. Did you mean 'lightgbm'?"),
        ("learners=[{trees: 5}]", "wanted a `kind`"),
        ("learners=[]", "learners: wanted one or more; got none"),
        ("learners=[{kind: linear}, {kind: linear}]", "got linear twice"),
        ("learners.1.learning_rate=0", "greater than 0"),
        ("split.test=[2021, 2022]", "got 2021"),
        ('split.test=["2021", "2022"]', "got 2021 in both"),
        ("split.folds=1", "greater than or equal to 2"),
        ("split.seed=1.5", "integer"),
        ("profile.minimum_n=1", "greater than or equal to 2"),
        ("recalibration.method=slope", "'shift', 'line' or 'none'; got 'slope'"),
        ("cohort.exclude=[{column: bmi, reason: x}]", "one of missing, values, below or above"),
        ("outcomes.0.name=Hip Score", "match pattern"),
        ("name=../x", "match pattern"),
        ("data.paths=[]", "data.paths: wanted one or more; got none"),
        ("casemix.allow_provider_influenced=maybe", "boolean"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_what_came(
    override: str, problem: str, tmp_path: Path
) -> None:
    assert problem in faults_of(tmp_path, override)[0]


def test_two_outcomes_of_one_name_are_refused(tmp_path: Path) -> None:
    outcome = {"name": "ohs", "instrument": "OHS", "kind": "gain"}
    assert "got ohs twice" in faults_of(tmp_path, outcomes=[outcome, outcome])[0]


@pytest.mark.parametrize(
    ("override", "part", "want"),
    [
        ("split.seed=7", ("split", "seed"), 7),
        ("split.seed = 010", ("split", "seed"), 10),
        ("split.test=['2030', '2031']", ("split", "test"), ("2030", "2031")),
        ("version=2", ("version",), "2"),
        ("title=NO", ("title",), "NO"),
        ("title=a=b", ("title",), "a=b"),
        ("report.subgroups=[sex]", ("report", "subgroups"), ("sex",)),
        ("cohort.follow_up_days.at_most=1", None, None),
    ],
)
def test_overrides_are_yaml_under_their_key(
    override: str, part: tuple[str, ...] | None, want: object, tmp_path: Path
) -> None:
    if part is None:
        assert (
            "at_least: wanted a value"
            in faults_of(tmp_path, override, cohort__follow_up_days={})[0]
        )
        return
    value: Any = changed(tmp_path, override)
    for one in part:
        value = getattr(value, one)
    assert value == want


def test_an_override_reaches_into_a_list_by_position(tmp_path: Path) -> None:
    assert changed(tmp_path, "learners.1.trees=7").learners[1].trees == 7  # type: ignore[union-attr]
    assert changed(tmp_path, "casemix.columns.0=bmi").casemix.columns[0] == "bmi"


def test_later_overrides_win(tmp_path: Path) -> None:
    assert changed(tmp_path, "split.seed=1", "split.seed=2").split.seed == 2


def test_an_override_may_make_a_part_that_the_file_lacks(tmp_path: Path) -> None:
    assert changed(tmp_path, "card.users=Payers").card.users == "Payers"


def test_an_override_may_replace_nothing_by_a_part(tmp_path: Path) -> None:
    study = changed(
        tmp_path, "cohort.follow_up_days.at_least=150", "cohort.follow_up_days.at_most=365"
    )
    assert study.cohort.follow_up_days.at_most == 365  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("split.seed", "wanted key=value; got 'split.seed'"),
        ("=3", "wanted key=value"),
        ("split.test=[2018", "wanted a YAML value"),
        ("learners.5.trees=1", "wanted a position from 0 to 1; got '5'"),
        ("learners.first.trees=1", "wanted a position from 0 to 1; got 'first'"),
        ("learners.2={kind: linear}", "wanted a position from 0 to 1; got '2'"),
        ("title.part=1", "got a value above 'part'"),
        ("title.part.more=1", "got a value above 'part'"),
    ],
)
def test_an_override_that_reaches_nothing_is_refused(
    override: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="--set") as caught:
        changed(tmp_path, override)
    assert problem in str(caught.value)


def test_paths_are_relative_to_the_study_file(tmp_path: Path) -> None:
    absolute = tmp_path / "elsewhere.csv"
    path = write_study(tmp_path, study_content(data__paths=["in/a.csv", str(absolute)]))
    assert load_study(path).data.paths == (tmp_path / "in" / "a.csv", absolute)


def test_paths_of_an_override_are_relative_to_the_current_folder(tmp_path: Path) -> None:
    assert changed(tmp_path, "data.paths=[a.csv]").data.paths == (Path("a.csv"),)


def test_a_study_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        make_study().split.seed = 2  # type: ignore[misc]


@pytest.mark.parametrize("version", [1, 1.5, "1"])
def test_a_version_may_be_written_as_a_number(version: object) -> None:
    assert make_study(version=version).version == str(version)


def test_the_schema_describes_every_key_of_the_shipped_studies() -> None:
    schema = study_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(schema["required"]) == {one for one in CLINICAL if "." not in one}
    for path in SHIPPED:
        assert read_yaml(path).keys() <= schema["properties"].keys()


def test_the_schema_refuses_unknown_keys_at_every_depth() -> None:
    records = study_schema()["$defs"].values()
    assert {one["additionalProperties"] for one in records if one["type"] == "object"} == {False}


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(study_schema())) == study_schema()


# --- how providers are compared -------------------------------------------------------------------

SCORES = {"instrument": "OHS", "name": "ohs"}
RESPONDERS = SCORES | {
    "kind": "responder",
    "threshold": {"kind": "change", "value": 8, "source": "nobody"},
}


def profile_fault(folder: Path, outcomes: Any = None, **profile: Any) -> str:
    """Return the only fault of a profile with changes."""
    changes = {f"profile__{name}": one for name, one in profile.items()}
    changes |= {} if outcomes is None else {"outcomes": outcomes}
    (fault,) = faults_of(folder, **changes)
    return fault


@pytest.mark.parametrize(
    ("outcome", "value", "known"),
    [
        ({"kind": "gain"}, 48.0, True),
        ({"kind": "gain"}, -48.0, True),
        ({"kind": "gain"}, 48.5, False),
        ({"kind": "final_score"}, 0.0, True),
        ({"kind": "final_score"}, -1.0, False),
        ({"kind": "percentage_change"}, 250.0, True),
        (RESPONDERS, 0.8, True),
        (RESPONDERS, 1.0, False),
        (RESPONDERS, 80.0, False),
    ],
)
def test_a_number_to_compare_with_is_one_that_a_mean_can_be(
    outcome: dict[str, Any], value: float, known: bool, tmp_path: Path
) -> None:
    outcomes = [SCORES | outcome]
    if known:
        assert make_study(outcomes=outcomes, profile__reference=value).profile.reference == value
    else:
        fault = profile_fault(tmp_path, outcomes, reference=value)
        kind = outcomes[0]["kind"]
        assert f"profile.reference: wanted what a mean of ohs can be ({kind}" in fault


def test_a_number_to_compare_with_has_one_outcome(tmp_path: Path) -> None:
    both = [
        {"name": "ohs", "instrument": "OHS", "kind": "gain"},
        {"name": "eq5d", "instrument": "EQ5D3L_UK_TTO", "kind": "gain"},
    ]
    fault = profile_fault(tmp_path, both, reference=0.4)
    assert "got 0.4 for ohs in points, eq5d in index. Make a study of each." in fault
    assert make_study(outcomes=both, profile__reference="median").profile.reference == "median"


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"reference": 20, "peer_group": "sex"}, "peer_group or a number as reference, not both"),
        ({"replicates": 1}, "replicates: wanted 0 or at least 100"),
        ({"replicates": 99}, "replicates: wanted 0 or at least 100"),
        (
            {"sensitivity": {"methods": ["empirical_bayes"], "limits": ["nominal", "winsorised"]}},
            "got empirical_bayes alone with winsorised, which would run nowhere",
        ),
        (
            {"sensitivity": {"methods": ["nhs_england"] * 2, "limits": ["nominal"]}},
            "wanted each of methods once; got nhs_england twice",
        ),
        (
            {"sensitivity": {"methods": ["nhs_england"], "limits": ["nominal", "nominal"]}},
            "wanted each of limits once; got nominal twice",
        ),
    ],
)
def test_a_profile_that_would_not_do_what_it_says_is_refused(
    profile: dict[str, Any], words: str, tmp_path: Path
) -> None:
    assert words in profile_fault(tmp_path, **profile)


def test_shrunken_methods_alone_go_with_nominal_limits() -> None:
    asked = {"methods": ["empirical_bayes", "random_intercept"], "limits": ["nominal"]}
    assert make_study(profile__sensitivity=asked).profile.sensitivity.limits == ("nominal",)


@pytest.mark.parametrize(
    "override",
    ["profile.reference=.nan", "profile.reference=.inf", "learners.1.l2=.inf",
     "cohort.exclude=[{column: age_years, above: .inf, reason: none}]"],
)  # fmt: skip
def test_a_number_of_a_study_is_finite(override: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="finite number"):
        changed(tmp_path, override)
