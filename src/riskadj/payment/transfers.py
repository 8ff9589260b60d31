"""Money moved between those who pay for care, so that nobody loses by having the sicker members.

Transfers have the form of the US programme for individual and small-group insurance. Its factors
(risk score, allowable rating, actuarial value, induced demand, geographic cost, statewide average
premium) are described by Pope and others 2014, Medicare Medicaid Res Rev 4(3); the formula here
and the terms of the high-cost pool were NOT confirmed against that source or the regulation. So
every constant is a parameter without a default of substance, and what the tests hold is arithmetic:
transfers sum to zero.
"""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from riskadj.errors import ValuesError
from riskadj.payment.money import Currency, round_to_sum
from riskadj.stats.arrays import Floats, a_number, a_row, above, at_least
from riskadj.stats.groups import group_rows


def risk_transfers(
    members: ArrayLike,
    risk_score: ArrayLike,
    premium: float,
    *,
    actuarial_value: ArrayLike = 1.0,
    rating: ArrayLike = 1.0,
    induced_demand: ArrayLike = 1.0,
    geographic_cost: ArrayLike = 1.0,
) -> Floats:
    """Return what each plan receives (pays, below 0) per member: more with the sicker members.

    Parameters
    ----------
    members : array-like of shape (n_plans,)
        Member months, or shares of them; above 0.
    risk_score : array-like of shape (n_plans,)
        Mean risk score of the plan's members (PLRS); above 0.
    premium : float
        Average premium per member of all plans, above 0.
    actuarial_value, rating, induced_demand, geographic_cost : float or array-like
        Of each plan (AV, ARF, IDF, GCF), above 0; 1 leaves a factor out.

    Returns
    -------
    ndarray of shape (n_plans,)
        In the unit of the premium; the sum of members x transfer is 0.

    Raises
    ------
    ArrayError

    Notes
    -----
    With s_i the share of members:
    T_i = (PLRS_i IDF_i GCF_i / sum s PLRS IDF GCF
    - AV_i ARF_i IDF_i GCF_i / sum s AV ARF IDF GCF) x premium.
    Not confirmed against the source; see the module.

    Examples
    --------
    >>> risk_transfers([0.5, 0.5], [1.2, 0.9], 400.0).round(6).tolist()
    [57.142857, -57.142857]
    """
    size = above("members", a_row("members", members), 0.0)
    score = above("risk_score", risk_score, 0.0, size.shape)
    price = float(above("premium", [a_number("premium", premium)], 0.0)[0])
    factors = {
        "actuarial_value": actuarial_value,
        "rating": rating,
        "induced_demand": induced_demand,
        "geographic_cost": geographic_cost,
    }
    av, arf, idf, gcf = (_per_plan(name, one, size.size) for name, one in factors.items())
    need, chargeable = score * idf * gcf, av * arf * idf * gcf
    share = size / size.sum()
    return np.asarray((need / (share @ need) - chargeable / (share @ chargeable)) * price)


def transfers_in_minor(
    members: Mapping[str, float], transfer: Mapping[str, float], currency: Currency
) -> dict[str, int]:
    """Return each plan's whole transfer in minor units; they sum to 0 to the cent.

    Parameters
    ----------
    members : mapping of plan to member months
    transfer : mapping of plan to transfer per member
        In units of the currency; members x transfer sums to 0, but for rounding.
    currency : Currency

    Raises
    ------
    ValuesError
        When plans differ, or transfers do not sum to 0.

    Examples
    --------
    >>> per_member = {"a": 400 / 7, "b": -400 / 7}
    >>> transfers_in_minor({"a": 100, "b": 100}, per_member, Currency("USD", 2))
    {'a': 571429, 'b': -571429}
    """
    _same_plans("transfer", transfer, members)
    unit = currency.minor_units
    exact = {
        plan: Fraction(float(transfer[plan])) * Fraction(float(members[plan])) * unit
        for plan in members
    }
    return round_to_sum(exact, 0)


