"""The axes of a rotator: angles between hard stops, moved by being sent somewhere, at a speed of their own."""

from __future__ import annotations

import math

from sim_hw.devices.encoders import Encoders, Mount
from sim_hw.devices.slew import Slew
from sim_hw.timeline import NS, Timeline

DegreesPair = tuple[float, float]


class Travel:
    """Both axes in degrees. Motion begins `motion_delay_s` after it was asked for: relays, a soft start."""

    def __init__(
        self, timeline: Timeline, mount: Mount, *, rate_max_rad_s: float, acceleration_max_rad_s2: float,
        stops_deg: tuple[DegreesPair, DegreesPair], motion_delay_s: float = 0.05,
    ) -> None:  # fmt: skip
        self._timeline = timeline
        self._mount = Encoders(mount)
        self._slew = Slew(
            timeline,
            self._mount.encoder_rad,
            self._mount.set_rate,
            rate_max_rad_s,
            acceleration_max_rad_s2,
            turns=False,
        )
        self._stops_deg, self._rate_max_rad_s = stops_deg, rate_max_rad_s
        self._delay_ns = round(motion_delay_s * NS)
        # The mount behind knows no stops: it begins in the turn from 0 to 360 degrees.
        self._turn_deg = 360.0 * math.floor(math.degrees(mount.encoder_rad()[0]) / 360.0)
        self._target_deg = self.angles_deg()
        self.conditions = self._mount.conditions

    @property
    def moving(self) -> bool:
        """It is on its way."""
        return self._slew.active

    def angles_deg(self) -> DegreesPair:
        """Azimuth and elevation as its potentiometers or encoders have them."""
        azimuth_rad, elevation_rad = self._mount.encoder_rad()
        return math.degrees(azimuth_rad) - self._turn_deg, math.degrees(elevation_rad)

    def go(self, azimuth_deg: float | None = None, elevation_deg: float | None = None) -> None:
        """Send axes somewhere, at most to their stops; an axis that is not named goes on as it was told."""
        for axis, goal in enumerate((azimuth_deg, elevation_deg)):
            if goal is not None:
                self._slew.speeds_rad_s[axis] = self._rate_max_rad_s
        self._go(azimuth_deg, elevation_deg)

    def _go(self, azimuth_deg: float | None, elevation_deg: float | None) -> None:
        here = self.angles_deg()
        before = self._target_deg if self.moving else here
        wanted = [before[axis] if goal is None else goal for axis, goal in enumerate((azimuth_deg, elevation_deg))]
        self._target_deg = self._between(0, wanted[0]), self._between(1, wanted[1])
        azimuth, elevation = self._target_deg
        begin_ns = self._timeline.now_ns + (0 if self.moving else self._delay_ns)
        self._slew.start(begin_ns, math.radians(azimuth + self._turn_deg), math.radians(elevation))

    def turn(self, axis: int, sign: int, speed_rad_s: float = math.inf) -> None:
        """Turn an axis until it is stopped, or at its stop."""
        goal = self._stops_deg[axis][sign > 0]
        self._slew.speeds_rad_s[axis] = min(speed_rad_s, self._rate_max_rad_s)
        self._go(*((goal, None) if axis == 0 else (None, goal)))

    def stop(self, *axes: int) -> None:
        """Bring axes to rest where they are; without any, both."""
        if axes in ((0,), (1,)) and self.moving:
            self.go(*(angle if axis in axes else None for axis, angle in enumerate(self.angles_deg())))
            return
        self._slew.cancel()
        for axis in (0, 1):
            self._mount.set_rate(axis, 0.0)

    def _between(self, axis: int, angle_deg: float) -> float:
        low, high = self._stops_deg[axis]
        return min(high, max(low, angle_deg))
