"""Whatever a study asks for, a run that takes up every stage writes the same bytes."""

from pathlib import Path

import pytest
from ended import KINDS, Told, bytes_of, home_with

from riskadj import load_study, pipeline, run_study
from riskadj.episodes import mapped
from riskadj.errors import OutputError
from riskadj.report.provenance import AGAIN


@pytest.mark.slow
@pytest.mark.parametrize("mapped_from", [mapped.MAPPED_FROM, 1], ids=["in memory", "mapped"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_is_taken_up_writes_the_same_bytes(
    kind: str, mapped_from: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "MAPPED_FROM", mapped_from)
    study, told = load_study(home_with(kind, tmp_path)), Told()
    run_study(study, tmp_path / "run", told)
    monkeypatch.setenv(AGAIN, str(tmp_path / "run" / "provenance.json"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "build_findings", full)
        with pytest.raises(OutputError):
            run_study(study, tmp_path / "again")
    again = Told()
    run_study(study, tmp_path / "again", again)
    selected = [one for one in told.worked_out if one.endswith(": select")]
    assert again.worked_out == ["read", *selected, "report"]
    assert {*again.taken_up} == {*told.worked_out} - {*again.worked_out}
    assert bytes_of(tmp_path / "again") == bytes_of(tmp_path / "run")
