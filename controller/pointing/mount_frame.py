"""How a mount stands: the exact rotation from the sky to its own two axes, and what its terms are called there.

The first axis of an alt-azimuth mount is vertical, that of an equatorial one points at the celestial pole that is up,
that of an alt-alt one at the horizon. About it the primary angle grows as azimuth does about the vertical: clockwise,
seen from where the axis points to. Of an alt-azimuth mount it is azimuth; of the others it is zero where the second
axis swings through the zenith. The secondary angle is the one above the plane square to the first axis. So an
equatorial mount has hour angle and declination in the north, and both with their signs reversed in the south.

The keyhole is where the first axis points: with this rotation all that plans and drives for azimuth and elevation
(plan, keyhole, wrap, loop, fit) does so for any mount, and none of it knows how that mount stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from hal.rig import Rig

Kind = Literal["alt-az", "equatorial", "alt-alt"]
Pair = tuple[float, float]
Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]
UP: Vector = (0.0, 0.0, 1.0)
LEVEL: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), UP)
UPRIGHT = 1e-12  # sine of the angle to the vertical below which an axis has no direction on the ground

# Of an equatorial mount: the name and the sign of each term, in the north and in the south. Names and signs are
# TPOINT's (P. T. Wallace), whose corrections lead from what the encoders show to where the telescope looks, in hour
# angle (westwards) and declination (northwards); Software Bisque's list of TPoint's terms has the same, and RTS2
# applies them so. BH and BD are half the play of the two axes.
EQUATORIAL: dict[str, tuple[str, int, int]] = {
    "IA": ("IH", -1, +1),  # index of hour angle: IH
    "IE": ("ID", -1, +1),  # index of declination: ID
    "CA": ("CH", +1, -1),  # collimation: CH sec d, in hour angle
    "NPAE": ("NP", -1, -1),  # axes not square: NP tan d, in hour angle
    "AN": ("ME", -1, +1),  # pole in elevation: ME sin h tan d and ME cos h
    "AW": ("MA", +1, +1),  # pole in azimuth: -MA cos h tan d and MA sin h
    "BA": ("BH", +1, +1),
    "BE": ("BD", +1, +1),
    "TF": ("TF", +1, +1),  # the tube sinks by TF times the sine of the zenith distance
    "TX": ("TX", +1, +1),  # and by TX times its tangent
    "PEE1": ("PDD", +1, +1),  # scale of declination: -PDD d
    "HASA": ("HCES", -1, -1),  # circle of hour angle off its centre: HCES sin h
    "HACA": ("HCEC", -1, +1),  # and HCEC cos h
    "HASA2": ("HHSH2", -1, -1),  # HHSH2 sin 2h, in hour angle
    "HACA2": ("HHCH2", -1, +1),  # HHCH2 cos 2h
    "HESE": ("DCES", -1, -1),  # circle of declination off its centre: DCES sin d
    "HECE": ("DCEC", -1, +1),  # and DCEC cos d
    "HECA": ("FO", -1, +1),  # the fork bends: FO cos h, in declination
    "HESA2": ("HDSH2", -1, -1),  # HDSH2 sin 2h, in declination
    "HECA2": ("HDCH2", -1, +1),  # HDCH2 cos 2h
}


@dataclass(frozen=True)
class MountFrame:
    """Where the first axis points: azimuth from north through east, and elevation; radians."""

    kind: Kind = "alt-az"
    axis_azimuth_rad: float = 0.0
    axis_elevation_rad: float = math.pi / 2

    @classmethod
    def of(cls, rig: Rig) -> MountFrame:
        """How a rig says that its mount stands; an equatorial one points at the pole that is up unless it says more."""
        gimbal, latitude_deg = rig.gimbal, rig.station.latitude_deg
        if gimbal.mount == "alt-az":
            return ALT_AZ
        azimuth_deg, elevation_deg = gimbal.axis_azimuth_deg, gimbal.axis_elevation_deg
        equatorial = gimbal.mount == "equatorial"
        if azimuth_deg is None:
            azimuth_deg = 180.0 if equatorial and latitude_deg < 0 else 0.0
        if elevation_deg is None:
            elevation_deg = abs(latitude_deg) if equatorial else 0.0
        return cls(gimbal.mount, math.radians(azimuth_deg), math.radians(elevation_deg))

    @classmethod
    def equatorial(cls, latitude_rad: float) -> MountFrame:
        """Of a mount whose first axis points at the celestial pole that is up."""
        return cls("equatorial", math.pi if latitude_rad < 0 else 0.0, abs(latitude_rad))

    @property
    def level(self) -> bool:
        """Whether the axes are those of azimuth and elevation, so that nothing has to be turned."""
        return self.kind == "alt-az"

    @cached_property
    def rotation(self) -> Matrix:
        """From (east, north, up) to what is east, north and up for the mount."""
        if self.level:
            return LEVEL
        c, s = math.cos(self.axis_elevation_rad), math.sin(self.axis_elevation_rad)
        east, north = math.sin(self.axis_azimuth_rad), math.cos(self.axis_azimuth_rad)
        axis = (c * east, c * north, s)
        # Square to the axis, on the zenith's side.
        zero = (-s * east, -s * north, c) if c > UPRIGHT else (0.0, 1.0, 0.0)
        right = (
            zero[1] * axis[2] - zero[2] * axis[1],
            zero[2] * axis[0] - zero[0] * axis[2],
            zero[0] * axis[1] - zero[1] * axis[0],
        )
        return right, zero, axis

    @property
    def axis_names(self) -> tuple[str, str]:
        """What an operator calls the two."""
        return {"alt-az": ("azimuth", "elevation"), "equatorial": ("hour angle", "declination")}.get(
            self.kind, ("first axis", "second axis")
        )

    @property
    def zenith(self) -> Vector:
        """The vertical as the mount's axes see it."""
        east, north, up = self.rotation
        return east[2], north[2], up[2]

    def axes(self, azimuth_rad: float, elevation_rad: float) -> Pair:
        """Primary (-pi to pi, but azimuth as it is) and secondary angle of a direction of the sky."""
        return (azimuth_rad, elevation_rad) if self.level else _turned(self.rotation, azimuth_rad, elevation_rad)

    def sky(self, primary_rad: float, secondary_rad: float) -> Pair:
        """Azimuth (-pi to pi, but the primary angle as it is) and elevation of two angles: the inverse of `axes`."""
        if self.level:
            return primary_rad, secondary_rad
        a, b, c = zip(*self.rotation, strict=True)
        return _turned((a, b, c), primary_rad, secondary_rad)

    def field_rotation_rad(self, azimuth_rad: float, elevation_rad: float) -> float:
        """How far to the right of upwards on the sky the second axis moves a telescope that looks there."""
        if self.level:
            return 0.0
        east, north, up = self.rotation[2]
        s, c = math.sin(azimuth_rad), math.cos(azimuth_rad)
        # It moves it towards where the first axis points.
        upwards = up * math.cos(elevation_rad) - (east * s + north * c) * math.sin(elevation_rad)
        return math.atan2(east * c - north * s, upwards)

    def on_sky(self, azimuth_rad: float, elevation_rad: float, pair: Pair) -> Pair:
        """A small pair at a direction, from across and along the second axis to (cross-elevation, elevation)."""
        turn = self.field_rotation_rad(azimuth_rad, elevation_rad)
        s, c = math.sin(turn), math.cos(turn)
        return pair[0] * c + pair[1] * s, pair[1] * c - pair[0] * s

    def published(self, term: str) -> tuple[str, int]:
        """What a term is called, and with which sign; of an alt-alt mount as of an alt-azimuth one that lies down."""
        if self.kind != "equatorial":
            return term, 1
        name, north, south = EQUATORIAL[term]
        return name, north if math.cos(self.axis_azimuth_rad) >= 0 else south


ALT_AZ = MountFrame()


def _turned(m: Matrix, azimuth_rad: float, elevation_rad: float) -> Pair:
    c = math.cos(elevation_rad)
    east, north, up = math.sin(azimuth_rad) * c, math.cos(azimuth_rad) * c, math.sin(elevation_rad)
    x, y, z = (row[0] * east + row[1] * north + row[2] * up for row in m)
    return math.atan2(x, y), math.atan2(z, math.hypot(x, y))
