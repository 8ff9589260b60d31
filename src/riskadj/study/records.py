"""A study as frozen records: every choice that an answer depends on, and no hidden clinical one.

What a study must say has no default here. What has one is a matter of computing or of wording,
never of whom is compared with whom.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from riskadj.claims import ClaimRules
from riskadj.episodes.columns import Column
from riskadj.errors import StudyError, ValuesError, did_you_mean
from riskadj.instruments import Instrument, instrument
from riskadj.instruments.thresholds import KINDS as THRESHOLD_KINDS
from riskadj.instruments.thresholds import Threshold, check_threshold, threshold
from riskadj.record import Record
from riskadj.study.currencies import CURRENCIES
from riskadj.study.kinds import KINDS, Measured, OutcomeKind, measured_as_cost, measured_by

TODO = "TODO: to be written by a person"


class ValueSetChoice(Record):
    """Which value sets turn EQ-5D answers into an index."""

    folder: Path = Field(
        description="of value-set tables, laid out as in the R package eq5d: TTO.csv, VAS.csv, "
        "VT.csv, CW.csv.gz, RCW.csv.gz, references.csv"
    )
    EQ5D3L: str | None = Field(None, description="its id, such as EQ-5D-3L/TTO/Germany")
    EQ5D5L: str | None = Field(None, description="its id, such as EQ-5D-5L/VT/England")

    @property
    def chosen(self) -> dict[str, str]:
        """The id of the value set of each instrument that has one."""
        return {one: name for one in ("EQ5D3L", "EQ5D5L") if (name := getattr(self, one))}


class PseudonymRules(Record):
    """Which identifiers become keyed hashes when they are read, and where the key is."""

    columns: tuple[str, ...] = Field(
        ("patient_id", "episode_id"),
        min_length=1,
        description="whose role is identifier; not provider_id and period, which reports are about",
    )
    key_file: Path | None = Field(
        None, description="of 32 random bytes or more, kept apart from data and results"
    )
    key_variable: str | None = Field(
        None, description="of the environment, in place of a file: its name, not the key"
    )

    @model_validator(mode="after")
    def _one_key(self) -> "PseudonymRules":
        if (self.key_file is None) == (self.key_variable is None):
            raise ValueError(
                "wanted one of key_file and key_variable; got "
                f"{'neither' if self.key_file is None else 'both'}"
            )
        return self


class Data(Record):
    """Where the episodes are, and how to read them."""

    format: Literal["nhs_proms", "sparcs", "csv", "parquet", "redcap", "fhir", "claims"] = Field(
        description="nhs_proms: record files as NHS England publishes them; sparcs: New York's "
        "de-identified inpatient discharges; csv (plain, .gz or "
        ".zip) and parquet: the canonical episode table; redcap: exports of a REDCap project; "
        "fhir: R4 bundles of questionnaire responses; claims: claim lines, with patients and "
        "questionnaires beside them"
    )
    paths: tuple[Path, ...] = Field(
        min_length=1,
        description="files (of parquet also folders of files); relative to the study file, or to "
        "here when set by --set",
    )
    period_from: Literal["period", "calendar_year", "financial_year_april"] = Field(
        "period", description="the column `period`, or the year of `index_date`"
    )
    mapping: Path | None = Field(
        None, description="redcap and fhir: the file that says which answer is which column"
    )
    rename: dict[str, str] = Field({}, description="their column name: ours")
    columns: tuple[Column, ...] = Field((), description="declarations of further columns")
    value_sets: ValueSetChoice | None = Field(
        None, description="of EQ-5D, by country and version; none for EQ5D3L_UK_TTO"
    )

    claims: ClaimRules | None = Field(None, description="claims: how lines become episodes")
    participation: tuple[Path, ...] = Field(
        (),
        description="of the periods compared: NHS England's files of participation, linkage, "
        "issue and response",
    )
    pseudonymise: PseudonymRules | None = Field(
        None, description="identifiers to replace by pseudonyms when read; null: none"
    )

    @model_validator(mode="after")
    def _mapped_where_needed(self) -> "Data":
        if (self.format in ("redcap", "fhir")) != (self.mapping is not None):
            raise ValueError(
                "wanted a mapping with formats redcap and fhir, and none with others; got "
                f"{'none' if self.mapping is None else 'one'} with {self.format}"
            )
        return self

    @model_validator(mode="after")
    def _claims_have_rules(self) -> "Data":
        if (self.format == "claims") != (self.claims is not None):
            raise ValueError(
                "wanted claims (their rules) with format claims, and none with others; got "
                f"{'none' if self.claims is None else 'some'} with {self.format}"
            )
        if self.claims is not None and self.period_from == "period":
            raise ValueError(
                "wanted period_from calendar_year or financial_year_april with format claims, "
                "which have dates and no periods; got period"
            )
        if self.claims is not None and self.rename:
            raise ValueError("wanted rename under data.claims with format claims; got data.rename")
        return self


class Exclusion(Record):
    """Episodes to leave out: those whose column is missing, or among values, or beyond a bound."""

    column: str
    reason: str = Field(description="shown in the flow")
    missing: bool = False
    values: tuple[str | float, ...] = ()
    below: float | None = None
    above: float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Exclusion":
        if not (self.missing or self.values or self.below is not None or self.above is not None):
            raise ValueError("wanted one of missing, values, below or above; got none of them")
        return self


class FollowUpWindow(Record):
    """How long after the operation the second questionnaire may have been answered."""

    at_least: float = Field(ge=0, description="days")
    at_most: float = Field(gt=0, description="days")

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> "FollowUpWindow":
        if self.at_least > self.at_most:
            raise ValueError(
                f"wanted at_least up to at_most; got {self.at_least:g} and {self.at_most:g}"
            )
        return self


class CohortRules(Record):
    """Who counts."""

    procedure_group: str = Field(description="HIP_PRIM, HIP_REV, KNEE_PRIM, KNEE_REV, ...")
    follow_up_days: FollowUpWindow | None = Field(
        description="null where the files carry no dates and their publisher applied the window"
    )
    exclude: tuple[Exclusion, ...] = Field(description="[] when nobody is to be left out")


class ReferencePopulation(Record):
    """Figures of a population that the files hold only part of, such as a national publication."""

    gain: float = Field(description="its mean observed gain, the centre of the comparison")
    sd: float = Field(
        gt=0,
        description="the standard deviation of its residuals; of a cost, of residuals relative to "
        "what was expected",
    )


class GivenThreshold(Record):
    """A threshold of the study's own."""

    kind: Literal[
        "change", "percent_change", "final", "failure", "percent_failure", "worsening", "poor_state"
    ] = Field(description="what has to reach the value, or stay below it")
    value: float = Field(description="in the unit of the score, or per cent of the score before")
    source: str = Field(min_length=1, description="who says so; nothing is taken without one")


