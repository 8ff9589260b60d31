"""A small, seeded `Findings` for the tests of what is written and drawn; nobody's real data."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from riskadj.episodes.columns import COLUMNS
from riskadj.report.findings import Findings
from riskadj.study import Study

N_PROVIDERS = 40
OUTCOMES = {"ohs": ("OHS", 22.7, 7.7, 17.4), "eq5d": ("EQ5D3L_UK_TTO", 0.465, 0.216, 0.339)}
LEARNERS = ("linear", "lightgbm")
EXPLAINED = "lightgbm"
CASEMIX = (
    "age_band_10y", "sex", "symptom_period", "living_arrangements", "comorb_depression",
    "comorb_heart", "q1_score_ohs", "q1_score_eq5d",
)  # fmt: skip
REFUSED = ("provider_id", "discharge_date", "q2_score_ohs", "q2_score_eq5d")
SHARES = (0.05, 0.04, 0.03, 0.02, 0.06, 0.01, 0.5, 0.29)
PROVIDER_FEATURES = (
    "outcome", "learner", "provider_id", "n", "feature", "theme", "contribution", "difference",
)  # fmt: skip
KINDS = tuple((outcome, learner) for outcome in OUTCOMES for learner in LEARNERS)


def example_study(**changes: Any) -> Study:
    """Return a study of hip replacement in two periods, some of its card still to be written."""
    content: dict[str, Any] = {
        "name": "example_hip",
        "version": "1",
        "title": "Primary hip replacement, an example",
        "data": {"format": "csv", "paths": ["episodes.csv"]},
        "cohort": {
            "procedure_group": "HIP_PRIM",
            "follow_up_days": {"at_least": 180, "at_most": 365},
            "exclude": [],
        },
        "outcomes": [
            {"name": name, "instrument": one[0], "kind": "gain"} for name, one in OUTCOMES.items()
        ],
        "casemix": {"columns": list(CASEMIX), "allow_provider_influenced": False},
        "learners": [{"kind": one} for one in LEARNERS],
        "split": {"train": ["2016/17", "2017/18"], "test": ["2018/19"], "seed": 7},
        "recalibration": {"method": "shift"},
        "profile": {"method": "nhs_england", "minimum_n": 30, "suppress_below": 6},
        "card": {
            "intended_use": "Compare providers on patient-reported improvement.",
            "users": "Payers, researchers and auditors.",
            "limitations": ["Those who answer differ from those who do not."],
        },
        "report": {"subgroups": ["sex", "comorb_depression"]},
    }
    return Study.model_validate(content | changes)


def example_findings(study: Study | None = None, n_providers: int = N_PROVIDERS) -> Findings:
    """Return the findings of a made-up run; without a study, of 2 outcomes by 2 learners.

    A study may ask for fewer of them. Some providers are suppressed.
    """
    study = study or example_study()
    rng = np.random.default_rng(20190213)
    providers = _providers(rng, n_providers)
    tables = {
        "calibration": _calibration(rng),
        "subgroups": _subgroups(rng),
        "providers": providers,
        "reference": _reference(study),
        "features": _features(),
        "provider_features": _provider_features(rng, providers),
        "flow": _flow(),
        "missing": _missing(),
    }
    return Findings(
        study=study,
        casemix=tuple(COLUMNS[one] for one in CASEMIX),
        refused=tuple(COLUMNS[one] for one in REFUSED),
        metrics={
            o.name: {one.kind: _metrics(o.name, one.kind) for one in study.learners}
            for o in study.outcomes
        },
        **{name: _asked_for(table, study) for name, table in tables.items()},
        provenance=_provenance(),
    )


def _asked_for(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    kept = table["outcome"].isin([one.name for one in study.outcomes])
    if "learner" in table:
        kept &= table["learner"].isin([one.kind for one in study.learners])
    return table[kept].reset_index(drop=True)


def _missing() -> pd.DataFrame:
    rows = [(o, c, s) for o in OUTCOMES for c, s in (("sex", 0.081), ("age_band_10y", 0.081))]
    return pd.DataFrame(rows, columns=["outcome", "column", "share"])


def _flow() -> pd.DataFrame:
    rows = [
        ("rows read", "", 0, 61_280),
        ("procedure", "another procedure", 3_702, 57_578),
        ("score before", "no score before", 4, 57_574),
        ("score after", "no score after", 2_101, 55_473),
    ]
    columns = ["outcome", "station", "reason", "left", "remaining"]
    return pd.DataFrame([(o, *row) for o in OUTCOMES for row in rows], columns=columns)


def _metrics(outcome: str, learner: str) -> dict[str, float]:
    _, gain, sd, _ = OUTCOMES[outcome]
    better = 0.015 if learner == "lightgbm" else 0.0
    return {
        "n": 21_034, "r2": 0.169 + better, "mae": 0.72 * sd, "rmse": sd * (1 - better),
        "bias": 1.7e-15, "calibration_slope": 0.983, "calibration_intercept": 0.0166 * gain,
        "total_ratio": 1.0, "drift": 0.041 * gain, "r2_before_recalibration": 0.151 + better,
        "largest_decile_error": 0.05 * sd,
    }  # fmt: skip


def _calibration(rng: np.random.Generator) -> pd.DataFrame:
    return pd.concat([_deciles(rng, *pair) for pair in KINDS], ignore_index=True)


def _deciles(rng: np.random.Generator, outcome: str, learner: str) -> pd.DataFrame:
    _, gain, sd, before = OUTCOMES[outcome]
    expected = before + gain + sd * np.linspace(-0.9, 0.6, 10)
    difference = rng.normal(0, 0.025 * sd, 10)
    return pd.DataFrame({
        "outcome": outcome, "learner": learner, "decile": range(1, 11), "n": 2_103,
        "expected": expected, "observed": expected + difference, "difference": difference,
    })  # fmt: skip


def _subgroups(rng: np.random.Generator) -> pd.DataFrame:
    groups = (("sex", "female", 12_400), ("sex", "male", 8_630), ("sex", "unknown", np.nan),
              ("comorb_depression", "no", 19_200), ("comorb_depression", "yes", 1_834))  # fmt: skip
    rows = [(*pair, *group) for pair in KINDS for group in groups]
    table = pd.DataFrame(rows, columns=["outcome", "learner", "column", "level", "n"])
    sd = table["outcome"].map({name: one[2] for name, one in OUTCOMES.items()})
    level = table["outcome"].map({name: one[1] + one[3] for name, one in OUTCOMES.items()})
    table["expected"] = (level + rng.normal(0, 0.1, len(table)) * sd).where(table["n"].notna())
    table["difference"] = (rng.normal(0, 0.03, len(table)) * sd).where(table["n"].notna())
    table["observed"] = table["expected"] + table["difference"]
    margin = 1.96 * sd / np.sqrt(table["n"])
    return table.assign(lower95=table["difference"] - margin, upper95=table["difference"] + margin)


def _providers(rng: np.random.Generator, count: int) -> pd.DataFrame:
    n = np.maximum(3, rng.lognormal(4.9, 0.8, count)).astype(int)
    n[:3] = (3, 4, 18)
    quality = rng.normal(0, 0.09, count)
    return pd.concat(
        [_outcome_profiles(rng, outcome, n, quality) for outcome in OUTCOMES], ignore_index=True
    )


def _outcome_profiles(
    rng: np.random.Generator, outcome: str, n: np.ndarray, quality: np.ndarray
) -> pd.DataFrame:
    _, gain, sd, _ = OUTCOMES[outcome]
    difference = sd * quality + rng.normal(0, sd / np.sqrt(n))
    observed = gain + rng.normal(0, 0.25 * sd, len(n)) + difference
    by_learner = [
        _profile(outcome, learner, n, observed, difference + rng.normal(0, 0.02 * sd, len(n)))
        for learner in LEARNERS
    ]
    return pd.concat(by_learner, ignore_index=True)


def _profile(
    outcome: str, learner: str, n: np.ndarray, observed: np.ndarray, difference: np.ndarray
) -> pd.DataFrame:
    _, gain, sd, _ = OUTCOMES[outcome]
    expected = observed - difference
    adjusted, margin, limit = gain + difference, 1.96 * sd / np.sqrt(n), sd / np.sqrt(n)
    table = pd.DataFrame({
        "outcome": outcome, "learner": learner,
        "provider_id": [f"P{one:03d}" for one in range(len(n))], "n": n.astype(float),
        "observed": observed, "expected": expected,
        "ratio": observed / expected, "difference": difference,
        "adjusted": adjusted, "z": difference / limit,
        "lower95": gain - 1.96 * limit, "upper95": gain + 1.96 * limit, "flag": "",
        "lower998": gain - 3.0902 * limit, "upper998": gain + 3.0902 * limit,
        "ci_lower95": adjusted - margin, "ci_upper95": adjusted + margin, "sd": sd,
        "episodes": n * 1.1, "note": "", "suppression": "",
    })  # fmt: skip
    table["flag"] = [_flag(z) for z in table["z"]]
    table.loc[table["provider_id"] == "P010", ["ratio", "note"]] = [np.nan, "ratio withheld"]
    return _suppress(table)


def _flag(z: float) -> str:
    side = "Positive" if z > 0 else "Negative"
    cuts = ((3.0902, f"{side} outlier (99.8%)"), (1.96, f"{side} outlier (95%)"))
    return next((label for cut, label in cuts if abs(z) >= cut), "Not an outlier")


def _suppress(table: pd.DataFrame) -> pd.DataFrame:
    hidden, small = table["n"] < 6, table["n"] < 30
    judged = ["ratio", "difference", "adjusted", "z", "lower95", "upper95", "lower998",
              "upper998", "ci_lower95", "ci_upper95", "sd"]  # fmt: skip
    table.loc[small, judged] = np.nan
    table.loc[small, ["flag", "suppression"]] = ["Insufficient records", "adjusted"]
    table.loc[hidden, ["n", "observed", "expected", "episodes"]] = np.nan
    table.loc[hidden, "suppression"] = "all"
    return table


def _reference(study: Study) -> pd.DataFrame:
    rows = [
        (o, one, 21_034, OUTCOMES[o][1], OUTCOMES[o][3], OUTCOMES[o][2], 0.041 * OUTCOMES[o][1])
        for o, one in KINDS
    ]
    columns = ["outcome", "learner", "n", "gain", "baseline", "sd", "drift"]
    table = pd.DataFrame(rows, columns=columns)
    for one in study.outcomes:
        if one.reference:
            mine = table["outcome"] == one.name
            table.loc[mine, ["gain", "sd"]] = (one.reference.gain, one.reference.sd)
    return table


def _features() -> pd.DataFrame:
    rows = [
        (outcome, EXPLAINED, name, COLUMNS[name].theme, share * OUTCOMES[outcome][2], share)
        for outcome in OUTCOMES
        for name, share in zip(CASEMIX, SHARES, strict=True)
    ]
    columns = ["outcome", "learner", "feature", "theme", "mean_absolute", "share"]
    return pd.DataFrame(rows, columns=columns).sort_values(
        ["outcome", "mean_absolute"], ascending=[True, False], ignore_index=True
    )


def _provider_features(rng: np.random.Generator, providers: pd.DataFrame) -> pd.DataFrame:
    explained = providers[providers["learner"] == EXPLAINED]
    shown = explained[explained["suppression"] != "all"]
    rows = [row for one in shown.itertuples() for row in _contributions(rng, one)]
    return pd.DataFrame(rows, columns=list(PROVIDER_FEATURES))


def _contributions(rng: np.random.Generator, one: Any) -> Iterator[tuple[Any, ...]]:
    values = rng.normal(0, np.array(SHARES) * OUTCOMES[one.outcome][2] * 0.4)
    key = (one.outcome, one.learner, one.provider_id, one.n)
    for name, value in zip(CASEMIX, values, strict=True):
        yield (*key, name, COLUMNS[name].theme, value, values.sum())


def _provenance() -> dict[str, Any]:
    stages = ("episodes", "cohort", "casemix", "expected", "profile", "explain")
    return {
        "study": {"name": "example_hip", "version": "1", "digest": "5f" * 32},
        "data": [{"name": "episodes.csv", "digest": "ab" * 32, "rows": 61_280}],
        "code": {"version": "0.1.0", "digest": "c0" * 32},
        "environment": {"python": "3.11.2", "packages": {"numpy": "2.4.6", "pandas": "3.1.1"}},
        "seed": 7,
        "stages": [
            {"stage": one, "digest": f"{place}d" * 32, "seconds": 0.4 * place}
            for place, one in enumerate(stages)
        ],
        "created": "2026-01-15T09:30:00+00:00",
    }
