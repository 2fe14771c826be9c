"""Where the satellite truly is: skyfield's SGP4 and Earth, light time both ways, aberration, refraction.

Directions are what a telescope that turns with the Earth sees. With u the inertial direction to the place where
light left (or will meet) the satellite and v the site's velocity about the geocentre: receive = u + v/c,
transmit = u - v/c, so that they differ by 2 (v_satellite - v_site)/c across the line of sight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.polynomial import chebyshev
from skyfield.api import wgs84

from sim_hw.scene.earth import NS, Site, horizontal, times
from sim_hw.scene.noise import Floats
from sim_hw.scene.orbit import ElementOrbit, TabledOrbit, TabledTarget, Target
from sim_hw.scene.refraction import refract

LIGHT_M_S = 299_792_458.0
_EARTH_MU_M3_S2 = 3.986004418e14
_SEGMENT_S = 20
_SEGMENTS = 720  # that are kept: four hours
_NODES = 14  # directions of a low satellite over 20 s: below 1e-12 rad


@dataclass(frozen=True, slots=True)
class Wavelengths:
    """Metres."""

    beacon_m: float
    receive_m: float
    transmit_m: float


@dataclass(frozen=True, slots=True)
class Directions:
    """Truth at a series of times; arrays of equal length."""

    azimuth_rad: Floats  # receive direction, apparent, 0 to 2 pi
    elevation_rad: Floats
    range_m: Floats  # that the received light has come
    point_ahead_rad: Floats  # (n, 2): transmit minus receive direction, (cross-elevation, elevation)
    beacon_offset_rad: Floats  # elevation of the beacon minus that of the received light: dispersion
    nominal_offset_rad: Floats  # (n, 2): where the element set says minus where it is


def joined(parts: Sequence[Directions]) -> Directions:
    """One series after the other."""
    names = (field.name for field in fields(Directions))
    return Directions(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class TargetTruth:
    """Directions of a satellite over a site, computed a segment at a time when first asked for."""

    def __init__(
        self,
        target: Target | TabledTarget,
        site: Site,
        utc0_ns: int,
        wavelengths: Wavelengths,
        along_track_m: float = 0.0,
        cross_track_m: float = 0.0,
    ) -> None:
        self._orbit = TabledOrbit(target) if isinstance(target, TabledTarget) else ElementOrbit(target)
        self._place = wgs84.latlon(site.latitude_deg, site.longitude_deg, site.height_m)
        self._air = site.air
        self._utc0_ns = utc0_ns
        self._wavelengths = wavelengths
        self._offset_m = (along_track_m, cross_track_m)
        self._segments: dict[int, Floats] = {}

    def at(self, t_s: Floats) -> Directions:
        """Truth at times in seconds since the bench started (1-D, rising)."""
        t_s = np.asarray(t_s, dtype=np.float64)
        segment = np.floor(t_s / _SEGMENT_S).astype(np.int64)
        values = np.empty((10, t_s.size))
        for index in np.unique(segment):
            inside = segment == index
            unit = (t_s[inside] - index * _SEGMENT_S) * (2.0 / _SEGMENT_S) - 1.0
            values[:, inside] = chebyshev.chebval(unit, self._segment(int(index)))
        azimuth, elevation = horizontal(values[0:3])
        range_m = np.sqrt(np.sum(values[0:3] ** 2, axis=0))
        ahead = _on_sky(values[3:6], azimuth, elevation)
        return Directions(azimuth, elevation, range_m, ahead, values[6], _on_sky(values[7:10], azimuth, elevation))

    def elevation_rad(self, t_s: Floats) -> Floats:
        """Geometric elevation of the element set, to 1e-3 rad: quick, for looking ahead."""
        return self._orbit.elevation_rad(self._utc0_ns + np.round(t_s * NS).astype(np.int64), self._place)

    def _segment(self, index: int) -> Floats:
        if index not in self._segments:
            if len(self._segments) >= _SEGMENTS:
                del self._segments[next(iter(self._segments))]
            # Chebyshev nodes of the first kind, and the fit through them.
            angle = (np.arange(_NODES) + 0.5) * np.pi / _NODES
            t_s = (index + 0.5 + 0.5 * np.cos(angle)) * _SEGMENT_S
            nodes = np.cos(np.outer(np.arange(_NODES), angle))
            weights = np.full(_NODES, 2.0 / _NODES)
            weights[0] = 1.0 / _NODES
            self._segments[index] = weights[:, None] * (nodes @ self._compute(t_s).T)
        return self._segments[index]

    def _compute(self, t_s: Floats) -> Floats:
        """What a segment holds, shape (10, n); vectors are north, east, up.

        Receive vector in metres (3), transmit minus receive unit vectors (3), dispersion, nominal minus true (3).
        """
        t_utc_ns = self._utc0_ns + np.round(t_s * NS).astype(np.int64)
        t = times(t_utc_ns)
        site = self._place.at(t)
        turn = self._place.rotation_at(t)
        position_m, velocity_m_s = self._orbit.state_m(t_utc_ns)
        site_m, site_m_s = site.position.m, site.velocity.m_per_s
        along = velocity_m_s / np.linalg.norm(velocity_m_s, axis=0)
        normal = np.cross(position_m, velocity_m_s, axis=0)
        normal /= np.linalg.norm(normal, axis=0)
        true_m = position_m + self._offset_m[0] * along + self._offset_m[1] * normal

        received, range_m = self._direction(true_m, velocity_m_s, site_m, site_m_s, turn, -1)
        expected, _ = self._direction(position_m, velocity_m_s, site_m, site_m_s, turn, -1)
        sent, _ = self._direction(true_m, velocity_m_s, site_m, site_m_s, turn, +1)
        w = self._wavelengths
        seen = self._bend(received, range_m, w.receive_m)
        beacon = self._bend(received, range_m, w.beacon_m)
        dispersion = np.arcsin(beacon[2]) - np.arcsin(seen[2])
        ahead = self._bend(sent, range_m, w.transmit_m) - seen
        nominal = self._bend(expected, range_m, w.receive_m) - seen
        return np.vstack([seen * range_m, ahead, dispersion, nominal])

    def _direction(
        self, satellite_m: Floats, satellite_m_s: Floats, site_m: Floats, site_m_s: Floats, turn: Floats, leg: int
    ) -> tuple[Floats, Floats]:
        """Unit vector (north, east, up) and light path in metres; `leg` -1 received now, +1 sent now."""
        pull = -_EARTH_MU_M3_S2 * satellite_m / np.linalg.norm(satellite_m, axis=0) ** 3
        path_m = np.linalg.norm(satellite_m - site_m, axis=0)
        for _ in range(4):  # each step gains a factor v/c
            tau_s = leg * path_m / LIGHT_M_S
            away_m = satellite_m + satellite_m_s * tau_s + 0.5 * pull * tau_s**2 - site_m
            path_m = np.linalg.norm(away_m, axis=0)
        seen = away_m / path_m - leg * site_m_s / LIGHT_M_S
        seen /= np.linalg.norm(seen, axis=0)
        return np.einsum("ijn,jn->in", turn, seen), path_m

    def _bend(self, north_east_up: Floats, range_m: Floats, wavelength_m: float) -> Floats:
        azimuth, elevation = horizontal(north_east_up)
        apparent = refract(self._air, wavelength_m, elevation, range_m)
        level = np.cos(apparent)
        return np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(apparent)])


def _on_sky(difference: Floats, azimuth_rad: Floats, elevation_rad: Floats) -> Floats:
    """Components (cross-elevation, elevation) of small vectors (3, n) at a direction; shape (n, 2)."""
    north, east, up = difference
    sin_az, cos_az = np.sin(azimuth_rad), np.cos(azimuth_rad)
    sin_el, cos_el = np.sin(elevation_rad), np.cos(elevation_rad)
    cross = -north * sin_az + east * cos_az
    rise = -(north * cos_az + east * sin_az) * sin_el + up * cos_el
    return np.stack([cross, rise], axis=-1)
