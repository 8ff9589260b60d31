"""Studies: from YAML to frozen records, with every fault named."""

from riskadj.study.load import StudyFaults, load_study, read_yaml, study_schema
from riskadj.study.outcomes import Outcome
from riskadj.study.study import Study

__all__ = ["Outcome", "Study", "StudyFaults", "load_study", "read_yaml", "study_schema"]
