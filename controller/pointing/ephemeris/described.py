"""A target described in a few lines of TOML: a star, a body, a site on the Moon or Mars, a direction over the station.

[target]
kind = "site"            # star, body, site or fixed
name = "Apollo 15"
body = "moon"
latitude_deg = 26.1333
longitude_deg = 3.6285   # east positive
height_m = 0.0
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from controller.geometry.body_rotation import FIGURES, place_m, to_icrf
from controller.geometry.deep_space import STAR_RANGE_M
from controller.geometry.frames import azel_to_enu
from controller.geometry.solar_system import NAMES, SolarSystem, built_in
from controller.geometry.stars import Star
from controller.geometry.timescales import Floats, Times, tdb_jd
from controller.pointing.ephemeris.bodies import Body, body_named
from controller.pointing.ephemeris.ephemeris import (
    Ephemeris,
    EphemerisError,
    Flags,
    Frame,
    between,
    check_span,
    nearest,
)

FOREVER_NS = (-2_208_988_800_000_000_000, 4_102_444_800_000_000_000)  # 1900 to 2100
MAS = math.radians(1.0) / 3_600_000.0
PARSEC_M = 3.0856775814913673e16
FAR_PARSECS = 1e6  # of a star without a parallax
J2000 = 2451545.0
NUMBERS: dict[str, dict[str, tuple[float, float, float | None]]] = {  # least, greatest, default
    "star": {
        "right_ascension_deg": (0, 360, None), "declination_deg": (-90, 90, None),
        "motion_ra_mas_yr": (-20_000, 20_000, 0.0), "motion_dec_mas_yr": (-20_000, 20_000, 0.0),
        "parallax_mas": (0, 1000, 0.0), "epoch_yr": (1800, 2200, 2000.0),
    },
    "body": {},
    "site": {"latitude_deg": (-90, 90, None), "longitude_deg": (-360, 360, None), "height_m": (-9000, 1e8, 0.0)},
    "fixed": {"azimuth_deg": (-360, 720, None), "elevation_deg": (-90, 90, None)},
}  # fmt: skip


@dataclass(frozen=True)
class Described:
    """What is the same for every described target."""

    name: str
    source: str
    values: dict[str, float] = field(repr=False)
    start_utc_ns: int = FOREVER_NS[0]
    end_utc_ns: int = FOREVER_NS[1]
    epoch_utc_ns: int = 0
    age_max_days: float = math.inf
    notes: tuple[str, ...] = ()
    solar_system: SolarSystem | None = None

    def known(self, t_utc_ns: Times) -> Flags:
        """Everywhere between the ends."""
        return between(t_utc_ns, self.start_utc_ns, self.end_utc_ns)

    def covariance_m2(self, t_utc_ns: int) -> Floats | None:
        """Nobody says."""
        return None


class FixedDirection(Described):
    """Azimuth and elevation as the mount points, over whatever station asks."""

    frame = Frame.HORIZON
    format = "direction over the station"

    def position_m(self, t_utc_ns: Times) -> Floats:
        """The same east-north-up vector (n, 3) at any time."""
        azimuth, elevation = (math.radians(self.values[key]) for key in ("azimuth_deg", "elevation_deg"))
        return np.tile(STAR_RANGE_M * azel_to_enu(azimuth, elevation), (np.size(t_utc_ns), 1))


class CatalogueStar(Described):
    """A place of a catalogue (ICRS) with its motion; parallax when it is known."""

    frame = Frame.STAR
    format = "right ascension and declination"

    @classmethod
    def of(cls, star: Star) -> CatalogueStar:
        """One of the bright stars that the project carries."""
        return cls(
            star.name,
            "built-in stars",
            {
                "right_ascension_deg": star.right_ascension_deg,
                "declination_deg": star.declination_deg,
                "motion_ra_mas_yr": star.motion_ra_mas_yr,
                "motion_dec_mas_yr": star.motion_dec_mas_yr,
                "parallax_mas": 0.0,
                "epoch_yr": 2000.0,
            },
        )

    def position_m(self, t_utc_ns: Times) -> Floats:
        """Where the light that arrives at t came from: (n, 3) metres about the barycentre, ICRF axes."""
        check_span(self, t_utc_ns)
        v = self.values
        ra, dec = math.radians(v["right_ascension_deg"]), math.radians(v["declination_deg"])
        toward = np.array([math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)])
        east = np.array([-math.sin(ra), math.cos(ra), 0.0])
        north = np.cross(toward, east)
        motion = MAS * (v["motion_ra_mas_yr"] * east + v["motion_dec_mas_yr"] * north)
        tdb = tdb_jd(np.atleast_1d(np.asarray(t_utc_ns, dtype=np.int64)))
        years = ((tdb.days - J2000) + tdb.fraction) / 365.25 + 2000.0 - v["epoch_yr"]
        distance_m = PARSEC_M * (1000.0 / v["parallax_mas"] if v["parallax_mas"] else FAR_PARSECS)
        result: Floats = distance_m * (toward + years[:, None] * motion)
        return result


@dataclass(frozen=True)
class SurfaceSite(Described):
    """A place on the Moon or Mars, which turns with it."""

    body: Body = field(default_factory=lambda: body_named("moon"))
    frame = Frame.BCRF
    format = "site on a body"

    def position_m(self, t_utc_ns: Times) -> Floats:
        """Barycentric positions (n, 3) in metres, ICRF axes."""
        v = self.values
        place = place_m(self.body.number, v["latitude_deg"], v["longitude_deg"], v["height_m"])
        return self.body.position_m(t_utc_ns) + to_icrf(self.body.number, t_utc_ns) @ place


def parse_described(text: str, source: str, kernel: SolarSystem | None = None) -> list[Ephemeris]:
    """The target of a description. Raises EphemerisError with file, key and the nearest valid name."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EphemerisError(f"{source}: not TOML ({error}).") from None
    for table in content:
        if table != "target":
            raise EphemerisError(f"{source}: [{table}] is no table here; {nearest(table, ['target'])}")
    entry: dict[str, Any] = content.get("target", {})
    kind = entry.pop("kind", "")
    if not isinstance(kind, str) or kind not in NUMBERS:
        raise EphemerisError(f"{source}: kind {kind!r} is no kind of target; {nearest(str(kind), list(NUMBERS))}")
    texts = ("name", "body") if kind in {"body", "site"} else ("name",)
    known = [*NUMBERS[kind], *texts]
    for key in entry:
        if key not in known:
            raise EphemerisError(f"{source}: {key} is no key of a {kind}; {nearest(key, known)}")
    values = {
        key: _value(entry.get(key, default), key, limits, source) for key, (*limits, default) in NUMBERS[kind].items()
    }
    body = entry.get("body", "")
    name = str(entry.get("name", body or kind))
    match kind:
        case "fixed":
            return [FixedDirection(name, source, values)]
        case "star":
            return [CatalogueStar(name, source, values)]
        case "body":
            return [body_named(str(body), kernel)]
    on = body_named(str(body), kernel or built_in())
    if on.number not in FIGURES:
        places = [NAMES[n].lower() for n in FIGURES]
        raise EphemerisError(f"{source}: the rotation of {body} is not known here; {nearest(str(body), places)}")
    return [
        SurfaceSite(name, source, values, on.start_utc_ns, on.end_utc_ns, solar_system=on.solar_system, body=on),
    ]


def _value(value: Any, key: str, limits: list[float], source: str) -> float:
    low, high = limits
    if value is None:
        raise EphemerisError(f"{source}: {key} is missing.")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise EphemerisError(f"{source}: {key} is {value!r}, and should be a number from {low:g} to {high:g}.")
    return float(value)
