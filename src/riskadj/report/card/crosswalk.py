"""What four frameworks ask of documentation like this, and where a card has it.

Headings are in our words. An entry says where a card speaks of the matter, and what of it no card
of ours holds; never that what stands there is enough. `where` names sections by their anchor, one
fact of a section as `anchor: field`, by its name in a study's `card:` block. A framework whose own
text was not at hand is told of by summaries of it, and says so.
"""

from collections.abc import Sequence
from typing import NamedTuple

SUMMARY = "summary"
"""The sentences that a card begins with."""


class Entry(NamedTuple):
    """One thing that a framework asks for.

    Attributes
    ----------
    asks : str
        In our words.
    where : tuple of str
        Where a card has it; empty where it has nothing of it.
    lacks : str
        What of it no card has; empty where it has something of everything.
    """

    asks: str
    where: tuple[str, ...] = ()
    lacks: str = ""


class Framework(NamedTuple):
    """A framework, and what it asks for.

    Attributes
    ----------
    title, about : str
        What it is called; what it is about, and of whom.
    seen : str
        What the headings were taken from.
    is_checked : bool
        Whether that was the framework's own text.
    entries : sequence of Entry
        In its order.
    """

    title: str
    about: str
    seen: str
    is_checked: bool
    entries: Sequence[Entry]


_CHAI = Framework(
    "CHAI Applied Model Card, v0.2",
    "A voluntary card for systems of artificial intelligence in health care (Coalition for Health "
    "AI, United States).",
    "the coalition's own schema (schema.xsd of v0.2, from a copy of its repository mc-schema), "
    "element by element; the parts of a key figure are not listed one by one",
    True,
    (
        Entry("Name of the model", ("identity",)),
        Entry("Who developed it, and how to reach them", ("identity: contact",)),
        Entry("Stage of release"),
        Entry("Date and version of the release", ("identity",)),
        Entry("Where it is available"),
        Entry("Record systems that it works with"),
        Entry("Approval by a regulator"),
        Entry("Summary", (SUMMARY,)),
        Entry("Keywords"),
        Entry("Intended use, and how it fits into work", ("use: intended_use",)),
        Entry("Primary users", ("use: users",)),
        Entry("How to use it", ("use: payment_use", "use: human_oversight", "sensitivity")),
        Entry("Patients it is meant for", ("use: population",)),
        Entry("Settings and uses that are out of scope", ("use: out_of_scope",)),
        Entry("Known risks and limitations", ("use: perverse_incentives", "limitations")),
        Entry("Known biases and ethical considerations", ("fairness", "limitations"), "ethics"),
        Entry("Level of clinical risk"),
        Entry("Outcomes and outputs", ("outcomes", "providers")),
        Entry("Type of model", ("models",)),
        Entry("Foundation models in it", ("models",)),
        Entry("Source of input data", ("data",)),
        Entry("Types of input and output", ("casemix", "outcomes")),
        Entry("What the data of development are like",
              ("data", "data: consent_and_representativeness")),
        Entry("What is done against bias",
              ("casemix", "casemix: casemix_rationale", "fairness", "social")),
        Entry("Maintenance", ("limitations: maintenance", "limitations: drift_plan")),
        Entry("Security"),
        Entry("Transparency", ("explanation", "provenance")),
        Entry("Source of funding"),
        Entry("What comes from third parties", ("provenance",)),
        Entry("Whom the developers consulted"),
        Entry("Key figures: usefulness and efficacy", ("performance", "belief"),
              "what changed for patients where it was used"),
        Entry("Key figures: fairness", ("subgroups", "fairness")),
        Entry("Key figures: safety and reliability", ("calibration", "belief", "sensitivity"),
              "safety"),
        Entry("References to evaluations"),
        Entry("Clinical trials"),
        Entry("Publications reviewed by peers"),
        Entry("Status of reimbursement"),
        Entry("Consent of patients, or what they are told",
              ("data: consent_and_representativeness",)),
        Entry("Bibliography", ("outcomes", "models"), "a list of them in one place"),
    ),
)  # fmt: skip

