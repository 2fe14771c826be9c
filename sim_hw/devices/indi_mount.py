"""An alt-azimuth mount as a driver of INDI knows it: in azimuth and altitude, or in right ascension and declination.

It goes the shorter way round in azimuth, follows a star where it is told to, and knows its place and the time. The
sphere is ERFA's.
"""

from __future__ import annotations

import math

import erfa

from sim_hw.devices.encoders import AXES, Encoders, Mount
from sim_hw.devices.slew import Slew
from sim_hw.timeline import NS, Timeline

J2000_JD, J2000_S = 2_451_545.0, 946_728_000
EQUATORIAL = {"RA": (0.0, 24.0), "DEC": (-90.0, 90.0)}
HORIZONTAL = {"AZ": (0.0, 360.0), "ALT": (-90.0, 90.0)}
ALTITUDE_DEG = (-5.0, 90.0)
MOTION_DELAY_S = 0.05
ARRIVED_RAD = 50e-6  # near enough to a star, which goes on
STEP_S = 0.2  # a star is followed in steps
Angles = tuple[float, ...]


class IndiMount:
    """`coordinates` is the name of the vector of its angles, `ranges` are those of its elements.

    `follows`: once it is where it was sent it follows the stars, whatever it was told, as drivers of libindi do.
    """

    def __init__(
        self, timeline: Timeline, mount: Mount, rate_max_rad_s: float, acceleration_max_rad_s2: float,
        equatorial: bool, follows: bool,
    ) -> None:  # fmt: skip
        self.site_deg = 0.0, 0.0
        self.tracks = False  # it follows the stars
        self.moving = False  # it is on its way to where it was sent
        self.coordinates = "EQUATORIAL_EOD_COORD" if equatorial else "HORIZONTAL_COORD"
        self.ranges = EQUATORIAL if equatorial else HORIZONTAL
        self._timeline, self._equatorial, self._follows = timeline, equatorial, follows
        self._axes = Encoders(mount)
        self.conditions = self._axes.conditions
        self._slew = Slew(
            timeline, self._axes.encoder_rad, self._axes.set_rate, rate_max_rad_s, acceleration_max_rad_s2
        )
        self._star: Angles | None = None  # in the sky; None: its goal is a direction, and it is on its way there
        self._then_tracks = False
        self._number = 0  # of what it was told last; a step of something earlier finds another number and ends

    def angles(self) -> Angles:
        """What its driver reads: degrees, and hours of right ascension."""
        azimuth_rad, altitude_rad = self._axes.encoder_rad()
        if self._equatorial:
            return self._sky(azimuth_rad, altitude_rad)
        return math.degrees(azimuth_rad) % 360.0, math.degrees(altitude_rad)

    def go(self, angles: Angles, tracks: bool) -> bool:
        """Be on the way there, and follow the stars then; False where that is below its horizon.

        A right ascension stays one on the way: the sky turns meanwhile.
        """
        azimuth_rad, altitude_rad = self._place(angles) if self._equatorial else tuple(map(math.radians, angles))
        if not ALTITUDE_DEG[0] <= math.degrees(altitude_rad) <= ALTITUDE_DEG[1]:
            return False
        self._begin(azimuth_rad, altitude_rad, angles if self._equatorial else None, tracks or self._follows)
        return True

    def park(self) -> None:
        """Go north, level."""
        self._begin(0.0, 0.0, None, False)

    def track(self, on: bool) -> None:
        """Follow the stars from here, or not; on its way it goes on."""
        if self.moving:
            return
        self.stop()
        if on:
            self._star, self.tracks = self._sky(*self._axes.encoder_rad()), True
            self._step(self._number)

    def stop(self) -> None:
        """Bring both axes to rest."""
        self._number += 1
        self.tracks = self.moving = False
        self._slew.cancel()
        for axis in AXES:
            self._axes.set_rate(axis, 0.0)

    def _begin(self, azimuth_rad: float, altitude_rad: float, star: Angles | None, tracks: bool) -> None:
        self._number += 1
        self.tracks, self.moving = False, True
        self._star, self._then_tracks = star, tracks
        number = self._number
        begin_ns = self._timeline.now_ns + (0 if self._slew.active else round(MOTION_DELAY_S * NS))
        self._slew.start(begin_ns, azimuth_rad, altitude_rad)
        self._timeline.schedule(begin_ns + 1, lambda: self._step(number))

    def _step(self, number: int) -> None:
        if number != self._number:
            return
        if self.moving and self._arrived():
            self.stop()
            if self._then_tracks:
                self.track(True)
            return
        if self._star is not None:
            self._slew.start(self._timeline.now_ns, *self._place(self._star))
        self._timeline.after(STEP_S, lambda: self._step(number))

    def _arrived(self) -> bool:
        if self._star is None:
            return not self._slew.active
        here, there = self._axes.encoder_rad(), self._place(self._star)
        across_rad = math.remainder(here[0] - there[0], math.tau) * math.cos(there[1])
        return max(abs(across_rad), abs(here[1] - there[1])) < ARRIVED_RAD

    def _sidereal_rad(self) -> float:
        days = (self._timeline.utc_ns / NS - J2000_S) / 86_400
        return float(erfa.gst94(J2000_JD, days)) + math.radians(self.site_deg[1])

    def _sky(self, azimuth_rad: float, altitude_rad: float) -> Angles:
        """Right ascension in hours and declination in degrees of a direction, now."""
        hour_angle, declination = erfa.ae2hd(azimuth_rad, altitude_rad, math.radians(self.site_deg[0]))
        hours = math.degrees(self._sidereal_rad() - float(hour_angle)) % 360.0 / 15.0
        return hours, math.degrees(float(declination))

    def _place(self, star: Angles) -> tuple[float, float]:
        """Azimuth and altitude in radians of a right ascension and a declination, now."""
        hour_angle = self._sidereal_rad() - math.radians(15.0 * star[0])
        azimuth, altitude = erfa.hd2ae(hour_angle, math.radians(star[1]), math.radians(self.site_deg[0]))
        return float(azimuth), float(altitude)
