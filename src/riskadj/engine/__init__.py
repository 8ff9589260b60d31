"""Where it runs: on this machine, or on a Dask cluster; the same answers from both."""

from riskadj.engine.blocks import Blocks, Engine
from riskadj.engine.choice import start_engine
from riskadj.engine.cluster import Dask
from riskadj.engine.local import Local

__all__ = ["Blocks", "Dask", "Engine", "Local", "start_engine"]
