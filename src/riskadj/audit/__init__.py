"""Whether a run or a card holds, and what is different between two runs."""

from riskadj.audit.auditing import audit_run
from riskadj.audit.diff import Diff, diff_runs
from riskadj.audit.verdict import Audit, Fault, Step

__all__ = ["Audit", "Diff", "Fault", "Step", "audit_run", "diff_runs"]
