"""Boosted trees that several workers grow together, each from its share of the episodes.

Every worker adds up histograms of its own episodes; the sums are exchanged, so that all find the
same split (data-parallel learning: Ke et al. 2017, NeurIPS 30; LightGBM's own distributed
training). Bins of a feature come from one worker's share, and episodes are drawn share by share, so
that trees differ a little from those that are grown in one piece; they depend on the number of
shares and on nothing else: not on who grows them, or where. Of 100,000 episodes of 500 providers,
2 shares move expectations by 0.10 of their standard deviation on average and by 0.56 at most,
providers' mean residuals by 0.009 and 0.11 of theirs; another seed does as much (0.10, 0.61; 0.010,
0.12): `python benchmarks/shares.py`.

LightGBM's workers speak with each other without a key, on ports that are open while they do, to
whoever reaches the machine: shares are for a network of one's own. What is sent is sums and borders
of bins, never an episode.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from riskadj.engine import Seat, in_use
from riskadj.errors import ArrayError

if TYPE_CHECKING:
    from lightgbm import Booster

Floats = NDArray[np.float64]

WAIT_MINUTES = 2
"""For the others to answer."""
_NOT_OF_THE_MODEL = {"machines": "", "local_listen_port": "12400"}
"""Settings that only say where it was grown, and what stands in the model in their place."""


def grow_together(
    settings: Mapping[str, Any], X: Floats, start: Mapping[str, Floats], trees: int, shares: int
) -> "Booster":
    """Return trees that workers of the engine in use have grown together.

    Parameters
    ----------
    settings : mapping
        Of LightGBM.
    X : ndarray of shape (n_episodes, n_features)
    start : mapping of str to ndarray of shape (n_episodes,)
        What the data set takes beside it: `label`, `init_score`.
    trees, shares : int
        Every `shares`-th episode is in the same share.

    Raises
    ------
    ArrayError
        When there are fewer episodes than shares.
    EngineError
        When there are fewer workers than shares.
    """
    import lightgbm

    if len(X) < shares:
        raise ArrayError(f"shares: wanted an episode or more in each; got {len(X)} episodes.")
    items = [
        (X[k::shares], {name: one[k::shares] for name, one in start.items()}) for k in range(shares)
    ]
    alone = {**settings, "num_threads": 1}
    grown = in_use().engine.together(_grow_share, items, alone, trees)
    return lightgbm.Booster(model_str=grown[0])


def _grow_share(
    share: tuple[Floats, dict[str, Floats]], seat: Seat, settings: dict[str, Any], trees: int
) -> str:
    """Grow trees as one of several, and return their text; that of the first is as good as any."""
    import lightgbm

    quiet = {"verbose": -1}
    lightgbm.Dataset(np.zeros((2, 1)), params=quiet).construct()  # or connecting would be told of
    X, start = share
    together = {
        "tree_learner": "data",
        "pre_partition": True,
        "num_machines": len(seat.places),
        "machines": ",".join(f"{host}:{port}" for host, port in seat.places),
        "local_listen_port": seat.port,
        "time_out": WAIT_MINUTES,
    }
    data = lightgbm.Dataset(X, params=quiet, **start)
    booster = lightgbm.train({**settings, **together}, data, trees)
    try:
        return "" if seat.number else _placeless(booster.model_to_string())
    finally:
        booster.free_network()


def _placeless(text: str) -> str:
    r"""Return the text of a model without where it was grown.

    Examples
    --------
    >>> _placeless("[machines: 127.0.0.1:4001,127.0.0.1:4002]\n[num_machines: 2]")
    '[machines: ]\n[num_machines: 2]'
    """
    for name, instead in _NOT_OF_THE_MODEL.items():
        text = re.sub(rf"^\[{name}: .*\]$", f"[{name}: {instead}]", text, flags=re.MULTILINE)
    return text
