"""From a target's positions to the two directions of a link over a site: light time, aberration, refraction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.geometry import deep_space, light, trajectory
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site, apply, azel_to_enu, enu_to_azel, gcrf_to_itrf, teme_to_itrf
from controller.geometry.refraction import Refraction
from controller.geometry.solar_system import EARTH, SolarSystem, built_in
from controller.geometry.timescales import Floats, Times
from controller.geometry.trajectory import Trajectory
from controller.pointing.ephemeris.ephemeris import Ephemeris, EphemerisError, Frame


@dataclass(frozen=True, slots=True)
class Observer:
    """A site with its Earth orientation and the wavelengths of its two legs."""

    site: Site
    earth: EarthOrientation
    receive_wavelength_um: float = 1.55
    transmit_wavelength_um: float = 1.59


def itrf_m(target: Ephemeris, t_utc_ns: Times, earth: EarthOrientation) -> Floats:
    """Geometric positions in ITRF, (n, 3) metres: no light time. Raises EphemerisError outside the target's span."""
    t = np.asarray(t_utc_ns, dtype=np.int64)
    position = target.position_m(t)
    match target.frame:
        case Frame.ITRF:
            return position
        case Frame.TEME:
            return apply(teme_to_itrf(t, earth), position)
        case Frame.GCRF:
            return apply(gcrf_to_itrf(t, earth), position)
        case Frame.BCRF | Frame.STAR:
            return apply(gcrf_to_itrf(t, earth), position - _kernel(target).position_m(EARTH, t))
    raise EphemerisError(f"{target.source}: {target.name} is a direction over a site and has no place in space.")


def geometric_enu_m(target: Ephemeris, t_utc_ns: Times, site: Site, earth: EarthOrientation) -> Floats:
    """East, north, up of a target, (n, 3) metres, without light time and refraction."""
    result: Floats = (itrf_m(target, t_utc_ns, earth) - site.itrf_m) @ site.itrf_to_enu.T
    return result


def airless_enu_m(target: Ephemeris, t_utc_ns: Times, observer: Observer) -> tuple[Floats, Floats]:
    """Receive and transmit vectors as without air, east-north-up, (n, 3) metres; lengths are the light paths."""
    site, earth = observer.site, observer.earth
    t = np.atleast_1d(np.asarray(t_utc_ns, dtype=np.int64))
    if target.frame is Frame.HORIZON:
        return target.position_m(t), target.position_m(t)
    if target.frame in {Frame.BCRF, Frame.STAR}:
        telescope = deep_space.Telescope.at(t, site, earth, _kernel(target))
        receive = deep_space.receive(target.position_m, telescope, light_time=target.frame is Frame.BCRF)
        transmit = receive if target.frame is Frame.STAR else deep_space.transmit(target.position_m, telescope)
    else:

        def positions(times: Times) -> Floats:
            return itrf_m(target, times, earth)

        receive, transmit = (leg(positions, t, site.itrf_m) for leg in (light.receive, light.transmit))
    return receive @ site.itrf_to_enu.T, transmit @ site.itrf_to_enu.T


def apparent_enu_m(target: Ephemeris, t_utc_ns: Times, observer: Observer) -> tuple[Floats, Floats]:
    """Apparent receive and transmit vectors, east-north-up, (n, 3) metres: refracted, each at its wavelength."""
    receive, transmit = airless_enu_m(target, t_utc_ns, observer)
    if target.frame is Frame.HORIZON:
        return receive, transmit
    site = observer.site
    return (
        _refracted(receive, Refraction.of(site, observer.receive_wavelength_um)),
        _refracted(transmit, Refraction.of(site, observer.transmit_wavelength_um)),
    )


def predict(target: Ephemeris, observer: Observer, start_utc_ns: int, end_utc_ns: int) -> Trajectory:
    """The trajectory of a target over a site, to a nanoradian. Raises EphemerisError where the target is not known."""
    return trajectory.fit_closely(lambda t: apparent_enu_m(target, t, observer), start_utc_ns, end_utc_ns)


def _kernel(target: Ephemeris) -> SolarSystem:
    return target.solar_system or built_in()


def _refracted(enu_m: Floats, air: Refraction) -> Floats:
    azimuth, elevation = enu_to_azel(enu_m)
    range_m = np.linalg.norm(enu_m, axis=-1)
    result: Floats = range_m[:, None] * azel_to_enu(azimuth, air.apparent_rad(elevation, range_m))
    return result
