"""Outcome and cost together: who is better, cheaper, both or neither, and how sure that is."""

from riskadj.value.classes import CLASSES, NOT_COMPARED, ValueClass, classify
from riskadj.value.profile import VALUE_COLUMNS, Values, profile_value

__all__ = [
    "CLASSES",
    "NOT_COMPARED",
    "VALUE_COLUMNS",
    "ValueClass",
    "Values",
    "classify",
    "profile_value",
]
