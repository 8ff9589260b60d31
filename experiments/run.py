"""Run an experiment: every variant of a study, held-out figures into results.json.

.venv/bin/python experiments/run.py experiments/01_tree_shape
"""

import json
import sys
from pathlib import Path

from threadpoolctl import threadpool_limits

import riskadj
from riskadj.report.provenance import digest_of_study
from riskadj.study import read_yaml

FIGURES = ("n", "r2", "mae", "calibration_slope", "largest_decile_error")


def main(folder: Path) -> None:
    """Run the experiment in a folder and write its results beside it."""
    experiment = read_yaml(folder / "experiment.yaml")
    path = (folder / experiment["study"]).resolve()
    common = [str(one) for one in experiment["settings"]]
    base = riskadj.load_study(path, common)
    episodes = riskadj.read_study(base)
    results = {}
    for name, settings in experiment["variants"].items():
        study = riskadj.load_study(path, [*common, *settings])
        results[name] = {"study": digest_of_study(study)[:12]} | _figures(study, episodes)
        print(name, results[name], flush=True)
    text = json.dumps({"data": episodes.digest[:12], "variants": results}, indent=1)
    (folder / "results.json").write_text(f"{text}\n", encoding="utf-8")


def _figures(study, episodes):
    figures = {}
    for outcome in study.outcomes:
        cohort = riskadj.select_cohort(episodes, study, outcome)
        with threadpool_limits(1, user_api="blas"):
            expectations = riskadj.cross_fit(riskadj.choose_casemix(cohort, study), study)
        for learner, one in riskadj.evaluate(expectations).metrics.items():
            key = f"{outcome.name}-{learner}"
            figures[key] = {name: float(f"{one[name]:.6g}") for name in FIGURES}
    return figures


if __name__ == "__main__":
    main(Path(sys.argv[1]))
