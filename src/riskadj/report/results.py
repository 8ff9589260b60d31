"""From the records of a run to its files: findings first, then every file that shows them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.casemix import CaseMix
from riskadj.casemix.roles import refusal_by
from riskadj.cohort import Cohort
from riskadj.digest import digest_of_file
from riskadj.episodes.columns import Column
from riskadj.expected import Evaluation, Expectations, save_model
from riskadj.explain import Explanation, unexplained
from riskadj.explain.shap_values import STEP_COLUMNS
from riskadj.fairness import Fairness, shown_groups
from riskadj.followup import FollowUp
from riskadj.profile import Profiles, flag_labels
from riskadj.profile.providers import told_once
from riskadj.report.card.card import build_card
from riskadj.report.disclosure import (
    coarse_contributions,
    keep_rated,
    keep_shown,
    keep_shown_parts,
    rounded,
    suppress_balance,
    suppress_curves,
    suppress_deciles,
    suppress_drift,
    suppress_flow,
    suppress_gaming,
    suppress_groups,
    suppress_metrics,
    suppress_missing,
    suppress_providers,
    suppress_rates,
    suppress_strata,
    suppress_subgroups,
    suppress_thirds,
    suppress_value,
)
from riskadj.report.figures import draw_figures
from riskadj.report.findings import Findings, no_feature_folds, no_pairs, no_roles
from riskadj.report.folder import MARK, files_in, write_csv, write_json, write_parquet, write_text
from riskadj.report.page.build import page_of
from riskadj.report.page.content import PAGE
from riskadj.report.provenance import portable_study, sealed
from riskadj.report.render import render_html, render_markdown
from riskadj.study import Study
from riskadj.value import Values

_TEXTS = ("outcome", "learner", "episode_id", "provider_id", "feature", "theme", "role")


def _nothing(*columns: str) -> pd.DataFrame:
    kinds = {name: "str" if name in _TEXTS else "float64" for name in columns}
    return pd.DataFrame(columns=list(columns)).astype(kinds)


TUNED_COLUMNS = ["outcome", "learner", "member", "trials", "settings", "start", "loss"]
NO_FEATURES = _nothing("outcome", "learner", "feature", "theme", "mean_absolute", "share", "role")
NO_PROVIDERS = _nothing(
    "outcome", "learner", "provider_id", "n", "feature", "theme", "contribution", "difference"
)
NO_STEPS = _nothing(*STEP_COLUMNS)
NO_EPISODES = _nothing("outcome", "learner", "episode_id", "provider_id", "base", "expected_score")


@dataclass(frozen=True)
class OutcomeResults:
    """The records of one outcome's journey."""

    casemix: CaseMix
    expectations: Expectations
    evaluation: Evaluation
    profiles: Profiles
    explanation: Explanation | None
    follow_up: FollowUp | None = None
    fairness: Fairness | None = None


def build_findings(
    study: Study,
    results: Sequence[OutcomeResults],
    provenance: Mapping[str, Any],
    values: Values | None = None,
) -> Findings:
    """Put the tables of all outcomes together and apply disclosure control."""
    below = study.profile.suppress_below
    profiled = _stack([one.profiles.table for one in results])
    labels = flag_labels(study.profile.labels, study.profile.levels)
    providers = suppress_providers(profiled, below, study.profile.suppress_by, labels.too_few)
    explained = [one.explanation for one in results if one.explanation]
    cohorts = [one.casemix.cohort for one in results]
    columns = cohorts[0].columns.values()
    subgroups = suppress_subgroups(_stack([one.evaluation.subgroups for one in results]), below)
    subgroups = suppress_thirds(subgroups, profiled, providers, below)
    flow, tells_read = suppress_flow(_flow(cohorts, study), study.cohort, below)
    metrics = {
        one.outcome.name: r.evaluation.metrics for one, r in zip(cohorts, results, strict=True)
    }
    found = Findings(
        study=study,
        casemix=tuple({one.name: one for r in results for one in r.casemix.columns}.values()),
        refused=tuple(one for one in columns if refusal_by(study.casemix, one)),
        unused=_unused(columns, study, results),
        flow=flow,
        metrics=suppress_metrics(metrics, below),
        calibration=suppress_deciles(
            _stack([one.evaluation.calibration for one in results]), below
        ),
        subgroups=subgroups,
        curves=suppress_curves(
            _stack([one.evaluation.curves for one in results]), subgroups, below
        ),
        tuned=_tuned([one.expectations for one in results]),
        ceiling=suppress_deciles(_stack([one.evaluation.ceiling for one in results]), below),
        slopes=_stack([one.evaluation.slopes for one in results]),
        differences=_stack([one.evaluation.differences for one in results]),
        validation=_stack([one.evaluation.validation for one in results]),
        providers=providers,
        reference=_stack([one.profiles.reference for one in results]),
        analyses=keep_shown(_stack([one.profiles.analyses for one in results]), providers, below),
        reliability=_stack([one.profiles.reliability for one in results]),
        agreement=_stack([one.profiles.agreement for one in results]),
        fit_warnings=told_once(
            {one.outcome.name: r.profiles.warnings for one, r in zip(cohorts, results, strict=True)}
        ),
        features=_stack([one.features for one in explained], NO_FEATURES),
        provider_features=_contributions(explained, providers, below),
        roles=_stack([one.roles for one in explained], no_roles()),
        feature_folds=keep_shown_parts(
            _stack([one.folds for one in explained], no_feature_folds()), below
        ),
        interactions=_stack([one.interactions for one in explained], no_pairs()),
        unexplained={
            one.outcome.name: unexplained(r.expectations)
            for one, r in zip(cohorts, results, strict=True)
        },
        missing=suppress_missing(_stack([_missing(one.casemix) for one in results]), below),
        provenance=provenance if tells_read else _without_rows(provenance),
        **_followed(results, providers, below, study.profile.suppress_by),
        **_fairness(results, subgroups, providers, below),
        **_valued(values, providers, below),
    )
    base = study.report.round_counts_to
    return found if base is None else rounded(found, base)


