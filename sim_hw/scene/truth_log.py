"""What truly happened, one row a millisecond, and the figures that are made of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_hw.plant.light_block import (
    COARSE,
    COLUMNS,
    EMITTING,
    ENABLED,
    FINE,
    FLAGS,
    ILLUMINATED,
    LIT,
    MIRROR,
    NOMINAL,
    RECEIVED,
    SATURATED,
    TOTAL,
    TRANSMIT,
)

Window = tuple[int, int]  # nanoseconds since the bench started, end not included
MS_NS = 1_000_000
_BLOCK_ROWS = 60_000
Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rows:
    """Part of the log; pairs have shape (n, 2), (cross-elevation, elevation), radians, float32."""

    t_ns: NDArray[np.int64]
    values: NDArray[np.float32]

    def pair(self, column: int) -> NDArray[np.float64]:
        """Two columns, in double."""
        return self.values[:, column : column + 2].astype(np.float64)

    def flag(self, bit: int) -> NDArray[np.bool_]:
        """One flag."""
        return np.asarray((self.values[:, FLAGS].astype(np.int64) & bit) != 0)

    @property
    def coarse_error_rad(self) -> NDArray[np.float64]:
        """Target minus gimbal boresight; jitter and turbulence tilt excluded."""
        return self.pair(COARSE)

    @property
    def total_error_rad(self) -> NDArray[np.float64]:
        """The same with jitter and tilt."""
        return self.pair(TOTAL)

    @property
    def fine_error_rad(self) -> NDArray[np.float64]:
        """What the mirror leaves of it, against the quad cell's null (where the fibre is)."""
        return self.pair(FINE)

    @property
    def transmit_error_rad(self) -> NDArray[np.float64]:
        """Transmit direction minus our beam, anisoplanatism included."""
        return self.pair(TRANSMIT)

    @property
    def mirror_rad(self) -> NDArray[np.float64]:
        """Line-of-sight angle that the mirror adds."""
        return self.pair(MIRROR)

    @property
    def nominal_error_rad(self) -> NDArray[np.float64]:
        """Where the element set says the target is, minus boresight: pointing without the ephemeris' own error."""
        return self.pair(NOMINAL)

    @property
    def received_power_w(self) -> NDArray[np.float64]:
        """At the power meter."""
        return self.values[:, RECEIVED].astype(np.float64)

    @property
    def beacon_on(self) -> NDArray[np.bool_]:
        """Beacon and downlink arrive."""
        return self.flag(LIT)

    @property
    def emitting(self) -> NDArray[np.bool_]:
        """Our laser leaves the telescope."""
        return self.flag(EMITTING)

    @property
    def illuminated(self) -> NDArray[np.bool_]:
        """Our beam is on the satellite."""
        return self.flag(ILLUMINATED)

    @property
    def enabled(self) -> NDArray[np.bool_]:
        """The emission enable line is up."""
        return self.flag(ENABLED)

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """The mirror is at its range."""
        return self.flag(SATURATED)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures over some windows; pairs are (cross-elevation, elevation), NaN where there is nothing to count."""

    seconds: float
    coarse_rms_rad: Pair
    coarse_peak_rad: Pair
    total_rms_rad: Pair
    fine_rms_rad: Pair
    fine_p999_rad: Pair
    transmit_rms_rad: Pair
    nominal_rms_rad: Pair
    mirror_saturation_fraction: float
    power_fraction: float  # of the time above the threshold that was asked for
    power_mean_w: float


class TruthLog:
    """Grows in blocks; row i is for (i + 1) ms. 14 numbers a millisecond: 56 MB in a quarter of an hour.

    A bench that runs for hours sets `keep_s`: what is older than that, and than a block more, is forgotten.
    """

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.float32]] = []
        self._forgotten = 0  # blocks
        self.count = 0
        self.keep_s = math.inf

    def room(self) -> tuple[NDArray[np.float32], int]:
        """The block that the next rows go to and the row in it; 10 ms never cross a block's end."""
        block, row = divmod(self.count - self._first, _BLOCK_ROWS)
        if block == len(self._blocks):
            self._forget()
            self._blocks.append(np.zeros((_BLOCK_ROWS, COLUMNS), dtype=np.float32))
        return self._blocks[-1], row

    @property
    def _first(self) -> int:
        """The first row that is kept."""
        return self._forgotten * _BLOCK_ROWS

    def _forget(self) -> None:
        while (len(self._blocks) - 1) * _BLOCK_ROWS * 1e-3 >= self.keep_s:
            del self._blocks[0]
            self._forgotten += 1

    @property
    def last(self) -> NDArray[np.float32]:
        """The latest row; zeros before the first."""
        if self.count == 0:
            return np.zeros(COLUMNS, dtype=np.float32)
        block, row = divmod(self.count - 1 - self._first, _BLOCK_ROWS)
        return np.asarray(self._blocks[block][row])

    def rows(self, windows: Iterable[Window] | None = None) -> Rows:
        """Rows that are kept inside any of the windows (all without), each once, in order of time."""
        kept = self.count - self._first
        values = np.concatenate(self._blocks)[:kept] if self._blocks else np.zeros((0, COLUMNS), np.float32)
        t_ns = (np.arange(self._first, self.count, dtype=np.int64) + 1) * MS_NS
        if windows is None:
            return Rows(t_ns, values)
        chosen = np.zeros(kept, dtype=np.bool_)
        for start_ns, end_ns in windows:
            chosen |= (t_ns >= start_ns) & (t_ns < end_ns)
        return Rows(t_ns[chosen], values[chosen])

    def statistics(self, windows: Iterable[Window], power_threshold_w: float = 0.0) -> Statistics:
        """Figures over the windows; the 99.9 % point is of the absolute value, per axis."""
        rows = self.rows(windows)
        n = len(rows.t_ns)
        return Statistics(
            seconds=n * 1e-3,
            coarse_rms_rad=_rms(rows.coarse_error_rad),
            coarse_peak_rad=_quantile(rows.coarse_error_rad, 1.0),
            total_rms_rad=_rms(rows.total_error_rad),
            fine_rms_rad=_rms(rows.fine_error_rad),
            fine_p999_rad=_quantile(rows.fine_error_rad, 0.999),
            transmit_rms_rad=_rms(rows.transmit_error_rad),
            nominal_rms_rad=_rms(rows.nominal_error_rad),
            mirror_saturation_fraction=_mean(rows.saturated),
            power_fraction=_mean(rows.received_power_w > power_threshold_w),
            power_mean_w=_mean(rows.received_power_w),
        )


def _rms(values: NDArray[np.float64]) -> Pair:
    if len(values) == 0:
        return (float("nan"), float("nan"))
    x, y = np.sqrt(np.mean(values**2, axis=0))
    return float(x), float(y)


def _quantile(values: NDArray[np.float64], q: float) -> Pair:
    if len(values) == 0:
        return (float("nan"), float("nan"))
    x, y = np.quantile(np.abs(values), q, axis=0)
    return float(x), float(y)


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
