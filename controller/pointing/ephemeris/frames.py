"""The names that files give to frames and centres, and what they mean here."""

from __future__ import annotations

from controller.geometry.solar_system import EARTH, NAMES
from controller.pointing.ephemeris.ephemeris import EphemerisError, Frame, nearest

AXES = {
    "EME2000": Frame.GCRF, "J2000": Frame.GCRF, "ICRF": Frame.GCRF, "GCRF": Frame.GCRF, "TEME": Frame.TEME,
    "ITRF": Frame.ITRF, "WGS84": Frame.ITRF, "ECF": Frame.ITRF,
}  # fmt: skip
CENTRES = {name: number for number, name in NAMES.items()} | {"EARTH-MOON BARYCENTER": 3, "SSB": 0}


def axes_of(name: str, where: str) -> Frame:
    """Axes by the name of a file; every realisation of the ITRF agrees with the others to centimetres.

    Raises EphemerisError with the nearest that is known.
    """
    plain = name.strip().upper()
    if plain.startswith(("ITRF", "SLRF", "IGS", "IGB")):
        return Frame.ITRF
    if plain.startswith("ICRF"):
        return Frame.GCRF
    if plain not in AXES:
        raise EphemerisError(f"{where}: {name} is a frame that is not known here; {nearest(name, list(AXES))}")
    return AXES[plain]


def centre_of(name: str, axes: Frame, where: str) -> int:
    """NAIF number of a centre. Raises EphemerisError: unknown, or axes that turn with the Earth about another body."""
    plain = name.strip().upper()
    if plain not in CENTRES:
        raise EphemerisError(f"{where}: {name} is a centre that is not known here; {nearest(name, list(CENTRES))}")
    if CENTRES[plain] != EARTH and axes is not Frame.GCRF:
        raise EphemerisError(f"{where}: axes of the Earth ({axes}) about {name} are not read; use ICRF axes.")
    return CENTRES[plain]
