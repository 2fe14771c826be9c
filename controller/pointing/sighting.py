"""One look at a target from a site at a moment: direction, rates, light time, Doppler, point-ahead, uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from controller.geometry import trajectory
from controller.geometry.frames import azel_to_enu, gcrf_to_itrf, teme_to_itrf
from controller.geometry.light import LIGHT_M_S
from controller.geometry.timescales import Floats
from controller.geometry.trajectory import Look
from controller.pointing.ephemeris.ephemeris import Ephemeris, Frame, check_span
from controller.pointing.prediction import Observer, airless_enu_m, apparent_enu_m

HALF_NS = 2_000_000_000  # rates come from a polynomial over this much on both sides
NODES = 6


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a telescope at the site sees, and where it has to send.

    `look` is refracted at the receive wavelength; its range is the light path, and its range rate that path's
    derivative (which at Mars differs by 7 mm/s from the velocity along the line of sight). `uncertainty_rad2` is the
    covariance (2, 2) of (cross-elevation, elevation), or None when the source has none.
    """

    look: Look
    elevation_airless_rad: float
    point_ahead_rad: tuple[float, float]
    uncertainty_rad2: Floats | None

    @property
    def light_time_s(self) -> float:
        """One way, target to site."""
        return self.look.range_m / LIGHT_M_S

    def doppler_hz(self, wavelength_m: float) -> float:
        """Shift of what is received, first order: positive while the target comes nearer."""
        return -self.look.range_rate_m_s / wavelength_m

    def ellipse_rad(self) -> tuple[float, float, float] | None:
        """Semi-axes of one sigma, greater first, and the angle of the greater from cross-elevation to elevation."""
        if self.uncertainty_rad2 is None:
            return None
        values, axes = np.linalg.eigh(self.uncertainty_rad2)
        greater, less = (math.sqrt(max(float(v), 0.0)) for v in (values[1], values[0]))
        return greater, less, math.atan2(float(axes[1, 1]), float(axes[0, 1]))


def sight(target: Ephemeris, t_utc_ns: int, observer: Observer) -> Sighting:
    """Look at a target. Raises EphemerisError where it is not known."""
    check_span(target, np.array([t_utc_ns]))
    airless, _ = airless_enu_m(target, np.array([t_utc_ns]), observer)
    margin_ns = round(2e9 * float(np.linalg.norm(airless)) / LIGHT_M_S) if target.frame is not Frame.STAR else 0
    start, end = (_reach(target, t_utc_ns, side, margin_ns) for side in (-1, +1))
    path = trajectory.fit(lambda t: apparent_enu_m(target, t, observer), start, end, NODES)
    look = path.receive(t_utc_ns)
    if target.frame in {Frame.STAR, Frame.HORIZON}:
        look = look._replace(range_m=math.inf, range_rate_m_s=0.0)
    elevation = math.atan2(float(airless[0, 2]), math.hypot(float(airless[0, 0]), float(airless[0, 1])))
    return Sighting(look, elevation, path.point_ahead(t_utc_ns), on_sky_rad2(target, t_utc_ns, look, observer))


def on_sky_rad2(target: Ephemeris, t_utc_ns: int, look: Look, observer: Observer) -> Floats | None:
    """Covariance (2, 2) of (cross-elevation, elevation) in rad2 of a target's position; None when nobody says."""
    matrix = target.covariance_m2(t_utc_ns)
    if matrix is None or not math.isfinite(look.range_m):
        return None
    t = np.array([t_utc_ns])
    turn = np.eye(3)
    if target.frame is Frame.TEME:
        turn = teme_to_itrf(t, observer.earth)[0]
    elif target.frame is not Frame.ITRF:
        turn = gcrf_to_itrf(t, observer.earth)[0]
    turn = observer.site.itrf_to_enu @ turn
    azimuth, elevation = look.azimuth_rad, look.elevation_rad
    cross = azel_to_enu(azimuth + math.pi / 2, 0.0)
    up = azel_to_enu(azimuth + math.pi, math.pi / 2 - elevation)
    axes = np.array([cross, up]) / look.range_m
    result: Floats = axes @ turn @ matrix @ turn.T @ axes.T
    return result


def _reach(target: Ephemeris, t_utc_ns: int, side: int, margin_ns: int) -> int:
    """As far to one side as the target is known with its light times, at least a microsecond."""
    for reach in (HALF_NS, HALF_NS // 10, HALF_NS // 100):
        edges = np.array([t_utc_ns + side * reach, t_utc_ns + side * (reach + margin_ns)])
        if target.known(edges).all():
            return t_utc_ns + side * reach
    return t_utc_ns + side * 1000
