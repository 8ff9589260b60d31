"""Where it runs: on this machine, or on a Dask cluster; the same answers from both."""

from riskadj.engine.blocks import Blocks, Engine
from riskadj.engine.choice import engine_started, start_engine
from riskadj.engine.cluster import Dask
from riskadj.engine.local import Local
from riskadj.engine.seats import Seat
from riskadj.engine.use import InUse, in_use, using

__all__ = [
    "Blocks",
    "Dask",
    "Engine",
    "InUse",
    "Local",
    "Seat",
    "engine_started",
    "in_use",
    "start_engine",
    "using",
]
