"""What an episode costs, by part and window, and what care cost before it.

A line counts by the day on which it begins; a stay counts as a whole. A stay that begins between
admission and discharge of the index stay is no readmission: it is part of the index cost. Sums
are of whole minor units, so that they do not depend on the order of the lines or the number of
threads, and a total is the sum of its parts to the last one.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.claims.comorbidity import (
    SCHEMES,
    SchemeName,
    Whole,
    conditions_and_indices,
    hcc_codes,
    hcc_profiles,
    prefix_masks,
)
from riskadj.claims.database import Database, fill_table, frame_of
from riskadj.claims.rules import PART_OF_SETTING, ClaimRules
from riskadj.episodes.columns import COST_PARTS

Floats = NDArray[np.float64]


class WindowCosts(NamedTuple):
    """Costs after the index stay, in minor units.

    `parts` has shape (n_episodes, n_parts, n_windows), in the order of `COST_PARTS` and of the
    rules' windows; `readmitted` has shape (n_episodes, n_windows).
    """

    parts: Whole
    readmitted: NDArray[np.bool_]


def window_costs(database: Database, rules: ClaimRules, scaled_days: Whole) -> WindowCosts:
    """Return what each episode of `chosen` cost in every window.

    Parameters
    ----------
    database : Database
    rules : ClaimRules
    scaled_days : ndarray of shape (n_episodes,)
        Days seen after day 0; what came after day 0 is taken times days of the window over these.

    Returns
    -------
    WindowCosts
    """
    shape = (len(scaled_days), len(COST_PARTS), len(rules.windows) + 1)
    found = frame_of(database, _costs_statement(rules))
    at = tuple(found[one].to_numpy() for one in ("event", "part", "bucket"))
    cents, stays = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    cents[at] = found["cents"]
    stays[at] = found["n"]
    before = cents[:, :, :1]
    after = np.cumsum(cents[:, :, 1:], axis=2)
    readmitted = np.cumsum(stays[:, COST_PARTS.index("readmit")], axis=1)[:, 1:] > 0
    return WindowCosts(before + _scaled(after, np.array(rules.windows), scaled_days), readmitted)


def _scaled(cents: Whole, windows: Whole, days: Whole) -> Whole:
    """Return costs as they would be had all days of each window been seen, halves rounded up."""
    seen: Whole = np.minimum(days[:, None], windows[None, :])[:, None, :]
    return (2 * cents * windows + seen) // (2 * seen)


def _costs_statement(rules: ClaimRules) -> str:
    settings = {
        part: ", ".join(f"'{one}'" for one, of in PART_OF_SETTING.items() if of == part)
        for part in COST_PARTS
    }
    part = " ".join(
        f"WHEN setting IN ({listed}) THEN {number}"
        for number, listed in enumerate(settings.values())
    )
    bucket = " ".join(
        f"WHEN day <= {days} THEN {number}" for number, days in enumerate((0, *rules.windows))
    )
    return f"""
        WITH care AS (
            SELECT c.event, l.setting, l.from_date - c.anchor AS day, l.cents
            FROM lines l JOIN chosen c
                ON l.pk = c.pk AND l.from_date >= c.admission AND l.from_date <= c.last
            WHERE l.setting <> 'inpatient'
                AND NOT (l.setting = c.setting AND l.claim_id = c.claim_id)
            UNION ALL
            SELECT c.event, s.setting, s.from_date - c.anchor AS day, s.cents
            FROM spelled s JOIN chosen c
                ON s.pk = c.pk AND s.from_date >= c.admission AND s.from_date <= c.last
            WHERE s.setting = 'inpatient' AND NOT (s.setting = c.setting AND s.spell = c.spell)
                AND NOT ({_BEFORE_DISCHARGE})
        )
        SELECT event, CASE {part} END AS part, CASE {bucket} END AS bucket,
            CAST(sum(cents) AS BIGINT) AS cents, count(*) AS n
        FROM care GROUP BY ALL
    """


_BEFORE_DISCHARGE = "c.setting = 'inpatient' AND s.from_date < c.discharge"


def index_costs(database: Database, cents: Whole) -> Whole:
    """Return what the index stays cost, with stays elsewhere that begin before discharge.

    Parameters
    ----------
    database : Database
    cents : ndarray of shape (n_episodes,)
        What the index stays themselves cost, in minor units.

    Returns
    -------
    ndarray of shape (n_episodes,)
    """
    found = frame_of(
        database,
        f"""
        SELECT c.event, CAST(sum(s.cents) AS BIGINT) AS cents
        FROM spelled s JOIN chosen c ON s.pk = c.pk AND s.from_date >= c.admission
        WHERE s.setting = 'inpatient' AND s.spell <> c.spell AND {_BEFORE_DISCHARGE}
        GROUP BY c.event
        """,
    )
    whole = np.array(cents, dtype=np.int64)
    whole[found["event"].to_numpy()] += found["cents"].to_numpy()
    return whole


_LOOKED_BACK = """
    lines l JOIN chosen c ON l.pk = c.pk
        AND l.from_date >= c.admission - CAST($days AS INTEGER) AND l.to_date < c.admission