_TRIPOD = Framework(
    "TRIPOD+AI",
    "A guideline for reports of studies that develop or evaluate clinical prediction models "
    "(Collins and others 2024, BMJ 385:e078378).",
    "copies of the checklist by others; the paper itself was not at hand",
    False,
    (
        Entry("Title: what was studied, in whom, for which outcome", ("identity", SUMMARY)),
        Entry("Abstract", (SUMMARY,)),
        Entry("Context of care, and why a model is needed", ("outcomes: rationale",),
              "earlier models"),
        Entry("Target population, purpose and users", ("use: population", "use: users")),
        Entry("Known inequalities in health between groups"),
        Entry("Objectives", ("use: intended_use",)),
        Entry("Sources of data, and whom they represent",
              ("data", "data: consent_and_representativeness")),
        Entry("Dates of recruitment and of follow-up", ("data", "outcomes")),
        Entry("Setting; number and place of centres", ("providers",), "places"),
        Entry("Who was eligible", ("data",)),
        Entry("Treatments received"),
        Entry("Preparation and quality of data, alike for all groups", ("data",), "by group"),
        Entry("Outcome, its horizon, how it is measured, and why",
              ("outcomes", "outcomes: rationale")),
        Entry("Who assessed the outcome, knowing what"),
        Entry("Choice of predictors", ("casemix", "casemix: casemix_rationale")),
        Entry("Predictors, and how and when they are measured", ("casemix",)),
        Entry("Who assessed predictors, knowing what"),
        Entry("Size of the study, and how it was arrived at", ("data",), "how it was arrived at"),
        Entry("Missing data, and what is done about them", ("data", "followup")),
        Entry("How data are used: development and evaluation", ("models",)),
        Entry("Handling of predictors", ("casemix",), "transformations"),
        Entry("Type of model, how it is built, internal validation", ("models", "performance")),
        Entry("Differences between clusters", ("performance", "belief")),
        Entry("Measures of performance", ("performance", "calibration")),
        Entry("Updating after evaluation", ("models",)),
        Entry("How predictions are computed", ("models",)),
        Entry("Imbalance of classes"),
        Entry("Approaches to fairness, and why",
              ("fairness", "social", "fair", "casemix: casemix_rationale")),
        Entry("Output of the model, classes and their thresholds", ("outcomes", "providers")),
        Entry("Differences between data of development and of evaluation", ("fairness",)),
        Entry("Ethical approval and consent", ("data: consent_and_representativeness",)),
        Entry("Funding"),
        Entry("Conflicts of interest"),
        Entry("Protocol"),
        Entry("Registration"),
        Entry("Where data are to be had", ("identity: licence",)),
        Entry("Where code is to be had", ("provenance",), "the place"),
        Entry("Involvement of patients and the public"),
        Entry("Flow of participants", ("data",)),
        Entry("Characteristics of participants", ("data", "followup"), "of those left out"),
        Entry("Participants and outcomes in each analysis", ("data", "performance")),
        Entry("The whole model, so that it can be used", ("models",),
              "coefficients and trees: they are in the run folder"),
        Entry("Performance with intervals, in subgroups too",
              ("performance", "calibration", "subgroups")),
        Entry("Heterogeneity of performance", ("performance",)),
        Entry("Results of updating", ("performance",)),
        Entry("Interpretation, fairness and earlier studies included", (SUMMARY, "fairness"),
              "earlier studies"),
        Entry("Limitations", ("limitations",)),
        Entry("Use with poor or missing input", ("data",), "what a user does then"),
        Entry("Skill that users need", ("use: human_oversight",), "training"),
        Entry("Next steps", ("limitations: maintenance",)),
    ),
)  # fmt: skip

