"""The study that goes with a world of claims, ready to run beside its files."""

from collections.abc import Mapping
from io import StringIO
from types import MappingProxyType
from typing import Any

from riskadj.simulate.claim_course import YEAR
from riskadj.simulate.claim_tables import BUNDLES, KNOWN_DRGS, WINDOWS
from riskadj.simulate.claims import ClaimsWorld
from riskadj.simulate.populations import POPULATIONS, ProcedureGroup
from riskadj.simulate.scenario import Claims, Scenario

CLAIMS_FILE, PATIENTS_FILE, PROMS_FILE = "claims.parquet", "patients.parquet", "proms.parquet"

HEAD = """\
# A simulated world: its claims, patients and questionnaires are beside this file;
# truth.parquet and truth_episodes.parquet hold what is true of it.
"""

_OUTCOMES: Mapping[ProcedureGroup, tuple[dict[str, str], ...]] = MappingProxyType(
    {
        "HIP_PRIM": (
            {"name": "ohs", "instrument": "OHS", "kind": "gain"},
            {"name": "eq5d", "instrument": "EQ5D3L_UK_TTO", "kind": "gain"},
        ),
        "KNEE_PRIM": (
            {"name": "oks", "instrument": "OKS", "kind": "gain"},
            {"name": "eq5d", "instrument": "EQ5D3L_UK_TTO", "kind": "gain"},
        ),
        "LUMBAR_DISC": (
            {"name": "odi", "instrument": "ODI", "kind": "gain"},
            {"name": "odi_success", "instrument": "ODI", "kind": "responder",
             "threshold": "ODI_DISC_SUCCESS_20"},
        ),
        "LUMBAR_STENOSIS": (
            {"name": "odi", "instrument": "ODI", "kind": "gain"},
            {"name": "odi_success", "instrument": "ODI", "kind": "responder",
             "threshold": "ODI_STENOSIS_SUCCESS_30PCT"},
        ),
        "LUMBAR_FUSION": (
            {"name": "odi", "instrument": "ODI", "kind": "gain"},
            {"name": "nrs_back", "instrument": "NRS_BACK", "kind": "gain"},
        ),
        "CERVICAL_RADICULOPATHY_ANTERIOR": (
            {"name": "ndi", "instrument": "NDI", "kind": "gain"},
            {"name": "ndi_success", "instrument": "NDI", "kind": "responder",
             "threshold": "NDI_SUCCESS_35PCT"},
        ),
        "LOW_BACK_PAIN": (
            {"name": "odi", "instrument": "ODI", "kind": "gain"},
            {"name": "eq5d", "instrument": "EQ5D3L_UK_TTO", "kind": "gain"},
        ),
    }
)  # fmt: skip
"""By procedure group; the main score first."""

_CASEMIX = (
    "age_years", "sex", "bmi", "smoker", "asa", "deprivation_decile", "symptom_period",
    "previous_surgery", "living_arrangements", "comorb_*", "charlson_index", "q1_score_*",
)  # fmt: skip


def claims_study(scenario: Scenario, rules: Claims, claims: ClaimsWorld) -> dict[str, Any]:
    """Return the study of a world of claims, as YAML holds it.

    Parameters
    ----------
    scenario : Scenario
    rules : Claims
        The scenario's.
    claims : ClaimsWorld
        What was made of it.
    """
    periods = list(scenario.periods)
    return {
        "name": scenario.name,
        "version": "1",
        "title": f"Simulated claims and questionnaires: {scenario.procedure_group}",
        "data": {
            "format": "claims",
            "paths": [CLAIMS_FILE],
            "period_from": (
                "financial_year_april" if "/" in periods[0] else "calendar_year"
            ),
            "claims": _claim_rules(scenario, rules, claims),
        },
        "cohort": {
            "procedure_group": scenario.procedure_group,
            "follow_up_days": {"at_least": 150, "at_most": 540},
            "exclude": [{"column": "age_years", "below": 18, "reason": "under 18"}],
        },
        "outcomes": [dict(one) for one in _OUTCOMES[scenario.procedure_group]] + [_cost(rules)],
        "casemix": {
            "columns": [*_CASEMIX] if POPULATIONS[scenario.procedure_group].sided
            else [*_CASEMIX, "education"],
            "allow_provider_influenced": False,
        },
        "learners": [{"kind": "linear"}, {"kind": "gamma"}],
        "split": {
            "train": periods[:-1] or periods, "test": periods[-1:], "seed": 1,
        },
        "recalibration": {"method": "shift"},
        "profile": {"method": "nhs_england", "minimum_n": 30, "suppress_below": 6},
        "card": {
            "intended_use": "Show what riskadj does, in a world whose truth is known.",
            "users": "Anybody who wants to see it work.",
            "population": "Nobody; every patient is simulated.",
            "out_of_scope": "Any conclusion about real providers.",
        },
        "report": {"subgroups": ["sex", "deprivation_decile"]},
        "tracking": {"uri": "sqlite:///mlflow.db", "experiment": scenario.name},
    }  # fmt: skip


def write_study(content: dict[str, Any]) -> str:
    """Return a study as YAML."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    yaml.dump(content, text)
    return HEAD + text.getvalue()


def _claim_rules(scenario: Scenario, rules: Claims, claims: ClaimsWorld) -> dict[str, Any]:
    bundle = BUNDLES[scenario.procedure_group]
    index: dict[str, Any] = {"setting": bundle.setting, "procedures": [bundle.procedure]}
    if bundle.drgs:
        index["drgs"] = list(bundle.drgs)
    return {
        "patients": PATIENTS_FILE,
        "proms": PROMS_FILE,
        "index": {scenario.procedure_group: index},
        "windows": list(WINDOWS),
        "counted_from": "discharge",
        "overlap": "first",
        "transfers": "to_first",
        "death": "keep",
        "disenrolment": "exclude",
        "lookback_days": YEAR,
        "comorbidity": {"charlson": True},
        "currency": rules.currency,
        "minor_units": 2,
        "price_year": rules.price_year,
        "period": {"begins": str(claims.begins), "ends": str(claims.ends)},
        "known_drgs": list(KNOWN_DRGS),
    }


def _cost(rules: Claims) -> dict[str, Any]:
    return {
        "name": "cost",
        "kind": "cost",
        "column": "cost_total_90d",
        "currency": rules.currency,
        "price_year": rules.price_year,
        "winsorise": {"upper": 0.99},
    }
