"""A study as frozen records: every choice that an answer depends on, and no hidden clinical one.

What a study must say has no default here. What has one is a matter of computing or of wording,
never of whom is compared with whom.
"""

from pydantic import Field, field_validator, model_validator

from riskadj.errors import did_you_mean
from riskadj.record import Record
from riskadj.study.cohort import CaseMixRules, CohortRules
from riskadj.study.compute import Compute, EngineRules
from riskadj.study.data import Data
from riskadj.study.fairness import FairnessRules
from riskadj.study.learners import (
    OF_COSTS,
    OF_SCORES,
    Learner,
    Recalibration,
    Split,
    ValidationRules,
)
from riskadj.study.outcomes import Outcome
from riskadj.study.profile import FollowUpRules, ProfileRules, ValueRules
from riskadj.study.report import CardText, ExplainRules, Export, Report, Tracking


class Study(Record):
    """One study: a question about providers, with every choice that answers it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    version: str = Field(description="of the study; part of the card")
    title: str
    data: Data
    cohort: CohortRules
    outcomes: tuple[Outcome, ...] = Field(min_length=1)
    casemix: CaseMixRules
    learners: tuple[Learner, ...] = Field(min_length=1)
    split: Split
    recalibration: Recalibration
    profile: ProfileRules
    follow_up: FollowUpRules = FollowUpRules()
    value: ValueRules | None = Field(
        None, description="an outcome and a cost to look at together; null: none"
    )
    validation: ValidationRules = ValidationRules()
    card: CardText = CardText()
    report: Report = Report()
    explain: ExplainRules = ExplainRules()
    fairness: FairnessRules = FairnessRules()
    export: Export = Export()
    tracking: Tracking = Tracking()
    compute: Compute = Compute()
    engine: EngineRules = EngineRules()

    @field_validator("version", mode="before")
    @classmethod
    def _as_text(cls, version: object) -> object:
        return str(version) if isinstance(version, (int, float)) else version

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Study":
        for what, names in (
            ("outcomes", [one.name for one in self.outcomes]),
            ("learners", [str(one.kind) for one in self.learners]),
        ):
            twice = sorted({one for one in names if names.count(one) > 1})
            if twice:
                raise ValueError(f"wanted each of {what} once; got {', '.join(twice)} twice")
        return self

    @model_validator(mode="after")
    def _costs_are_those_of_the_claims(self) -> "Study":
        rules = self.data.claims
        for one in self.outcomes:
            if rules and one.kind == "cost":
                said, found = (one.currency, one.price_year), (rules.currency, rules.price_year)
                if said != found:
                    raise ValueError(
                        f"outcomes: {one.name}: wanted currency and price year of data.claims "
                        f"({found[0]} of {found[1]}); got {said[0]} of {said[1]}"
                    )
        return self

    @model_validator(mode="after")
    def _learners_go_with_outcomes(self) -> "Study":
        for outcome in self.outcomes:
            if not self.learners_of(outcome):
                others = "scores" if OF_SCORES.issuperset(self._kinds) else "others"
                raise ValueError(
                    f"wanted a learner that expects {outcome.name} ({outcome.kind}); got none but "
                    f"such as speak of {others} only"
                )
        idle = [
            kind for kind in self._kinds
            if kind in OF_COSTS and not any(self.expects(one, kind) for one in self.outcomes)
        ]  # fmt: skip
        if idle:
            raise ValueError(
                f"wanted learners that expect an outcome of the study; got {', '.join(idle)}, "
                "which speak of costs only"
            )
        return self

    @model_validator(mode="after")
    def _validates_what_it_teaches(self) -> "Study":
        taught = [kind for kind in self._kinds if kind != "reference"]
        for name in self.validation.learners:
            if name not in taught:
                raise ValueError(
                    f"validation.learners: wanted learners of the study that are taught here "
                    f"({', '.join(taught) or 'none'}); got {name!r}.{did_you_mean(name, taught)}"
                )
        periods = {*self.split.train, *self.split.test}
        if self.validation.learners and "period" in self.validation.by and len(periods) < 2:
            raise ValueError(
                "validation.by: wanted 2 periods or more in the split, to leave one out; got "
                f"{', '.join(periods)} alone. Set validation.by to [provider]"
            )
        return self

    @model_validator(mode="after")
    def _is_fair_by_what_it_teaches(self) -> "Study":
        fair = self.fairness.fair
        if fair is not None and fair.learner not in self._kinds:
            raise ValueError(
                f"fairness.fair.learner: wanted a learner of the study ({', '.join(self._kinds)}); "
                f"got {fair.learner!r}.{did_you_mean(fair.learner, self._kinds)}"
            )
        return self

    @model_validator(mode="after")
    def _prices_its_own_outcomes(self) -> "Study":
        price = self.fairness.price
        if price is None:
            return self
        if not self.fairness.gaming:
            raise ValueError(
                "fairness.price: wanted gaming with it, which alone is told in money; got "
                "gaming: false. Set fairness.gaming to true, or leave the price out"
            )
        names = [one.name for one in self.outcomes]
        for name in price.per_unit:
            if name not in names:
                raise ValueError(
                    f"fairness.price.per_unit: wanted outcomes of the study ({', '.join(names)}); "
                    f"got {name!r}.{did_you_mean(name, names)}"
                )
        return self

    @model_validator(mode="after")
    def _prices_in_the_currency_of_its_costs(self) -> "Study":
        price = self.fairness.price
        for one in self.outcomes:
            if price and one.kind == "cost" and one.currency != price.currency:
                raise ValueError(
                    f"fairness.price.currency: wanted that of the study's costs ({one.currency} "
                    f"of {one.name}); got {price.currency}. Convert one of them"
                )
        return self

    @model_validator(mode="after")
    def _one_currency(self) -> "Study":
        costs = [one for one in self.outcomes if one.kind == "cost"]
        for what in ("currency", "price_year"):
            several = {str(getattr(one, what)): one.name for one in costs}
            if len(several) > 1:
                said = ", ".join(f"{value} ({name})" for value, name in several.items())
                raise ValueError(
                    f"outcomes: wanted one {what} of all costs; got {said}. Convert them, or make "
                    "a study of each"
                )
        return self

    @model_validator(mode="after")
    def _values_an_outcome_and_a_cost(self) -> "Study":
        if self.value is None:
            return self
        costs = [one.name for one in self.outcomes if one.kind == "cost"]
        others = [one.name for one in self.outcomes if one.kind != "cost"]
        for key, name, known in (
            ("outcome", self.value.outcome, others),
            ("cost", self.value.cost, costs),
        ):
            if name not in known:
                kind = "of kind cost" if key == "cost" else "that is no cost"
                raise ValueError(
                    f"value.{key}: wanted an outcome of the study {kind} "
                    f"({', '.join(known) or 'none here'}); got {name!r}.{did_you_mean(name, known)}"
                )
        return self

    @model_validator(mode="after")
    def _reference_is_of_the_outcome(self) -> "Study":
        given = self.profile.reference
        if isinstance(given, str):
            return self
        if len(self.outcomes) > 1:
            names = ", ".join(f"{one.name} in {one.unit}" for one in self.outcomes)
            raise ValueError(
                f"profile.reference: wanted a number with one outcome only; got {given:g} for "
                f"{names}. Make a study of each"
            )
        outcome = self.outcomes[0]
        if not outcome.can_be(given):
            raise ValueError(
                f"profile.reference: wanted what a mean of {outcome.name} can be "
                f"({outcome.kind} of {outcome.instrument or outcome.column}); got {given:g}"
            )
        return self

    @model_validator(mode="after")
    def _exports_shares(self) -> "Study":
        wanted = self.export.skde.indicators if self.export.skde else {}
        shares = [one.name for one in self.outcomes if one.kind == "responder"]
        strange = [one for one in wanted if one not in shares]
        if strange:
            raise ValueError(
                "export.skde.indicators: wanted outcomes of kind responder "
                f"({', '.join(shares) or 'none here'}); got {', '.join(strange)}"
            )
        if len(set(wanted.values())) < len(wanted):
            raise ValueError("export.skde.indicators: wanted an indicator each; got one for two")
        return self

    def has_learner(self, kind: str) -> bool:
        """Whether a learner of this kind is asked for."""
        return any(one.kind == kind for one in self.learners)

    def learners_of(self, outcome: Outcome) -> tuple[Learner, ...]:
        """Return the learners that expect an outcome."""
        costs = outcome.compares.family == "gamma"
        return tuple(
            one for one in self.learners
            if (one.kind not in OF_SCORES or outcome.compares.of_score)
            and (one.kind not in OF_COSTS or costs)
        )  # fmt: skip

    @property
    def _kinds(self) -> tuple[str, ...]:
        return tuple(one.kind for one in self.learners)

    def expects(self, outcome: Outcome, kind: str) -> bool:
        """Whether a learner of this kind expects an outcome."""
        return any(one.kind == kind for one in self.learners_of(outcome))
