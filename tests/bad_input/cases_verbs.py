"""What each other verb refuses of what it reads: at least one change of each kind it is given.

A row is a good one, the verb, what is wrong, the change, the error and its words. Verbs that answer
in a list (`LISTED`) say it there instead of in a last line, and leave with the same code.
"""

from bad_input.changes import cell, gone, key, nothing, raw, resealed
from riskadj.errors import (
    ChangedFileError,
    ChangedJournalError,
    ColumnError,
    FileFormatError,
    FileMissingError,
    StudyError,
    UnknownNameError,
    UnwrittenError,
    ValuesError,
)

STUDY, TABLE, KEPT, MARK = "study.yaml", "episodes.csv", "run/study.json", "run/provenance.json"
CARD, CONTRACT, SCENARIO = "run/card.json", "contract.yaml", "scenario.yaml"
STORE = ("--tracking-uri", "sqlite:///store.db")
LOG = ("log", "run", *STORE)
EXPORT = ("export", "run", "--format", "skde", "--out", "out.csv")
APPROVE = ("approve", "run", "--by", "A", "--card", CARD, *STORE)
WINDOWS = ("windows", STUDY, "--out", "windows")
ANCHOR = ("anchor", STUDY)
TRY_OUT = ("contract", "test", CONTRACT, "--scenario", SCENARIO, "--out", "trial")
EXPLAIN = ("explain", "run", "--provider", "H01")
COMPARE = ("compare", "run", "run")
DIFF = ("diff", "run", "run")
DIFF_OF_MONEY = (*DIFF, "--settlement", "run-settled", "run-settled")
AUDIT = ("audit", "run", "--no-rerun", "--data", TABLE)
AUDIT_OF_A_CARD = ("audit", CARD, "--no-rerun", "--data", TABLE)
VALIDATE = ("validate", STUDY)
CHECK = ("card", "check", STUDY)
PUBLISH = ("card", "publish", "run", "--to", "shelf")

unknown_key = key("modle", 1)
changed_study = raw(KEPT, "{}")
UNKNOWN, ANOTHER = "wanted a known key; got 'modle'", "wanted the file as its run wrote it"
UNFINISHED = "wanted the folder of a finished run; got a folder without provenance.json"
NO_CONTRACT = raw(CONTRACT, '{"a": 1}')
NO_RECORD = "wanted the record of the run in this folder; got none"

