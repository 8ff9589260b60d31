"""SHAP values against those that were published, and those of the library on real hip data.

The two trees of fever and cough are figure 1 of Lundberg, Erion and Lee 2018, Consistent
individualized feature attribution for tree ensembles, arXiv 1802.03888.
"""

from pathlib import Path

import lightgbm
import numpy as np
import pytest

from riskadj.episodes import read_episodes
from riskadj.explain import read_forest, tree_contributions

FEVER = np.repeat([0.0, 0.0, 1.0, 1.0], 25)
COUGH = np.repeat([0.0, 1.0, 0.0, 1.0], 25)
HIPS = Path(__file__).parents[3] / "shared/data/nhs_proms/Hip Replacement Provider 1617.csv.zip"


@pytest.mark.parametrize(
    ("more_for_cough", "fever", "cough", "base"),
    [(0.0, 30.0, 30.0, 20.0), (10.0, 30.0, 35.0, 25.0)],
)
def test_fever_and_cough_get_the_credit_that_was_published(
    more_for_cough: float, fever: float, cough: float, base: float
) -> None:
    X = np.column_stack([FEVER, COUGH])
    y = 80 * FEVER * COUGH + more_for_cough * COUGH
    settings = {
        "num_leaves": 4, "min_data_in_leaf": 1, "learning_rate": 1.0, "verbose": -1,
        "min_sum_hessian_in_leaf": 0, "num_threads": 1,
    }  # fmt: skip
    booster = lightgbm.train(settings, lightgbm.Dataset(X, y, params={"min_data_in_bin": 1}), 3)
    forest = read_forest(booster.model_to_string())
    assert forest is not None
    found = tree_contributions(forest, [[1.0, 1.0]])
    assert found is not None
    assert found.values[0] == pytest.approx([fever, cough], abs=1e-5)
    assert found.base == pytest.approx(base, abs=1e-5)


@pytest.mark.data
def test_real_hips_are_told_as_shap_tells_them() -> None:
    import shap

    if not HIPS.exists():
        pytest.skip("the public NHS files are not here")
    X, y = hips()
    settings = {"num_leaves": 8, "min_data_in_leaf": 200, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(X, y), 60)
    forest = read_forest(booster.model_to_string())
    assert forest is not None
    found = tree_contributions(forest, X)
    assert found is not None
    some = slice(0, 300)
    explainer = shap.TreeExplainer(booster)
    assert np.abs(found.values[some] - explainer.shap_values(X[some])).max() < 1e-4
    total = found.values.sum(axis=1) + found.base
    assert np.abs(total - booster.predict(X, num_threads=1)).max() < 1e-6


def hips() -> tuple[np.ndarray, np.ndarray]:
    """Return numbers known before the operation of a year's hips, and the score after."""
    frame = read_episodes([HIPS], "nhs_proms").table
    known = frame[frame["q2_score_ohs"].notna()].select_dtypes("number")
    before = [one for one in known if not one.startswith(("q2_", "reference_"))]
    return known[before].to_numpy(dtype=float), known["q2_score_ohs"].to_numpy(dtype=float)
