"""Mount model: from a direction in the sky to the encoder angles that point there, and back.

All terms in radians but PEE1, named after TPOINT's (P. T. Wallace, "TPOINT, a telescope pointing analysis system";
"A rigorous algorithm for telescope pointing", SPIE 4848, 2002) for an alt-azimuth mount; signs as defined here:

    IA, IE   encoder minus axis angle of azimuth and elevation
    AN, AW   tilt of the azimuth axis towards north and towards west
    NPAE     tilt of the elevation axis: its right end is high when positive
    CA       collimation: the boresight looks this far to the right of square to the elevation axis
    BA, BE   half the backlash: the encoder leads the axis by this in the direction of motion

and, where a fit finds that they are there, what the encoder shows more than the axis angles A and E:

    TF, TX   flexure of the tube, which sinks: TF cos E and TX cot E, in elevation
    PEE1     scale of the elevation encoder: PEE1 times E, without unit
    HASA ... harmonics, H, encoder, function, angle, order: HASA2 is in azimuth, sin 2A; HESE in elevation, sin E

The geometry is a chain of exact rotations, not the small-angle series, so there and back agree to rounding. To first
order the boresight lies right of the azimuth that the axis reads by CA/cos E - NPAE tan E, and so on.

Of a mount whose first axis is not vertical (controller/pointing/mount_frame.py) everything here is about its own axes:
azimuth is the angle about the first, elevation that of the second, north where the first is zero. Its tube sinks
towards the ground all the same: TF and TX act along the vertical, and HECE and HECA are terms of their own, which an
alt-azimuth mount has no need of (they are TF and a part of AN there).

An elevation beyond 90 degrees is a mount that has gone over the top: the same direction with azimuth turned by half.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from controller.errors import BoresightError
from controller.pointing.mount_frame import ALT_AZ, Matrix, MountFrame, Vector

TERMS = ("IA", "IE", "CA", "NPAE", "AN", "AW", "BA", "BE")  # of every mount
FLEXURE = ("TF", "TX", "PEE1", "HASA", "HACA", "HASA2", "HACA2", "HESE", "HESA2", "HECA2")  # of some
FLEXURE_ROUNDS = 7  # terms of half a degree: 1e-14 rad
LEANING = (*FLEXURE, "HECE", "HECA")  # of some whose first axis is not vertical
ALL = (*TERMS, *LEANING)
COT_E_MIN_RAD = math.radians(5.0)  # below, flexure grows no further
Signs = tuple[float, float]


class MountModelError(BoresightError, ValueError):
    """A mount model cannot be read, or a direction cannot be reached with it."""


@dataclass(frozen=True)
class MountModel:
    """The terms, in radians; all zero is a perfect mount. Angles are those of its own axes, as it stands."""

    IA: float = 0.0
    IE: float = 0.0
    CA: float = 0.0
    NPAE: float = 0.0
    AN: float = 0.0
    AW: float = 0.0
    BA: float = 0.0
    BE: float = 0.0
    TF: float = 0.0
    TX: float = 0.0
    PEE1: float = 0.0
    HASA: float = 0.0
    HACA: float = 0.0
    HASA2: float = 0.0
    HACA2: float = 0.0
    HESE: float = 0.0
    HESA2: float = 0.0
    HECA2: float = 0.0
    HECE: float = 0.0
    HECA: float = 0.0
    frame: MountFrame = ALT_AZ

    def encoder(self, azimuth_rad: float, elevation_rad: float, motion: Signs = (0.0, 0.0)) -> tuple[float, float]:
        """Encoder angles (azimuth near the azimuth given, elevation) that put the boresight on a direction.

        `motion` says where in the play each axis is: +1 when it arrived with growing angle, -1 falling, 0 centred.
        Raises MountModelError for the small cap about the azimuth axis that a collimation error hides.
        """
        looks = _vector(azimuth_rad, elevation_rad)
        x, y, z = _turn(self._tilt, self._lifted(looks) if self._sags else looks)
        sine = (z - math.sin(self.CA) * math.sin(self.NPAE)) / (math.cos(self.CA) * math.cos(self.NPAE))
        if abs(sine) > 1.0:
            raise MountModelError(
                f"Elevation {math.degrees(elevation_rad):.3f} deg cannot be reached: collimation hides the zenith."
            )
        elevation_axis = math.asin(sine)
        if elevation_rad > math.pi / 2:
            elevation_axis = math.pi - elevation_axis
        right, forward = self._in_fork(elevation_axis)
        azimuth_axis = math.atan2(x, y) - math.atan2(right, forward)
        azimuth_axis = azimuth_rad + math.remainder(azimuth_axis - azimuth_rad, math.tau)
        more = self._flexure(azimuth_axis, elevation_axis) if self._flexes else (0.0, 0.0)
        azimuth, elevation = azimuth_axis + more[0], elevation_axis + more[1]
        return azimuth + self.IA + motion[0] * self.BA, elevation + self.IE + motion[1] * self.BE

    def direction(
        self, azimuth_encoder_rad: float, elevation_encoder_rad: float, motion: Signs = (0.0, 0.0)
    ) -> tuple[float, float]:
        """Where the boresight looks (azimuth near the encoder's, elevation): the inverse of `encoder`."""
        azimuth_axis = azimuth_encoder_rad - self.IA - motion[0] * self.BA
        elevation_axis = elevation_encoder_rad - self.IE - motion[1] * self.BE
        if self._flexes:
            azimuth_axis, elevation_axis = self._axes(azimuth_axis, elevation_axis)
        right, forward = self._in_fork(elevation_axis)
        lift = math.cos(self.CA) * math.sin(elevation_axis)
        up = math.sin(self.CA) * math.sin(self.NPAE) + lift * math.cos(self.NPAE)
        c, s = math.cos(azimuth_axis), math.sin(azimuth_axis)
        looks = _turn(_transpose(self._tilt), (c * right + s * forward, c * forward - s * right, up))
        x, y, z = self._sunk(looks) if self._sags else looks
        elevation = math.atan2(z, math.hypot(x, y))
        if math.cos(elevation_axis) < 0.0:  # over the top
            x, y, elevation = -x, -y, math.pi - elevation
        azimuth = azimuth_axis + math.remainder(math.atan2(x, y) - azimuth_axis, math.tau)
        return azimuth, elevation

    @cached_property
    def _flexes(self) -> bool:
        return any(getattr(self, term) for term in LEANING)

    @cached_property
    def _sags(self) -> bool:
        """Whether the tube sinks in another direction than that of the second axis."""
        return not self.frame.level and bool(self.TF or self.TX)

    def _lifted(self, looks: Vector) -> Vector:
        """Where the tube would look if it did not sink."""
        x, y, z = looks
        up = self.frame.zenith
        sine = x * up[0] + y * up[1] + z * up[2]
        level = math.sqrt(max(0.0, 1.0 - sine * sine))
        if level < 1e-12:
            return looks
        angle = level * (self.TF + self.TX / max(sine, math.sin(COT_E_MIN_RAD)))
        c, s = math.cos(angle) - math.sin(angle) * sine / level, math.sin(angle) / level
        return c * x + s * up[0], c * y + s * up[1], c * z + s * up[2]

    def _sunk(self, looks: Vector) -> Vector:
        """The inverse of `_lifted`, each round a hundred times nearer."""
        sunk = looks
        for _ in range(FLEXURE_ROUNDS):
            lifted = self._lifted(sunk)
            x, y, z = (s + wanted - is_ for s, wanted, is_ in zip(sunk, looks, lifted, strict=True))
            length = math.sqrt(x * x + y * y + z * z)
            sunk = x / length, y / length, z / length
        return sunk

    def _flexure(self, azimuth: float, elevation: float) -> tuple[float, float]:
        """What the encoders show more than the axes stand at, zero points and play aside."""
        lean = min(max(elevation, COT_E_MIN_RAD), math.pi - COT_E_MIN_RAD)  # over the top, too
        sinks = 0.0 if self._sags else self.TF * math.cos(elevation) + self.TX / math.tan(lean)
        return (
            self.HASA * math.sin(azimuth)
            + self.HACA * math.cos(azimuth)
            + self.HASA2 * math.sin(2 * azimuth)
            + self.HACA2 * math.cos(2 * azimuth),
            sinks
            + self.PEE1 * elevation
            + self.HESE * math.sin(elevation)
            + self.HESA2 * math.sin(2 * azimuth)
            + self.HECA2 * math.cos(2 * azimuth)
            + self.HECE * math.cos(elevation)
            + self.HECA * math.cos(azimuth),
        )

    def _axes(self, azimuth: float, elevation: float) -> tuple[float, float]:
        """The axes that show these angles: the inverse of `_flexure`, each round a hundred times nearer."""
        axes = azimuth, elevation
        for _ in range(FLEXURE_ROUNDS):
            more = self._flexure(*axes)
            axes = azimuth - more[0], elevation - more[1]
        return axes

    def _in_fork(self, elevation_axis: float) -> tuple[float, float]:
        """The boresight's horizontal components (right, forward) in the frame that turns in azimuth."""
        lift = math.cos(self.CA) * math.sin(elevation_axis)
        right = math.sin(self.CA) * math.cos(self.NPAE) - lift * math.sin(self.NPAE)
        return right, math.cos(self.CA) * math.cos(elevation_axis)

    @cached_property
    def _tilt(self) -> Matrix:
        """Rotation from east-north-up to the frame of the tilted azimuth axis."""
        # The axis leans by `angle` towards the direction (east, north) = (-AW, AN): turn about the horizontal
        # perpendicular to it (Rodrigues).
        angle = math.hypot(self.AN, self.AW)
        if angle == 0.0:
            return ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
        east, north = -self.AW / angle, self.AN / angle
        c, s = math.cos(angle), math.sin(angle)
        k = 1.0 - c
        return (
            (1.0 - k * east * east, -k * east * north, -s * east),
            (-k * east * north, 1.0 - k * north * north, -s * north),
            (s * east, s * north, c),
        )

    def changed(self, **terms: float) -> MountModel:
        """The same model with some terms replaced."""
        return replace(self, **terms)  # type: ignore[arg-type]  # of fields that are angles

    def standing(self, frame: MountFrame) -> MountModel:
        """The same terms of a mount that stands otherwise."""
        return replace(self, frame=frame)

    def published(self, term: str) -> tuple[str, float]:
        """A term by the name, and with the sign, that it has for a mount that stands like this."""
        name, sign = self.frame.published(term)
        return name, sign * float(getattr(self, term)) + 0.0  # never -0.0

    def save(
        self, path: str | Path, note: str = "", sigma_rad: float | None = None, *, simulated: bool = False
    ) -> None:
        """Write the terms as TOML, with how good they are over the sky (one sigma of one axis) where that is known.

        `simulated`: they are those of an emulated mount, which a real one refuses.
        """
        lines = ["# Mount model of boresight: terms in radians.", *(f"# {row}" for row in note.splitlines()), "[mount]"]
        told = (self.published(term) for term in ALL if getattr(self, term) or term in TERMS)
        lines += [f"{name} = {value!r}" for name, value in told]
        if not self.frame.level:
            lines += ["[stands]", *(f"{key} = {json.dumps(value)}" for key, value in _stands(self.frame).items())]
        lines += ["[fit]", f"simulated = {str(simulated).lower()}"]
        lines += [f"sky_sigma_rad = {sigma_rad!r}"] if sigma_rad is not None else []
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path, frame: MountFrame = ALT_AZ, *, real: bool = False) -> MountModel:
        """Read what `save` wrote of a mount that stands like this; of an emulated one not for a `real` one.

        Raises MountModelError naming file and term.
        """
        tables = _tables(path)
        if real and tables.get("fit", {}).get("simulated"):
            raise MountModelError(
                f"{path}: was calibrated on emulated devices, and the gimbal is real; remove it, or give this rig a "
                "folder of its own (--run-dir), and calibrate."
            )
        here, there = _stands(frame), _stands(ALT_AZ) | tables.get("stands", {})
        if here != there:
            told = ("{mount}, axis at {axis_azimuth_deg}, {axis_elevation_deg} deg".format(**s) for s in (there, here))
            raise MountModelError(
                f"{path}: the model of a mount that stands otherwise ({' and not '.join(told)}); calibrate again."
            )
        return cls.from_body(tables["mount"], str(path), frame)

    @classmethod
    def from_body(cls, body: dict[str, object], source: str = "mount model", frame: MountFrame = ALT_AZ) -> MountModel:
        """Terms from plain data, by their names. Raises MountModelError naming the term that is unknown or no angle."""
        known = {name: (term, sign) for term in ALL for name, sign in [frame.published(term)]}
        terms = {}
        for name, value in body.items():
            if name not in known:
                raise MountModelError(f"{source}: unknown term {name}; a mount model has {', '.join(known)}.")
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < math.tau:
                raise MountModelError(f"{source}: term {name} is {value!r} and should be an angle in radians.")
            term, sign = known[name]
            terms[term] = sign * float(value)
        return cls(**terms, frame=frame)

    def to_body(self) -> dict[str, float]:
        """Terms as plain data, by their names."""
        return dict(self.published(term) for term in ALL)


