"""The last seconds of every signal of the plant, in rings that the compiled blocks read and write."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from sim_hw.scene.disturbances import MS, TICKS, Chunk
from sim_hw.scene.mount import Standing
from sim_hw.scene.noise import Floats

SECONDS = 16
TICK_NS = 100_000
TICKS_A_STEP = 10
RING = SECONDS * TICKS
STEPS = SECONDS * MS


class Tape:
    """Rings: `ring[k % RING]` is tick k, which ends at (k + 1) * 0.1 ms; step m ends at (m + 1) ms.

    Directions are angles of the mount's axes, pairs across and along its second one, but for `sky_rad`.
    """

    def __init__(self, standing: Standing | None = None) -> None:
        self._standing = standing or Standing()
        # of ticks
        self.shake_rad = np.zeros((RING, 2))
        self.apart_rad = np.zeros((RING, 2))
        self.gain = np.zeros(RING)
        self.coarse_rad = np.zeros((RING, 2))
        self.line_of_sight_rad = np.zeros((RING, 2))
        self.power = np.zeros(RING)
        self.fine_rad = np.zeros((RING, 6))  # residual, mirror, point-ahead
        self.enable = np.zeros(RING, dtype=np.bool_)
        self.emitted_w = np.zeros(RING)
        self.transmit_rad = np.zeros((RING, 2))
        self.received_w = np.zeros(RING)
        # of steps
        self.sky_rad = np.zeros((STEPS, 2))
        self.target_rad = np.zeros((STEPS, 2))
        self.ahead_rad = np.zeros((STEPS, 2))
        self.nominal_rad = np.zeros((STEPS, 2))
        self.dispersion_rad = np.zeros((STEPS, 2))
        self.range_m = np.ones(STEPS)
        self.wind_rad = np.zeros((STEPS, 2))
        self.boresight_rad = np.zeros((STEPS, 2))

    def load(self, second: int, chunk: Chunk) -> None:
        """Put what comes from outside in its second of the rings."""
        at = second % SECONDS
        ticks, steps = slice(at * TICKS, (at + 1) * TICKS), slice(at * MS, (at + 1) * MS)
        self.shake_rad[ticks] = chunk.shake_rad
        self.apart_rad[ticks] = chunk.anisoplanatic_rad
        self.gain[ticks] = chunk.gain
        d = chunk.directions
        place = d.azimuth_rad, d.elevation_rad
        along = self._standing.along
        self.sky_rad[steps] = np.stack(place, axis=-1)
        self.target_rad[steps] = np.stack(self._standing.axes(*place), axis=-1)
        self.ahead_rad[steps] = along(*place, d.point_ahead_rad)
        self.nominal_rad[steps] = along(*place, d.nominal_offset_rad)
        bent = np.stack([np.zeros_like(d.beacon_offset_rad), d.beacon_offset_rad], axis=-1)
        self.dispersion_rad[steps] = along(*place, bent)
        self.range_m[steps] = d.range_m
        self.wind_rad[steps] = chunk.wind_rad

    def boresight_at(self, t_s: float, ticks: int) -> tuple[float, float]:
        """Boresight (azimuth, elevation) of a past moment, interpolated between the steps of `ticks` that were run."""
        steps = -(-ticks // TICKS_A_STEP)
        at = min(max(t_s * 1e3 - 1.0, max(0, steps - STEPS + 1)), steps - 1.0)
        before = int(at)
        a = self.boresight_rad[before % STEPS]
        b = self.boresight_rad[min(before + 1, steps - 1) % STEPS]
        turn = math.remainder(b[0] - a[0], math.tau)
        return float(a[0] + (at - before) * turn), float(a[1] + (at - before) * (b[1] - a[1]))

    @staticmethod
    def last(ring: Floats, end: int, count: int) -> Floats:
        """A copy of rows end - count ... end - 1 of a ring, as far as they are kept."""
        count = min(count, end, len(ring))
        return np.take(ring, np.arange(end - count, end), axis=0, mode="wrap")

    @staticmethod
    def mean(ring: Floats, end: int, count: int) -> Floats:
        """Mean of rows end - count ... end - 1 of a ring (RING, columns), as far as they are kept; (columns,)."""
        return _mean(ring, end, min(count, end, len(ring)))


@njit(cache=True)
def _mean(ring: Floats, end: int, count: int) -> Floats:
    total = np.zeros(ring.shape[1])
    for k in range(end - count, end):
        for column in range(ring.shape[1]):
            total[column] += ring[k % ring.shape[0], column]
    return total / count
