"""Run folders, settlements, cards and models that are not what was written: one change each.

A case that is `resealed` has digests that fit, as who may write into the folder could make them.
"""

import re

from spoiled_trees import sized

from bad_input.changes import (
    cell,
    drop,
    folder_instead,
    gone,
    key,
    raw,
    resealed,
    resealed_model,
    text,
)  # fmt: skip
from riskadj.errors import (
    ChangedFileError,
    FileFormatError,
    FileMissingError,
    StudyError,
    ValuesError,
)

RUN = "run/"
MARK, STUDY, CARD, METRICS = (f"run/{one}.json" for one in
                              ("provenance", "study", "card", "metrics"))  # fmt: skip
PROVIDERS, FLOW = "run/providers.csv", "run/flow.csv"
SUMMARY, TOTALS = "run-settled/settlement.json", "run-settled/settlement.csv"


def settled(change):
    return resealed(change, "run-settled")


UNSEALED = [
    ("no provenance", gone(MARK),
     FileMissingError, "wanted the folder of a finished run; got a folder without provenance.json"),
    ("a provenance of nothing", raw(MARK, ""),
     FileFormatError, "wanted JSON; got Expecting value: line 1 column 1 (char 0)"),
    ("a provenance cut off", raw(MARK, lambda old: old[:99]),
     FileFormatError, "wanted JSON; got Expecting property name enclosed in double quotes: line 4"),
    ("a provenance that is a list", raw(MARK, "[]"),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
    ("a provenance of another kind", raw(MARK, '{"settlement": "a"}'),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
    ("a provenance nested too deeply", raw(MARK, "[" * 100_000),
     FileFormatError, "wanted JSON; got maximum recursion depth exceeded while decoding a JSON"),
    ("a provenance that is a folder", folder_instead(MARK),
     FileMissingError, "wanted the folder of a finished run; got a folder without provenance.json"),
    ("files that are a list", key("files", [], MARK),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
    ("a digest that is a number", key("files", {"study.json": 3, "providers.csv": 4}, MARK),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
    ("no study", gone(STUDY),
     FileMissingError, "wanted the folder of a finished run; got a folder without study.json"),
    ("a study that was changed", key("title", "Another", STUDY),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
    ("providers that were changed", cell(PROVIDERS, "n", "7", row=0),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
    ("no providers", gone(PROVIDERS),
     FileMissingError, "wanted the folder of a finished run; got a folder without providers.csv"),
]  # fmt: skip
"""Of a run folder, as any verb that reads one refuses it."""

RESEALED = [
    ("a study of nothing", resealed(raw(STUDY, "{}")),
     StudyError, "wanted a value; the key is missing"),
    ("a study that is a list", resealed(raw(STUDY, "[]")),
     StudyError, "wanted a value; the key is missing"),
    ("a study that is no JSON", resealed(raw(STUDY, "{")),
     FileFormatError, "wanted JSON; got Expecting property name enclosed in double quotes: line 1"),
    ("a study with an unknown method", resealed(key("profile.method", "x", STUDY)),
     StudyError, "wanted 'nhs_england', 'fixed_effects', 'random_intercept'"),
    ("a study without outcomes", resealed(key("outcomes", [], STUDY)),
     StudyError, "wanted one or more; got none"),
    ("no stages", resealed(drop("stages", MARK)),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("stages of nothing", resealed(key("stages", [], MARK)),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("a stage that is a word", resealed(key("stages", ["run"], MARK)),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("providers of nothing", resealed(raw(PROVIDERS, "")),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("providers without a name", resealed(raw(PROVIDERS, "a,b\n1,2\n")),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("providers of random bytes", resealed(raw(PROVIDERS, bytes(range(256)))),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("providers with a row too long", resealed(raw(PROVIDERS, lambda old: old + b"," * 99)),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("a figure of letters", resealed(cell(PROVIDERS, "adjusted", "high", row=0)),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
]  # fmt: skip
"""The same, with digests that fit."""

CARDS = [
    ("no file", gone(CARD),
     FileMissingError, "wanted a card, or the folder of a finished run; got a folder without"),
    ("nothing", raw(CARD, ""),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
    ("a list", raw(CARD, "[]"),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
    ("another JSON", raw(CARD, '{"a": 1}'),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
    ("a card of another format", resealed(key("format", "riskadj card 99", CARD)),
     FileFormatError, "wanted format 1; got 'riskadj card 99': a card of an older version, or a"),
    ("a card whose format is a list", resealed(key("format", [], CARD)),
     FileFormatError, "wanted format 1; got []: a card of an older version, or a changed one"),
    ("a card without sections", resealed(drop("sections", CARD)),
     FileFormatError, "wanted a card; got JSON without sections"),
    ("a card whose sections are a number", resealed(key("sections", 3, CARD)),
     FileFormatError, "wanted a card; got JSON whose parts are of other kinds"),
    ("a card whose sections are words", resealed(key("sections", ["a"], CARD)),
     FileFormatError, "wanted a card; got JSON whose parts are of other kinds"),
    ("a card of no study", resealed(key("study", None, CARD)),
     FileFormatError, "wanted a card; got JSON whose parts are of other kinds"),
    ("a card whose to-do list was emptied", resealed(key("todo", [], CARD)),
     FileFormatError, "wanted one that lists what it shows as to be written (Change, Consent and"),
    ("a card with half a sign", resealed(key("version", "\ud800", CARD)),
     FileFormatError, "wanted JSON; got 'utf-8' codec can't encode character"),
    ("a card that was changed", text(CARD, "small", "grand"),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
]  # fmt: skip

SETTLEMENTS = [
    ("no provenance", gone("run-settled/provenance.json"),
     FileMissingError, "wanted the folder of a finished run; got a folder without provenance.json"),
    ("no totals", gone(TOTALS),
     FileMissingError, "wanted the folder of a finished run; got a folder without settlement.csv"),
    ("totals that were changed", cell(TOTALS, "total", "7", row=0),
     FileFormatError, "wanted the file as its run wrote it (provenance.json has its digest); got"),
    ("a summary of another run", settled(key("run", "ab", SUMMARY)),
     ValuesError, "got one of ab. Settle this run, or report the other"),
    ("a summary of nothing", settled(raw(SUMMARY, "{}")),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("a summary without a contract", settled(drop("contract", SUMMARY)),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("a contract that is a word", settled(key("contract", "small", SUMMARY)),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("totals of nothing", settled(raw(TOTALS, "")),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
    ("totals of letters", settled(cell(TOTALS, "total_minor", "much", row=0)),
     FileFormatError, "wanted files as a run writes them; got others, whose digests were made to"),
]  # fmt: skip

M = "model/model.json"
TREES = "model/trees_0.txt"
MODEL = [
    ("no folder", lambda home: (home / "model").rename(home / "moved"),
     FileFormatError, "wanted a saved model; got none"),
    ("no digests", gone("model/digests.json"), FileFormatError, "wanted a saved model; got none"),
    ("no model", gone(M), FileFormatError, "wanted a saved model; got none"),
    ("no trees", gone(TREES), FileFormatError, "wanted a saved model; got none"),
    ("trees that were changed", raw(TREES, lambda old: old + b" "),
     ChangedFileError, "wanted the file as it was saved (digests.json has its digest); got"),
    ("nothing", resealed_model(raw(M, "")), FileFormatError, "wanted a saved model; got none"),
    ("a list", resealed_model(raw(M, "[]")), FileFormatError, "wanted a saved model; got none"),
    ("another format", resealed_model(key("format", "riskadj expectation 99", M)),
     FileFormatError, "wanted format 'riskadj expectation 2'; got 'riskadj expectation 99'"),
    ("no columns", resealed_model(key("columns", [], M)),
     FileFormatError, "wanted a saved model; got none"),
    ("a column twice", resealed_model(lambda home: key("columns", _twice(home), M)(home)),
     FileFormatError, "wanted a saved model; got none"),
    ("a column of no kind", resealed_model(key("columns.0.kind", "shape", M)),
     FileFormatError, "wanted a saved model; got none"),
    ("no members", resealed_model(key("members", [], M)),
     FileFormatError, "wanted a saved model; got none"),
    ("a member of no kind", resealed_model(key("members.0.kind", "forest", M)),
     FileFormatError, "wanted a written learner; got none"),
    ("members that are words", resealed_model(key("members", ["a"], M)),
     FileFormatError, "wanted a saved model; got none"),
    ("trees elsewhere", resealed_model(key("members.0.trees", "../trees.txt", M)),
     FileFormatError, "wanted a saved model; got none"),
    ("a link of no kind", resealed_model(key("link", "cube", M)),
     FileFormatError, "wanted a saved model; got none (ArrayError: link: wanted one of logit"),
    ("a slope of letters", resealed_model(key("slope", "steep", M)),
     FileFormatError, "wanted a saved model; got none"),
    ("a slope without end", resealed_model(key("slope", float("inf"), M)),
     FileFormatError, "wanted a saved model; got none (ArrayError: linear predictor: wanted"),
    ("an intercept that is no number", resealed_model(key("intercept", float("nan"), M)),
     FileFormatError, "wanted a saved model; got none (ArrayError: linear predictor: wanted"),
    ("levels of another column", resealed_model(key("levels", {"shoe": ["a"]}, M)),
     FileFormatError, "wanted a saved model; got none"),
    ("no typical episode", resealed_model(key("typical", {}, M)),
     FileFormatError, "wanted a saved model; got none"),
    ("settings of another learner", resealed_model(key("members.0.settings", {"a": 1}, M)),
     FileFormatError, "wanted a written learner; got none"),
    ("a base of letters", resealed_model(key("members.0.base", "low", M)),
     FileFormatError, "wanted a written learner; got none"),
    ("features of another number", resealed_model(key("members.0.features", 99, M)),
     FileFormatError, "wanted a saved model; got none"),
    ("trees of nothing", resealed_model(raw(TREES, "")),
     FileFormatError, "wanted a written learner; got none"),
    ("trees cut off", resealed_model(raw(TREES, lambda old: old[: len(old) // 2])),
     FileFormatError, "wanted a written learner; got none"),
    ("a tree without leaves", resealed_model(text(TREES, "num_leaves=4", "num_leaves=0")),
     FileFormatError, "wanted a written learner; got none"),
    ("a tree of other leaves", resealed_model(text(TREES, "num_leaves=4", "num_leaves=9")),
     FileFormatError, "wanted a written learner; got none"),
    ("a tree that leads out", resealed_model(text(TREES, "left_child=2", "left_child=8")),
     FileFormatError, "wanted a written learner; got none"),
    ("a tree that leads back", resealed_model(text(TREES, "left_child=2", "left_child=0")),
     FileFormatError, "wanted a written learner; got none"),
    ("a split of no feature", resealed_model(text(TREES, "feature=3", "feature=9")),
     FileFormatError, "wanted a written learner; got none"),
    ("a split of categories", resealed_model(text(TREES, "decision_type=2", "decision_type=1")),
     FileFormatError, "wanted a written learner; got none"),
    ("a leaf of letters", resealed_model(text(TREES, "leaf_value=40", "leaf_value=xx")),
     FileFormatError, "wanted a written learner; got none"),
    ("a leaf that is no number",
     resealed_model(text(TREES, "leaf_value=40.629247543141979", "leaf_value=nan               ")),
     FileFormatError, "wanted a written learner; got none"),
    ("a tree too few", resealed_model(text(TREES, "tree_sizes=489 ", "tree_sizes=")),
     FileFormatError, "wanted a written learner; got none"),
    ("a line too many", resealed_model(text(TREES, "Tree=1\n", "Tree=1\n\n")),
     FileFormatError, "wanted a written learner; got none"),
    ("good ways behind a form feed", resealed_model(raw(TREES, lambda old: _two_ways(old, b"\f"))),
     FileFormatError, "wanted a written learner; got none"),
    ("good ways behind a blank line",
     resealed_model(raw(TREES, lambda old: _two_ways(old, b"\n\n"))),
     FileFormatError, "wanted a written learner; got none"),
    ("features that the trees lack",
     resealed_model(text(TREES, "max_feature_idx=", "max_feature_idx=9")),
     FileFormatError, "wanted a written learner; got none"),
]  # fmt: skip


def _two_ways(trees, parting):
    """Return trees of which the first leads out, with a good line where LightGBM reads none."""
    good = re.search(rb"left_child=(\d+)[^\n]*", trees)
    out = trees.replace(good[0], good[0].replace(good[1], b"99999999", 1), 1)
    spoiled = out.replace(b"shrinkage=1\n", b"shrinkage=1" + parting + good[0] + b"\n", 1)
    return sized(spoiled.decode()).encode()


def _twice(home):
    import json

    columns = json.loads((home / M).read_text(encoding="utf-8"))["columns"]
    return [columns[0], *columns]
