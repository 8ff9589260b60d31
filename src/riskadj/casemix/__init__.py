"""What is adjusted for: which columns may be, and how they become numbers."""

from riskadj.casemix.encoder import CaseMixEncoder
from riskadj.casemix.roles import CaseMix, casemix_faults, choose_casemix

__all__ = ["CaseMix", "CaseMixEncoder", "casemix_faults", "choose_casemix"]
