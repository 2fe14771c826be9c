"""What the tracking camera looks at: the beacon and the stars in its field, each where it was during an exposure."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from sim_hw.scenarios import Camera
from sim_hw.scene.mount import Standing
from sim_hw.scene.noise import Floats
from sim_hw.scene.optics import CameraMount, star_electrons_per_s
from sim_hw.scene.sky import Sky
from sim_hw.scene.tape import STEPS, TICK_NS, TICKS_A_STEP, Tape

_ARCSEC = math.pi / 648_000.0
_MARGIN = 1.1  # spots this far beyond the field still send light into it
_CONE_SHIFT = math.radians(1.0)  # how far the telescope turns before stars are looked up anew
_CONE_LASTS_S = 100.0  # the sky turns 0.42 degrees


class Spot(NamedTuple):
    """A point of light in the camera's plane."""

    x_rad: float
    y_rad: float
    electrons_per_s: float


class CameraView:
    """Reads the tape; draws how the camera is mounted and what each star's measured place is off by."""

    def __init__(
        self,
        camera: Camera,
        tape: Tape,
        sky: Sky | None,
        mounting: Any,
        star_noise: Any,
        standing: Standing | None = None,
    ) -> None:
        self._standing = standing or Standing()
        self._camera = camera
        self._tape = tape
        self._sky = sky
        self.mount = CameraMount.draw(camera, mounting)
        stars = 0 if sky is None else len(sky.magnitude)
        self._star_offset_rad = camera.star_noise_arcsec * _ARCSEC * star_noise.standard_normal((stars, 2))
        self._half_field_rad = 0.5 * _MARGIN * math.radians(camera.field_deg)
        self._cone: list[int] = []
        self._cone_axis = 0.0, 0.0, 0.0
        self._cone_s = 0.0

    def spots(self, t0_ns: int, t1_ns: int, ticks: int) -> list[Spot]:
        """Mean places over the exposure (t0, t1], of which `ticks` have been run since the bench started.

        A spot's own motion within the exposure moves its mean but does not smear it.
        """
        last = min(t1_ns // TICK_NS, ticks)
        count = max(1, last - t0_ns // TICK_NS)
        if last == 0:
            return []
        seen = []
        light = float(Tape.mean(self._tape.power[:, None], last, count)[0])
        if light > 0.0:
            error = Tape.mean(self._tape.line_of_sight_rad, last, count)
            error += self._tape.dispersion_rad[((last - 1) // TICKS_A_STEP) % STEPS]
            seen.append((error, light * self._camera.beacon_electrons_per_s))
        if self._sky is not None:
            shake = Tape.mean(self._tape.shake_rad, last, count)
            seen += self._stars(self._sky, 0.5e-9 * (t0_ns + t1_ns), shake, ticks)
        spots = (Spot(*self.mount.plane(error), electrons_per_s) for error, electrons_per_s in seen)
        return [s for s in spots if max(abs(s.x_rad), abs(s.y_rad)) < self._half_field_rad]

    def _stars(self, sky: Sky, t_s: float, shake: Floats, ticks: int) -> list[tuple[Floats, float]]:
        azimuth, elevation = self._tape.boresight_at(t_s, ticks)
        sin_a, cos_a, sin_e, cos_e = math.sin(azimuth), math.cos(azimuth), math.sin(elevation), math.cos(elevation)
        ahead = cos_e * cos_a, cos_e * sin_a, sin_e
        seen = []
        for i in self._near(sky, t_s, ahead):
            north, east, up = sky.star(i, t_s)
            if up <= 0.0:
                continue
            if not self._standing.upright:
                north, east, up = (self._standing.turn @ (north, east, up)).tolist()
            along = ahead[0] * north + ahead[1] * east + ahead[2] * up
            if along <= math.cos(2.0 * self._half_field_rad):
                continue
            right = cos_a * east - sin_a * north
            above = cos_e * up - sin_e * (cos_a * north + sin_a * east)
            error = np.array([math.atan2(right, along), math.asin(above)])
            flux = star_electrons_per_s(self._camera, float(sky.magnitude[i]))
            seen.append((error + shake + self._star_offset_rad[i], flux))
        return seen

    def _near(self, sky: Sky, t_s: float, ahead: tuple[float, float, float]) -> list[int]:
        """Stars in a wide cone, looked up anew only when the telescope or the sky has turned away from the last one."""
        if math.dist(ahead, self._cone_axis) > _CONE_SHIFT or abs(t_s - self._cone_s) > _CONE_LASTS_S:
            self._cone_axis, self._cone_s = ahead, t_s
            cosine = math.cos(2.0 * self._half_field_rad + 2.0 * _CONE_SHIFT)
            axis = np.array(ahead) @ self._standing.turn
            self._cone = [int(i) for i in np.flatnonzero(axis @ sky.north_east_up(t_s) > cosine)]
        return self._cone