class Winsorise(Record):
    """Costs above a quantile count as the quantile."""

    upper: float = Field(
        gt=0.5, lt=1, description="the quantile, of the episodes that teach, such as 0.99"
    )
    by: str | None = Field(None, description="a column: its groups have a quantile each")


_OF_SCORES = ("threshold",)
_OF_COSTS = ("column", "currency", "price_year", "winsorise")
_WANTED: Mapping[bool, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        True: (("column", "currency", "price_year"), ("instrument", *_OF_SCORES)),
        False: (("instrument",), _OF_COSTS),
    }
)
"""By whether it is a cost: what an outcome has to say, and what it must not."""


def _known_currency(code: str) -> str:
    if code not in CURRENCIES:
        known = did_you_mean(code.upper(), CURRENCIES)
        raise ValueError(f"wanted the ISO 4217 code of a currency; got {code!r}.{known}")
    return code


class Outcome(Record):
    """One result to compare."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="its name in every table")
    instrument: str | None = Field(None, description="of every kind but cost")
    kind: Literal["gain", "final_score", "percentage_change", "responder", "cost"] = Field(
        description="gain: improvement in the score, the score after modelled given that before; "
        "final_score: the score after; percentage_change: improvement in per cent of the score "
        "before; responder: the share that reach a threshold; cost: what the episode cost"
    )
    column: str | None = Field(None, description="of a cost: where it is, such as cost_total_90d")
    currency: str | None = Field(None, description="of a cost: its ISO 4217 code")
    price_year: int | None = Field(
        None, ge=1900, le=2200, description="of a cost: the year whose prices they are"
    )
    winsorise: Winsorise | None = Field(
        None, description="of a cost: where it is capped; null: nowhere"
    )
    threshold: str | GivenThreshold | None = Field(
        None, description="of a responder: the id of a registered threshold, or one with its source"
    )
    allow_unverified: bool = Field(
        False, description="true takes a registered threshold whose source could not be checked"
    )
    reference: ReferencePopulation | None = Field(
        None, description="null: the episodes compared are their own reference population"
    )

    @field_validator("instrument")
    @classmethod
    def _exists(cls, name: str | None) -> str | None:
        if name is not None:
            instrument(name)
        return name

    @field_validator("currency")
    @classmethod
    def _is_a_currency(cls, code: str | None) -> str | None:
        return code if code is None else _known_currency(code)

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> "Outcome":
        wanted, strange = _WANTED[self.kind == "cost"]
        absent = [one for one in wanted if getattr(self, one) is None]
        if absent:
            said = "it is missing. Add it" if len(absent) == 1 else "each is missing. Add it"
            raise ValueError(f"wanted {', '.join(absent)} with kind {self.kind}; {said}")
        given = [one for one in strange if getattr(self, one) is not None]
        if given:
            raise ValueError(f"wanted no {', '.join(given)} with kind {self.kind}; got one")
        return self

    @model_validator(mode="after")
    def _responds_to_a_threshold(self) -> "Outcome":
        if (self.kind == "responder") != (self.threshold is not None):
            raise ValueError(
                "wanted a threshold with kind responder, and none with another; got "
                f"{'none' if self.threshold is None else 'one'} with {self.kind}"
            )
        if self.threshold is not None:
            _said_as_a_value(lambda: check_threshold(self.rule, self.definition))
        if self.kind == "percentage_change" and self.measured.range[0] != 0:
            low, high = self.measured.range
            raise ValueError(
                f"wanted percentages of scores that begin at 0; got {self.instrument}, "
                f"{low:g} to {high:g}"
            )
        return self

    @property
    def definition(self) -> Instrument:
        """The instrument itself, of any kind but a cost."""
        if self.instrument is None:
            raise ValueError(f"outcome {self.name}: kind {self.kind} has no instrument")
        return instrument(self.instrument)

    @property
    def measured(self) -> Measured:
        """What it is read from, whatever its kind."""
        if self.instrument is None:
            return measured_as_cost(self.column or "", self.currency or "")
        return measured_by(self.definition)

    @property
    def compares(self) -> OutcomeKind:
        """What its kind compares."""
        return KINDS[self.kind]

    @property
    def rule(self) -> Threshold:
        """The threshold of a responder outcome."""
        if self.threshold is None:
            raise ValueError(f"outcome {self.name}: kind {self.kind} has no threshold")
        if isinstance(self.threshold, str):
            return threshold(self.threshold, allow_unverified=self.allow_unverified)
        return _own_threshold(self, self.threshold)

    @property
    def unit(self) -> str:
        """Of what is compared."""
        return self.compares.unit or self.measured.unit

    def can_be(self, mean: float) -> bool:
        """Whether a mean of what is compared can have this value.

        Examples
        --------
        >>> ohs = Outcome(name="ohs", instrument="OHS", kind="gain")
        >>> ohs.can_be(20.0), ohs.can_be(50.0)
        (True, False)
        """
        if self.kind == "responder":
            return 0 < mean < 1
        low, high = self.measured.range
        if self.kind == "cost":
            return low < mean < high
        if self.kind == "final_score":
            return low <= mean <= high
        return self.kind != "gain" or abs(mean) <= high - low

    @property
    def better(self) -> int:
        """+1 where more of what is compared is better, -1 where less is."""
        if self.kind in ("final_score", "cost"):
            return self.measured.direction
        return -1 if self.kind == "responder" and THRESHOLD_KINDS[self.rule.kind].of_harm else 1


def _said_as_a_value(check: Callable[[], None]) -> None:
    """Let what is wrong with a threshold be told with its place in the study."""
    try:
        check()
    except (StudyError, ValuesError) as error:
        raise ValueError(str(error).rstrip(".")) from None


def _own_threshold(outcome: Outcome, given: GivenThreshold) -> Threshold:
    unit = "% of baseline" if given.kind.startswith("percent") else outcome.definition.unit
    return Threshold(
        id=f"threshold of {outcome.name}",
        instrument=outcome.definition.id,
        meaning=THRESHOLD_KINDS[given.kind].title,
        unit=unit,
        anchor="not stated",
        method="not stated",
        follow_up="not stated",
        population="not stated",
        **given.model_dump(),
    )


class CaseMixRules(Record):
    """What is adjusted for."""

    columns: tuple[str, ...] = Field(
        min_length=1, description="column names, or patterns such as comorb_*"
    )
    allow_provider_influenced: bool = Field(
        description="true lets in columns whose role is provider_influenced"
    )
    coded_at_discharge: tuple[str, ...] = Field(
        (),
        description="names of columns to let in although they are known only at discharge, such as "
        "drg; what happened in the stay is then adjusted for, and the card says so",
    )


Slopes = Literal["pooled", "within"]
_SLOPES = (
    "within: learned among patients of the same provider, so that quality that goes with case mix "
    "is not adjusted away"
)
_TUNE = "trials of a search for better settings, inside the periods that teach; 0: as given"


_DISCRETE = "columns with at most this many values are discrete factors"
_RIDGE = "penalty that settles collinear columns"


class ReferenceLearner(Record):
    """An expectation that somebody else computed, read from `reference_predicted_<measure>`."""

    kind: Literal["reference"]


class LinearLearner(Record):
    """Least squares with a constant per level of every discrete factor."""

    kind: Literal["linear"]
    discrete_up_to: int = Field(6, ge=2, description=_DISCRETE)
    ridge: float = Field(1.0, ge=0, description=_RIDGE)
    slopes: Slopes = Field("pooled", description=_SLOPES)
    tune: int = Field(0, ge=0, description=_TUNE)


class LightGBMLearner(Record):
    """Gradient-boosted trees (Ke et al. 2017)."""

    kind: Literal["lightgbm"]
    trees: int = Field(600, ge=1)
    leaves: int = Field(8, ge=2)
    learning_rate: float = Field(0.03, gt=0, le=1)
    min_episodes_per_leaf: int = Field(200, ge=1)
    column_share: float = Field(0.3, gt=0, le=1, description="columns tried per tree")
    episode_share: float = Field(0.7, gt=0, le=1, description="episodes drawn per tree")
    l2: float = Field(10.0, ge=0)
    monotone: dict[str, Literal[-1, 1]] = Field(
        {}, description="column: 1 where the expectation may only rise with it, -1 only fall"
    )
    slopes: Slopes = Field("pooled", description=_SLOPES)
    rounds: int = Field(3, ge=1, description="of trees and provider offsets, with slopes within")
    objective: Literal["gamma", "tweedie"] = Field(
        "gamma", description="of costs: whose likelihood trees climb"
    )
    shares: int = Field(
        1,
        ge=1,
        exclude_if=lambda shares: shares == 1,  # so that studies from before it keep their digest
        description="parts of the episodes that trees are grown from at the same time, each by a "
        "worker of `engine`; other numbers grow slightly other trees",
    )
    tune: int = Field(0, ge=0, description=_TUNE)


class GammaLearner(Record):
    """Of costs: a gamma model with a log link, by penalised quasi-likelihood."""

    kind: Literal["gamma"]
    discrete_up_to: int = Field(6, ge=2, description=_DISCRETE)
    ridge: float = Field(1.0, gt=0, description=_RIDGE)
    tune: int = Field(0, ge=0, description=_TUNE)


class TweedieLearner(Record):
    """Of costs, some of which may be 0: a Tweedie model with a log link."""

    kind: Literal["tweedie"]
    power: float = Field(1.5, gt=1, lt=2, description="of the mean, to which variance goes")
    discrete_up_to: int = Field(6, ge=2, description=_DISCRETE)
    ridge: float = Field(1.0, gt=0, description=_RIDGE)
    tune: int = Field(0, ge=0, description=_TUNE)


class TwoPartLearner(Record):
    """Of costs, some of which may be 0: the chance of any, and a gamma model of those."""

    kind: Literal["two_part"]
    discrete_up_to: int = Field(6, ge=2, description=_DISCRETE)
    ridge: float = Field(1.0, gt=0, description=_RIDGE)
    tune: int = Field(0, ge=0, description=_TUNE)


class LogSmearingLearner(Record):
    """Of costs: least squares of their logarithms, brought back by smearing (Duan 1983)."""

    kind: Literal["log_smearing"]
    by_tenth: bool = Field(
        False, description="true: a factor for each tenth of what is expected, not one for all"
    )
    discrete_up_to: int = Field(6, ge=2, description=_DISCRETE)
    ridge: float = Field(1.0, gt=0, description=_RIDGE)
    tune: int = Field(0, ge=0, description=_TUNE)


class CeilingLearner(Record):
    """Two parts: the chance of the best score, and the mean of the others; boosted trees both."""

    kind: Literal["ceiling"]
    trees_at_best: int = Field(400, ge=1)
    trees_below: int = Field(600, ge=1)


class StackedLearner(Record):
    """Learners weighted by what each is worth on episodes that it did not learn from.

    Linear, boosted trees and, of scores, trees and networks by parts of the score; of costs, a
    model in two parts.
    """

    kind: Literal["stacked"]
    folds: int = Field(2, ge=2, description="for the weights, where one period teaches")
    trees_by_parts: int = Field(180, ge=1)
    leaves_by_parts: int = Field(12, ge=2)
    nets: int = Field(10, ge=1, description="networks that are averaged")
    with_reference: bool = Field(
        False, description="true adds the supplied expectation to what it learns from"
    )


Learner = Annotated[
    ReferenceLearner
    | LinearLearner
    | LightGBMLearner
    | CeilingLearner
    | StackedLearner
    | GammaLearner
    | TweedieLearner
    | TwoPartLearner
    | LogSmearingLearner,
    Field(discriminator="kind"),
]
OF_SCORES = frozenset({"reference", "ceiling"})
"""Kinds of learner that speak of scores only."""
OF_COSTS = frozenset({"gamma", "tweedie", "two_part", "log_smearing"})
"""Kinds of learner that speak of costs only."""


class Split(Record):
    """Which periods teach, and which are compared.

    Periods in both are expected out of fold; periods in `test` alone, out of time.
    """

    train: tuple[str, ...] = Field(min_length=1, description="periods that the models learn from")
    test: tuple[str, ...] = Field(min_length=1, description="periods whose providers are compared")
    folds: int = Field(5, ge=2, description="how many folds, where train and test are the same")
    group: Literal["provider", "patient", "episode"] = Field(
        "provider",
        description="what is kept whole in a fold; with episode a model has seen others of the "
        "same provider",
    )
    seed: int = Field(ge=0, description="of folds and trees")

    @field_validator("train", "test", mode="before")
    @classmethod
    def _years_are_text(cls, periods: object) -> object:
        if not isinstance(periods, (list, tuple)):
            return periods
        return [str(one) if isinstance(one, int) else one for one in periods]

    @model_validator(mode="after")
    def _apart_or_equal(self) -> "Split":
        shared = set(self.train) & set(self.test)
        if shared and set(self.train) != set(self.test):
            raise ValueError(
                "wanted train and test periods that are all different (out of time) or all the "
                f"same (out of fold); got {', '.join(sorted(shared))} in both"
            )
        return self

    @property
    def out_of_time(self) -> bool:
        """Whether the periods compared are none of those learned from."""
        return not set(self.train) & set(self.test)


class Recalibration(Record):
    """How expectations are moved to the reference population, the episodes compared."""

    method: Literal["shift", "line", "none"] = Field(
        description="shift: the mean residual becomes 0; line: also the slope becomes 1"
    )


Method = Literal[
    "nhs_england",
    "fixed_effects",
    "random_intercept",
    "correlated_random_effects",
    "empirical_bayes",
]
Limits = Literal[
    "nominal",
    "multiplicative",
    "additive",
    "winsorised",
    "trimmed",
    "empirical_null",
    "benjamini_hochberg",
]
SHRUNKEN_METHODS = frozenset({"random_intercept", "correlated_random_effects", "empirical_bayes"})
"""Methods whose effects already allow for differences between providers: a posterior."""
Between = Literal["dersimonian_laird", "paule_mandel", "reml", "winsorised", "trimmed"]
FEWEST_REPLICATES = 100
"""Of a bootstrap whose 95 % interval is to be more than its two or three outermost draws."""


class Sensitivity(Record):
    """The other analyses that every flag is held against, beside all learners."""

    methods: tuple[Method, ...] = Field((), description="with each of `limits`")
    limits: tuple[Limits, ...] = Field((), description="shrunken methods take nominal ones only")

    @model_validator(mode="after")
    def _each_runs(self) -> "Sensitivity":
        if bool(self.methods) != bool(self.limits):
            raise ValueError("wanted methods and limits, or neither; got one of them")
        for what, names in (("methods", self.methods), ("limits", self.limits)):
            twice = sorted({str(one) for one in names if names.count(one) > 1})
            if twice:
                raise ValueError(f"wanted each of {what} once; got {', '.join(twice)} twice")
        idle = [one for one in self.limits if one != "nominal"]
        if idle and SHRUNKEN_METHODS.issuperset(self.methods):
            raise ValueError(
                "wanted a method that goes with other than nominal limits (nhs_england, "
                f"fixed_effects); got {', '.join(self.methods)} alone with {', '.join(idle)}, "
                "which would run nowhere"
            )
        return self


class ProfileRules(Record):
    """How providers are compared."""

    method: Method = Field(
        description="how effects are estimated; nhs_england: mean of observed - expected"
    )
    limits: Limits = Field(
        "nominal", description="what they are held against; nominal allows for chance alone"
    )
    levels: tuple[float, float] = Field(
        (0.95, 0.998), description="of the inner and the outer limits"
    )
    reference: Literal["volume_weighted", "median"] | float = Field(
        "volume_weighted",
        description="what providers are compared with: their mean or median effect, or a given "
        "adjusted gain, in the unit of the only outcome",
    )
    peer_group: str | None = Field(
        None,
        description="a column known at baseline: providers are compared with those alike in its "
        "commonest value",
    )
    labels: Literal["nhs_england", "cms"] = Field("nhs_england", description="the words of flags")
    minimum_n: int = Field(ge=2, description="fewer episodes: reported, not adjusted, not flagged")
    minimum_response: float | None = Field(
        None,
        gt=0,
        le=1,
        description="a lower response rate, from 0 to 1: adjusted, but not flagged and not ranked",
    )
    suppress_below: int = Field(ge=1, description="fewer than this: nothing is shown")
    suppress_by: Literal["records", "episodes"] = Field(
        "records",
        description="what is counted: records with both scores, or eligible episodes, as NHS "
        "England does",
    )
    between: Between = Field(
        "dersimonian_laird",
        description="estimator of the variance between providers, for shrinkage and reliability",
    )
    replicates: int = Field(
        0,
        ge=0,
        description="of the provider bootstrap of predicted over expected, 100 or more; 0: none",
    )
    sensitivity: Sensitivity = Sensitivity()

    @field_validator("levels")
    @classmethod
    def _inner_first(cls, levels: tuple[float, float]) -> tuple[float, float]:
        if not 0 < levels[0] < levels[1] < 1:
            raise ValueError(f"wanted two levels between 0 and 1, the inner first; got {levels}")
        return levels

    @field_validator("replicates")
    @classmethod
    def _enough_or_none(cls, replicates: int) -> int:
        if 0 < replicates < FEWEST_REPLICATES:
            raise ValueError(
                f"wanted 0 or at least {FEWEST_REPLICATES}, as an interval is made of the "
                f"outermost fortieths; got {replicates}"
            )
        return replicates

    @model_validator(mode="after")
    def _one_reference(self) -> "ProfileRules":
        if self.peer_group is not None and not isinstance(self.reference, str):
            raise ValueError(
                "wanted a peer_group or a number as reference, not both: everybody is compared "
                f"with the number; got {self.peer_group!r} and {self.reference:g}"
            )
        return self

    @model_validator(mode="after")
    def _shrunken_is_nominal(self) -> "ProfileRules":
        if self.method in SHRUNKEN_METHODS and self.limits != "nominal":
            raise ValueError(
                f"wanted nominal limits with {self.method}, whose effects already allow for "
                f"differences between providers; got {self.limits}"
            )
        return self


class ValueRules(Record):
    """Which outcome and which cost are looked at together."""

    outcome: str = Field(description="the name of an outcome that is no cost")
    cost: str = Field(description="the name of an outcome that is one")
    level: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="the probability from which a provider is called better, cheaper or both",
    )
    replicates: int = Field(
        1000, ge=FEWEST_REPLICATES, description="of the provider bootstrap behind probabilities"
    )


class FollowUpRules(Record):
    """What is made of those who were asked and did not answer."""

    imputations: int = Field(20, ge=0, description="of their results; 0: none")
    draw: Literal["model", "donors"] = Field(
        "model", description="model: from what it says; donors: a responder who is expected alike"
    )
    effects: Literal["own", "random"] = Field(
        "own",
        description="by which those who did not answer are imputed. own: their provider's, as its "
        "answers have it; random: drawn towards that of the others",
    )
    numerator: Literal["provider", "overall"] = Field(
        "provider", description="of weights: whose response rate"
    )
    trim: tuple[float, float] = Field(
        (0.01, 0.99), description="quantiles to which weights are pulled in; [0, 1]: none"
    )

    @field_validator("imputations")
    @classmethod
    def _several_or_none(cls, imputations: int) -> int:
        if imputations == 1:
            raise ValueError("wanted 0 or at least 2, to tell how far they differ; got 1")
        return imputations

    @field_validator("trim")
    @classmethod
    def _in_order(cls, trim: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= trim[0] < trim[1] <= 1:
            raise ValueError(f"wanted two quantiles from 0 to 1, in order; got {trim}")
        return trim


class ValidationRules(Record):
    """Whom learners are taught without, to see how they would do elsewhere."""

    learners: tuple[str, ...] = Field(
        (), description="kinds of the study's learners to teach again for it; []: it is not done"
    )
    by: tuple[Literal["provider", "period"], ...] = Field(
        ("provider", "period"),
        min_length=1,
        description="what is left out: folds of providers, and each period of the split in turn",
    )
    folds: int = Field(5, ge=2, description="of providers")

    @field_validator("learners", "by")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({one for one in names if names.count(one) > 1})
        if twice:
            raise ValueError(f"wanted each once; got {', '.join(twice)} twice")
        return names


class CardText(Record):
    """What only a person can say; what is left out shows as TODO in the card."""

    intended_use: str = TODO
    users: str = TODO
    population: str = TODO
    out_of_scope: str = TODO
    rationale: str = TODO
    casemix_rationale: str = TODO
    payment_use: str = TODO
    perverse_incentives: str = TODO
    appeal_route: str = TODO
    human_oversight: str = TODO
    consent_and_representativeness: str = TODO
    limitations: tuple[str, ...] = ()
    maintenance: str = TODO
    drift_plan: str = TODO
    change_log: tuple[str, ...] = ()
    sign_off: str = TODO
    contact: str = TODO
    licence: str = TODO


class Report(Record):
    """What the card shows beyond the figures that every study has."""

    subgroups: tuple[str, ...] = Field((), description="columns to report performance by")
    round_counts_to: int | None = Field(
        None,
        ge=2,
        le=100,
        description="counts that leave are rounded to multiples of it, such as 5, and other "
        "figures to three digits; null: neither",
    )


class SkdeRules(Record):
    """Which outcomes are which indicators of Norway's national portal for quality registries."""

    indicators: dict[str, str] = Field(
        min_length=1, description="outcome: the portal's name of the indicator"
    )
    context: Literal["caregiver", "resident"] = Field(
        "caregiver", description="what providers are: units that treat, or areas of residence"
    )
    type: Literal["andel", "dg_andel", "dg"] = Field(
        "andel", description="the portal's type of the indicators; those that are shares"
    )
    minimum: int = Field(20, ge=1, description="units with fewer episodes are left out")
    year: int | None = Field(None, description="of all rows; null: that of the period compared")
    years: dict[str, int] = Field({}, description="period: year, where they differ")
    organisations: dict[str, int] = Field({}, description="provider_id: organisation number")


