"""The names that users import: all there, all documented, none slow before it is needed."""

import inspect
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module

import pytest

import riskadj

HEAVY = ("duckdb", "hccpy", "lightgbm", "mlflow", "numpy", "pandas", "pandera", "shap", "sklearn")
SUBPACKAGES = ("audit", "casemix", "claims", "cohort", "episodes", "expected", "experiment",
               "explain", "fairness", "followup", "instruments", "payment", "profile", "stats",
               "study", "trial", "value")  # fmt: skip


def public(module: str) -> list[tuple[str, object]]:
    package = __import__(f"riskadj.{module}", fromlist=["__all__"])
    return [(name, getattr(package, name)) for name in package.__all__]


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture(params=riskadj.__all__)
def function(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Return a public function, as a user finds it once everything is imported."""
    import_module("riskadj.pipeline")
    import_module("riskadj.simulate")
    one = getattr(riskadj, request.param)
    assert inspect.isfunction(one)
    assert one.__name__ == request.param
    return one


def test_every_public_function_is_documented(function: Callable[..., object]) -> None:
    assert len(inspect.getdoc(function) or "") > 20


def test_a_function_of_several_parameters_documents_them(function: Callable[..., object]) -> None:
    parameters = [one for one in inspect.signature(function).parameters if one != "on_stage"]
    if len(parameters) > 2:
        assert "Parameters\n----------" in (inspect.getdoc(function) or "")


def test_documented_parameters_are_those_of_the_function(function: Callable[..., object]) -> None:
    _, _, after = (inspect.getdoc(function) or "").partition("Parameters\n----------\n")
    section = after.split("\n\n")[0] if after else ""
    lines = [one for one in section.splitlines() if one and not one.startswith(" ")]
    documented = {part.strip() for one in lines for part in one.split(" : ")[0].split(",")}
    assert documented <= set(inspect.signature(function).parameters)


@pytest.mark.parametrize("module", SUBPACKAGES)
def test_everything_that_a_station_offers_is_there_and_documented(module: str) -> None:
    for name, one in public(module):
        if inspect.isclass(one) or inspect.isfunction(one):
            assert inspect.getdoc(one), name


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'riskadj' has no attribute 'rum_study'"):
        _ = riskadj.rum_study  # type: ignore[attr-defined]


def test_dir_lists_the_public_names() -> None:
    assert {*riskadj.__all__, "__version__"} <= set(dir(riskadj))


def test_the_package_and_the_command_line_import_nothing_heavy() -> None:
    assert not modules_after("import riskadj, riskadj.errors, riskadj.cli") & set(HEAVY)


def test_reading_a_study_needs_none_of_the_learners() -> None:
    loaded = modules_after("from riskadj import load_study; load_study.__name__")
    assert not loaded & {"lightgbm", "mlflow", "shap", "sklearn"}
