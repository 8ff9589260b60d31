"""A logged model scores Spark's rows as it scores ours.

PySpark is in an extra of its own, `spark`, as it is 490 MB unpacked. MLflow 3.17.2 names 3.4.4 to
4.2.0 as the versions it is tested with; this passes with 4.2.0, which the extra names, and Java 17.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_folders import MEMBERS, made_up_casemix, made_up_run

from riskadj.expected import load_model
from riskadj.tracking import LoggedRun, log_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    # PySpark leaves the sockets of its own to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
EPISODES = 300


@pytest.fixture(scope="module")
def spark():
    pytest.importorskip("pyspark", reason="PySpark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executorEnv.OMP_NUM_THREADS": "1",
    }
    builder = SparkSession.builder.master("local[2]").appName("riskadj")
    for name, value in settings.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYSPARK_PYTHON", sys.executable)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return made_up_run(tmp_path_factory.mktemp("runs") / "example")


@pytest.fixture(scope="module")
def logged(finished, tmp_path_factory) -> LoggedRun:
    return log_run(finished, f"sqlite:///{tmp_path_factory.mktemp('tracking')}/mlflow.db")


@pytest.fixture(scope="module")
def episodes() -> pd.DataFrame:
    """Return episodes with values missing, a fold each, and a number to find them by."""
    casemix = made_up_casemix(EPISODES)
    casemix.loc[:9, "sex"] = None
    casemix.loc[5:15, "q1_score_ohs"] = np.nan
    return casemix.assign(fold=np.arange(EPISODES) % MEMBERS, episode=np.arange(EPISODES))


@pytest.fixture(scope="module")
def table(spark, episodes, tmp_path_factory):
    """Return the episodes as Spark reads them, in four partitions, columns in another order."""
    path = str(tmp_path_factory.mktemp("episodes") / "episodes.parquet")
    backwards = episodes[episodes.columns[::-1]].astype({"fold": float})
    backwards.to_parquet(path, index=False)
    return spark.read.parquet(path).repartition(4)


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize(("position", "learner"), [(0, "lightgbm"), (1, "linear")])
def test_spark_udf_expects_what_the_model_expects(
    spark, table, episodes, logged, finished, position, learner, folded
):
    import mlflow
    from pyspark.sql.functions import struct

    mlflow.set_tracking_uri(logged.uri)
    asked = mlflow.pyfunc.spark_udf(
        spark, logged.models[position], result_type="double", env_manager="local"
    )
    columns = [one for one in table.columns if one != "episode" and (folded or one != "fold")]
    # In a struct, so that columns go by their names: alone they would go by their order.
    answered = dict(map(tuple, table.select("episode", asked(struct(*columns))).collect()))
    model = load_model(finished / "models" / f"ohs-{learner}")
    expected = model.expect(episodes, episodes["fold"].to_numpy() if folded else None)
    assert sorted(answered) == list(range(EPISODES))
    np.testing.assert_allclose(
        [answered[one] for one in range(EPISODES)], expected, rtol=0, atol=1e-9
    )
