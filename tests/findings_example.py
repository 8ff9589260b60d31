"""A small, seeded `Findings` for the tests of what is written and drawn; nobody's real data."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from riskadj.episodes.columns import COLUMNS
from riskadj.expected.evaluate import DIFFERENCE_COLUMNS, SLOPE_COLUMNS, VALIDATION_COLUMNS
from riskadj.profile.belief import AGREEMENT_COLUMNS, Raw, believe, reliabilities
from riskadj.profile.flags import cut_of, flag_labels, level_names, places_from_z
from riskadj.profile.limits import Yardstick
from riskadj.profile.providers import provider_columns
from riskadj.profile.sensitivity import analysis_columns, declared, sensitivity
from riskadj.report.findings import Findings
from riskadj.report.results import TUNED_COLUMNS
from riskadj.study import Study
from riskadj.study.profile import ProfileRules

N_PROVIDERS = 40
OUTCOMES = {"ohs": ("OHS", 22.7, 7.7, 17.4), "eq5d": ("EQ5D3L_UK_TTO", 0.465, 0.216, 0.339)}
LEARNERS = ("linear", "lightgbm")
EXPLAINED = "lightgbm"
CASEMIX = (
    "age_band_10y", "sex", "symptom_period", "living_arrangements", "comorb_depression",
    "comorb_heart", "q1_score_ohs", "q1_score_eq5d",
)  # fmt: skip
OTHERS = {
    "methods": ["nhs_england", "fixed_effects", "empirical_bayes"],
    "limits": ["nominal", "winsorised"],
}
"""What flags are held against: with 2 learners 10 analyses."""
LEARNED = {
    "winsorised": {"tau": 0.08},
    "multiplicative": {"factor": 1.4},
    "empirical_null": {"shift": 0.3, "factor": 1.2},
    "benjamini_hochberg": {"inner": 2.8, "outer": 3.6},
}
"""What limits would have learned; tau in standard deviations of residuals."""
REFUSED = ("provider_id", "discharge_date", "q2_score_ohs", "q2_score_eq5d")
SHARES = (0.05, 0.04, 0.03, 0.02, 0.06, 0.01, 0.5, 0.29)
PROVIDER_FEATURES = (
    "outcome", "learner", "provider_id", "n", "feature", "theme", "contribution", "difference",
)  # fmt: skip
KINDS = tuple((outcome, learner) for outcome in OUTCOMES for learner in LEARNERS)

_MADE: dict[tuple[str, int], Findings] = {}


def example_rules(**changes: Any) -> dict[str, Any]:
    """Return how the example compares providers, with changes."""
    rules = {"method": "nhs_england", "minimum_n": 30, "suppress_below": 6, "sensitivity": OTHERS}
    return rules | changes


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
        "profile": example_rules(),
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

    A study may ask for fewer of them. Some providers are suppressed. Who asks again is given the
    same findings: never change them in place.
    """
    study = study or example_study()
    key = (study.model_dump_json(), n_providers)
    if key not in _MADE:
        _MADE[key] = _made_up(study, n_providers)
    return _MADE[key]


def _made_up(study: Study, n_providers: int) -> Findings:
    rng = np.random.default_rng(20190213)
    rules = study.profile
    providers, analyses = _providers(rng, n_providers, study)
    tables = {
        "calibration": _calibration(rng),
        "subgroups": _subgroups(rng),
        "tuned": pd.DataFrame(
            [("ohs", "lightgbm", 1, 20, "trees 300, leaves 8", 59.1, 58.7)], columns=TUNED_COLUMNS
        ),
        "ceiling": _ceiling(rng),
        "slopes": _slopes(),
        "differences": _differences(),
        "validation": _validation(),
        "providers": providers,
        "analyses": analyses,
        "reliability": _reliability(providers, rules),
        "agreement": _agreement(),
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
        fit_warnings=(),
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
        "largest_decile_error": 0.05 * sd, "ici": 0.03 * sd,
        "r2_lower95": 0.158 + better, "r2_upper95": 0.18 + better,
        "calibration_slope_lower95": 0.95, "calibration_slope_upper95": 1.01,
    }  # fmt: skip


def _ceiling(rng: np.random.Generator) -> pd.DataFrame:
    expected = np.linspace(0.02, 0.4, 10)
    difference = rng.normal(0, 0.01, 10)
    return pd.DataFrame({
        "outcome": "ohs", "learner": "lightgbm", "decile": range(1, 11), "n": 2_103,
        "expected": expected, "observed": expected + difference, "difference": difference,
        "lower95": difference - 0.02, "upper95": difference + 0.02,
    })  # fmt: skip


def _slopes() -> pd.DataFrame:
    return pd.DataFrame([("ohs", "linear", False, 37, 0.05, 0.17)], columns=SLOPE_COLUMNS)


def _differences() -> pd.DataFrame:
    rows = [(one, "lightgbm", "linear", "r2", 21_034, 0.015, 0.012, 0.018) for one in OUTCOMES]
    return pd.DataFrame(rows, columns=DIFFERENCE_COLUMNS)