def _contributions(
    explained: Sequence[Explanation], providers: pd.DataFrame, below: int
) -> pd.DataFrame:
    """Return why expectations of providers differ, in steps of as many patients as are few."""
    whole = _stack([one.providers for one in explained], NO_PROVIDERS)
    steps = _stack([one.steps for one in explained], NO_STEPS)
    return coarse_contributions(keep_shown(whole, providers, below), steps, below)


def _unused(
    columns: Iterable[Column], study: Study, results: Sequence[OutcomeResults]
) -> tuple[Column, ...]:
    """Return what case mix might hold of the data, and does not for any outcome."""
    used = {name for one in results for name in one.casemix.names}
    return tuple(
        one for one in columns if one.name not in used and not refusal_by(study.casemix, one)
    )


def _flow(cohorts: Iterable[Cohort], study: Study) -> pd.DataFrame:
    """Return who left; how many costs are capped is not among the words where it may not leave."""
    flows = []
    for one in cohorts:
        words, capped = {}, one.winsorising
        if capped and (study.report.round_counts_to or _is_few(capped.n_capped, study)):
            words = {capped.told: capped.told_without_numbers}
        flows.append(one.flow.assign(reason=one.flow["reason"].replace(words)))
    return _stack(flows)


def _is_few(count: int, study: Study) -> bool:
    return 0 < count < study.profile.suppress_below


