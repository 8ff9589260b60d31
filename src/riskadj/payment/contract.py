"""A contract as a frozen record: the whole of it, and whether its parts go together.

A rule has a source, and says whether it was confirmed there. A constant that was not is a
parameter: it settles, and every statement names it. `terms.py` has what is said before the steps,
`steps.py` the steps.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from riskadj.digest import digest_of_json
from riskadj.payment.steps import (
    AnyStep,
    Composite,
    Gate,
    Penalty,
    Reconcile,
    TableCriterion,
    Withhold,
    outcomes_of,
    splits_of,
    uses_target,
)
from riskadj.payment.terms import (
    WHOLE,
    ContractCurrency,
    LineRounding,
    Party,
    Sourced,
    Target,
)
from riskadj.record import Record
from riskadj.study.load import build, read_yaml

_GIVE = ("reconcile", "uplift", "outcome_payment")
_TAKE = ("reconcile", "outcome_payment", "penalty", "withhold")
_WORKS_ON: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "stop_gain": _GIVE,
        "stop_loss": _TAKE,
        "risk_share": (*_GIVE, *_TAKE),
        "composite": (*_GIVE, *_TAKE),
    }
)
"""Steps that change what is there, and the kinds that can have put something there."""


class Budget(Sourced):
    """Whether settlements are moved so that they sum to a pool.

    scale: gains or losses are cut in proportion. shift: everybody pays the same per episode.
    """

    kind: Literal["open", "neutral"]
    how: Literal["scale", "shift"] = "shift"
    pool: float = Field(0.0, description="what a neutral budget sums to")


class Contract(Record):
    """One contract: who is paid what for which outcomes, by which rules."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    version: str
    title: str
    about: str = Field(min_length=1, description="what it is, and what it is not; on statements")
    currency: ContractCurrency
    price_year: int
    outcomes: tuple[str, ...] = Field(
        description="names in the study; none where only the provider table is paid on"
    )
    cost: str | None = Field(None, description="the study's outcome of kind cost")
    learner: str = Field("", description="whose expectation is paid on; none without outcomes")
    cost_learner: str | None = Field(None, description="whose of the cost; null: the same")
    providers: tuple[Party, ...] = Field((), description="[]: every provider of the run")
    provider_table: Path | None = Field(
        None, description="CSV of provider_id and further values; relative to the contract"
    )
    count: Literal["records", "episodes", "procedures", "volume", "table"] = Field(
        description="which episodes are settled: those with a result in the cost outcome (without "
        "one: in the first outcome), those eligible, the procedures of the participation file, "
        "the volume that the contract states, or the cases of the provider table (n_column), "
        "where nothing else is paid on"
    )
    too_few: Literal["no_settlement", "at_target"] = Field(
        description="of providers with results suppressed or under the study's minimum; "
        "at_target: a hidden cost counts as the target, and what a hidden outcome does each step "
        "says (not_known, no_score, no_result)"
    )
    follow_up_asked: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of operations whose patients have to be followed up (participation x "
        "linkage x issue x response, as far as rates.csv has them); a result that is not known is "
        "unanswered below it, few from it on",
    )
    rounding: LineRounding = LineRounding()
    target: Target | None = None
    steps: tuple[AnyStep, ...] = Field(min_length=1)
    budget: Budget

    @field_validator("version", mode="before")
    @classmethod
    def _as_text(cls, version: object) -> object:
        return str(version) if isinstance(version, (int, float)) else version

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Contract":
        names = {
            "outcomes": list(self.outcomes),
            "providers": [one.id for one in self.providers],
            "gates": [one.name for one in self.steps if isinstance(one, Gate)],
        }
        for what, listed in names.items():
            twice = sorted({one for one in listed if listed.count(one) > 1})
            if twice:
                raise ValueError(f"wanted each of {what} once; got {', '.join(twice)} twice")
        return self

    @model_validator(mode="after")
    def _gates_come_first(self) -> "Contract":
        passed: set[str] = set()
        for step in self.steps:
            wanted = {step.needs} if step.needs else set()
            if isinstance(step, Withhold):
                wanted |= {one.when for one in step.returned if one.when}
            if missing := sorted(wanted - passed):
                raise ValueError(
                    f"step {step.kind}: wanted a gate among those before it "
                    f"({', '.join(sorted(passed)) or 'none'}); got {missing[0]!r}"
                )
            if isinstance(step, Gate):
                passed.add(step.name)
        return self

    @model_validator(mode="after")
    def _has_what_steps_use(self) -> "Contract":
        if self.cost is None and (why := _uses_cost(self)):
            raise ValueError(f"wanted a cost outcome, which {why} uses; got none")
        if self.target is None and (used := [one.kind for one in self.steps if uses_target(one)]):
            raise ValueError(f"wanted a target, which {used[0]} uses; got none")
        reconciled = sum(isinstance(one, Reconcile) for one in self.steps)
        if reconciled > 1:
            raise ValueError(
                f"wanted one reconcile, as each pays target - actual; got {reconciled}"
            )
        withheld = [one.share for one in self.steps if isinstance(one, Withhold)]
        if sum(withheld) > 1 + WHOLE:
            raise ValueError(f"wanted withheld shares of 1 or less; got {sum(withheld):g} in all")
        strange = [one for one in outcomes_of(self.steps) if one not in self.outcomes]
        if strange:
            raise ValueError(
                f"wanted steps on the contract's outcomes ({', '.join(self.outcomes)}); got "
                f"{strange[0]!r}"
            )
        return self

    @model_validator(mode="after")
    def _counts_what_it_pays_on(self) -> "Contract":
        if self.on_table_alone:
            if self.outcomes:
                raise ValueError(
                    "wanted no outcomes, as steps pay on the provider table alone; got "
                    f"{', '.join(self.outcomes)}, by which providers would be left out. Say "
                    "outcomes: []"
                )
            if self.count != "table":
                raise ValueError(
                    "wanted count: table, as steps pay on the provider table alone; got "
                    f"{self.count}"
                )
            return self
        if self.count == "table":
            raise ValueError(
                "wanted count: table only where penalties on the provider table are all that is "
                "paid; got other steps, a target or a cost too"
            )
        if not self.outcomes and self.cost is None:
            raise ValueError("wanted an outcome or a cost, as steps need episodes; got neither")
        if not self.learner:
            raise ValueError("wanted a learner, whose expectation is paid on; got none")
        return self

    @model_validator(mode="after")
    def _nothing_is_idle(self) -> "Contract":
        if self.budget.kind == "open" and self.budget.pool:
            raise ValueError(
                f"wanted a budget.pool with kind: neutral only; got {self.budget.pool:g} with "
                "open, where nothing is moved"
            )
        before: set[str] = set()
        for step in self.steps:
            wanted = _WORKS_ON.get(step.kind)
            if wanted and not before.intersection(wanted):
                raise ValueError(
                    f"step {step.kind}: wanted a step before it that it can change "
                    f"({', '.join(dict.fromkeys(wanted))}); got none, so that it does nothing. "
                    "Put it later, or leave it out"
                )
            before.add(step.kind)
        return self

    @model_validator(mode="after")
    def _follow_up_is_asked(self) -> "Contract":
        split = splits_of(self.steps)
        if split and self.follow_up_asked is None:
            raise ValueError(
                f"wanted follow_up_asked, by which {split[0]} tells unanswered from few; got none"
            )
        if self.follow_up_asked is not None and not split:
            raise ValueError(
                "wanted follow_up_asked with a rule for unanswered and few (not_known, no_score, "
                "no_result); got none, so that it does nothing"
            )
        return self

    @model_validator(mode="after")
    def _volumes_are_there(self) -> "Contract":
        without = [one.id for one in self.providers if one.volume is None]
        if self.count == "volume" and (without or not self.providers):
            raise ValueError(
                "wanted a volume for every provider with count: volume; got none for "
                f"{without[0] if without else 'anybody'}"
            )
        return self

    @model_validator(mode="after")
    def _pool_is_whole(self) -> "Contract":
        digits = self.currency.minor_digits
        minor = Decimal(str(self.budget.pool)).scaleb(digits)
        if self.budget.kind == "neutral" and minor % 1:
            raise ValueError(
                f"wanted a budget.pool with {digits} decimals or fewer, as amounts in "
                f"{self.currency.code} have here; got {self.budget.pool:g}"
            )
        return self

    @model_validator(mode="after")
    def _table_is_used(self) -> "Contract":
        if self.provider_table is not None and not columns_wanted(self):
            raise ValueError(
                "wanted a step or a target that uses a column of provider_table; got "
                f"{self.provider_table.name}, which nothing uses. Name a column of it, or leave "
                "it out"
            )
        return self

    @property
    def adjusts_case_mix(self) -> bool:
        """Whether the price depends on the mean cost of the reference population."""
        return self.target is not None and self.target.case_mix == "ratio"

    @property
    def on_table_alone(self) -> bool:
        """Whether nothing of a run is paid on or counted, but who its providers are."""
        penalties = [one for one in self.steps if isinstance(one, Penalty)]
        shifts = self.budget.kind == "neutral" and self.budget.how == "shift"
        if not penalties or shifts or self.cost is not None or self.target is not None:
            return False
        return all(_of_table(one) for one in self.steps)

    @property
    def digest(self) -> str:
        """Of everything that a settlement can depend on."""
        content = self.model_dump(mode="json")
        content["provider_table"] = self.provider_table.name if self.provider_table else None
        return digest_of_json(content)

    def learner_of(self, outcome: str) -> str:
        """Return whose expectation of an outcome is paid on."""
        own = self.cost_learner if outcome == self.cost else None
        return own or self.learner

    def unconfirmed(self) -> tuple[tuple[str, str], ...]:
        """Return name and source of each rule whose constants were not confirmed."""
        return tuple((name, one.source) for name, one in self.rules() if not one.confirmed)

    def rules(self) -> list[tuple[str, Sourced]]:
        """Return every rule that has a source, by its name."""
        listed = list(self.target.parts()) if self.target else []
        for place, step in enumerate(self.steps, start=1):
            listed.append((f"step {place}, {step.kind}", step))
            if isinstance(step, Gate):
                listed += [(f"step {place}, {step.kind}: {c.label}", c) for c in step.criteria]
        return [*listed, (f"budget {self.budget.kind}", self.budget)]


