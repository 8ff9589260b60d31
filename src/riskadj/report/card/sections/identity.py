"""Which run this is, what it is for, and what it was made from."""

from collections.abc import Iterable

from riskadj.report.blocks import Block, facts, number, paragraph, table, text
from riskadj.report.card.person import told
from riskadj.report.findings import Findings
from riskadj.report.provenance import FORMAT


def identity(findings: Findings) -> Iterable[Block]:
    """Yield the study, its version and its digests, and whom to ask."""
    study, origin = findings.study, findings.provenance
    yield facts([
        ("Study", study.name),
        ("Version", study.version),
        ("Title", study.title),
        ("Digest of the study", origin["study"]["digest"]),
        ("Version of the code", origin["code"]["version"]),
        ("Digest of the code", origin["code"]["digest"]),
        *(("Digest of the run", one["digest"]) for one in origin["stages"][-1:]),
        ("Made", origin["created"]),
        ("Format of this record", FORMAT),
        *told(study.card, "contact", "licence"),
    ])  # fmt: skip


def use(findings: Findings) -> Iterable[Block]:
    """Yield what the comparison is for, and what it is not for."""
    yield facts(
        told(
            findings.study.card,
            "intended_use",
            "users",
            "population",
            "out_of_scope",
            "payment_use",
            "perverse_incentives",
            "appeal_route",
            "human_oversight",
        )
    )


def provenance(findings: Findings) -> Iterable[Block]:
    """Yield the chain of digests and the environment."""
    origin = findings.provenance
    environment = origin["environment"]
    yield paragraph(
        "The digest of each stage is made from its content and from the digest of the stage "
        "that it builds on; the last digest, that of the run, is made from all those above it "
        "and changes when any of them does."
    )
    yield table(
        "The chain of digests",
        [text("Stage"), text("Digest (SHA-256)", code=True), number("Seconds", 1, "")],
        [
            ("study", origin["study"]["digest"], None),
            *((f"data: {one['name']}", one["digest"], None) for one in origin["data"]),
            ("code", origin["code"]["digest"], None),
            *((one["stage"], one["digest"], one.get("seconds")) for one in origin["stages"]),
        ],
    )
    yield table(
        "Environment",
        [text("Software"), text("Version", code=True)],
        [("python", environment["python"]), *sorted(environment["packages"].items())],
    )
    yield facts([("Seed", str(origin["seed"])), ("Made", origin["created"])])