class GroupRule(Record):
    """Patients of one kind, or of several: by a column of the episodes.

    A column alone stands for its levels or, where numbers are many, its fifths. In a study a name
    alone will do.
    """

    column: str = Field(
        description="of the episodes, or a pattern such as comorb_*; baseline_score: the score "
        "before, of each outcome"
    )
    name: str = Field("", description="what the group is called; by default its column")
    below: float | None = Field(None, description="those below, and those who are not")
    above: float | None = Field(None, description="those above, and those who are not")
    bands: tuple[float, ...] = Field((), description="where each band but the first begins")
    values: tuple[str | float, ...] = Field((), description="those with one of them, and others")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: object) -> object:
        return {"column": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_way(self) -> "GroupRule":
        ways = [one for one in ("below", "above") if getattr(self, one) is not None]
        ways += [one for one in ("bands", "values") if getattr(self, one)]
        if len(ways) > 1:
            raise ValueError(f"wanted one of below, above, bands, values; got {', '.join(ways)}")
        if list(self.bands) != sorted(set(self.bands)):
            raise ValueError(f"wanted bands in order, each once; got {self.bands}")
        if self.name and any(one in self.column for one in "*?["):
            raise ValueError(f"wanted no name with the pattern {self.column!r}; got {self.name!r}")
        return self

    @property
    def called(self) -> str:
        """What the group is called in tables."""
        return self.name or self.column


class SocialRules(Record):
    """Which social factors an outcome may hang on, and how far they are adjusted for."""

    columns: tuple[str, ...] = Field(min_length=1, description="such as deprivation_decile")
    lambdas: tuple[float, ...] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0),
        min_length=2,
        description="how far: 0, not at all; 1, as much as they matter within providers",
    )

    @model_validator(mode="before")
    @classmethod
    def _has_no_mode(cls, given: object) -> object:
        if isinstance(given, Mapping) and "mode" in given:
            raise ValueError(
                "wanted no mode, as the study's own way follows from its case mix and its "
                f"profile.peer_group; got mode: {given['mode']}. Remove it"
            )
        return given

    @field_validator("columns")
    @classmethod
    def _each_once(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(columns)) < len(columns):
            raise ValueError(f"wanted each column once; got {', '.join(columns)}")
        return columns

    @field_validator("lambdas")
    @classmethod
    def _from_none_to_all(cls, lambdas: tuple[float, ...]) -> tuple[float, ...]:
        if list(lambdas) != sorted(set(lambdas)) or lambdas[0] < 0 or lambdas[-1] > 1:
            raise ValueError(f"wanted numbers from 0 to 1 in order, each once; got {lambdas}")
        return lambdas


