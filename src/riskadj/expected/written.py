"""Learners as plain content for JSON, and back; no pickle."""

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple, TypeVar

import numpy as np

from riskadj.errors import FileFormatError
from riskadj.expected.ceiling import CeilingExpectation
from riskadj.expected.cost_learners import (
    CostRegressor,
    GammaExpectation,
    LogSmearingExpectation,
    TweedieExpectation,
    TwoPartExpectation,
)
from riskadj.expected.learners import COSTS, Factor, LightGBMExpectation, LinearExpectation
from riskadj.expected.nets import NetExpectation
from riskadj.expected.parts import PartsExpectation
from riskadj.expected.stacked import StackedExpectation
from riskadj.expected.trees_text import check_trees

Content = dict[str, Any]
Cost = TypeVar("Cost", bound=CostRegressor)


def write_learner(learner: Any) -> Content:
    """Return a fitted learner as content for JSON.

    Examples
    --------
    >>> fitted = LinearExpectation(2).fit([[0.0], [1.0], [2.0]], [1.0, 2.0, 3.0])
    >>> content = write_learner(fitted)
    >>> content["kind"], read_learner(content).predict([[0.0]]) == fitted.predict([[0.0]])
    ('linear', array([ True]))
    """
    for kind, form in _FORMS.items():
        if type(learner) is form.made:
            features = int(learner.n_features_in_)
            return {"kind": kind, "features": features} | form.write(learner)
    raise FileFormatError(f"learner: wanted one of {', '.join(_FORMS)}; got {type(learner)}.")


def read_learner(content: Content) -> Any:
    """Return the learner that `write_learner` wrote.

    Raises
    ------
    FileFormatError
        When the content is none of its.
    """
    try:
        learner = _FORMS[content["kind"]].read(content)
        learner.n_features_in_ = content["features"]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        problem = f"{type(error).__name__}: {error}".splitlines()[0]
        raise FileFormatError(f"learner: wanted a written learner; got none ({problem}).") from None
    return learner


def _write_linear(learner: LinearExpectation) -> Content:
    return {
        "settings": learner.get_params(),
        "factors": [asdict(one) for one in learner.factors_],
        "coef": learner.coef_.tolist(),
        "intercept": learner.intercept_,
    } | ({"least": learner.least_} if learner.family in COSTS else {})


def _read_linear(content: Content) -> LinearExpectation:
    learner = LinearExpectation(**content["settings"])
    learner.factors_ = _read_factors(content["factors"])
    learner.coef_ = np.asarray(content["coef"], dtype=float)
    learner.intercept_ = float(content["intercept"])
    if learner.family in COSTS:
        learner.least_ = float(content["least"])
    return learner


def _read_factors(factors: list[Content]) -> list[Factor]:
    return [
        Factor(**one | {"levels": tuple(one["levels"]), "shares": tuple(one["shares"])})
        for one in factors
    ]


def _write_lightgbm(learner: LightGBMExpectation) -> Content:
    text = learner.booster_.model_to_string()
    signs = None if learner.monotone is None else sorted(learner.monotone.items())
    return {
        "settings": learner.get_params() | {"threads": 1, "monotone": signs},
        "base": learner.base_,
        "trees": _without_ranges(re.sub(r"\[num_threads: \d+\]", "[num_threads: 1]", text)),
    }


def _without_ranges(text: str) -> str:
    r"""Return trees without the least and greatest value of each feature, as each is a patient's.

    No expectation and no contribution needs them.

    Examples
    --------
    >>> _without_ranges("feature_infos=[41.6:103.7] none [0:1]\ntree_sizes=472")
    'feature_infos=none none none\ntree_sizes=472'
    """
    return re.sub(r"^feature_infos=.*$", _no_ranges, text, count=1, flags=re.MULTILINE)


def _no_ranges(line: re.Match[str]) -> str:
    return "feature_infos=" + " ".join("none" for _ in line[0].split())


def _read_lightgbm(content: Content) -> LightGBMExpectation:
    import lightgbm

    settings = content["settings"]
    signs = settings["monotone"]
    monotone = None if signs is None else {int(k): v for k, v in signs}
    learner = LightGBMExpectation(**settings | {"threads": 1, "monotone": monotone})
    learner.base_ = float(content["base"])
    check_trees(content["trees"])
    try:
        learner.booster_ = lightgbm.Booster(model_str=content["trees"])
    except lightgbm.basic.LightGBMError as error:
        raise ValueError(str(error)) from None
    return learner


def _write_ceiling(learner: CeilingExpectation) -> Content:
    return {
        "best": learner.best_,
        "range": list(learner.range_),
        "at_best": _write_part(learner.at_best_),
        "below": _write_part(learner.below_),
    }


def _read_ceiling(content: Content) -> CeilingExpectation:
    learner = CeilingExpectation(best=float(content["best"]))
    learner.best_ = float(content["best"])
    lowest, highest = content["range"]
    learner.range_ = (float(lowest), float(highest))
    learner.at_best_, learner.below_ = (_read_part(content[name]) for name in ("at_best", "below"))
    return learner


def _write_part(part: Any) -> Any:
    return part if isinstance(part, float) else write_learner(part)


