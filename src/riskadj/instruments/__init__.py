"""PROM instruments as data tables, and how their items become scores."""

from riskadj.instruments.registry import INSTRUMENTS, Instrument, instrument, with_value_set
from riskadj.instruments.scoring import score
from riskadj.instruments.thresholds import (
    THRESHOLDS,
    Threshold,
    attainable,
    responds,
    threshold,
    thresholds_of,
)
from riskadj.instruments.value_sets import (
    UK_TTO_1997,
    ValueSet,
    ValueSets,
    make_value_set,
    read_value_sets,
)

__all__ = [
    "INSTRUMENTS",
    "THRESHOLDS",
    "UK_TTO_1997",
    "Instrument",
    "Threshold",
    "ValueSet",
    "ValueSets",
    "attainable",
    "instrument",
    "make_value_set",
    "read_value_sets",
    "responds",
    "score",
    "threshold",
    "thresholds_of",
    "with_value_set",
]
