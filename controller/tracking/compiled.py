"""Loads what numba compiles for tracking: seconds the first time on a machine, which may not fall into a pass."""

from __future__ import annotations

import numpy as np

from controller.bus.topics import ZERO
from controller.tracking.centroid import centroid, detect
from controller.tracking.coarse import CoarseEstimator
from controller.tracking.pairing import Moment

_SIDE_PX = 32


def load() -> None:
    """Run everything that is compiled once."""
    image = np.zeros((_SIDE_PX, _SIDE_PX), dtype=np.uint16)
    image[_SIDE_PX // 2, _SIDE_PX // 2] = 10_000  # a spot: the refinement is compiled, too
    centroid(image)
    detect(image, 2)
    first, second = (Moment(t_utc_ns, ZERO, ZERO, 0.0, 1.0, np.zeros((2, 2))) for t_utc_ns in (0, 1_000_000))
    estimator = CoarseEstimator()
    estimator.observe(first, ZERO)
    estimator.observe(second, ZERO)
    estimator.estimate(first, second)
