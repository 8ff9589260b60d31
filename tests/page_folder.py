"""Run folders and settlements for the tests of the page, of any size; nobody's real data."""

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
from findings_example import example_findings, example_rules, example_study

from riskadj.digest import digest_of_file
from riskadj.profile.flags import flag_labels
from riskadj.report.card.card import build_card
from riskadj.report.folder import MARK, files_in, write_csv, write_json
from riskadj.report.provenance import portable_study

RUN = "9e" * 32
NASTY = "</script><script>alert(1)</script>"
FORMULA = '=HYPERLINK("http://x","y")'
HIDDEN = "Hidden House"
FEATURES = ("age_band_10y", "sex", "comorb_heart", "q1_score_ohs", "(score before)")
CLASSES = ("better and cheaper", "worse and dearer", "not told apart", "dearer, outcome unclear")
MEANS = {"ohs": (22.0, 7.0), "eq5d": (0.46, 0.2), "cost": (90_000.0, 30_000.0)}
SHARES = (0, 0.25, 0.5, 0.75, 1)
MODES = ("study", "none", "adjust", "stratify", "peer_group")
NUMBERS = ("linear", "lightgbm")
_LIMITS = {"lower95": -1.96, "upper95": 1.96, "lower998": -3.09, "upper998": 3.09}


def page_study():
    """Return a study of two scores and a cost, with their value."""
    outcomes = [
        {"name": "ohs", "instrument": "OHS", "kind": "gain"},
        {"name": "eq5d", "instrument": "EQ5D3L_UK_TTO", "kind": "gain"},
        {"name": "cost", "kind": "cost", "column": "cost_total_365d", "currency": "SEK",
         "price_year": 2023},
    ]  # fmt: skip
    rules = example_rules(
        sensitivity={
            "methods": ["nhs_england", "fixed_effects"],
            "limits": ["nominal", "winsorised", "additive"],
        }
    )
    return example_study(outcomes=outcomes, profile=rules, value={"outcome": "ohs", "cost": "cost"})


def write_run(folder: Path, n_providers: int) -> Path:
    """Write the tables of a run of so many providers, three outcomes and two learners."""
    study = page_study()
    labels = flag_labels(study.profile.labels, study.profile.levels)
    rng = np.random.default_rng(n_providers)
    names = provider_names(n_providers)
    profiles = pd.concat(
        [
            _profiles(rng, names, outcome.name, one.kind, labels)
            for outcome in study.outcomes
            for one in study.learners_of(outcome)
        ],
        ignore_index=True,
    )
    shown = profiles[profiles["suppression"] == ""]
    pairs = shown[["outcome", "learner"]].drop_duplicates().itertuples(index=False)
    tables = {
        "providers": profiles,
        "analyses": _analyses(rng, shown, study, labels),
        "shap_providers": _contributions(rng, shown),
        "value": _value(rng, shown),
        "graded": _graded(rng, shown),
        "social": _social(shown),
        "reference": pd.DataFrame([_reference(*one) for one in pairs]),
        "flow": _flow(),
        "calibration": _calibration(rng, shown),
    }
    findings = example_findings()
    tables |= {"subgroups": findings.subgroups, "reliability": findings.reliability}
    folder.mkdir(parents=True)
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    write_json(portable_study(study), folder / "study.json")
    write_json(_card(), folder / "card.json")
    (folder / "expectations.parquet").write_bytes(b"a row per episode: never read")
    return sealed(folder)


@functools.cache
def _card():
    return build_card(example_findings())


def sealed(folder: Path) -> Path:
    """Write down the digests of what is in a run folder."""
    (folder / MARK).unlink(missing_ok=True)
    files = {name: digest_of_file(path) for name, path in files_in(folder).items()}
    stages = [{"stage": "run", "digest": RUN, "seconds": None}]
    code = {"version": "0.1.0", "digest": "c0" * 32}
    write_json(
        {"stages": stages, "created": "2026-01-15T09:30:00+00:00", "code": code, "files": files},
        folder / MARK,
    )
    return folder