def _without_rows(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return a provenance that does not tell how many rows were read."""
    return {**provenance, "data": [{**one, "rows": None} for one in provenance["data"]]}


def _valued(values: Values | None, providers: pd.DataFrame, below: int) -> dict[str, Any]:
    """Return what is found of outcome and cost together; nothing where nobody asked."""
    if values is None:
        return {}
    return {
        "value": suppress_value(values.table, providers, below),
        "value_summary": values.summary,
        "value_warnings": values.warnings,
    }


def _followed(
    results: Sequence[OutcomeResults], providers: pd.DataFrame, below: int, by: str
) -> dict[str, Any]:
    """Return what is found of missing follow-up; nothing where nobody asked."""
    named = {one.casemix.cohort.outcome.name: one.follow_up for one in results if one.follow_up}
    found = [*named.values()]
    if not found:
        return {}
    rates = suppress_rates(_stack([one.rates for one in found]), providers, below, by)
    analyses = keep_shown(_stack([one.analyses for one in found]), providers, below)
    return {
        "rates": rates,
        "follow_up": keep_rated(analyses, rates),
        "balance": suppress_balance(_stack([one.balance for one in found]), below),
        "follow_up_summary": _stack([one.summary for one in found]),
        "follow_up_told": {name: one.told for name, one in named.items() if one.told},
        "follow_up_warnings": tuple(words for one in found for words in one.warnings),
    }


def _fairness(
    results: Sequence[OutcomeResults], subgroups: pd.DataFrame, providers: pd.DataFrame, below: int
) -> dict[str, Any]:
    """Return what is expected of groups and what changes between periods."""
    found = [one.fairness for one in results if one.fairness]
    if not found:
        return {}
    groups = suppress_groups(_stack([one.groups for one in found]), subgroups, below)
    drift = _stack([one.drift for one in found])
    every = _stack([one.social.social for one in found])
    social = suppress_strata(keep_shown(every, providers, below), every, below)
    told = [words for one in found for words in (*one.social.told, *one.fair.told)]
    return {
        "groups": groups,
        "drift": suppress_drift(drift, groups, providers, below),
        "social": social,
        "graded": keep_shown(_stack([one.social.graded for one in found]), providers, below),
        "social_slopes": _stack([one.social.slopes for one in found]),
        "fair": shown_groups(_stack([one.fair.fair for one in found]), below),
        "gaming": suppress_gaming(_stack([one.gaming for one in found]), below),
        "fairness_told": tuple(dict.fromkeys(told)),
    }


def write_results(findings: Findings, results: Sequence[OutcomeResults], folder: Path) -> None:
    """Write every file of a run into a folder."""
    _write_tables(findings, results, folder)
    for one in results:
        for learner, model in one.expectations.models.items():
            save_model(model, folder / "models" / f"{model.outcome}-{learner}")
    figures = draw_figures(findings)
    (folder / "figures").mkdir()
    for name, svg in figures.items():
        write_text(svg, folder / "figures" / name)
    card = build_card(findings)
    write_json(card, folder / "card.json")
    write_text(render_markdown(card), folder / "card.md")
    write_text(render_html(card, figures), folder / "card.html")
    files = {name: digest_of_file(path) for name, path in files_in(folder).items()}
    write_text(page_of(folder, {**findings.provenance, "files": files}), folder / PAGE)
    files[PAGE] = digest_of_file(folder / PAGE)
    write_json(sealed({**findings.provenance, "files": files}), folder / MARK)


def _write_tables(findings: Findings, results: Sequence[OutcomeResults], folder: Path) -> None:
    write_json(portable_study(findings.study), folder / "study.json")
    write_json(findings.metrics, folder / "metrics.json")
    tables = {
        "flow": findings.flow,
        "providers": findings.providers,
        "analyses": findings.analyses,
        "reference": findings.reference,
        "reliability": findings.reliability,
        "agreement": findings.agreement,
        "calibration": _stack([findings.calibration, findings.curves]),
        "subgroups": findings.subgroups,
        "groups": findings.groups,
        "drift": findings.drift,
        "ceiling": findings.ceiling,
        "slopes": findings.slopes,
        "differences": findings.differences,
        "validation": findings.validation,
        "rates": findings.rates,
        "follow_up": findings.follow_up,
        "balance": findings.balance,
        "shap_providers": findings.provider_features,
        "shap_features": findings.features,
        "shap_folds": findings.feature_folds,
        "shap_roles": findings.roles,
    }
    tables |= {
        name: getattr(findings, name)
        for name, asked in _asked_of_fairness(findings.study).items()
        if asked
    }
    if findings.study.explain.interactions:
        tables["shap_interactions"] = findings.interactions
    if findings.study.value is not None:
        tables["value"] = findings.value
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    write_parquet(
        _stack([one.expectations.table for one in results]), folder / "expectations.parquet"
    )
    explained = [one.explanation.episodes for one in results if one.explanation]
    write_parquet(_stack(explained, NO_EPISODES), folder / "shap.parquet")


def _asked_of_fairness(study: Study) -> dict[str, bool]:
    """Return whether a study asks for each table of social circumstances, fairness and records."""
    rules = study.fairness
    social = dict.fromkeys(("social", "graded", "social_slopes"), rules.social is not None)
    return social | {"fair": rules.fair is not None, "gaming": rules.gaming}


def _tuned(expectations: Sequence[Expectations]) -> pd.DataFrame:
    rows = [
        (
            one.cohort.outcome.name,
            learner,
            member + 1,
            found.trials,
            ", ".join(f"{name} {value:.4g}" for name, value in found.settings.items()),
            found.start,
            found.value,
        )
        for one in expectations
        for learner, searches in one.searches.items()
        for member, found in enumerate(searches)
    ]
    return pd.DataFrame(rows, columns=TUNED_COLUMNS)


def _missing(casemix: CaseMix) -> pd.DataFrame:
    share = casemix.test.isna().mean()
    return pd.DataFrame(
        {
            "outcome": casemix.cohort.outcome.name,
            "column": share.index,
            "share": share.to_numpy(),
            "n": len(casemix.test),
        }
    )


def _stack(tables: Sequence[pd.DataFrame], nothing: pd.DataFrame | None = None) -> pd.DataFrame:
    """Put tables on top of each other; where there are none, return `nothing`."""
    filled = [one for one in tables if not one.empty] or tables[:1]
    return pd.concat(filled, ignore_index=True) if filled else nothing
