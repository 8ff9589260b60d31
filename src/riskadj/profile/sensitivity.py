"""Flag sensitivity: how far a provider's flag hangs on choices that nobody can prove right.

The study declares a set of analyses: every learner with every method and all limits. Methods whose
effects are shrunken already allow for differences between providers, so they go with nominal limits
only.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

import numpy as np
import pandas as pd

from riskadj.errors import ArrayError, TooFewProvidersError
from riskadj.profile.analysis import Analysis, analyse
from riskadj.profile.estimates import Sample
from riskadj.profile.flags import flag_labels, level_names
from riskadj.study.profile import SHRUNKEN_METHODS, ProfileRules

CHOICES = ("learner", "method", "limits")
SENSITIVITY_COLUMNS = ["flag_share", "flag_side_share", "flag_moved_by", "flag_holds_under"]
_NOBODY = pd.DataFrame(columns=["learner", "provider_id", *SENSITIVITY_COLUMNS]).astype(
    {"learner": "str", "provider_id": "str", "flag_share": "float64", "flag_side_share": "float64"}
)


def analysis_columns(rules: ProfileRules) -> list[str]:
    """Return the columns of the table of analyses, in order; limits are named by their level.

    Examples
    --------
    >>> rules = ProfileRules(method="nhs_england", minimum_n=30, suppress_below=6)
    >>> analysis_columns(rules)[5:9]
    ['adjusted', 'error', 'middle', 'lower95']
    """
    inner, outer = level_names(rules)
    return [
        "outcome", "learner", "method", "limits", "provider_id", "adjusted", "error", "middle",
        f"lower{inner}", f"upper{inner}", f"lower{outer}", f"upper{outer}", "z", "flag",
    ]  # fmt: skip


def declared(rules: ProfileRules) -> Iterator[tuple[str, str]]:
    """Yield each method with its limits, the study's own choice first.

    Examples
    --------
    >>> rules = ProfileRules(method="nhs_england", minimum_n=30, suppress_below=6)
    >>> list(declared(rules))
    [('nhs_england', 'nominal')]
    """
    asked = product(rules.sensitivity.methods, rules.sensitivity.limits)
    pairs = [(rules.method, rules.limits)]
    pairs += [
        (method, "nominal" if method in SHRUNKEN_METHODS else limits) for method, limits in asked
    ]
    yield from dict.fromkeys(pairs)


def analyse_all(
    sample: Sample, rules: ProfileRules, mean: float, peers: pd.Series | None, better: int = 1
) -> tuple[list[Analysis], list[str]]:
    """Return every declared analysis of one learner, the study's own choice first.

    One that there are too few providers or episodes for is left out; the second list says which,
    and why, methods that one reason keeps out together. The study's own choice is never left out.
    """
    own, *others = declared(rules)
    done = [analyse(sample, rules, mean, peers, *own, better=better)]
    left_out: dict[tuple[str, str], list[str]] = {}
    for method, limits in others:
        try:
            done.append(analyse(sample, rules, mean, peers, method, limits, better))
        except (ArrayError, TooFewProvidersError) as why:
            left_out.setdefault((limits, str(why)), []).append(method)
    return done, [
        f"{' and '.join(methods)}, {limits}: left out of the declared analyses. {why}"
        for (limits, why), methods in left_out.items()
    ]


def flags_of_all(
    outcome: str, analyses: Mapping[str, Iterable[Analysis]], rules: ProfileRules
) -> pd.DataFrame:
    """Return the flag of every provider under every analysis of every learner, and its figures.

    Returns
    -------
    DataFrame
        The columns of `analysis_columns`.
    """
    labels = flag_labels(rules.labels, rules.levels).of
    limits = [
        (f"{which}_{end}", f"{end}{name}")
        for which, name in zip(("inner", "outer"), level_names(rules), strict=True)
        for end in ("lower", "upper")
    ]
    tables = [
        one.table.rename(columns=dict(limits))
        .rename_axis("provider_id")
        .reset_index()
        .assign(
            outcome=outcome,
            learner=learner,
            method=one.method,
            limits=one.limits,
            flag=lambda table: table["place"].map(labels),
        )[analysis_columns(rules)]
        for learner, several in analyses.items()
        for one in several
    ]
    return pd.concat(tables, ignore_index=True)


def sensitivity(flags: pd.DataFrame, rules: ProfileRules) -> pd.DataFrame:
    """Return how far each provider's flag holds under the other analyses.

    Parameters
    ----------
    flags : DataFrame
        As from `flags_of_all`.
    rules : ProfileRules

    Returns
    -------
    DataFrame
        `learner, provider_id, flag_share, flag_side_share, flag_moved_by, flag_holds_under`. The
        share of analyses, this one included, that agree with the flag of the study's own method and
        limits under that learner; the share that put it on the same side: better, inside, worse;
        the choices of which another option, all else equal, gives another flag; the learners under
        which the flag is the same.
    """
    if flags.empty:
        return _NOBODY.copy()
    wide = flags.pivot(index="provider_id", columns=list(CHOICES), values="flag")
    analyses = wide.columns.to_frame(index=False)
    own = (analyses["method"] == rules.method) & (analyses["limits"] == rules.limits)
    labels = flag_labels(rules.labels, rules.levels).of
    side = {flag: int(np.sign(place)) for place, flag in labels.items()}
    tables = [_beside(wide, analyses, own, int(place), side) for place in np.flatnonzero(own)]
    return pd.concat(tables, ignore_index=True)


def _beside(
    wide: pd.DataFrame, analyses: pd.DataFrame, own: pd.Series, place: int, side: Mapping[str, int]
) -> pd.DataFrame:
    """Compare the flags of one analysis with those of all."""
    rows = wide[wide.iloc[:, place].notna()]
    flags, present = rows.to_numpy(dtype=object), rows.notna().to_numpy()
    same = flags == flags[:, [place]]
    sides = rows.apply(lambda column: column.map(side)).to_numpy(dtype=float)
    alone = _differing_in_one(analyses, place)
    moved = {one: (~same & present)[:, which].any(axis=1) for one, which in alone.items()}
    learners = analyses["learner"].to_numpy()
    return pd.DataFrame(
        {
            "learner": learners[place],
            "provider_id": rows.index,
            "flag_share": same.sum(axis=1) / present.sum(axis=1),
            "flag_side_share": (sides == sides[:, [place]]).sum(axis=1) / present.sum(axis=1),
            "flag_moved_by": _joined(moved, len(rows)),
            "flag_holds_under": _joined(
                {learners[one]: same[:, one] for one in np.flatnonzero(own)}, len(rows)
            ),
        }
    )


def _differing_in_one(analyses: pd.DataFrame, place: int) -> dict[str, np.ndarray]:
    """Return, by choice, the places of analyses that differ from one in that choice alone."""
    differs = analyses.ne(analyses.iloc[place])
    once = differs.sum(axis=1) == 1
    return {one: np.flatnonzero(once & differs[one]) for one in CHOICES}


def _joined(which: Mapping[str, np.ndarray], n: int) -> list[str]:
    return [" ".join(name for name, held in which.items() if held[row]) for row in range(n)]
