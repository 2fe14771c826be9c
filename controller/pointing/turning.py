"""Sites under a sky that turns: GMST as straight lines and the sites without polar motion, for searches over days.

Within three hours GMST is a straight line to 1e-12 rad, and the pole moves by less than a millimetre on the ground.
Each line ends a nanosecond before the next begins, so that a leap second falls between two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import erfa
import numpy as np

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site
from controller.geometry.timescales import Floats, Times

NS_PER_MINUTE = 60_000_000_000
KNOT_MINUTES = 180.0
LONGEST_MINUTES = 720.0  # what stays above the mask for longer has no pass
_KNOT_NS = 180 * NS_PER_MINUTE


@dataclass(frozen=True, slots=True)
class Turning:
    """Sites over a span: times in minutes from `reference_utc_ns`, a multiple of three hours of UTC.

    `gmst` (j, 2): angle (radians) at the start of each interval of KNOT_MINUTES, and its rate (radians a minute).
    `sites` (j, m, 6): position (km) and geodetic vertical in the frame that GMST alone turns into TEME.
    """

    reference_utc_ns: int
    gmst: Floats
    sites: Floats

    @classmethod
    def around(cls, sites: Sequence[Site], earth: EarthOrientation, start_utc_ns: int, end_utc_ns: int) -> Turning:
        """Over a span and LONGEST_MINUTES on either side, as far as a pass in the span may reach."""
        margin = round(LONGEST_MINUTES + 60) * NS_PER_MINUTE
        return cls.over(sites, earth, start_utc_ns - margin, end_utc_ns + margin)

    @classmethod
    def over(cls, sites: Sequence[Site], earth: EarthOrientation, start_utc_ns: int, end_utc_ns: int) -> Turning:
        """From before `start_utc_ns` to after `end_utc_ns`. Raises EarthOrientationError outside the table."""
        first = start_utc_ns // _KNOT_NS * _KNOT_NS
        begin = np.arange(first, end_utc_ns + 1, _KNOT_NS, dtype=np.int64)
        end = begin + _KNOT_NS - 1
        at, later = (earth.at(t) for t in (begin, end))
        angle = erfa.gmst82(*at.ut1)
        turned = np.mod(erfa.gmst82(*later.ut1) - angle, 2 * np.pi)  # 0.79 rad, an eighth of a turn
        pole = np.swapaxes(erfa.pom00(at.pole_x_rad, at.pole_y_rad, 0.0), -1, -2)
        place = np.stack([s.itrf_m / 1e3 for s in sites])
        up = np.stack([s.itrf_to_enu[2] for s in sites])
        fixed = np.concatenate([np.einsum("jab,mb->jma", pole, v) for v in (place, up)], axis=-1)
        gmst = np.stack([angle, turned / ((_KNOT_NS - 1) / NS_PER_MINUTE)], axis=-1)
        return cls(first, gmst, np.ascontiguousarray(fixed))

    def minutes(self, t_utc_ns: Times | int) -> Floats:
        """UTC nanoseconds as minutes of this span."""
        result: Floats = (np.asarray(t_utc_ns, dtype=np.int64) - self.reference_utc_ns) / NS_PER_MINUTE
        return result

    def utc_ns(self, minutes: Floats) -> Times:
        """Minutes of this span as UTC nanoseconds."""
        return self.reference_utc_ns + np.round(np.asarray(minutes) * NS_PER_MINUTE).astype(np.int64)

    def teme(self, minutes: Floats, site: int) -> tuple[Floats, Floats, Floats]:
        """Position (km) and vertical of a site in TEME, (..., 3) each, and the Earth's rate (radians a minute)."""
        interval = np.clip((minutes / KNOT_MINUTES).astype(np.int64), 0, len(self.gmst) - 1)
        angle, rate = self.gmst[interval, 0], self.gmst[interval, 1]
        theta = angle + rate * (minutes - interval * KNOT_MINUTES)
        c, s = np.cos(theta), np.sin(theta)
        turned = self.sites[interval, site]
        for x in (0, 3):
            turned[..., x], turned[..., x + 1] = (
                c * turned[..., x] - s * turned[..., x + 1],
                s * turned[..., x] + c * turned[..., x + 1],
            )
        return turned[..., :3], turned[..., 3:], rate