class FairRules(Record):
    """Groups whose mean residual a regression is held to have at 0."""

    groups: tuple[GroupRule, ...] = Field(min_length=1, description="as in fairness.groups")
    learner: str = Field(description="the kind of the study's learner whose expectation it takes")


class PriceRules(Record):
    """What a payer pays for results, so that what records are worth can be said in money."""

    currency: str = Field(description="its ISO 4217 code")
    per_unit: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1,
        description="outcome: money per episode for one unit of adjusted result in the better "
        "direction (a point; a share of 1; of a cost, one unit of its currency); an outcome that "
        "is not named has no price",
    )

    @field_validator("currency")
    @classmethod
    def _is_a_currency(cls, code: str) -> str:
        return _known_currency(code)


class FairnessRules(Record):
    """Whom expectations are held to be fair to, and what is followed from period to period."""

    groups: tuple[GroupRule, ...] = Field(
        (),
        description="whom to audit; []: report.subgroups, and age, sex, deprivation, ethnicity, "
        "payer, score before and rare comorbidities where the episodes hold them, and thirds of "
        "providers by volume",
    )
    in_sample: bool = Field(
        True,
        description="true: besides, on the episodes that models learned from, as a diagnostic",
    )
    replicates: int = Field(
        0,
        ge=0,
        description="of the provider bootstrap of intervals, 100 or more; 0: each provider is "
        "left out in turn",
    )
    drift: bool = Field(True, description="true: what changes between the periods of the split")
    social: SocialRules | None = None
    fair: FairRules | None = None
    gaming: bool = Field(
        False, description="true: what one more coded comorbidity or a lower score before is worth"
    )
    price: PriceRules | None = Field(
        None, description="what results are paid; null: gaming is told in results alone"
    )

    @field_validator("replicates")
    @classmethod
    def _enough_or_none(cls, replicates: int) -> int:
        if 0 < replicates < FEWEST_REPLICATES:
            raise ValueError(f"wanted 0 or at least {FEWEST_REPLICATES}; got {replicates}")
        return replicates

    @field_validator("groups")
    @classmethod
    def _once(cls, groups: tuple[GroupRule, ...]) -> tuple[GroupRule, ...]:
        names = [one.called for one in groups]
        twice = sorted({one for one in names if names.count(one) > 1})
        if twice:
            raise ValueError(
                f"wanted a name each; got {', '.join(twice)} twice. Give groups by one column names"
            )
        return groups