"""
"""Lines that lie wholly in the look-back: what is on them was known at admission."""


def prior_costs(database: Database, rules: ClaimRules, n: int) -> Whole:
    """Return what care in the look-back cost, in minor units, shape (n_episodes,)."""
    found = frame_of(
        database,
        f"SELECT c.event, CAST(sum(l.cents) AS BIGINT) AS cents FROM {_LOOKED_BACK} GROUP BY ALL",
        days=rules.lookback_days,
    )
    cents = np.zeros(n, dtype=np.int64)
    cents[found["event"].to_numpy()] = found["cents"]
    return cents


def comorbidity_columns(
    database: Database, rules: ClaimRules, age: Floats, sex: pd.Series
) -> dict[str, Floats]:
    """Return the columns that the rules want of the diagnoses in the look-back.

    Parameters
    ----------
    database : Database
    rules : ClaimRules
    age : ndarray of shape (n_episodes,)
        Years, NaN where unknown.
    sex : Series of shape (n_episodes,)
        "male" or "female", null where unknown.

    Returns
    -------
    dict of str to ndarray of shape (n_episodes,)
    """
    wanted = rules.comorbidity
    columns: dict[str, Floats] = {}
    names: list[SchemeName] = [one for one in SCHEMES if getattr(wanted, one)]
    if names:
        masks = _condition_masks(database, rules, names, len(age))
        for name in names:
            columns |= conditions_and_indices(masks[name], name)
    if wanted.cms_hcc is not None:
        diagnoses = _hcc_diagnoses(database, rules, wanted.cms_hcc, len(age))
        profiles = hcc_profiles(
            diagnoses, age, sex.tolist(), wanted.cms_hcc, wanted.cms_hcc_segment
        )
        columns |= {"cms_hcc_score": profiles.score, "cms_hcc_count": profiles.conditions}
    return columns


_CODES = f"""
    SELECT c.event, unnest(string_split(l.diagnoses, ' ')) AS code
    FROM {_LOOKED_BACK} WHERE l.diagnoses IS NOT NULL
"""


def _condition_masks(
    database: Database, rules: ClaimRules, names: list[SchemeName], n: int
) -> dict[SchemeName, Whole]:
    """Return the conditions of each episode, by scheme, out of one look at the lines."""
    masks = {name: prefix_masks(SCHEMES[name]) for name in names}
    known = sorted(set().union(*masks.values()))
    rows = [(one, *(masks[name].get(one, 0) for name in names)) for one in known]
    columns = ", ".join(f"{name} BIGINT" for name in names)
    fill_table(database, "prefixes", f"prefix VARCHAR, {columns}", rows)
    held = ", ".join(
        f"bit_or(coalesce(a.{name}, 0) | coalesce(b.{name}, 0)) AS {name}" for name in names
    )
    found = frame_of(
        database,
        f"""
        SELECT event, {held} FROM ({_CODES})
            LEFT JOIN prefixes a ON a.prefix = left(code, 3)
            LEFT JOIN prefixes b ON b.prefix = left(code, 4) AND len(code) > 3
        GROUP BY event
        """,
        days=rules.lookback_days,
    )
    by_event = {name: np.zeros(n, dtype=np.int64) for name in names}
    for name in names:
        by_event[name][found["event"].to_numpy()] = found[name]
    return by_event


def _hcc_diagnoses(database: Database, rules: ClaimRules, version: str, n: int) -> list[str]:
    fill_table(database, "hcc_codes", "code VARCHAR", [(one,) for one in hcc_codes(version)])
    found = frame_of(
        database,
        f"""
        SELECT event, string_agg(code, ' ' ORDER BY code) AS codes FROM (
            SELECT DISTINCT event, code FROM ({_CODES}) SEMI JOIN hcc_codes USING (code)
        ) GROUP BY event
        """,
        days=rules.lookback_days,
    )
    diagnoses = np.full(n, "", dtype=object)
    diagnoses[found["event"].to_numpy()] = found["codes"].to_numpy()
    return list(diagnoses)
