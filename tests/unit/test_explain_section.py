"""What a card says of roles, stability, pairs, and of learners that are not explained."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from findings_example import EXPLAINED, example_findings

from riskadj.explain.pairs import PAIR_COLUMNS
from riskadj.explain.shap_values import PART_COLUMNS, ROLE_COLUMNS
from riskadj.report.card.sections.explanation import explanation
from riskadj.report.disclosure import keep_shown_parts
from riskadj.report.findings import Findings

FEATURES = ("age_years", "sex", "q1_score_ohs")


def findings(**tables: Any) -> Findings:
    return replace(example_findings(), **tables)


def paragraphs(told: Findings) -> list[str]:
    return [str(one["text"]) for one in explanation(told) if one["kind"] == "paragraph"]


def tables(told: Findings, caption: str) -> list[dict[str, Any]]:
    found = [one for one in explanation(told) if one["kind"] == "table"]
    return [one for one in found if caption in one["caption"]]


def parts(*sizes: tuple[float, ...], word: str = "fold", n: int = 500) -> pd.DataFrame:
    rows = [
        ("ohs", EXPLAINED, f"{word} {at + 1}", n, feature, size, 0.0, 1)
        for at, some in enumerate(sizes)
        for feature, size in zip(FEATURES, some, strict=True)
    ]
    return pd.DataFrame(rows, columns=PART_COLUMNS)


def test_roles_are_told_with_their_share() -> None:
    rows = [("ohs", EXPLAINED, "clinical", 9, 0.9, 0.9),
            ("ohs", EXPLAINED, "provider_influenced", 1, 0.1, 0.1)]  # fmt: skip
    (table,) = tables(findings(roles=pd.DataFrame(rows, columns=ROLE_COLUMNS)), "by role")
    assert [row[1] for row in table["rows"]] == ["clinical", "provider influenced"]
    assert [row[3] for row in table["rows"]] == [0.9, 0.1]


@pytest.mark.parametrize(
    ("word", "where"), [("fold", "any two folds"), ("half", "two random halves of the providers")]
)
def test_stability_is_the_lowest_rank_correlation_between_parts(word: str, where: str) -> None:
    same, turned = (3.0, 2.0, 1.0), (2.0, 3.0, 1.0)
    told = findings(feature_folds=parts(same, same, turned, word=word))
    (sentence,) = [one for one in paragraphs(told) if "Spearman" in one]
    assert "boosted trees 0.50" in sentence
    assert where in sentence


@pytest.mark.parametrize("sizes", [((1.0, 1.0, 1.0),) * 2, ((3.0, 2.0, 1.0),)])
def test_where_there_is_nothing_to_rank_nothing_is_told(sizes: tuple) -> None:
    assert not any("Spearman" in one for one in paragraphs(findings(feature_folds=parts(*sizes))))


def test_the_largest_pairs_are_told_with_their_sample() -> None:
    rows = [("ohs", EXPLAINED, "age_years", f"c{k}", 1000, 1.0 - 0.1 * k) for k in range(7)]
    (table,) = tables(findings(interactions=pd.DataFrame(rows, columns=PAIR_COLUMNS)), "together")
    assert len(table["rows"]) == 5
    assert "1000 episodes" in " ".join(table["notes"]).replace(",", "")


def test_a_learner_that_is_not_explained_comes_with_its_reason() -> None:
    told = findings(unexplained={"ohs": {"linear": "it is a riddle"}})
    assert "not worked out for the linear model (it is a riddle)." in paragraphs(told)[0]


def test_parts_of_few_episodes_are_hidden_with_the_whole_set() -> None:
    table = parts((3.0, 2.0, 1.0), (3.0, 2.0, 1.0))
    table.loc[table["part"] == "fold 2", "n"] = 4
    assert keep_shown_parts(table, below=6).empty
    assert len(keep_shown_parts(table, below=4)) == len(table)
