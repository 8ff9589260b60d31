"""Case-mix adjusted patient-reported outcomes by provider, with their uncertainty.

The journey is a dozen names::

    load_study -> read_study -> select_cohort -> choose_casemix -> cross_fit -> evaluate
                                                                  |-> profile_providers
                                                                  `-> explain_expectations
    run_study does all of it, writes the run folder and logs it; log_run logs it again.
    simulate_world makes a world in which the truth is known; load_model reads a fitted expectation.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "load_study": "riskadj.study",
    "read_study": "riskadj.pipeline",
    "select_cohort": "riskadj.cohort",
    "choose_casemix": "riskadj.casemix",
    "cross_fit": "riskadj.expected",
    "evaluate": "riskadj.expected",
    "profile_providers": "riskadj.profile",
    "explain_expectations": "riskadj.explain",
    "run_study": "riskadj.pipeline",
    "log_run": "riskadj.tracking",
    "simulate_world": "riskadj.simulate",
    "load_model": "riskadj.expected",
}
__all__ = sorted(_WHERE)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'riskadj' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
