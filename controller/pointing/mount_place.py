"""How a mount stands, as the stars say: the rotation from the sky to its axes, whichever way it was put down."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from controller.geometry.frames import azel_to_enu
from controller.geometry.timescales import Floats
from controller.pointing.mount import MountModel
from controller.pointing.observation import Observation

Encoders = tuple[Floats, Floats]
Counting = Callable[[Floats, Floats], Encoders]  # what was read off the encoders to azimuth and elevation


def as_read(azimuth_rad: Floats, elevation_rad: Floats) -> Encoders:
    """As the encoders show it."""
    return azimuth_rad, elevation_rad


def rotation_between(observations: Sequence[Observation], counted: Counting = as_read) -> Floats:
    """The rotation (3, 3) from east-north-up to the mount's own axes that suits the stars best (Kabsch)."""
    sky, mount = directions(observations, counted)
    u, _, v = np.linalg.svd(mount.T @ sky)
    result: Floats = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))]) @ v
    return result


def placed(observations: Sequence[Observation]) -> MountModel:
    """A mount that stands as the stars say, whichever way it was put down: zero of azimuth and tilt, no more."""
    turn = rotation_between(observations)
    east, north, up = (float(x) for x in turn[2])  # the mount's zenith
    sine = math.hypot(east, north)
    lean = math.atan2(sine, up) / sine if sine > 0 else 0.0
    level = MountModel(AN=lean * north, AW=-lean * east)
    north_of_axis = level.encoder(0.0, 0.0)[0]
    seen = turn @ azel_to_enu(0.0, 0.0)
    return level.changed(IA=math.remainder(math.atan2(seen[0], seen[1]) - north_of_axis, math.tau))


def directions(observations: Sequence[Observation], counted: Counting) -> tuple[Floats, Floats]:
    """Unit vectors (n, 3) of the boresight: in east-north-up, and as the encoders show it."""
    place = np.array([(o.azimuth_rad, o.elevation_rad) for o in observations])
    off = np.array([o.offset_rad for o in observations])
    encoder = np.array([(o.azimuth_encoder_rad, o.elevation_encoder_rad) for o in observations])
    sky = azel_to_enu(place[:, 0] - off[:, 0] / np.cos(place[:, 1]), place[:, 1] - off[:, 1])
    return sky, azel_to_enu(*counted(*encoder.T))
