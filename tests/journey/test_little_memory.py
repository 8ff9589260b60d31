"""A cohort larger than the memory that a run may take goes through, and comes out the same.

Larger than memory means: the columns of the episodes take more bytes, as the package reads them,
than the process may ask of the machine beyond what it has once a run of few episodes is done
(`little_memory.py`). A sixth of the episodes teach: LightGBM holds up to 200,000 of those that do
in memory, 12 bytes a value, to find where to cut, which among so few would be all of them.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from worlds import episode_frame, study_content, write_study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="wants RLIMIT_DATA and /proc"),
]
EPISODES, RISKS, LIMIT = 80_000, 150, 75
"""Of memory: MiB beyond the start."""
CHILD = Path(__file__).parents[1] / "little_memory.py"
TABLES = ("providers.csv", "analyses.csv", "reference.csv", "calibration.csv", "shap_features.csv")


def write(home: Path, episodes: int) -> Path:
    """Write episodes with many risks in small row groups, and a study that goes block by block."""
    home.mkdir()
    risks = np.random.default_rng(7).normal(size=(episodes, RISKS)).round(2)
    names = [f"risk_{k:03d}" for k in range(RISKS)]
    frame = episode_frame(episodes, providers=40, seed=2)
    table = pd.concat([frame, pd.DataFrame(risks, columns=names)], axis=1)
    table["period"] = np.where(np.arange(episodes) % 6, "2022", "2021")
    table["q2_score_ohs"] = np.clip((table["q2_score_ohs"] + risks[:, 0]).round(), 0, 48)
    table.to_parquet(home / "episodes.parquet", row_group_size=2_000)
    declared = [
        {"name": one, "kind": "number", "role": "clinical", "known_at": "baseline",
         "meaning": "A risk", "group": "risk"}
        for one in names
    ]  # fmt: skip
    content = study_content(
        data={"format": "parquet", "paths": ["episodes.parquet"], "columns": declared},
        learners=[{"kind": "linear"}, {"kind": "lightgbm", "trees": 10}],
        engine={"rows": 2_000},
    )
    content["casemix"]["columns"] = [*content["casemix"]["columns"], "risk_*"]
    return write_study(home, content)


def child(few: Path, asked: Path, out: str, *limit: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHILD), str(few), str(asked), out, *limit]
    # Arrow's own pool asks for a GiB ahead, out of which a limited run could then help itself.
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def test_a_cohort_larger_than_memory_gives_the_same_tables(tmp_path: Path) -> None:
    few, many = write(tmp_path / "few", 2_000), write(tmp_path / "many", EPISODES)
    episodes = many.parent / "episodes.parquet"
    groups = pq.ParquetFile(episodes).iter_batches(5_000)
    size = sum(int(one.to_pandas().memory_usage(index=False).sum()) for one in groups)
    assert size > 1.3 * LIMIT * 2**20

    at_once = child(few, episodes, "", str(LIMIT))
    assert at_once.returncode != 0, "the limit must bite"
    assert "memory" in at_once.stderr.lower().splitlines()[-1], at_once.stderr[-500:]
    limited = child(few, many, str(tmp_path / "limited"), str(LIMIT))
    assert limited.returncode == 0, limited.stderr[-2_000:]
    assert float(limited.stdout.split()[-1]) < LIMIT, "MiB that it had beyond the start"
    free = child(few, many, str(tmp_path / "free"))
    assert free.returncode == 0, free.stderr[-2_000:]
    for name in TABLES:
        pair = [(tmp_path / one / name).read_bytes() for one in ("limited", "free")]
        assert pair[0] == pair[1], name
