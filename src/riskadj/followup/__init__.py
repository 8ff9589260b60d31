"""Who answered, and whether it would come out otherwise if everybody had."""

from riskadj.followup.analyses import ANALYSES
from riskadj.followup.follow import FOLLOW_UP_COLUMNS, FollowUp, follow_up

__all__ = ["ANALYSES", "FOLLOW_UP_COLUMNS", "FollowUp", "follow_up"]
