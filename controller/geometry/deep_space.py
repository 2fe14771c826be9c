"""Receive and transmit directions of what is measured from the barycentre: Moon, planets, spacecraft, stars.

Light time is solved in the barycentric frame, in which light runs straight; the Sun bends it (ERFA `ld`, with the
vectors of a target at finite distance); then the motion of the telescope turns the direction (ERFA `ab`, relativistic):
by +v/c for light that comes, by -v/c for light that we send, so that the two differ by the point-ahead angle
2 (v_target - v_telescope)_perp / c. Annual and diurnal aberration are both in v. Not applied: the Sun's delay of the
light (up to 0.2 ms at conjunction), and the Earth's lens (below 1 nrad).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import erfa
import numpy as np

from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site, apply, gcrf_to_itrf
from controller.geometry.light import LIGHT_M_S
from controller.geometry.solar_system import EARTH, SUN, SolarSystem
from controller.geometry.timescales import Floats, Times, tt_jd

AU_M = 149_597_870_700.0
SUN_RADIUS_AU = 0.00465
STEPS = 6  # each gains a factor v/c, about 1e-4
STAR_RANGE_M = 1e17  # stands for a star's distance: a length for the vectors of a trajectory, no more

Positions = Callable[[Times], Floats]
"""Barycentric positions (n, 3) in metres, ICRF axes, for UTC nanoseconds (n,)."""


@dataclass(frozen=True, slots=True)
class Telescope:
    """A site among the planets at given times: position and velocity in ICRF axes about the barycentre, (n, 3) each."""

    t_utc_ns: Times
    position_m: Floats
    velocity_m_s: Floats
    sun_m: Floats
    to_itrf: Floats

    @classmethod
    def at(cls, t_utc_ns: Times, site: Site, earth: EarthOrientation, solar_system: SolarSystem) -> Telescope:
        """Place a site."""
        t = np.atleast_1d(np.asarray(t_utc_ns, dtype=np.int64))
        position, velocity = geocentric_site(t, site, earth)
        earth_m, earth_m_s = solar_system.state_m(EARTH, t)
        to_itrf = gcrf_to_itrf(t, earth)
        return cls(t, earth_m + position, earth_m_s + velocity, solar_system.position_m(SUN, t), to_itrf)


def geocentric_site(t_utc_ns: Times, site: Site, earth: EarthOrientation) -> tuple[Floats, Floats]:
    """Position in metres and velocity in m/s of a site in GCRF, (n, 3) each."""
    orientation = earth.at(t_utc_ns)
    tt = tt_jd(t_utc_ns)
    place = erfa.pvtob(
        np.radians(site.longitude_deg),
        np.radians(site.latitude_deg),
        site.height_m,
        orientation.pole_x_rad,
        orientation.pole_y_rad,
        erfa.sp00(*tt),
        erfa.era00(*orientation.ut1),
    )
    to_gcrf = np.swapaxes(erfa.c2i06a(*tt), -1, -2)
    return apply(to_gcrf, place["p"]), apply(to_gcrf, place["v"])


def receive(target: Positions, telescope: Telescope, light_time: bool = True) -> Floats:
    """ITRF vectors (n, 3) to where the light that arrives comes from; their length is the light path.

    Without `light_time` the target's positions are those that the arriving light left (stars), at STAR_RANGE_M.
    """
    return _leg(target, telescope, -1 if light_time else 0, +1)


def transmit(target: Positions, telescope: Telescope) -> Floats:
    """ITRF vectors (n, 3) along which light that leaves now meets the target; their length is the light path."""
    return _leg(target, telescope, +1, -1)


def _leg(target: Positions, telescope: Telescope, way: int, motion: int) -> Floats:
    t, tau_s = telescope.t_utc_ns, np.zeros(len(telescope.t_utc_ns))
    for _ in range(STEPS if way else 1):
        straight = target(t + way * np.round(tau_s * 1e9).astype(np.int64)) - telescope.position_m
        range_m = np.linalg.norm(straight, axis=-1)
        tau_s = range_m / LIGHT_M_S
    unit = straight / range_m[:, None]
    bent = _past_the_sun(unit, straight, telescope)
    beta = motion * telescope.velocity_m_s / LIGHT_M_S
    sun_au = np.linalg.norm(telescope.position_m - telescope.sun_m, axis=-1) / AU_M
    seen = erfa.ab(bent, beta, sun_au, np.sqrt(1 - np.sum(beta**2, axis=-1)))
    length_m = range_m if way else np.full_like(range_m, STAR_RANGE_M)
    result: Floats = length_m[:, None] * apply(telescope.to_itrf, seen)
    return result


def _past_the_sun(unit: Floats, straight_m: Floats, telescope: Telescope) -> Floats:
    """The direction bent by the Sun; a target before or on its disc is left where it is."""
    from_sun = telescope.position_m - telescope.sun_m
    sun_m = np.linalg.norm(from_sun, axis=-1)
    target_from_sun = straight_m + from_sun
    target_sun_m = np.linalg.norm(target_from_sun, axis=-1)
    em_au = sun_m / AU_M
    safe = np.maximum(target_sun_m, 1.0)
    limit = 1e-6 / np.maximum(em_au**2, 1.0)
    bent = erfa.ld(1.0, unit, target_from_sun / safe[:, None], from_sun / sun_m[:, None], em_au, limit)
    near = target_sun_m < SUN_RADIUS_AU * AU_M
    result: Floats = np.where(near[:, None], unit, bent)
    return result