def high_cost_pool(
    cost: ArrayLike,
    plan: ArrayLike,
    premium: Mapping[str, float],
    *,
    threshold: float,
    share: float,
) -> pd.DataFrame:
    """Return what each plan gets back for its dearest members, and what it pays for that.

    Parameters
    ----------
    cost : array-like of shape (n_members,)
        Each member's cost of the year, 0 or more.
    plan : array-like of shape (n_members,)
        Labels.
    premium : mapping of plan to premium
        What each plan takes in; the pool is paid in proportion to it. 0 or more, some above 0.
    threshold : float
        Cost of a member above which the pool pays. Not confirmed for any programme.
    share : float
        Of the cost above the threshold that it pays, from 0 to 1. Not confirmed either.

    Returns
    -------
    DataFrame
        By plan, in the order of `premium`: `reimbursed`, `charge` and `net`, which sums to 0.

    Raises
    ------
    ArrayError, ValuesError

    Examples
    --------
    >>> pool = high_cost_pool(
    ...     [50.0, 300.0, 100.0], ["a", "a", "b"], {"a": 100.0, "b": 300.0},
    ...     threshold=100.0, share=0.6,
    ... )
    >>> pool.loc["a"].tolist()
    [120.0, 30.0, 90.0]
    """
    if not 0 <= share <= 1:
        raise ValuesError(f"share: wanted a number from 0 to 1; got {share!r}.")
    groups = group_rows(plan, "plan")
    paid = at_least("cost", cost, 0.0, (groups.n_rows,))
    income = at_least("premium", list(premium.values()), 0.0)
    beyond = share * np.maximum(paid - a_number("threshold", threshold, 0.0), 0.0)
    back = dict(zip(groups.labels.tolist(), groups.total(beyond).tolist(), strict=True))
    unknown = [one for one in back if one not in premium]
    if unknown or not income.sum() > 0:
        what = f"none for {unknown[0]!r}" if unknown else "none above 0"
        raise ValuesError(f"premium: wanted one for each plan, some above 0; got {what}.")
    reimbursed = np.array([back.get(one, 0.0) for one in premium])
    charge = reimbursed.sum() * income / income.sum()
    columns = {"reimbursed": reimbursed, "charge": charge, "net": reimbursed - charge}
    return pd.DataFrame(columns, index=pd.Index(list(premium), name="plan"))


def payable_score(score: float, normalisation: float, coding_adjustment: float) -> float:
    """Return a risk score as it is paid: over the normalisation factor, less the coding adjustment.

    Parameters
    ----------
    score : float
        Raw, 0 or more.
    normalisation : float
        Mean raw score of the year's population, above 0.
    coding_adjustment : float
        Share taken off because plans code more than others do, from 0 to 1.

    Raises
    ------
    ArrayError, ValuesError

    Notes
    -----
    Form and example of the CMS-HCC model as documented by Tuva Health (Data Marts, CMS-HCCs). The
    factors change by year and are parameters.

    Examples
    --------
    >>> round(payable_score(0.754, 1.015, 0.059), 3)
    0.699
    """
    if not 0 <= coding_adjustment <= 1:
        raise ValuesError(
            f"coding_adjustment: wanted a share from 0 to 1; got {coding_adjustment!r}."
        )
    raw = a_number("score", score, 0.0)
    mean = float(above("normalisation", [a_number("normalisation", normalisation)], 0.0)[0])
    return raw / mean * (1 - coding_adjustment)


def _per_plan(name: str, values: ArrayLike, n: int) -> Floats:
    given = np.asarray(values)
    return above(name, np.full(n, given) if given.ndim == 0 else given, 0.0, (n,))


def _same_plans(name: str, one: Mapping[str, float], other: Mapping[str, float]) -> None:
    differ = sorted(set(one) ^ set(other), key=str)
    if differ:
        raise ValuesError(
            f"{name}: wanted the same plans as members; got {differ[0]!r} in one only."
        )
