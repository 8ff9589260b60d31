"""Whether a run, a card or a log holds, and what is different between two runs."""

from riskadj.audit.auditing import audit_run
from riskadj.audit.diff import Diff, diff_runs
from riskadj.audit.journals import JournalAudit, audit_journal, is_journal
from riskadj.audit.verdict import Audit, Fault, Step

__all__ = [
    "Audit",
    "Diff",
    "Fault",
    "JournalAudit",
    "Step",
    "audit_journal",
    "audit_run",
    "diff_runs",
    "is_journal",
]