def saved_sigma_rad(path: str | Path) -> float | None:
    """How good the model of a file is over the sky, where the file says. Raises MountModelError."""
    value = _tables(path).get("fit", {}).get("sky_sigma_rad")
    if value is not None and (not isinstance(value, float) or not 0.0 <= value < 1.0):
        raise MountModelError(f"{path}: sky_sigma_rad is {value!r} and should be an angle in radians.")
    return value


def _stands(frame: MountFrame) -> dict[str, object]:
    """How a mount stands, to a thousandth of an arc second."""
    angles = (round(math.degrees(angle), 7) for angle in (frame.axis_azimuth_rad, frame.axis_elevation_rad))
    return dict(zip(("mount", "axis_azimuth_deg", "axis_elevation_deg"), (frame.kind, *angles), strict=True))


def _tables(path: str | Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MountModelError(f"{path}: not a mount model ({error}); calibrate and save one.") from None
    if "mount" not in tables:
        raise MountModelError(f"{path}: not a mount model (no table [mount]); calibrate and save one.")
    return tables


def _vector(azimuth_rad: float, elevation_rad: float) -> Vector:
    c = math.cos(elevation_rad)
    return math.sin(azimuth_rad) * c, math.cos(azimuth_rad) * c, math.sin(elevation_rad)


def _turn(m: Matrix, v: Vector) -> Vector:
    x, y, z = (row[0] * v[0] + row[1] * v[1] + row[2] * v[2] for row in m)
    return x, y, z


def _transpose(m: Matrix) -> Matrix:
    a, b, c = zip(*m, strict=True)
    return a, b, c
