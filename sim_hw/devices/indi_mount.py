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
ALTITUDE_DEG = (-5.0, 90.0)
MOTION_DELAY_S = 0.05
FOLLOW_S = 1.0  # a star is followed in steps
Angles = tuple[float, ...]


class IndiMount:
    """`coordinates` is the name of the vector of its angles, `ranges` are those of its elements."""

    def __init__(
        self, timeline: Timeline, mount: Mount, rate_max_rad_s: float, acceleration_max_rad_s2: float, equatorial: bool
    ) -> None:
        self.site_deg = 0.0, 0.0
        self.tracks = False
        self.coordinates = "EQUATORIAL_EOD_COORD" if equatorial else "HORIZONTAL_COORD"
        self.ranges = (
            {"RA": (0.0, 24.0), "DEC": (-90.0, 90.0)} if equatorial else {"AZ": (0.0, 360.0), "ALT": (-90.0, 90.0)}
        )
        self._timeline, self._equatorial = timeline, equatorial
        self._axes = Encoders(mount)
        self.conditions = self._axes.conditions
        self._slew = Slew(
            timeline, self._axes.encoder_rad, self._axes.set_rate, rate_max_rad_s, acceleration_max_rad_s2
        )
        self._goes = False  # to where it was sent; while it follows a star it does not
        self._star: Angles = ()
        self._follows = 0

    @property
    def moving(self) -> bool:
        """It is on its way to where it was sent."""
        self._goes = self._goes and self._slew.active
        return self._goes

    def angles(self) -> Angles:
        """What its driver reads: degrees, and hours of right ascension."""
        azimuth_rad, altitude_rad = self._axes.encoder_rad()
        if self._equatorial:
            return self._sky(azimuth_rad, altitude_rad)
        return math.degrees(azimuth_rad) % 360.0, math.degrees(altitude_rad)

    def go(self, angles: Angles, tracks: bool) -> bool:
        """Be on the way there, and follow the stars then; False where that is below its horizon."""
        azimuth_rad, altitude_rad = self._place(angles) if self._equatorial else tuple(map(math.radians, angles))
        if not ALTITUDE_DEG[0] <= math.degrees(altitude_rad) <= ALTITUDE_DEG[1]:
            return False
        self.track(False)
        self._goes = True
        begin_ns = self._timeline.now_ns + (0 if self._slew.active else round(MOTION_DELAY_S * NS))
        self._slew.start(begin_ns, azimuth_rad, altitude_rad)
        if tracks:
            self.track(True)
            self._star = angles if self._equatorial else self._sky(azimuth_rad, altitude_rad)
        return True

    def park(self) -> None:
        """Go north, level."""
        self.track(False)
        self._goes = True
        self._slew.start(self._timeline.now_ns, 0.0, 0.0)

    def track(self, on: bool) -> None:
        """Follow the stars from here, or not."""
        self._follows += 1
        self.tracks = on
        if on:
            self._star = self._sky(*self._axes.encoder_rad())
            self._follow(self._follows)
        elif not self._goes:
            self.stop()

    def stop(self) -> None:
        """Bring both axes to rest."""
        self._follows += 1
        self.tracks = self._goes = False
        self._slew.cancel()
        for axis in AXES:
            self._axes.set_rate(axis, 0.0)

    def _follow(self, number: int) -> None:
        if number != self._follows:
            return
        if not self.moving:
            self._slew.start(self._timeline.now_ns, *self._place(self._star))
        self._timeline.after(FOLLOW_S, lambda: self._follow(number))

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