def write_settled(folder: Path, names: list[str], run: str = RUN) -> Path:
    """Write a settlement of a run, two lines to a provider; hidden providers are not in it."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    minor = rng.integers(-90_000_000, 90_000_000, len(names))
    totals = pd.DataFrame(
        {"provider_id": names, "status": "settled", "episodes": 50, "target": 100.5,
         "actual": 99.25, "gates": "", "total": minor / 100, "total_minor": minor}
    )  # fmt: skip
    lines = pd.DataFrame(
        [
            (name, place, "reconcile", words, kind, "1 + 1", "2", amount, place == 1, "a source")
            for name, total in zip(names, minor, strict=True)
            for place, words, kind, amount in (
                (0, "Target of all", "sum", 0), (1, "Target less actual cost", "payment", total),
            )
        ],
        columns=["provider_id", "place", "rule", "label", "kind", "formula", "value",
                 "amount_minor", "confirmed", "source"],
    )  # fmt: skip
    write_csv(totals, folder / "settlement.csv")
    write_csv(lines, folder / "lines.csv")
    contract = {
        "name": "bundle",
        "version": "1",
        "content": {"title": "A bundle", "about": "For all."},
    }
    summary = {
        "run": run, "contract": contract, "currency": "SEK", "minor_digits": 2,
        "pool_minor": int(minor.sum()), "told": ["nobody was left out"], "checks": [],
        "unconfirmed": [{"rule": "budget", "source": "none"}],
    }  # fmt: skip
    write_json(summary, folder / "settlement.json")
    digests = {name: digest_of_file(path) for name, path in files_in(folder).items()}
    write_json({"settlement": "ab" * 32, "files": digests}, folder / MARK)
    return folder


def provider_names(n: int) -> list[str]:
    """Return names, some of them meant badly; the last is of a provider that is hidden."""
    return [*(f"P{at:04d}" for at in range(n - 3)), NASTY, FORMULA, HIDDEN]


def page_data(text: str) -> dict:
    """Return the data in a page, every column written where it stands."""
    inside = text.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    data = json.loads(inside)
    parts = [part["table"] for parts in data["tables"].values() for part in parts]
    for table in (*parts, *(one["table"] for one in data["audited"])):
        for name, column in table["columns"].items():
            if isinstance(column, int):
                table["columns"][name] = data["columns"][column]
    return data


def values(column, n: int) -> list:
    """Return the values of a packed column of so many rows; an oracle of what the page does."""
    if column is None or isinstance(column, list):
        return column or [None] * n
    if "runs" in column:
        inner = values(column["of"], len(column["runs"]))
        pairs = zip(column["runs"], inner, strict=True)
        return [one for many, one in pairs for _ in range(many)]
    if "again" in column:
        again = column["again"]
        once = values(again, len(again.get("codes", again["levels"])))
        return once * (n // len(once))
    if "per" in column:
        return [None if one is None else one / column["per"] for one in column["of"]]
    levels = column["levels"]
    whole = range(n) if len(levels) == n else [0] * n
    return [levels[code] for code in column.get("codes", whole)]


def _profiles(rng, names, outcome, learner, labels):
    mean, sd = MEANS[outcome]
    many = len(names)
    n = rng.integers(20, 400, many).astype(float)
    n[:2] = (12.0, 350.0)
    error = sd / np.sqrt(n)
    expected = mean + 0.05 * sd * rng.standard_normal(many)
    difference = error * rng.standard_normal(many) * 1.6
    z = difference / error
    places = np.select([z > 3.09, z > 1.96, z < -3.09, z < -1.96], [2, 1, -2, -1], 0)
    small, hidden = n < 30, np.array([one == HIDDEN for one in names])
    adjusted = np.where(small, np.nan, mean + difference)
    flags = [labels.of[int(one)] for one in places]
    rank = (-pd.Series(adjusted)).rank()
    table = pd.DataFrame(
        {
            "outcome": outcome, "learner": learner, "provider_id": names, "n": n, "episodes": n,
            "observed": expected + difference, "expected": expected, "difference": difference,
            "ratio": 1 + difference / expected, "adjusted": adjusted, "z": z,
            "flag": np.where(small | hidden, labels.too_few, flags),
            **{name: mean + cut * error for name, cut in _LIMITS.items()},
            "ci_lower95": adjusted - 1.96 * error, "ci_upper95": adjusted + 1.96 * error,
            "reliability": 1 / (1 + 40 / n), "shrunken": mean + difference / 2,
            "shrunken_lower95": mean - error, "shrunken_upper95": mean + error,
            "rank": rank, "rank_lower95": (rank - 20).clip(lower=1), "rank_upper95": rank + 20,
            "flag_share": 5 / 12, "flag_side_share": 0.5, "flag_moved_by": "method limits",
            "note": "", "suppression": np.where(hidden, "all", ""),
        }
    )  # fmt: skip
    figures = table.select_dtypes("number").columns
    table[figures] = table[figures].mask(pd.Series(hidden))
    return table


def _analyses(rng, shown, study, labels):
    asked = study.profile.sensitivity
    parts = []
    for method in asked.methods:
        for limits in asked.limits:
            some = shown[["outcome", "learner", "provider_id", "adjusted", *_LIMITS, "z", "flag"]]
            some = some[some["adjusted"].notna()]
            moved = rng.random(len(some)) < 0.08
            some = some.assign(method=method, limits=limits)
            parts.append(some.assign(flag=some["flag"].mask(moved, labels.of[1])))
    return pd.concat(parts, ignore_index=True)


def _graded(rng, shown):
    some = shown[(shown["outcome"] == "ohs") & shown["adjusted"].notna()]
    moved = rng.standard_normal(len(some)) * 0.8
    changes = np.where(np.abs(moved) > 1, 0.4, np.nan)
    columns = ["outcome", "learner", "provider_id", "n", "observed", "expected", "ratio", "flag"]
    parts = [
        some[columns].assign(
            **{"lambda": one}, z=some["z"] + one * moved, flag_changes_at=changes, social=one
        )
        for one in SHARES
    ]
    return pd.concat(parts, ignore_index=True)


def _social(shown):
    some = shown[(shown["outcome"] == "ohs") & (shown["learner"] == "linear")]
    columns = ["outcome", "learner", "provider_id", "n", "observed", "expected", "z", "flag"]
    parts = [some[columns].assign(mode=one, own=one == "study") for one in MODES]
    return pd.concat(parts, ignore_index=True)


def _contributions(rng, shown):
    some = shown[shown["learner"] == "lightgbm"]
    parts = [
        some[["outcome", "learner", "provider_id", "n"]].assign(
            feature=one, theme="a theme", contribution=rng.standard_normal(len(some))
        )
        for one in FEATURES
    ]
    table = pd.concat(parts, ignore_index=True)
    keys = ["outcome", "learner", "provider_id"]
    return table.assign(difference=table.groupby(keys)["contribution"].transform("sum"))


def _value(rng, shown):
    rows = shown[(shown["outcome"] == "ohs") & (shown["learner"] == "linear")]
    many = len(rows)
    return pd.DataFrame(
        {
            "outcome": "ohs", "cost_outcome": "cost", "learner": "linear",
            "cost_learner": "linear", "provider_id": rows["provider_id"].to_numpy(),
            "n_outcome": rows["n"].to_numpy(), "n_cost": rows["n"].to_numpy(),
            "shrunken_outcome": rng.normal(0, 0.5, many),
            "shrunken_cost_ratio": np.exp(rng.normal(0, 0.08, many)),
            "shrunken_outcome_error": 0.4, "shrunken_cost_error": 0.04,
            "shrunken_correlation": 0.3, "class": rng.choice(CLASSES, many),
        }
    )  # fmt: skip


def _reference(outcome, learner):
    mean, sd = MEANS[outcome]
    return {
        "outcome": outcome, "learner": learner, "n": 9_000, "gain": mean, "baseline": 17.0,
        "sd": sd, "drift": 0.0, "mean_residual": 0.0, "centre": mean, "inner": 1.96,
        "outer": 3.09, "shift": 0.0, "factor": 1.0, "tau": 0.0,
    }  # fmt: skip


def _flow():
    rows = [("cohort", "read", 0, 12_000), ("cohort", "no score after", 2_500, 9_500)]
    parts = [(outcome, *row) for outcome in MEANS for row in rows]
    return pd.DataFrame(parts, columns=["outcome", "station", "reason", "left", "remaining"])


def _calibration(rng, shown):
    rows = []
    for outcome, learner in shown[["outcome", "learner"]].drop_duplicates().to_numpy():
        mean, sd = MEANS[outcome]
        for decile in range(1, 11):
            expected = mean + (decile - 5) * sd / 5
            gap = 0.02 * sd * rng.standard_normal()
            rows.append((outcome, learner, "", "", decile, 900, expected, expected + gap, gap,
                         gap - 0.05 * sd, gap + 0.05 * sd))  # fmt: skip
    columns = ["outcome", "learner", "column", "level", "decile", "n", "expected", "observed",
               "difference", "lower95", "upper95"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
