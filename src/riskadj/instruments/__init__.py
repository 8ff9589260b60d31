"""PROM instruments as data tables, and how their items become scores."""

from riskadj.instruments.registry import INSTRUMENTS, Instrument, instrument
from riskadj.instruments.scoring import score

__all__ = ["INSTRUMENTS", "Instrument", "instrument", "score"]