class ExplainRules(Record):
    """What is worked out of the explanation besides each column's contribution."""

    interactions: bool = Field(
        False, description="true: which pairs of columns act together most in boosted trees"
    )


class Export(Record):
    """What `riskadj export` makes of a run; none of it changes a result."""

    skde: SkdeRules | None = None


class Tracking(Record):
    """Where runs are logged."""

    uri: str = Field("sqlite:///mlflow.db", description="any MLflow tracking URI; 'off' for none")
    experiment: str = "riskadj"
    registered_model: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$",
        description="a name: each model is registered as <name>-<outcome>-<learner>, with the "
        "alias candidate; null: none is",
    )
    models: bool = Field(
        True,
        description="whether models are logged; they hold how common each level of case mix was, "
        "and the ends of what was learned",
    )

    @model_validator(mode="after")
    def _registers_what_is_logged(self) -> "Tracking":
        if self.registered_model and not self.models:
            raise ValueError(
                "wanted registered_model: null with models: false, as only what is logged can be "
                f"registered; got {self.registered_model!r}. Take one of them out."
            )
        return self


class Compute(Record):
    """How the work is done; none of it changes a result."""

    threads: int = Field(2, ge=1)


_ENGINE = r"local|dask|(tcp|tls|ucx|ws|wss)://[^\s/@]+"
_ENCRYPTED = ("tls", "wss")
_THIS_MACHINE = ("127.0.0.1:", "localhost:", "[::1]:")


class EngineRules(Record):
    """Where a run is computed; it changes no result beyond the last digits."""

    name: str = Field(
        "local",
        json_schema_extra={"pattern": _ENGINE},
        description="local: this process; dask: worker processes on this machine; or the address "
        "of a running Dask scheduler, such as tls://host:8786, whose workers see data.paths and "
        "have this package",
    )
    workers: int = Field(2, ge=1, description="processes to start, with dask")
    rows: int = Field(
        250_000, ge=1, description="of a block: what is encoded, scored or sent at a time"
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _is_one(cls, name: str) -> str:
        if not re.fullmatch(_ENGINE, name):
            raise ValueError("wanted local, dask or an address such as tls://host:8786")
        return name

    @model_validator(mode="after")
    def _nothing_in_clear(self) -> "EngineRules":
        scheme, is_address, place = self.name.partition("://")
        if is_address and scheme not in _ENCRYPTED and not place.startswith(_THIS_MACHINE):
            raise ValueError(
                f"engine: wanted {' or '.join(_ENCRYPTED)} for another machine, as rows of "
                f"patients go there; got {scheme}. Give the scheduler keys (Dask's "
                "distributed.comm.tls), or reach it by a tunnel to 127.0.0.1"
            )
        return self


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
