"""Between effects of providers and what is shown of them."""

from dataclasses import dataclass

import numpy as np

from riskadj.stats.arrays import Floats
from riskadj.stats.links import Link


@dataclass(frozen=True)
class Scale:
    """The reference population's mean, moved by an effect on the scale of a link.

    Attributes
    ----------
    link : Link
    mean : float

    Examples
    --------
    >>> from riskadj.stats.links import link_named
    >>> Scale(link_named("log"), 100.0).shown(np.log([1.5])).round(9)
    array([150.])
    """

    link: Link
    mean: float

    @property
    def origin(self) -> float:
        """Where the mean is on the scale of effects."""
        return float(self.link.predictor(np.array([self.mean]))[0])

    def shown(self, effect: Floats) -> Floats:
        """Return what the reference population would have had with these effects."""
        return self.link.mean(self.origin + effect)

    def effect_of(self, shown: float) -> float:
        """Return the effect that would be shown so."""
        return float(self.link.predictor(np.array([shown]))[0]) - self.origin

    def around(self, name: str, middle: Floats, half: Floats) -> dict[str, Floats]:
        """Return what is shown of the ends of intervals, `name_lower` and `name_upper`."""
        return {
            f"{name}_lower": self.shown(middle - half),
            f"{name}_upper": self.shown(middle + half),
        }
