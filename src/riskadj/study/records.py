"""A study as frozen records: every choice that an answer depends on, and no hidden clinical one.

What a study must say has no default here. What has one is a matter of computing or of wording,
never of whom is compared with whom.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from riskadj.episodes.columns import Column
from riskadj.instruments import Instrument, instrument

TODO = "TODO: to be written by a person"


class Record(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(Record):
    """Where the episodes are, and how to read them."""

    format: Literal["nhs_proms", "csv", "parquet"] = Field(
        description="nhs_proms: record files as NHS England publishes them; csv (plain, .gz or "
        ".zip) and parquet: the canonical episode table"
    )
    paths: tuple[Path, ...] = Field(
        min_length=1, description="files; relative to the study file, or to here when set by --set"
    )
    period_from: Literal["period", "calendar_year", "financial_year_april"] = Field(
        "period", description="the column `period`, or the year of `index_date`"
    )
    rename: dict[str, str] = Field({}, description="their column name: ours")
    columns: tuple[Column, ...] = Field((), description="declarations of further columns")


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
    sd: float = Field(gt=0, description="the standard deviation of its residuals")


class Outcome(Record):
    """One result to compare."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="its name in every table")
    instrument: str
    kind: Literal["gain"] = Field(
        description="gain: improvement in the score, the score after modelled given that before"
    )

    reference: ReferencePopulation | None = Field(
        None, description="null: the episodes compared are their own reference population"
    )

    @field_validator("instrument")
    @classmethod
    def _exists(cls, name: str) -> str:
        instrument(name)
        return name

    @property
    def definition(self) -> Instrument:
        """The instrument itself."""
        return instrument(self.instrument)


class CaseMixRules(Record):
    """What is adjusted for."""

    columns: tuple[str, ...] = Field(
        min_length=1, description="column names, or patterns such as comorb_*"
    )
    allow_provider_influenced: bool = Field(
        description="true lets in columns whose role is provider_influenced"
    )


class ReferenceLearner(Record):
    """An expectation that somebody else computed, read from `reference_predicted_<measure>`."""

    kind: Literal["reference"]


class LinearLearner(Record):
    """Least squares with a constant per level of every discrete factor."""

    kind: Literal["linear"]
    discrete_up_to: int = Field(
        6, ge=2, description="columns with at most this many values are discrete factors"
    )
    ridge: float = Field(1.0, ge=0, description="penalty that settles collinear columns")


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


Learner = Annotated[ReferenceLearner | LinearLearner | LightGBMLearner, Field(discriminator="kind")]


class Split(Record):
    """Which periods teach, and which are compared.

    Periods in both are expected out of fold; periods in `test` alone, out of time.
    """

    train: tuple[str, ...] = Field(min_length=1, description="periods that the models learn from")
    test: tuple[str, ...] = Field(min_length=1, description="periods whose providers are compared")
    folds: int = Field(5, ge=2, description="how many folds, where train and test are the same")
    group: Literal["provider", "patient"] = Field(
        "provider", description="what is kept whole in a fold"
    )
    seed: int = Field(description="of folds and trees")

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


class Sensitivity(Record):
    """The other analyses that every flag is held against, beside all learners."""

    methods: tuple[Method, ...] = Field((), description="with each of `limits`")
    limits: tuple[Limits, ...] = Field((), description="shrunken methods take nominal ones only")

    @model_validator(mode="after")
    def _both_or_none(self) -> "Sensitivity":
        if bool(self.methods) != bool(self.limits):
            raise ValueError("wanted methods and limits, or neither; got one of them")
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
        "adjusted gain",
    )
    peer_group: str | None = Field(
        None, description="a column: providers are compared with those alike in its commonest value"
    )
    labels: Literal["nhs_england", "cms"] = Field("nhs_england", description="the words of flags")
    minimum_n: int = Field(ge=2, description="fewer episodes: reported, not adjusted, not flagged")
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
        0, ge=0, description="of the provider bootstrap of predicted over expected; 0: none"
    )
    sensitivity: Sensitivity = Sensitivity()

    @field_validator("levels")
    @classmethod
    def _inner_first(cls, levels: tuple[float, float]) -> tuple[float, float]:
        if not 0 < levels[0] < levels[1] < 1:
            raise ValueError(f"wanted two levels between 0 and 1, the inner first; got {levels}")
        return levels

    @model_validator(mode="after")
    def _shrunken_is_nominal(self) -> "ProfileRules":
        if self.method in SHRUNKEN_METHODS and self.limits != "nominal":
            raise ValueError(
                f"wanted nominal limits with {self.method}, whose effects already allow for "
                f"differences between providers; got {self.limits}"
            )
        return self


class CardText(Record):
    """What only a person can say; what is left out shows as TODO in the card."""

    intended_use: str = TODO
    users: str = TODO
    population: str = TODO
    out_of_scope: str = TODO
    rationale: str = TODO
    payment_use: str = TODO
    appeal_route: str = TODO
    human_oversight: str = TODO
    consent_and_representativeness: str = TODO
    limitations: tuple[str, ...] = ()
    maintenance: str = TODO
    contact: str = TODO
    licence: str = TODO


class Report(Record):
    """What the card shows beyond the figures that every study has."""

    subgroups: tuple[str, ...] = Field((), description="columns to report performance by")


class Tracking(Record):
    """Where runs are logged."""

    uri: str = Field("sqlite:///mlflow.db", description="any MLflow tracking URI; 'off' for none")
    experiment: str = "riskadj"


class Compute(Record):
    """How the work is done; none of it changes a result."""

    threads: int = Field(2, ge=1)


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
    card: CardText = CardText()
    report: Report = Report()
    tracking: Tracking = Tracking()
    compute: Compute = Compute()

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

    def has_learner(self, kind: str) -> bool:
        """Whether a learner of this kind is asked for."""
        return any(one.kind == kind for one in self.learners)
