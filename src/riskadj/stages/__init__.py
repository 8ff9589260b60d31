"""What a run had finished when it was ended, for the next one to take up."""

from riskadj.stages.kept import NOTHING, KeptStages, of_run
from riskadj.stages.tables import UnkeptError
from riskadj.stages.written import read_record, write_record

__all__ = ["NOTHING", "KeptStages", "UnkeptError", "of_run", "read_record", "write_record"]
