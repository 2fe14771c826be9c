"""Element set and site to trajectory: SGP4, Earth orientation, light time, refraction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sgp4.api import SGP4_ERRORS

from controller.geometry import light, trajectory
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site, apply, azel_to_enu, enu_to_azel, teme_to_itrf
from controller.geometry.refraction import Refraction
from controller.geometry.timescales import Floats, Times, utc_jd
from controller.geometry.trajectory import Trajectory
from controller.pointing.elements import ElementsError, ElementSet


@dataclass(frozen=True, slots=True)
class Observer:
    """A site with its Earth orientation and the wavelengths of its two legs."""

    site: Site
    earth: EarthOrientation
    receive_wavelength_um: float = 1.55
    transmit_wavelength_um: float = 1.59


def itrf_m(elements: ElementSet, t_utc_ns: Times, earth: EarthOrientation) -> Floats:
    """SGP4 positions in ITRF, (n, 3) metres. Raises ElementsError where SGP4 gives up (decay)."""
    t = np.asarray(t_utc_ns, dtype=np.int64)
    error, position_km, _ = elements.satrec.sgp4_array(*utc_jd(t))
    if np.any(error):
        reason = SGP4_ERRORS.get(int(error[np.nonzero(error)[0][0]]), "unknown error")
        raise ElementsError(f"{elements.source}: {elements.name} cannot be propagated to that time: {reason}.")
    return apply(teme_to_itrf(t, earth), position_km * 1e3)


def geometric_enu_m(elements: ElementSet, t_utc_ns: Times, site: Site, earth: EarthOrientation) -> Floats:
    """East, north, up of the satellite, (n, 3) metres, without light time and refraction."""
    result: Floats = (itrf_m(elements, t_utc_ns, earth) - site.itrf_m) @ site.itrf_to_enu.T
    return result


def apparent_enu_m(elements: ElementSet, t_utc_ns: Times, observer: Observer) -> tuple[Floats, Floats]:
    """Apparent receive and transmit vectors, east-north-up, (n, 3) metres each."""
    site, earth = observer.site, observer.earth

    def ephemeris(t: Times) -> Floats:
        return itrf_m(elements, t, earth)

    legs = (
        (light.receive, observer.receive_wavelength_um),
        (light.transmit, observer.transmit_wavelength_um),
    )
    receive, transmit = (
        _refracted(leg(ephemeris, t_utc_ns, site.itrf_m) @ site.itrf_to_enu.T, Refraction.of(site, wavelength))
        for leg, wavelength in legs
    )
    return receive, transmit


def predict(elements: ElementSet, observer: Observer, start_utc_ns: int, end_utc_ns: int) -> Trajectory:
    """The trajectory of a satellite over a site. Raises ElementsError where SGP4 gives up."""
    return trajectory.fit(lambda t: apparent_enu_m(elements, t, observer), start_utc_ns, end_utc_ns)


def _refracted(enu_m: Floats, air: Refraction) -> Floats:
    azimuth, elevation = enu_to_azel(enu_m)
    range_m = np.linalg.norm(enu_m, axis=-1)
    result: Floats = range_m[:, None] * azel_to_enu(azimuth, air.apparent_rad(elevation, range_m))
    return result