def load_contract(path: str | Path, overrides: Iterable[str] = ()) -> Contract:
    """Read a contract and check all of it.

    Parameters
    ----------
    path : str or Path
        A YAML 1.2 file. Its provider table is relative to its folder.
    overrides : iterable of str
        Such as `target.discount.share=0.03`; the value is YAML.

    Raises
    ------
    FileMissingError, StudyError
        Each fault with its line and key; `.faults` has them all.

    Examples
    --------
    >>> load_contract("configs/contracts/us_team_spine.yaml").currency.code  # doctest: +SKIP
    'USD'
    """
    path = Path(path)
    content = read_yaml(path)
    if isinstance(content.get("provider_table"), str):
        content["provider_table"] = str(path.parent / content["provider_table"])
    return build(Contract, content, str(path), overrides, whole="contract")


def outcomes_wanted(contract: Contract) -> list[str]:
    """Return the names of all outcomes that a contract settles on, each once."""
    return list(dict.fromkeys([*contract.outcomes, *([contract.cost] if contract.cost else [])]))


def columns_wanted(contract: Contract) -> list[str]:
    """Return the columns that a contract wants of its provider table."""
    gates = [one for step in contract.steps if isinstance(step, Gate) for one in step.criteria]
    of_gates = [one.column for one in gates if isinstance(one, TableCriterion)]
    return list(dict.fromkeys([*columns_of_money(contract), *of_gates]))


