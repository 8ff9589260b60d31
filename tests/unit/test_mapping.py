"""Mapping files: what they may say, and what is said of those that may not."""

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from riskadj.episodes import COLUMNS
from riskadj.episodes.fhir_mapping import FhirMapping
from riskadj.episodes.mapping import (
    MAX_MAPPING_BYTES,
    check_mapped_columns,
    mapped_columns,
    read_mapping,
)
from riskadj.episodes.redcap_mapping import RedcapMapping
from riskadj.errors import ColumnError, FileMissingError, RiskadjError, StudyError

READY = Path(__file__).parents[2] / "configs" / "mappings"
KINDS = {"redcap": RedcapMapping, "fhir": FhirMapping}

REDCAP: dict[str, Any] = {
    "format": "redcap",
    "before": {"event": "before"},
    "after": {"event": "after"},
    "instruments": [{"instrument": "EQ_VAS", "score": "vas"}],
    "columns": {"provider_id": {"field": "site"}},
}
WINDOW = {"at_least": 1, "at_most": 90, "choose": "last"}
FHIR: dict[str, Any] = {
    "format": "fhir",
    "procedures": [{"group": "HIP_PRIM", "codes": [{"system": "s", "code": "W37.1"}]}],
    "provider": {"look_in": ["performer"]},
    "before": WINDOW,
    "after": WINDOW,
    "instruments": [{"instrument": "EQ_VAS", "answer": "number", "score": "vas"}],
}
BASES: dict[str, dict[str, Any]] = {"redcap": REDCAP, "fhir": FHIR}


def changed(kind: str, **changes: Any) -> dict[str, Any]:
    """Return a mapping with some keys set; a key may be a path such as `before__event`."""
    content = deepcopy(BASES[kind])
    for path, value in changes.items():
        *above, last = path.split("__")
        part = content
        for step in above:
            part = part[step]
        part[last] = value
    return content


def message_of(path: Path, kind: type[Any]) -> str:
    with pytest.raises(RiskadjError) as caught:
        read_mapping(path, kind)
    return str(caught.value)


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    """Return a function that writes a mapping and returns what is said of it."""
    from ruamel.yaml import YAML

    def write_and_read(content: dict[str, Any]) -> str:
        path = tmp_path / "map.yaml"
        with path.open("w", encoding="utf-8") as stream:
            YAML(typ="safe", pure=True).dump(content, stream)
        return message_of(path, KINDS[content["format"]])

    return write_and_read


@pytest.mark.parametrize("path", sorted(READY.glob("*.yaml")), ids=lambda path: path.stem)
def test_ready_mappings_fill_declared_columns_only(path: Path) -> None:
    mapping = read_mapping(path, KINDS[path.stem.split("_")[0]])
    check_mapped_columns(mapping, COLUMNS, path.name)
    assert len(set(mapped_columns(mapping))) == len(mapped_columns(mapping)) > 15


@pytest.mark.parametrize("kind", KINDS)
def test_a_mapping_of_the_other_kind_is_refused(kind: str) -> None:
    other = {"redcap": "fhir", "fhir": "redcap"}[kind]
    with pytest.raises(StudyError, match=f"wanted a mapping with format: {kind}.*got '{other}'"):
        read_mapping(READY / f"{other}_hip.yaml", KINDS[kind])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (changed("redcap", befor={}), r"befor: wanted a known key; got 'befor'.*'before'"),
        (changed("redcap", before__evnt="x"), r"before.evnt: .*Did you mean 'event'"),
        (changed("redcap", before={}), r"an event for before and for after, or for neither"),
        (changed("redcap", after={"event": "before"}), r"before and after to differ"),
        (changed("redcap", ignore_events=["after"]), r"read or ignored; got 'after' as both"),
        (changed("redcap", repeats="middle"), r"repeats: wanted 'error', 'first' or 'last'"),
        (changed("redcap", needs=["index_dat"]), r"got 'index_dat'"),
        (changed("redcap", columns__episode_id={"field": "x"}), r"no column 'episode_id'"),
        (changed("redcap", columns__q1_score_eqvas={"field": "x"}), r"'q1_score_eqvas' twice"),
        (changed("redcap", columns__sex={}), r"one of field, any_of and value; got 0"),
        (changed("redcap", columns__sex={"field": "a", "value": "b"}), r"value; got 2"),
        (changed("redcap", columns__sex={"field": "a", "codes": {"1": 1.5}}), r"wanted a code"),
        (changed("redcap", missing=[True]), r"missing.0: wanted a code.*got True"),
        (changed("redcap", instruments=[]), r"instruments: wanted one or more"),
        (changed("redcap", instruments=[{"instrument": "OSH"}]), r"Did you mean 'O[HK]S'"),
        (changed("redcap", instruments=[{"instrument": "OHS"}]), r"items or score of OHS; got ne"),
        (
            changed("redcap", instruments=[{"instrument": "OHS", "items": ["a"] * 11}]),
            r"wanted 12 items of OHS, in order; got 11",
        ),
        (
            changed(
                "redcap",
                instruments=[{"instrument": "OHS", "items": list("abcdefghijkl"), "codes": {1: 5}}],
            ),
            r"codes that become 0 to 4, those of OHS; got '5'",
        ),
        (changed("fhir", after__at_least=0), r"after.at_least: wanted 1 day or more"),
        (changed("fhir", before__at_most=0), r"wanted at_least up to at_most; got 1 and 0"),
        (changed("fhir", before__choose=None), r"before.choose: wanted 'first' or 'last'"),
        (
            changed("fhir", before=WINDOW | {"questionnaires": ["q"]},
                    after=WINDOW | {"questionnaires": ["q"]}),
            r"one round only; got 'q' in both",
        ),
        (changed("fhir", procedures=FHIR["procedures"] * 2), r"procedures: .*'s\|W37.1' twice"),
        (changed("fhir", ignore_link_ids=["vas"]), r"read or ignored; got 'vas' as both"),
        (changed("fhir", provider={"look_in": []}), r"provider.look_in"),
        (
            changed("fhir", questions=[
                {"column": "satisfaction", "link_id": "vas", "round": "after", "answer": "number"}
            ]),
            r"'vas' in EQ_VAS before and after and satisfaction\. Say with `questionnaires`",
        ),
        (
            changed("fhir", questions=[
                {"column": "sex", "link_id": "x", "round": "before", "answer": "number"}
            ]),
            r"no question for 'sex', which is read elsewhere",
        ),
        (changed("fhir", instruments=FHIR["instruments"] * 2), r"'q1_score_eqvas' twice"),
    ],
)  # fmt: skip
def test_what_a_mapping_must_not_say_is_refused_with_its_key(
    content: dict[str, Any], said: str, refuse: Callable[[dict[str, Any]], str]
) -> None:
    message = refuse(content)
    assert re.search(said, message), message
    assert "map.yaml: " in message
    assert "\n" not in message