_HTI1 = Framework(
    "HTI-1, source attributes",
    "What certified health IT in the United States tells its users of a predictive decision "
    "support intervention (final rule of the Office of the National Coordinator for Health "
    "Information Technology, January 2024).",
    "copies of the list of attributes by others; the rule itself was not at hand, nor what may "
    "have changed it since",
    False,
    (
        Entry("Output: developer and contact", ("identity: contact",)),
        Entry("Output: source of funding"),
        Entry("Output: the value that is given", ("outcomes", "providers")),
        Entry("Output: whether it predicts, classifies, recommends or evaluates", (SUMMARY,)),
        Entry("Purpose: intended use", ("use: intended_use",)),
        Entry("Purpose: intended patients", ("use: population",)),
        Entry("Purpose: intended users", ("use: users",)),
        Entry("Purpose: role in a decision", ("use: payment_use", "use: human_oversight")),
        Entry("Caution: tasks, situations and populations out of scope", ("use: out_of_scope",)),
        Entry("Caution: known risks, unfit settings and limitations",
              ("use: perverse_incentives", "limitations")),
        Entry("Development: who is in the data that teach, and who is not", ("data",)),
        Entry("Development: use of demographic, social and health-status data as input",
              ("casemix",)),
        Entry("Development: whom the data represent",
              ("data: consent_and_representativeness", "subgroups")),
        Entry("Development: how data fit the place of use",
              ("data: consent_and_representativeness", "data")),
        Entry("Fairness: how output is made fair",
              ("casemix: casemix_rationale", "fairness", "social", "fair")),
        Entry("Fairness: how bias is managed, reduced or removed", ("casemix", "fairness")),
        Entry("External validation: data, setting and environment", ("performance",),
              "data of another source: only other providers and periods of the same"),
        Entry("External validation: who did it"),
        Entry("External validation: whom the data represent"),
        Entry("External validation: how it was done", ("performance",),
              "data of another source"),
        Entry("Figures: validity in test data", ("performance", "calibration")),
        Entry("Figures: fairness in test data", ("subgroups", "fairness")),
        Entry("Figures: validity in external data"),
        Entry("Figures: fairness in external data"),
        Entry("Figures: evaluations of what its use changed"),
        Entry("Maintenance: how and how often validity is watched", ("limitations: drift_plan",)),
        Entry("Maintenance: validity in local data", ("performance", "calibration")),
        Entry("Maintenance: how and how often fairness is watched", ("limitations: drift_plan",)),
        Entry("Maintenance: fairness in local data", ("subgroups", "fairness")),
        Entry("Schedule: how and how often it is updated", ("limitations: maintenance",)),
        Entry("Schedule: how often faults of validity and fairness are put right",
              ("limitations: maintenance", "limitations: drift_plan")),
    ),
)  # fmt: skip

_ANNEX_IV = Framework(
    "EU Artificial Intelligence Act, Annex IV",
    "Technical documentation of high-risk systems of artificial intelligence (Regulation (EU) "
    "2024/1689).",
    "copies of the annex by others; the Official Journal itself was not at hand",
    False,
    (
        Entry("Intended purpose, provider of the system, version",
              ("use: intended_use", "identity: contact", "identity")),
        Entry("How it works together with other hardware and software"),
        Entry("Versions of software, and what updates ask for", ("provenance",),
              "what updates ask for"),
        Entry("Forms in which it is put on the market"),
        Entry("Hardware that it runs on"),
        Entry("Pictures of products that it is part of"),
        Entry("What its users see"),
        Entry("Instructions for use", ("use",), "a manual"),
        Entry("How it was developed, and from which tools of others", ("models", "provenance")),
        Entry("Logic, choices and assumptions, what is optimised, for whom, at which price",
              ("models", "outcomes: rationale", "casemix: casemix_rationale", "limitations")),
        Entry("Architecture, and what computing it took", ("provenance",), "architecture"),
        Entry("Data: origin, scope, selection, labels, cleaning",
              ("data", "casemix", "data: consent_and_representativeness")),
        Entry("Assessment of the human oversight that is needed", ("use: human_oversight",)),
        Entry("Changes that are planned beforehand", ("limitations: maintenance",)),
        Entry("Validation, tests and their data; accuracy, robustness, discrimination",
              ("performance", "calibration", "subgroups", "fairness", "sensitivity"),
              "logs of tests, dated and signed"),
        Entry("Cybersecurity"),
        Entry("What it can do and cannot; accuracy, for groups of persons too",
              ("performance", "subgroups", "limitations")),
        Entry("Unintended outcomes and sources of risk that can be foreseen",
              ("use: perverse_incentives", "limitations"), "risks to fundamental rights"),
        Entry("Measures of human oversight; help to read the output",
              ("use: human_oversight", "explanation")),
        Entry("What is asked of input data", ("casemix", "data")),
        Entry("Why its measures of performance are the right ones", ("performance",)),
        Entry("System of risk management"),
        Entry("Changes through its life", ("limitations: change_log",)),
        Entry("Standards applied, or what is done instead"),
        Entry("Declaration of conformity"),
        Entry("How performance is watched after it is put on the market",
              ("limitations: drift_plan",)),
    ),
)  # fmt: skip

FRAMEWORKS: Sequence[Framework] = (_CHAI, _TRIPOD, _HTI1, _ANNEX_IV)
