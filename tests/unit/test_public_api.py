"""The names that users import: all there, all documented, none slow before it is needed."""

import inspect
import subprocess
import sys

import pytest

import riskadj

HEAVY = ("lightgbm", "mlflow", "numpy", "pandas", "pandera", "shap", "sklearn")
SUBPACKAGES = ("casemix", "cohort", "episodes", "expected", "explain", "instruments", "profile",
               "stats", "study")  # fmt: skip


def public(module: str) -> list[tuple[str, object]]:
    package = __import__(f"riskadj.{module}", fromlist=["__all__"])
    return [(name, getattr(package, name)) for name in package.__all__]


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", riskadj.__all__)
def test_every_public_name_is_a_documented_function(name: str) -> None:
    function = getattr(riskadj, name)
    assert callable(function)
    assert function.__name__ == name
    assert len(inspect.getdoc(function) or "") > 20


@pytest.mark.parametrize("name", riskadj.__all__)
def test_every_public_function_says_what_it_takes_or_refuses(name: str) -> None:
    function = getattr(riskadj, name)
    doc = inspect.getdoc(function) or ""
    parameters = [one for one in inspect.signature(function).parameters if one != "on_stage"]
    if len(parameters) > 2:
        assert "Parameters\n----------" in doc
    assert any(part in doc for part in ("Parameters\n--", "Raises\n--", "Examples\n--", "Return"))


@pytest.mark.parametrize("name", riskadj.__all__)
def test_the_documented_parameters_are_those_of_the_function(name: str) -> None:
    function = getattr(riskadj, name)
    doc = inspect.getdoc(function) or ""
    _, _, after = doc.partition("Parameters\n----------\n")
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
