"""The passes of a whole catalogue, highest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.pointing.elements import Sgp4Orbit
from controller.pointing.passes import DAY_NS, Pass


def highest_passes(
    sets: Sequence[Sgp4Orbit],
    site: Site,
    earth: EarthOrientation,
    mask_rad: float,
    azimuth_rate_max_rad_s: float = np.inf,
) -> Iterator[Pass]:
    """Passes within the day after each set's epoch, highest first.

    Passes whose azimuth would clearly turn faster than `azimuth_rate_max_rad_s` are left out. Raises ElementsError
    when SGP4 refuses a set.
    """
    from controller.pointing.circumstances import circumstances  # here: what is compiled takes a while to load
    from controller.pointing.constellation import Constellation

    constellation = Constellation.of(sets)
    table = constellation.find([site], earth, constellation.epoch_utc_ns, DAY_NS, mask_rad)
    slow = np.ones(len(table), dtype=bool)
    if np.isfinite(azimuth_rate_max_rad_s):
        rate = circumstances(constellation, table, [site], earth).azimuth_rate_max_rad_s
        slow = rate < 1.1 * azimuth_rate_max_rad_s
    for row in np.nonzero(slow)[0][np.argsort(-table.elevation_max_rad[slow], kind="stable")]:
        yield table.one(int(row), sets)
