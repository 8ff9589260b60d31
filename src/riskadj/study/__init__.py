"""Studies: from YAML to frozen records, with every fault named."""

from riskadj.study.load import StudyFaults, load_study, read_yaml, study_schema
from riskadj.study.records import Outcome, Study

__all__ = ["Outcome", "Study", "StudyFaults", "load_study", "read_yaml", "study_schema"]