def test_one_link_id_may_be_of_two_instruments_in_different_questionnaires() -> None:
    def entry(name: str, n_items: int, url: str) -> dict[str, Any]:
        items = [str(one) for one in range(1, n_items + 1)]
        return {"instrument": name, "answer": "number", "items": items, "questionnaires": [url]}

    both = [entry("OHS", 12, "u/hip"), entry("OKS", 12, "u/knee")]
    mapping = FhirMapping.model_validate(changed("fhir", instruments=both))
    assert {form.link_ids for form in mapping.forms} == {tuple(map(str, range(1, 13)))}
    both[1]["questionnaires"] = ["u/hip|2"]
    with pytest.raises(ValueError, match="'1' in OHS"):
        FhirMapping.model_validate(changed("fhir", instruments=both))


def test_each_round_may_have_link_ids_of_its_own() -> None:
    entries = [
        FHIR["instruments"][0] | {"round": of, "score": f"vas-{of}"} for of in ("before", "after")
    ]
    mapping = FhirMapping.model_validate(changed("fhir", instruments=entries))
    assert [form.columns for form in mapping.forms] == [
        {"before": ("q1_score_eqvas",)},
        {"after": ("q2_score_eqvas",)},
    ]


def test_codes_that_yaml_reads_as_numbers_are_text() -> None:
    column = {"field": "sex", "codes": {1: "male", "2": "female"}, "missing": [-99]}
    mapping = RedcapMapping.model_validate(changed("redcap", columns__sex=column))
    assert mapping.sources["sex"].codes == {"1": "male", "2": "female"}
    assert mapping.sources["sex"].missing == ("-99",)


def test_a_column_that_nobody_declares_is_refused_with_the_nearest_name() -> None:
    mapping = RedcapMapping.model_validate(changed("redcap", columns__q1_dat={"field": "x"}))
    with pytest.raises(ColumnError, match=r"map: .*got 'q1_dat'. Did you mean 'q1_date'"):
        check_mapped_columns(mapping, COLUMNS, "map")


def test_every_fault_of_a_mapping_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("format: redcap\nbefore: {even: x}\nafter: {}\nrepeat: first\n")
    with pytest.raises(StudyError, match="riskadj validate lists them all") as caught:
        read_mapping(path, RedcapMapping)
    keys = [str(one).split(".yaml: ")[1].split(":")[0] for one in caught.value.faults]
    assert keys == ["before.even", "repeat", "instruments"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "got nothing"),
        (b"- a\n- b\n", "got list"),
        (b"format: [redcap\n", r"map.yaml:2: wanted YAML 1.2"),
        (b"format: redcap\nformat: redcap\n", "duplicate key"),
        (b"!!python/object/apply:os.system ['true']\n", "fault"),
        (b"a: " + b"[" * 5000, "wanted YAML 1.2"),
        (b"\xff\xfe", "UTF-8"),
        (b"a: " + b"x" * MAX_MAPPING_BYTES, "up to 1 MB"),
        (
            b"format: redcap\na0: &a0 [x,x,x,x,x,x,x,x,x]\n"
            + b"".join(
                b"a%d: &a%d [%s]\n" % (one, one, b",".join([b"*a%d" % (one - 1)] * 9))
                for one in range(1, 30)
            ),
            "named again until they are",
        ),
        (b"format: redcap\nmissing: &a [*a]\n", "wanted"),
    ],
)
def test_what_is_no_mapping_is_refused_at_once(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_bytes(content)
    message = message_of(path, RedcapMapping)
    assert re.search(said, message), message
    assert len(message) < 600


def test_a_mapping_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"Check data\.mapping"):
        read_mapping(tmp_path / "map.yaml", RedcapMapping)
