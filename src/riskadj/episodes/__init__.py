"""The episode table: its columns as data, its readers, and the list of its faults."""

from riskadj.episodes.columns import COLUMNS, Column, declared_columns
from riskadj.episodes.files import Source
from riskadj.episodes.readers import Episodes, read_episodes
from riskadj.episodes.validation import Fault, ValuesFault, find_faults, to_declared

__all__ = [
    "COLUMNS",
    "Column",
    "Episodes",
    "Fault",
    "Source",
    "ValuesFault",
    "declared_columns",
    "find_faults",
    "read_episodes",
    "to_declared",
]