VERBS = [
    ("run", LOG, "no provenance", gone(MARK), FileMissingError, UNFINISHED),
    ("run", LOG, "a study that was changed", changed_study, FileFormatError, ANOTHER),
    ("run", LOG, "a model that was changed", raw("run/models/ohs-linear/model.json", "{}"),
     FileFormatError, ANOTHER),
    ("run", EXPORT, "no provenance", gone(MARK), FileMissingError, UNFINISHED),
    ("run", EXPORT, "a study that was changed", changed_study, FileFormatError, ANOTHER),
    ("run", EXPORT, "a study without indicators", nothing,
     StudyError, "wanted a study with a block export.skde"),
    ("run", APPROVE, "a card that was changed", raw(CARD, "[]"), FileFormatError, ANOTHER),
    ("run", APPROVE, "no provenance", gone(MARK), FileMissingError, UNFINISHED),
    ("run", WINDOWS, "an unknown key", unknown_key, StudyError, UNKNOWN),
    ("run", WINDOWS, "no table", gone(TABLE),
     FileMissingError, "wanted a file with episodes; there is none"),
    ("run", WINDOWS, "a table without windows", nothing,
     ColumnError, "wanted the total and every component of a window"),
    ("csv", WINDOWS, "a study without a cost", nothing,
     UnknownNameError, "wanted a cost of the study"),
    ("csv", ANCHOR, "an unknown key", unknown_key, StudyError, UNKNOWN),
    ("csv", ANCHOR, "a table of nothing", raw(TABLE, ""),
     FileFormatError, "wanted a CSV table in utf-8"),
    ("csv", ANCHOR, "a table without the question", nothing,
     ColumnError, "wanted the column 'anchor_change'"),
    ("run", TRY_OUT, "no scenario", nothing,
     FileMissingError, "scenario.yaml: wanted a YAML file; there is none"),
    ("scenario", TRY_OUT, "no contract", nothing,
     FileMissingError, "contract.yaml: wanted a YAML file; there is none"),
    ("run", TRY_OUT, "another YAML for a contract", NO_CONTRACT,
     StudyError, "wanted a known key; got 'a'"),
    ("run", EXPLAIN, "no provenance", gone(MARK), FileMissingError, UNFINISHED),
    ("run", EXPLAIN, "a study of nothing", resealed(changed_study),
     StudyError, "wanted a value; the key is missing"),
    ("run", COMPARE, "no provenance", gone(MARK), FileMissingError, UNFINISHED),
    ("run", COMPARE, "a study of nothing", resealed(changed_study),
     FileFormatError, "wanted files as a run writes them; got others"),
    ("run", DIFF, "no provenance", gone(MARK), FileMissingError, UNFINISHED),
    ("run", DIFF, "a study that was changed", changed_study, FileFormatError, ANOTHER),
    ("run", DIFF, "figures that are a word", resealed(key("ohs.linear", "x", "run/metrics.json")),
     FileFormatError, "wanted files as a run writes them; got others"),
    ("run", DIFF_OF_MONEY, "a summary of nothing",
     resealed(raw("run-settled/settlement.json", "{}"), "run-settled"),
     FileFormatError, "wanted files as a run writes them; got others"),
    ("run", AUDIT, "no provenance", gone(MARK), ChangedFileError, NO_RECORD),
    ("csv", CHECK, "an unknown key", unknown_key, StudyError, UNKNOWN),
    ("run", PUBLISH, "a card that was changed", raw(CARD, "[]"), FileFormatError, ANOTHER),
    ("run", ("ui", "run"), "no study", gone(KEPT),
     FileMissingError, "wanted the folder of a finished run; got a folder without study.json"),
]  # fmt: skip

LISTED = [
    ("run", APPROVE, "a card that nobody wrote", nothing,
     UnwrittenError, "texts are still to be written"),
    ("csv", VALIDATE, "an unknown key", unknown_key, StudyError, UNKNOWN),
    ("csv", VALIDATE, "an age out of range", cell(TABLE, "age_years", "700"),
     ValuesError, "wanted 0 to 120 years"),
    ("parquet", VALIDATE, "random bytes", raw("episodes.parquet", bytes(range(256))),
     FileFormatError, "wanted a Parquet file"),
    ("fhir", VALIDATE, "a list", raw("bundle.json", "[]"),
     FileFormatError, "wanted a FHIR Bundle; got a JSON list"),
    ("redcap", VALIDATE, "no mapping", gone("mapping.yaml"),
     FileMissingError, "wanted a mapping file; there is none"),
    ("claims", VALIDATE, "patients of nothing", raw("patients.csv", ""),
     FileFormatError, "patients.csv: wanted a table that opens, in UTF-8"),
    ("pseudonyms", VALIDATE, "a short key", raw("key", "key"),
     StudyError, "wanted a key of 32 random bytes or more"),
    ("run", AUDIT, "a study that was changed", changed_study,
     ChangedFileError, "Does not hold: study.json is not what the run wrote."),
    ("run", AUDIT_OF_A_CARD, "a card that was changed", raw(CARD, "[]"),
     ChangedFileError, "Does not hold: card.json is not what the run wrote."),
    ("run", ("audit", "."), "a log whose first line is cut",
     raw("journal.jsonl", lambda old: old[50:]),
     ChangedJournalError, "Does not hold: journal.jsonl"),
]  # fmt: skip

READ_NOTHING = {"columns", "demo", "schema", "thresholds"}
"""Verbs that are given no file."""
