"""Star calibration as data: which stars, in which order, approached how.

Stars are spread over the sky that the mount will use, so that tilts, collimation and zero points separate, and
visited in an order of short slews. Each is approached once with both angles growing and once with both falling, so
that the backlash shows; the mount then stands still while the star drifts by, because a star moves so slowly that
following it would leave the play half taken up.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.geometry.bodies import sun_and_moon
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site, azel_to_enu
from controller.geometry.stars import Star, bright_stars, observed
from controller.geometry.timescales import Floats
from controller.pointing.ground import OPEN, Ground
from controller.pointing.keepout import MARGIN_RAD, SUN_DOWN_RAD
from controller.pointing.mount import MountModelError, Signs
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.observation import Pair

STARS = 12
ELEVATION_MIN_RAD = math.radians(25.0)
ELEVATION_MAX_RAD = math.radians(80.0)  # of the second axis: above, the first says little
RING_MAX_RAD = math.radians(75.0)
SEPARATION_MIN_RAD = math.radians(3.0)  # two stars in one camera field would be confused


@dataclass(frozen=True, slots=True)
class Visit:
    """Go to a star from one side, stand still, look."""

    star: Star
    azimuth_rad: float
    elevation_rad: float
    approach: Signs


def choose_stars(
    t_utc_ns: int,
    site: Site,
    earth: EarthOrientation,
    wavelength_um: float,
    count: int = STARS,
    catalogue: Sequence[Star] = (),
    frame: MountFrame = ALT_AZ,
    sun_cone_rad: float = 0.0,
    ground: Ground = OPEN,
) -> list[tuple[Star, float, float]]:
    """Well spread stars as (star, azimuth, elevation), observed places, in an order of short slews for its axes.

    None of them is inside the Sun's cone, or lower than the mount may look. Raises MountModelError when fewer than
    `count` are up.
    """
    stars = list(catalogue or bright_stars())
    azimuth, elevation = observed(stars, t_utc_ns, site, earth, wavelength_um)
    axes = np.array([frame.axes(float(a), float(e)) for a, e in zip(azimuth, elevation, strict=True)])
    high = np.abs(axes[:, 1]) if not frame.level else elevation
    up = [i for i in range(len(stars)) if elevation[i] > ELEVATION_MIN_RAD and high[i] < ELEVATION_MAX_RAD]
    up = [i for i in up if not ground.too_low(float(azimuth[i]), float(elevation[i]))]
    units = azel_to_enu(azimuth, elevation)
    sun, _ = sun_and_moon(t_utc_ns, site, earth)
    if sun_cone_rad > 0 and sun.elevation_rad >= SUN_DOWN_RAD:
        far = units @ azel_to_enu(*sun) < math.cos(min(math.pi, sun_cone_rad + MARGIN_RAD))
        up = [i for i in up if far[i]]
    chosen: list[int] = []
    # Farthest-point sampling: each next star is the one farthest from all chosen so far.
    while len(chosen) < count:
        best = max(up, key=lambda i: _nearest_rad(units, i, chosen), default=None)
        if best is None or (chosen and _nearest_rad(units, best, chosen) < SEPARATION_MIN_RAD):
            raise MountModelError(
                f"Only {len(chosen)} of {count} calibration stars stand between 25 and 80 deg over {site.name} now"
                f"{', outside of the cone around the Sun' if sun_cone_rad > 0 else ''}"
                f"{', above the horizon mask' if ground.mask is not None else ''}; add stars to the catalogue "
                "or wait."
            )
        chosen.append(best)
        up.remove(best)
    return [(stars[i], float(azimuth[i]), float(elevation[i])) for i in short_tour(axes, chosen)]


def visits(chosen: Sequence[tuple[Star, float, float]]) -> list[Visit]:
    """Every star twice, one after the other: with both angles growing, then with both falling."""
    return [Visit(star, az, el, side) for star, az, el in chosen for side in ((1.0, 1.0), (-1.0, -1.0))]


def spread_directions(elevation_min_rad: float, frame: MountFrame = ALT_AZ) -> list[Pair]:
    """Twelve directions (azimuth, elevation) in three rings from that elevation to 75 degrees, in a short tour.

    Fewer where the first axis points to one of them.

    Where the sky's own frame is not known yet they are the mount's; tilts, collimation and zero points separate.
    """
    low, high = elevation_min_rad, max(elevation_min_rad, RING_MAX_RAD)
    rings = ((low, 5, 0.0), ((low + high) / 2, 4, 0.4), (high, 3, 0.8))
    places = [(math.tau * i / count + shift, elevation) for elevation, count, shift in rings for i in range(count)]
    axes = np.array([frame.axes(*place) for place in places])
    far = [i for i, (_, secondary) in enumerate(axes) if abs(secondary) < ELEVATION_MAX_RAD]
    order = short_tour(axes, far)
    return [places[i] for i in order]


def _nearest_rad(units: Floats, index: int, chosen: Sequence[int]) -> float:
    if not chosen:
        return float(units[index, 2])  # the first is the highest
    cosines = np.clip(units[list(chosen)] @ units[index], -1.0, 1.0)
    return float(np.arccos(cosines).min())


def short_tour(axes: Floats, chosen: Sequence[int]) -> list[int]:
    """Once round in azimuth from south to south, then shortened by exchanging stretches (2-opt).

    A way costs what the slower of two axes of equal rate needs. Azimuth does not cross south, so that a mount with
    little more than one turn never has to unwind.
    """
    turn = np.remainder(axes[:, 0] + np.pi, 2 * np.pi)  # from south
    tour = sorted(chosen, key=lambda i: float(turn[i]))
    elevation = axes[:, 1]
    cost = np.maximum(np.abs(turn[:, None] - turn[None, :]), np.abs(elevation[:, None] - elevation[None, :]))
    improved = True
    while improved:
        improved = False
        for a in range(1, len(tour) - 1):
            for b in range(a + 1, len(tour)):
                trial = tour[:a] + tour[a : b + 1][::-1] + tour[b + 1 :]
                if _length(trial, cost) < _length(tour, cost) - 1e-12:
                    tour, improved = trial, True
    return tour


def _length(tour: Sequence[int], cost: Floats) -> float:
    return sum(float(np.sqrt(cost[a, b])) for a, b in itertools.pairwise(tour))