def _read_part(content: Any) -> Any:
    return content if isinstance(content, float) else read_learner(content)


def _write_parts(learner: PartsExpectation) -> Content:
    return {
        "bands": learner.bands,
        "constant": learner.constant_,
        "weights": learner.weights_.tolist(),
        "learners": [write_learner(one) for one in learner.learners_],
    }


def _read_parts(content: Content) -> PartsExpectation:
    learner = PartsExpectation(bands=content["bands"])
    learner.constant_ = float(content["constant"])
    learner.weights_ = np.asarray(content["weights"], dtype=float)
    learner.learners_ = [read_learner(one) for one in content["learners"]]
    return learner


def _write_net(learner: NetExpectation) -> Content:
    return {
        "settings": learner.get_params() | {"hidden": list(learner.hidden)},
        "factors": [asdict(one) for one in learner.factors_],
        "centre": learner.centre_.tolist(),
        "spread": learner.spread_.tolist(),
        "layers": [[[w.tolist(), b.tolist()] for w, b in net] for net in learner.layers_],
    }


def _read_net(content: Content) -> NetExpectation:
    learner = NetExpectation(**content["settings"])
    learner.factors_ = _read_factors(content["factors"])
    learner.centre_ = np.asarray(content["centre"], dtype=float)
    learner.spread_ = np.asarray(content["spread"], dtype=float)
    learner.layers_ = [
        [(np.asarray(w, dtype=float), np.asarray(b, dtype=float)) for w, b in net]
        for net in content["layers"]
    ]
    return learner


def _write_stacked(learner: StackedExpectation) -> Content:
    return {
        "settings": {name: getattr(learner, name) for name in ("folds", "seed", "family")},
        "intercept": learner.intercept_,
        "weights": learner.weights_.tolist(),
        "learners": [one and write_learner(one) for one in learner.learners_],
    }


def _read_stacked(content: Content) -> StackedExpectation:
    learner = StackedExpectation(**content["settings"])
    learner.intercept_ = float(content["intercept"])
    learner.weights_ = np.asarray(content["weights"], dtype=float)
    learner.learners_ = [one and read_learner(one) for one in content["learners"]]
    return learner


def _write_cost(learner: CostRegressor) -> Content:
    return {
        "settings": learner.get_params(),
        "factors": [asdict(one) for one in learner.factors_],
        "centre": learner.centre_.tolist(),
        "spread": learner.spread_.tolist(),
        "coef": learner.coef_.tolist(),
        "intercept": learner.intercept_,
        "range": list(learner.range_),
    }


def _restore_cost(learner: Cost, content: Content) -> Cost:
    learner.factors_ = _read_factors(content["factors"])
    for name in ("centre", "spread", "coef"):
        setattr(learner, f"{name}_", np.asarray(content[name], dtype=float))
    learner.intercept_ = float(content["intercept"])
    lowest, highest = content["range"]
    learner.range_ = (float(lowest), float(highest))
    return learner


def _read_gamma(content: Content) -> GammaExpectation:
    return _restore_cost(GammaExpectation(**content["settings"]), content)


def _read_tweedie(content: Content) -> TweedieExpectation:
    return _restore_cost(TweedieExpectation(**content["settings"]), content)


def _write_log_smearing(learner: LogSmearingExpectation) -> Content:
    factors = {"borders": learner.borders_.tolist(), "smearing": learner.smearing_.tolist()}
    return _write_cost(learner) | factors


def _read_log_smearing(content: Content) -> LogSmearingExpectation:
    learner = LogSmearingExpectation(**content["settings"])
    learner.borders_ = np.asarray(content["borders"], dtype=float)
    learner.smearing_ = np.asarray(content["smearing"], dtype=float)
    return _restore_cost(learner, content)


def _write_two_part(learner: TwoPartExpectation) -> Content:
    return {
        "settings": learner.get_params(),
        "any": learner.any_ and write_learner(learner.any_),
        "some": write_learner(learner.some_),
    }


def _read_two_part(content: Content) -> TwoPartExpectation:
    learner = TwoPartExpectation(**content["settings"])
    learner.any_ = content["any"] and read_learner(content["any"])
    learner.some_ = read_learner(content["some"])
    return learner


class _Form(NamedTuple):
    made: type[Any]
    write: Callable[[Any], Content]
    read: Callable[[Content], Any]


_FORMS: dict[str, _Form] = {
    "linear": _Form(LinearExpectation, _write_linear, _read_linear),
    "lightgbm": _Form(LightGBMExpectation, _write_lightgbm, _read_lightgbm),
    "ceiling": _Form(CeilingExpectation, _write_ceiling, _read_ceiling),
    "net": _Form(NetExpectation, _write_net, _read_net),
    "parts": _Form(PartsExpectation, _write_parts, _read_parts),
    "stacked": _Form(StackedExpectation, _write_stacked, _read_stacked),
    "gamma": _Form(GammaExpectation, _write_cost, _read_gamma),
    "tweedie": _Form(TweedieExpectation, _write_cost, _read_tweedie),
    "log_smearing": _Form(LogSmearingExpectation, _write_log_smearing, _read_log_smearing),
    "two_part": _Form(TwoPartExpectation, _write_two_part, _read_two_part),
}