def columns_of_money(contract: Contract) -> list[str]:
    """Return the columns without which nothing can be paid; a gate has a rule for what it lacks."""
    found: list[str | None] = []
    if contract.target and contract.target.baseline.kind == "historical":
        found.append(contract.target.baseline.column)
    for step in contract.steps:
        if isinstance(step, Penalty):
            names = ("ratio_column", "n_column", "median_column", "weight_column")
            found += [step.base_column, *(getattr(m, one) for m in step.measures for one in names)]
        elif isinstance(step, Composite):
            found += [one.column for one in step.measures]
    return list(dict.fromkeys(one for one in found if one is not None))


def shares_wanted(contract: Contract) -> list[str]:
    """Return the columns of the provider table that hold shares, from 0 to 1."""
    gates = [one for step in contract.steps if isinstance(step, Gate) for one in step.criteria]
    return [one.column for one in gates if isinstance(one, TableCriterion) and one.share]


def bases_wanted(contract: Contract) -> list[str]:
    """Return the columns of payments that penalties are reckoned from."""
    bases = [one.base_column for one in contract.steps if isinstance(one, Penalty)]
    return list(dict.fromkeys(one for one in bases if one is not None))


def cases_wanted(contract: Contract) -> list[str]:
    """Return the columns of the cases that penalties rest on."""
    penalties = [one for one in contract.steps if isinstance(one, Penalty)]
    columns = [measure.n_column for one in penalties for measure in one.measures]
    return list(dict.fromkeys(one for one in columns if one is not None))


def contract_schema() -> dict[str, Any]:
    """Return the JSON schema of a contract, for editors."""
    schema = Contract.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _of_table(step: AnyStep) -> bool:
    """Return whether a step rests on the provider table alone."""
    if isinstance(step, Gate):
        return all(isinstance(one, TableCriterion) for one in step.criteria)
    if not isinstance(step, Penalty) or step.base_column is None:
        return False
    return all(one.outcome is None for one in step.measures)


def _uses_cost(contract: Contract) -> str:
    if any(isinstance(one, Reconcile) for one in contract.steps):
        return "reconcile"
    if contract.target and contract.target.baseline.kind == "expected":
        return "target.baseline expected"
    return "target.case_mix ratio" if contract.target and contract.target.case_mix != "none" else ""
