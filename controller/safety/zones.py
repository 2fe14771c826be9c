"""How far a beam is a hazard: nominal ocular hazard distance, and the flight zones around a visible beam.

A beam of power P, exit diameter a and full divergence phi, both where its irradiance has fallen to 1/e, is in vacuum

    E(R) = 4 P / (pi (a + phi R)^2),   so that   R(E) = (sqrt(4 P / (pi E)) - a) / phi

to the limit E. The air only shortens it. Limits are of the unaided eye; binoculars collect more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.errors import BoresightError

FORMULA = "R = (sqrt(4 P / (pi E)) - a) / phi, 1/e diameter and full angle: IEC 60825-1, ANSI Z136.1"
MPE_SOURCE = (
    "maximum permissible exposure of the eye, point source, continuous wave for more than 10 s (below 500 nm 100 s): "
    "IEC 60825-1, ANSI Z136.1; check it in the edition that binds you"
)
ZONE_SOURCE = "visible beams only: FAA Order JO 7400.2 chapter 29, ICAO Doc 9815"
VISIBLE_NM = (400.0, 700.0)
#: W/m2 for (sensitive, critical, laser-free): 100 µW/cm2, 5 µW/cm2, 50 nW/cm2.
FLIGHT_ZONES_W_M2 = {"sensitive": 1.0, "critical": 0.05, "laser_free": 5e-4}


@dataclass(frozen=True, slots=True)
class Beam:
    """A beam as it leaves the aperture; diameter and full divergence at 1/e of the irradiance on the axis."""

    power_w: float
    wavelength_nm: float
    diameter_m: float
    divergence_rad: float

    @classmethod
    def from_e2(cls, power_w: float, wavelength_nm: float, diameter_m: float, divergence_rad: float) -> Beam:
        """The same from 1/e2 values: those of a Gaussian beam are larger by the root of two."""
        return cls(power_w, wavelength_nm, diameter_m / math.sqrt(2), divergence_rad / math.sqrt(2))

    @property
    def exit_w_m2(self) -> float:
        """Irradiance at the aperture."""
        return self.power_w / (math.pi / 4 * self.diameter_m**2)


@dataclass(frozen=True, slots=True)
class Zone:
    """Distance to which a limit of irradiance is exceeded."""

    name: str
    limit_w_m2: float
    range_m: float
    source: str


def range_m(beam: Beam, limit_w_m2: float) -> float:
    """Distance at which the irradiance has fallen to a limit; 0 where it is below it from the aperture on."""
    wide_m = math.sqrt(4 * beam.power_w / (math.pi * limit_w_m2))
    return max(0.0, (wide_m - beam.diameter_m) / beam.divergence_rad)


def mpe_w_m2(wavelength_nm: float) -> float:
    """Maximum permissible exposure of the eye for long exposures. Raises BoresightError outside of the table.

    Where the standard's factors vary along a band that transmitters use little (1150 to 1400 nm), the strictest
    value of the band is given.
    """
    if 400 <= wavelength_nm < 450:
        return 1.0
    if 450 <= wavelength_nm < 500:
        return min(10.0, 10 ** (0.02 * (wavelength_nm - 450)))
    if 500 <= wavelength_nm < 700:
        return 10.0
    if 700 <= wavelength_nm < 1050:
        return float(10.0 * 10 ** (0.002 * (wavelength_nm - 700)))
    if 1050 <= wavelength_nm < 1400:
        return 50.0
    if 1400 <= wavelength_nm <= 1e6:
        return 1000.0
    raise BoresightError(
        f"there is no limit here for {wavelength_nm:g} nm, only from 400 nm to 1 mm; take it from the standard and "
        "give --limit."
    )


def zones(beam: Beam, mpe: float | None = None) -> list[Zone]:
    """The hazard distance, and for a visible beam the flight zones. `mpe` in W/m2 replaces the table's."""
    own = mpe is not None
    limit = mpe if mpe is not None else mpe_w_m2(beam.wavelength_nm)
    found = [Zone("nohd", limit, range_m(beam, limit), "as given" if own else MPE_SOURCE)]
    if VISIBLE_NM[0] <= beam.wavelength_nm <= VISIBLE_NM[1]:
        found += [Zone(name, level, range_m(beam, level), ZONE_SOURCE) for name, level in FLIGHT_ZONES_W_M2.items()]
    return found
