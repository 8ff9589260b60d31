"""Why a provider, or an episode, is expected to do as it is: answers from a run folder alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from riskadj.episodes.columns import COLUMNS
from riskadj.errors import UnknownNameError, ValuesError, did_you_mean
from riskadj.explain.shap_values import COARSE, FOLD, KEYS, feature_columns
from riskadj.report.disclosure import SUPPRESSED
from riskadj.report.folder import read_csv, read_json, read_provenance
from riskadj.report.lookup import rows_of
from riskadj.report.places import Places
from riskadj.report.reading import as_a_run_writes_it, check_table
from riskadj.stats.links import link_named
from riskadj.study import Outcome, Study
from riskadj.study.load import build

PEERS = 5
OUTERMOST = 0.05
"""Of contributions on either side: what lies beyond is no value that an episode easily has."""
RAREST = 0.005
"""The same of columns with few values: what a condition of 1 in 200 adds is still told."""
_MANY = ("number", "whole")
_LINKS = {"binomial": "logit", "gamma": "log"}
_TABLES = ("providers", "analyses", "reference", "shap_providers", "shap_features")
_EPISODES = ("shap", "expectations")
_TEXTS = (
    *KEYS, "provider_id", "feature", "theme", "role", "flag", "suppression", "method", "limits",
    "note", "flag_moved_by", "flag_holds_under", "peer_group",
)  # fmt: skip
_UNEXPLAINED = (
    "wanted expectations with contributions by column; got none of any learner. Add a linear or "
    "lightgbm learner to the study and run it."
)
_LISTED = " providers.csv in the run folder has them all."
_HIDDEN = (
    "wanted one whose figures may be shown; got one that disclosure control hides. Nothing is told "
    "of it or of its episodes. Choose another."
)


@dataclass(frozen=True)
class Ran:
    """What of a finished run explains it.

    Attributes
    ----------
    study : Study
    tables : mapping of str to DataFrame
        Those of the run folder, after disclosure control, by name.
    digest : str
        Of the run.
    """

    study: Study
    tables: Mapping[str, pd.DataFrame]
    digest: str


@dataclass(frozen=True)
class ProviderAnswer:
    """Why a provider is expected to do as it is, and flagged as it is.

    Attributes
    ----------
    study : Study
    outcome : Outcome
    learner, provider_id, run : str
    facts : mapping
        The provider's row of `providers.csv`.
    reference : mapping
        The row of `reference.csv`.
    parts : DataFrame
        `feature, theme, contribution`: how far each column moves the provider's mean expectation
        from that of all, the largest first.
    analyses : DataFrame
        `learner, method, limits, adjusted, z, flag, lower, upper, to_limit`: every analysis of the
        run, the study's own first. `to_limit` is how far the adjusted result is from the nearest
        limit of the inner pair, in its unit: below 0 outside.
    peers : DataFrame
        `provider_id, n, distance, adjusted, ci_lower95, ci_upper95, flag`: the compared providers
        nearest in case mix. `distance` is Euclid's between mean contributions by column, in the
        unit of contributions, so that a column counts as much as it moves expectations.
    """

    study: Study
    outcome: Outcome
    learner: str
    provider_id: str
    run: str
    facts: Mapping[str, Any]
    reference: Mapping[str, Any]
    parts: pd.DataFrame
    analyses: pd.DataFrame
    peers: pd.DataFrame

    @property
    def is_compared(self) -> bool:
        """Whether it has an adjusted result."""
        return not pd.isna(self.facts["adjusted"])

    @property
    def places(self) -> Places:
        """What flags say."""
        return Places(self.study.profile, self.outcome.compares.sides)


@dataclass(frozen=True)
class EpisodeAnswer:
    """Why an episode is expected to end as it is: a row about a patient, for who holds the folder.

    Attributes
    ----------
    study : Study
    outcome : Outcome
    learner, episode_id, provider_id, run : str
    base, expected_score, expected : float
        What contributions start from and sum to, on the scale of contributions; what is expected
        of what is compared, in its own unit.
    sd : float
        Of episodes about their expectations, in that unit; NaN where that is not constant.
    parts : DataFrame
        `feature, contribution, beyond, low, high, outermost`: what each column adds, the largest
        first; the share of episodes that it moves by as much or more; and what would be expected,
        in its own unit, if this column alone added as little or as much as it does in the outermost
        of all episodes compared, without a share of them on either side, `outermost`. That is 0.05;
        of flags and texts, and where both ends would be one, 0.005, or the share that
        `suppress_below` episodes are where that is more. Of a gain, the score before moves its
        start as well. Exact for lines, near it for trees, in which columns act together.
    """

    study: Study
    outcome: Outcome
    learner: str
    episode_id: str
    provider_id: str
    run: str
    base: float
    expected_score: float
    expected: float
    sd: float
    parts: pd.DataFrame


# --- reading a run --------------------------------------------------------------------------------


def read_explained(folder: str | Path, *, episodes: bool = False) -> Ran:
    """Return what of a finished run explains it, if it is as the run wrote it.

    Parameters
    ----------
    folder : str or Path
    episodes : bool
        Whether to read the files that have a row per episode, too.

    Raises
    ------
    FileMissingError, FileFormatError
        When the folder is none of a finished run, or a file is not what its run wrote.
    """
    folder = Path(folder)
    rows = tuple(f"{name}.parquet" for name in _EPISODES) if episodes else ()
    names = ("study.json", *(f"{name}.csv" for name in _TABLES), *rows)
    written = read_provenance(folder, names[:1])["files"]
    if "shap_features.csv" not in written:
        raise UnknownNameError(f"{folder}: {_UNEXPLAINED}")
    provenance = read_provenance(folder, names)
    study = build(Study, read_json(folder / "study.json"), str(folder / "study.json"))
    with as_a_run_writes_it(folder):
        tables = {name: _table(folder / f"{name}.csv") for name in _TABLES}
        tables |= {name.removesuffix(".parquet"): pd.read_parquet(folder / name) for name in rows}
        return Ran(study, MappingProxyType(tables), str(provenance["stages"][-1]["digest"]))


def _table(path: Path) -> pd.DataFrame:
    """Return a table of a run; names that look like numbers stay text."""
    table = read_csv(path, dtype=dict.fromkeys(_TEXTS, "str"))
    texts = [name for name in _TEXTS if name in table]
    table[texts] = table[texts].fillna("")
    check_table(table, path, KEYS, ("n", "adjusted", "z", "contribution"))
    return table


def _chosen(ran: Ran, outcome: str | None, learner: str | None) -> tuple[Outcome, str]:
    """Return the outcome and learner asked for, or the first that is explained."""
    named = {one.name: one for one in ran.study.outcomes}
    chosen = _one_of("outcome", outcome, [*named])
    explained = rows_of(ran.tables["shap_features"], outcome=chosen)["learner"].unique().tolist()
    if not explained:
        raise UnknownNameError(f"outcome {chosen}: {_UNEXPLAINED}")
    return named[chosen], _one_of("explained learner", learner, explained)


def _one_of(what: str, wanted: str | None, known: list[str]) -> str:
    if wanted is None:
        return known[0]
    if wanted not in known:
        raise UnknownNameError(
            f"--{what.split()[-1]}: wanted an {what} of the run ({', '.join(known)}); got "
            f"{wanted!r}.{did_you_mean(wanted, known) or ' Choose one of these.'}"
        )
    return wanted


# --- a provider -----------------------------------------------------------------------------------


@as_a_run_writes_it("the run folder")
def explain_provider(
    ran: Ran, provider_id: str, outcome: str | None = None, learner: str | None = None
) -> ProviderAnswer:
    """Return why a provider is expected to do as it is, and flagged as it is.

    Parameters
    ----------
    ran : Ran
    provider_id : str
    outcome, learner : str, optional
        The first of the study that is explained, unless given.

    Raises
    ------
    UnknownNameError
        When there is no such provider, outcome or learner.
    ValuesError
        When disclosure control hides the provider.
    """
    what, who = _chosen(ran, outcome, learner)
    of = {"outcome": what.name, "learner": who}
    providers = rows_of(ran.tables["providers"], **of)
    parts = rows_of(ran.tables["shap_providers"], **of)
    _refuse_hidden(providers, parts, provider_id)
    facts = rows_of(providers, provider_id=provider_id).iloc[0].to_dict()
    own = rows_of(parts, provider_id=provider_id)
    return ProviderAnswer(
        ran.study,
        what,
        who,
        provider_id,
        ran.digest,
        facts,
        rows_of(ran.tables["reference"], **of).iloc[0].to_dict(),
        _largest(own[["feature", "theme", "contribution"]]),
        _analyses(ran, what, who, provider_id),
        _peers(providers, parts, provider_id),
    )


def _refuse_hidden(providers: pd.DataFrame, parts: pd.DataFrame, provider_id: str) -> None:
    shown = sorted(set(parts["provider_id"]))
    if provider_id in shown:
        return
    rows = rows_of(providers, provider_id=provider_id)
    if rows.empty:
        raise UnknownNameError(
            f"provider {provider_id}: wanted one of the {len(shown)} whose figures are shown; got "
            f"one that the run does not have.{did_you_mean(provider_id, shown) or _LISTED}"
        )
    if rows["suppression"].iloc[0] != SUPPRESSED and rows["n"].iloc[0] == 0:
        raise UnknownNameError(
            f"provider {provider_id}: wanted one with episodes that are modelled; got one without. "
            "Choose another."
        )
    raise ValuesError(f"provider {provider_id}: {_HIDDEN}")


def _largest(parts: pd.DataFrame) -> pd.DataFrame:
    order = parts["contribution"].abs().sort_values(ascending=False, kind="stable").index
    return parts.loc[order].reset_index(drop=True)


def _analyses(ran: Ran, outcome: Outcome, learner: str, provider_id: str) -> pd.DataFrame:
    rows = rows_of(ran.tables["analyses"], outcome=outcome.name, provider_id=provider_id)
    if rows.empty:
        return rows.assign(lower=[], upper=[], to_limit=[])
    name = Places(ran.study.profile).limits[0][0]
    lower, upper = rows[f"lower{name}"], rows[f"upper{name}"]
    rules = ran.study.profile
    own = (rows["learner"] == learner) & (rows["method"] == rules.method)
    own &= rows["limits"] == rules.limits
    room = np.minimum(rows["adjusted"] - lower, upper - rows["adjusted"])
    table = rows.assign(lower=lower, upper=upper, to_limit=room, own=own)
    table = table.sort_values("own", ascending=False, kind="stable", ignore_index=True)
    kept = ["learner", "method", "limits", "adjusted", "z", "flag", "lower", "upper", "to_limit"]
    return table[[*kept, "own"]]


def _peers(providers: pd.DataFrame, parts: pd.DataFrame, provider_id: str) -> pd.DataFrame:
    wide = parts[~parts["feature"].isin([FOLD, COARSE])].pivot(
        index="provider_id", columns="feature", values="contribution"
    )
    far = np.sqrt(((wide - wide.loc[provider_id]) ** 2).sum(axis=1)).rename("distance")
    others = providers[providers["adjusted"].notna() & (providers["provider_id"] != provider_id)]
    near = others.merge(far, left_on="provider_id", right_index=True)
    near = near.sort_values(["distance", "provider_id"]).head(PEERS)
    kept = ["provider_id", "n", "distance", "adjusted", "ci_lower95", "ci_upper95", "flag"]
    return near[kept].reset_index(drop=True)


# --- an episode -----------------------------------------------------------------------------------


@as_a_run_writes_it("the run folder")
def explain_episode(
    ran: Ran, episode_id: str, outcome: str | None = None, learner: str | None = None
) -> EpisodeAnswer:
    """Return why an episode is expected to end as it is.

    Parameters
    ----------
    ran : Ran
        Read with `episodes`.
    episode_id : str
    outcome, learner : str, optional
        The first of the study that is explained, unless given.

    Raises
    ------
    UnknownNameError
        When there is no such episode among those compared; no other's name is told.
    ValuesError
        When disclosure control hides its provider.
    """
    what, who = _chosen(ran, outcome, learner)
    of = {"outcome": what.name, "learner": who}
    everybody = rows_of(ran.tables["shap"], **of)
    everybody = everybody.dropna(axis=1, how="all")
    rows = everybody[everybody["episode_id"].astype(str) == episode_id]
    if rows.empty:
        raise UnknownNameError(
            f"episode {episode_id}: wanted one that was compared on {what.name}; the run has none "
            "of that name. Look it up in expectations.parquet."
        )
    row = rows.iloc[0]
    parts = rows_of(ran.tables["shap_providers"], **of)
    _refuse_hidden(rows_of(ran.tables["providers"], **of), parts, str(row["provider_id"]))
    expected = rows_of(ran.tables["expectations"], **of)
    own = expected[expected["episode_id"].astype(str) == episode_id]
    return EpisodeAnswer(
        ran.study,
        what,
        who,
        episode_id,
        str(row["provider_id"]),
        ran.digest,
        float(row["base"]),
        float(row["expected_score"]),
        float(own["expected"].iloc[0]),
        float(rows_of(ran.tables["reference"], **of)["sd"].iloc[0]),
        _parts_of(ran.study, what, everybody, row, expected),
    )


def _parts_of(
    study: Study,
    outcome: Outcome,
    everybody: pd.DataFrame,
    row: pd.Series,
    expected: pd.DataFrame,
) -> pd.DataFrame:
    names = feature_columns(everybody)
    size, own = everybody[names].abs(), row[names].astype(float)
    adds = _to_what_is_compared(outcome, everybody, expected)
    now = float(expected.set_index("episode_id").at[row["episode_id"], "expected"])
    own_adds = adds[everybody["episode_id"] == row["episode_id"]].iloc[0]
    ends = _ends(adds, study)
    table = pd.DataFrame(
        {
            "feature": names,
            "contribution": own.to_numpy(),
            "beyond": (size >= own.abs() - 1e-12).mean().to_numpy(),
            "low": _moved(outcome, now, (ends["low"] - own_adds).to_numpy()),
            "high": _moved(outcome, now, (ends["high"] - own_adds).to_numpy()),
            "outermost": ends["outermost"].to_numpy(),
        }
    )
    return _largest(table)


def _ends(adds: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the least and the most that each column easily adds, and the share beyond either.

    The values of a column are not in a run folder. Rare ones of a column with few lie among the
    outermost contributions, so that fewer of these are left out.
    """
    columns = {**COLUMNS, **{one.name: one for one in study.data.columns}}
    share = min(max(RAREST, study.profile.suppress_below / len(adds)), OUTERMOST)
    usual, rare = (_between(adds, one) for one in (OUTERMOST, share))
    few = np.array([name in columns and columns[name].kind not in _MANY for name in adds])
    few |= np.isclose(usual["low"], usual["high"])
    return pd.concat([usual[~few], rare[few]]).loc[usual.index]


def _between(adds: pd.DataFrame, share: float) -> pd.DataFrame:
    """Return what is added by the outermost episodes but a share on either side."""
    low = adds.quantile(share, interpolation="higher")
    high = adds.quantile(1 - share, interpolation="lower")
    return pd.DataFrame({"low": low, "high": high, "outermost": share})


def _to_what_is_compared(
    outcome: Outcome, everybody: pd.DataFrame, expected: pd.DataFrame
) -> pd.DataFrame:
    """Return contributions to what is compared: of a gain, the score before is its start, too."""
    adds = everybody[feature_columns(everybody)].astype(float)
    if outcome.kind != "gain":
        return adds
    before = outcome.measured.before
    if before is not None and before in adds:
        start = expected.set_index("episode_id")["baseline_score"]
        adds = adds.assign(**{before: adds[before] - everybody["episode_id"].map(start)})
    return adds * outcome.measured.direction


def _moved(outcome: Outcome, expected: float, shift: np.ndarray) -> np.ndarray:
    """Return an expectation that is moved by so much on the scale of contributions."""
    link = link_named(_LINKS.get(outcome.compares.family, "identity"))
    return np.asarray(link.mean(link.predictor(np.array([expected])) + shift))
