"""What the gimbal loop follows while states come: a path of a few seconds, fitted anew with each of them.

Where the path ends, the newest state has its greatest age; beyond it nothing moves on.
"""

from __future__ import annotations

import math

import numpy as np

from controller.bus.topics import Pair
from controller.geometry import trajectory
from controller.geometry.trackframe import about_axes
from controller.geometry.trajectory import Look, Trajectory
from controller.pointing.ephemeris.live import Live
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.prediction import Observer, apparent_enu_m
from controller.pointing.sighting import on_sky_rad2

NS = 1_000_000_000
BEFORE_NS = 2 * NS  # of the newest state: encoders are read a little after the fact
NODES = 8


class LiveTarget:
    """A Target that is a stream of states, in the angles of a mount that stands like `frame`."""

    def __init__(self, stream: Live, observer: Observer, frame: MountFrame = ALT_AZ) -> None:
        self.stream = stream
        self.frame = frame
        self.feeder = ""  # who sends its states, once somebody does
        self.taken, self.refused = len(stream.states), 0
        self.reason = ""  # of the last refusal
        self._observer = observer
        self.path = self._fitted()

    def about(self, frame: MountFrame) -> LiveTarget:
        """The same stream, and feeder, for a mount that stands otherwise."""
        turned = LiveTarget(self.stream, self._observer, frame)
        turned.feeder = self.feeder
        return turned

    def renew(self) -> None:
        """Go on with the states that have come."""
        self.path = self._fitted()

    def over(self, t_utc_ns: int) -> bool:
        """Whether the newest state is older than it may be."""
        return t_utc_ns > self.stream.end_utc_ns

    def receive(self, t_utc_ns: int) -> Look:
        """Where the target's light comes from; outside the path its nearest end."""
        return self.path.receive(t_utc_ns)

    def point_ahead(self, t_utc_ns: int) -> Pair:
        """Transmit minus receive direction."""
        return self.path.point_ahead(t_utc_ns)

    def sigma_rad(self, t_utc_ns: int) -> Pair:
        """One sigma of where the target is said to be, across and along the second axis, as all pairs are."""
        look = self.receive(t_utc_ns)
        azimuth, elevation = self.frame.sky(look.azimuth_rad, look.elevation_rad)
        place = look._replace(azimuth_rad=azimuth, elevation_rad=elevation)
        seen = on_sky_rad2(self.stream, t_utc_ns, place, self._observer)
        if seen is not None:
            turn = self.frame.field_rotation_rad(azimuth, elevation)
            seen = about_axes(about_axes(seen, turn).T, turn)
        variances = np.zeros(2) if seen is None else np.maximum(np.diag(seen), 0.0)
        return math.sqrt(variances[0]), math.sqrt(variances[1])

    def _fitted(self) -> Trajectory:
        """Up to the newest state and beyond it apart: the acceleration changes there."""
        newest = self.stream.epoch_utc_ns
        edges = newest - BEFORE_NS, newest, self.stream.end_utc_ns
        path = trajectory.fit_between(lambda t: apparent_enu_m(self.stream, t, self._observer), edges, NODES)
        return path if self.frame.level else path.turned(self.frame.rotation)
