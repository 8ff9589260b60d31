"""CMS-HCC risk scores that two packages written apart from each other agree on.

The Centers for Medicare & Medicaid Services publish the models' tables; hccpy and hccinfhir compute
the same scores of these patients. The normalised score is a worked example of the Tuva Project's
documentation.
"""

import numpy as np
import pytest

from riskadj.claims.comorbidity import hcc_profiles


@pytest.mark.parametrize(
    ("diagnoses", "age", "sex", "version", "score"),
    [
        ("E1169 I5030 I509 I211 I209 R05", 70, "male", "V24", 1.283),
        ("E1169 I5030 I509 I211 I209 R05", 70, "male", "V28", 1.034),
        ("E119 I509 J449", 67, "female", "V24", 1.370),
        ("E119 I509 J449", 67, "female", "V28", 1.365),
        ("", 67, "female", "V24", 0.323),
        ("", 67, "female", "V28", 0.330),
    ],
)
def test_scores_are_those_published(
    diagnoses: str, age: float, sex: str, version: str, score: float
) -> None:
    found = hcc_profiles([diagnoses], np.array([float(age)]), [sex], version, "CNA")
    assert round(float(found.score[0]), 3) == score


def test_the_order_and_number_of_patients_does_not_matter() -> None:
    diagnoses = ["E119 I509 J449", "", "E119 I509 J449", "I509"]
    ages = np.array([67.0, 67.0, 67.0, 81.0])
    together = hcc_profiles(diagnoses, ages, ["female"] * 4, "V28")
    alone = [
        hcc_profiles([one], ages[[at]], ["female"], "V28").score[0]
        for at, one in enumerate(diagnoses)
    ]
    assert together.score.tolist() == alone
    assert together.conditions.tolist() == [3, 0, 3, 1]