def _validation() -> pd.DataFrame:
    rows = [
        (*pair, "provider", "calibration_slope", 120, 0.95, 0.92, 0.98, 0.7, 1.2, 0.12, 9, 31)
        for pair in KINDS
    ]
    return pd.DataFrame(rows, columns=VALIDATION_COLUMNS)


def _calibration(rng: np.random.Generator) -> pd.DataFrame:
    return pd.concat([_deciles(rng, *pair) for pair in KINDS], ignore_index=True)


def _deciles(rng: np.random.Generator, outcome: str, learner: str) -> pd.DataFrame:
    _, gain, sd, before = OUTCOMES[outcome]
    expected = before + gain + sd * np.linspace(-0.9, 0.6, 10)
    difference = rng.normal(0, 0.025 * sd, 10)
    return pd.DataFrame({
        "outcome": outcome, "learner": learner, "decile": range(1, 11), "n": 2_103,
        "expected": expected, "observed": expected + difference, "difference": difference,
        "lower95": difference - 0.05 * sd, "upper95": difference + 0.05 * sd,
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


def _providers(
    rng: np.random.Generator, count: int, study: Study
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the provider table and that of the analyses, hidden providers left out."""
    rules = study.profile
    n = np.maximum(3, rng.lognormal(4.9, 0.8, count)).astype(int)
    n[:3] = (3, 4, 18)
    quality = rng.normal(0, 0.09, count)
    providers = pd.concat(
        [_outcome_profiles(rng, outcome, n, quality, rules) for outcome in OUTCOMES],
        ignore_index=True,
    )
    providers = providers[providers["learner"].isin([one.kind for one in study.learners])]
    analyses = _analyses(providers[providers["n"] >= rules.minimum_n], rules)
    keys = ["outcome", "learner", "provider_id"]
    beside = [
        sensitivity(some, rules).assign(outcome=name) for name, some in analyses.groupby("outcome")
    ]
    table = providers.merge(pd.concat(beside), on=keys, how="left")
    texts = ["flag_moved_by", "flag_holds_under"]
    table[texts] = table[texts].fillna("")
    return _suppress(table)[[*provider_columns(rules), "suppression"]], analyses


def _outcome_profiles(
    rng: np.random.Generator, outcome: str, n: np.ndarray, quality: np.ndarray, rules: ProfileRules
) -> pd.DataFrame:
    _, gain, sd, _ = OUTCOMES[outcome]
    difference = sd * quality + rng.normal(0, sd / np.sqrt(n))
    observed = gain + rng.normal(0, 0.25 * sd, len(n)) + difference
    by_learner = [
        _profile(outcome, one, n, observed, difference + rng.normal(0, 0.02 * sd, len(n)), rules)
        for one in LEARNERS
    ]
    return pd.concat(by_learner, ignore_index=True)


def _profile(
    outcome: str,
    learner: str,
    n: np.ndarray,
    observed: np.ndarray,
    difference: np.ndarray,
    rules: ProfileRules,
) -> pd.DataFrame:
    _, gain, sd, _ = OUTCOMES[outcome]
    expected, error = observed - difference, sd / np.sqrt(n)
    adjusted, held = gain + difference, _yardstick(rules, rules.limits, sd)
    middle = gain + _peers(rules, len(n)) * sd + held.middle(error)
    spread = held.spread(error)
    table = pd.DataFrame({
        "outcome": outcome, "learner": learner,
        "provider_id": [f"P{one:03d}" for one in range(len(n))], "n": n.astype(float),
        "observed": observed, "expected": expected,
        "ratio": observed / expected, "difference": difference,
        "adjusted": adjusted, "z": (adjusted - middle) / spread,
        "ci_lower95": adjusted - 1.96 * error, "ci_upper95": adjusted + 1.96 * error, "sd": sd,
        "episodes": n * 1.1, "note": "", "suppression": "", "overlap": 1 - 1 / np.sqrt(n),
        "predicted": expected + 0.6 * difference,
        "predicted_ratio": 1 + 0.6 * difference / expected,
        "peer_group": _peer_names(rules, len(n)), "centre": gain + _peers(rules, len(n)) * sd,
    })  # fmt: skip
    for name, cut in zip(level_names(rules), (held.inner, held.outer), strict=True):
        table[f"lower{name}"], table[f"upper{name}"] = middle - cut * spread, middle + cut * spread
    width = 0.5 * error / expected if rules.replicates else np.nan
    table["predicted_ratio_lower95"] = table["predicted_ratio"] - width
    table["predicted_ratio_upper95"] = table["predicted_ratio"] + width
    table["flag"] = _flags(table["z"], held, rules)
    table.loc[table["provider_id"] == "P010", ["ratio", "predicted_ratio", "note"]] = [
        np.nan, np.nan, "ratio withheld",
    ]  # fmt: skip
    return table.merge(_believed(table, gain, sd, rules), on="provider_id", how="left")


def _peers(rules: ProfileRules, count: int) -> np.ndarray:
    """Return how far the peers of each provider are from all, in standard deviations."""
    return np.where(np.arange(count) % 2, 0.1, -0.1) * (rules.peer_group is not None)


def _peer_names(rules: ProfileRules, count: int) -> np.ndarray:
    names = np.where(np.arange(count) % 2, "male", "female")
    return np.where(rules.peer_group is not None, names, "")


def _yardstick(rules: ProfileRules, limits: str, sd: float) -> Yardstick:
    cuts = dict(zip(("inner", "outer"), map(cut_of, rules.levels), strict=True))
    held = Yardstick(**(cuts | LEARNED.get(limits, {})))
    return Yardstick(**(asdict(held) | {"tau": held.tau * sd}))


def _flags(z: "pd.Series[float]", held: Yardstick, rules: ProfileRules) -> np.ndarray:
    return flag_labels(rules.labels, rules.levels).at(places_from_z(z, held.inner, held.outer))


def _believed(table: pd.DataFrame, gain: float, sd: float, rules: ProfileRules) -> pd.DataFrame:
    judged = table[table["n"] >= rules.minimum_n].set_index("provider_id")
    raw = Raw(judged["difference"], sd / np.sqrt(judged["n"]), sd)
    return believe(raw, rules, gain, seed=7).reset_index()


def _analyses(judged: pd.DataFrame, rules: ProfileRules) -> pd.DataFrame:
    """Return other analyses that differ a little from the study's own, the same every time."""
    found = []
    for (outcome, _), rows in judged.groupby(["outcome", "learner"], sort=False):
        gain, sd = OUTCOMES[str(outcome)][1:3]
        for place, (method, limits) in enumerate(declared(rules)):
            held = _yardstick(rules, limits, sd)
            noise = np.random.default_rng([7, place]).normal(0, 0.25, len(rows))
            error = (sd / np.sqrt(rows["n"])).to_numpy()
            away = (rows["adjusted"] - gain).to_numpy() + noise * error
            z = rows["z"].to_numpy() if place == 0 else away / held.spread(error)
            ends = {
                f"{end}{name}": gain + sign * cut * held.spread(error)
                for name, cut in zip(level_names(rules), (held.inner, held.outer), strict=True)
                for end, sign in (("lower", -1), ("upper", 1))
            }
            found.append(
                rows[["outcome", "learner", "provider_id", "adjusted"]].assign(
                    method=method,
                    limits=limits,
                    error=error,
                    middle=gain,
                    **ends,
                    z=z,
                    flag=_flags(z, held, rules),
                )
            )
    return pd.concat(found, ignore_index=True)[analysis_columns(rules)]


def _suppress(table: pd.DataFrame) -> pd.DataFrame:
    hidden, small = table["n"] < 6, table["n"] < 30
    shown = ("n", "observed", "expected", "episodes", "overlap", "predicted")
    texts = ("outcome", "learner", "provider_id", "flag", "note", "suppression",
             "flag_moved_by", "flag_holds_under", "peer_group")  # fmt: skip
    judged = [one for one in table if one not in (*shown, *texts)]
    table.loc[small, judged] = np.nan
    table.loc[small, ["flag", "suppression"]] = ["Insufficient records", "adjusted"]
    table.loc[hidden, list(shown)] = np.nan
    table.loc[hidden, "suppression"] = "all"
    return table


def _reliability(providers: pd.DataFrame, rules: ProfileRules) -> pd.DataFrame:
    found = []
    for (outcome, learner), rows in providers.groupby(["outcome", "learner"], sort=False):
        judged, sd = rows[rows["adjusted"].notna()].set_index("provider_id"), OUTCOMES[outcome][2]
        raw = Raw(judged["difference"], sd / np.sqrt(judged["n"]), sd)
        found.append(reliabilities(raw, rules).assign(outcome=outcome, learner=learner))
    return pd.concat(found, ignore_index=True)


def _agreement() -> pd.DataFrame:
    rows = [
        (*pair, *kind)
        for pair in KINDS
        for kind in (
            ("split_half", "", "", 37, 0.41, 0.58),
            ("year_on_year", "2017/18", "2018/19", 31, 0.33, np.nan),
        )
    ]
    return pd.DataFrame(rows, columns=["outcome", "learner", *AGREEMENT_COLUMNS])


def _reference(study: Study) -> pd.DataFrame:
    rows = []
    for outcome, learner in KINDS:
        _, gain, sd, before = OUTCOMES[outcome]
        given = next((one.reference for one in study.outcomes if one.name == outcome), None)
        gain, sd = (given.gain, given.sd) if given else (gain, sd)
        centre = np.nan if study.profile.peer_group else gain
        held = asdict(_yardstick(study.profile, study.profile.limits, sd))
        rows.append({
            "outcome": outcome, "learner": learner, "n": 21_034, "gain": gain, "baseline": before,
            "sd": sd, "drift": 0.041 * OUTCOMES[outcome][1], "mean_residual": 0.0,
            "centre": centre, **held,
        })  # fmt: skip
    return pd.DataFrame(rows)


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
