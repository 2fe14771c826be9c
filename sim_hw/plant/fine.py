"""The fine plant: mirror, quad cell, point-ahead element and the firmware's tick, in one compiled block at 10 kHz.

What a tick means. Tick k stands for the interval [k, k+1) * 100 us: the quad reads the mean of that interval (half a
tick of delay), the firmware computes, the mirror takes the command up one full tick later and holds it for a tick
(half a tick). So residual[k] answers to the command of tick k-2 at the earliest: 200 us in all, before the mirror's
own modes.

Frames. The quad's axes are the sky's (cross-elevation, elevation). The mirror's frame is turned and scaled against
them by a drawn rotation and gain; the point-ahead element is fixed to the mirror's frame.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_hw.plant.fine_block import run_block
from sim_hw.plant.mirror import AXIS_STATE, MODE_CONSTANTS, axis_constants

TICK_RATE_HZ = 10_000
NOISE_CHUNK = 8192  # ticks of noise drawn at once; a multiple of nothing, results do not depend on it
IO_SIZE = 12
Pair = tuple[float, float]


@dataclass(frozen=True)
class FineParameters:
    """Steering mirror and quad cell as built. Angles are line-of-sight radians."""

    resonance_hz: Pair = (1000.0, 1000.0)  # per mirror axis
    second_mode_hz: Pair = (2600.0, 2600.0)
    damping: float = 0.02
    second_damping: float = 0.02
    second_share: float = 0.03  # of the static deflection (assumed, a few per cent is typical of piezo tip-tilts)
    range_rad: float = 2e-3
    hysteresis: float = 0.01
    position_noise_rad: float = 0.2e-6
    mirror_rotation_rad: float = 0.0  # mirror frame against the sky
    mirror_gain: float = 1.0
    point_ahead_lag_s: float = 2e-3
    spot_radius_rad: float = 100e-6  # 1/e^2, defocused to the half field
    half_field_rad: float = 100e-6
    shot_nea_rad: float = 0.6e-6  # at nominal power, a tick: together 0.69 urad, 0.5 at 1.7x, 1.5 at 0.34x
    floor_nea_rad: float = 0.35e-6
    crosstalk: tuple[float, float, float, float] = (0.01, 0.01, 0.01, 0.01)
    offset_rad: Pair = (0.0, 0.0)  # quad's null against the gimbal's boresight

    @classmethod
    def draw(cls, rng: np.random.Generator, base: FineParameters | None = None) -> FineParameters:
        """One unit off the production line: what a controller has to find out by itself."""
        base = base or cls()
        spread = rng.uniform(-1, 1, size=12)
        offset = rng.normal(0.0, 5e-6, size=2)
        return replace(
            base,
            resonance_hz=tuple(f * (1 + 0.05 * s) for f, s in zip(base.resonance_hz, spread[0:2], strict=True)),
            second_mode_hz=tuple(f * (1 + 0.05 * s) for f, s in zip(base.second_mode_hz, spread[2:4], strict=True)),
            mirror_rotation_rad=base.mirror_rotation_rad + 0.3 * float(spread[4]),
            mirror_gain=base.mirror_gain * (1 + 0.1 * float(spread[5])),
            crosstalk=tuple(c * (1 + 0.5 * s) for c, s in zip(base.crosstalk, spread[6:10], strict=True)),
            offset_rad=(base.offset_rad[0] + float(offset[0]), base.offset_rad[1] + float(offset[1])),
        )

    def summary(self) -> dict[str, Any]:
        """Drawn values for summary.json: plain numbers and lists."""
        return {
            key: [float(x) for x in value] if isinstance(value, tuple) else float(value)
            for key, value in asdict(self).items()
        }

    def quad_slope_per_rad(self) -> float:
        """Slope of right half minus left half at the null, at power 1: finite field and crosstalk included."""
        k = math.sqrt(2) / self.spot_radius_rad
        edge = k * self.half_field_rad
        leak = 1 - 2 * sum(self.crosstalk) / 4
        return leak * 2 * k / math.sqrt(math.pi) * (1 - math.exp(-edge * edge)) * math.erf(edge)

    def noise_equivalent_angle_rad(self, power: float) -> float:
        """Quad noise per axis and tick at relative received power."""
        return math.sqrt(self.shot_nea_rad**2 / power + self.floor_nea_rad**2 / power**2)


@dataclass(slots=True)
class FineBlock:
    """n ticks, oldest first; pairs are (cross-elevation, elevation) on the sky."""

    residual: NDArray[np.float64]  # (n, 2) what is left after the mirror, against the quad's null
    mirror: NDArray[np.float64]  # (n, 2) line-of-sight angle that the mirror adds
    point_ahead: NDArray[np.float64]  # (n, 2)
    enable: NDArray[np.bool_] = field(repr=False)  # (n,) emission enable line


class FinePlant:
    """Advances mirror, quad and firmware together; results do not depend on how a run is cut into blocks."""

    def __init__(self, parameters: FineParameters, rng: np.random.Generator) -> None:
        self.parameters = p = parameters
        self._rng = rng
        dt_s = 1 / TICK_RATE_HZ
        dampings = (p.damping, p.second_damping)
        self._mirror = np.array(
            [
                axis_constants(modes, dampings, p.second_share, p.range_rad, p.hysteresis, dt_s)
                for modes in zip(p.resonance_hz, p.second_mode_hz, strict=True)
            ]
        )
        self._as_built = self._mirror.copy()
        self._quad = np.array(
            [p.spot_radius_rad, p.half_field_rad, p.shot_nea_rad, p.floor_nea_rad, *p.crosstalk, p.quad_slope_per_rad()]
        )
        c, s = p.mirror_gain * math.cos(p.mirror_rotation_rad), p.mirror_gain * math.sin(p.mirror_rotation_rad)
        lag = 1 - math.exp(-dt_s / p.point_ahead_lag_s)
        self._frame = np.array([c, -s, s, c, *p.offset_rad, lag, p.position_noise_rad])
        self._state = np.zeros(2 * AXIS_STATE + 2)
        self._noise = np.empty((0, 6), dtype=np.float32)
        self._noise_used = 0
        self._io = np.zeros(IO_SIZE, dtype=np.float32)
        self._addresses = np.zeros(3, dtype=np.int64)

    def stick(self, stuck: bool) -> None:
        """Take the mirror's drive away, or give it back (a fault): it rings down to its middle and stays there."""
        self._mirror[:] = self._as_built
        if stuck:
            for mode in range(2):
                self._mirror[:, MODE_CONSTANTS * mode + 4 : MODE_CONSTANTS * mode + 6] = 0.0

    def shift_null(self, offset_rad: float) -> None:
        """Move the quad's null away from where it was built, on both axes (a fault); 0 puts it back."""
        self._frame[4:6] = np.add(self.parameters.offset_rad, offset_rad)

    def attach(self, tick_address: int, board_address: int, io: NDArray[np.float32]) -> None:
        """Connect the firmware: `io` is its io structure, float32[12], and must outlive this plant."""
        if io.shape != (IO_SIZE,) or io.dtype != np.float32 or not io.flags.c_contiguous:
            raise ValueError(f"io must be a contiguous float32[{IO_SIZE}], got {io.dtype}{list(io.shape)}")
        self._io = io
        self._addresses[:] = (tick_address, board_address, io.ctypes.data)

    @property
    def mirror_to_sky(self) -> NDArray[np.float64]:
        """(2, 2) true map from the mirror's frame to the sky (for tests and summaries)."""
        return self._frame[:4].reshape(2, 2).copy()

    def run(self, los_error: NDArray[np.float64], power: NDArray[np.float64], *, compiled: bool = True) -> FineBlock:
        """Advance by n ticks.

        los_error: (n, 2) line-of-sight error ahead of the mirror, rad. power: (n,) received power, 1 is nominal.
        `compiled=False` runs the same code as plain Python (tests). Raises RuntimeError when no board is attached.
        """
        out = np.empty((len(los_error), 6))
        enable = np.empty(len(los_error), dtype=np.bool_)
        self.advance(los_error, power, out, enable, compiled=compiled)
        return FineBlock(out[:, 0:2], out[:, 2:4], out[:, 4:6], enable)

    def advance(
        self,
        los_error: NDArray[np.float64],
        power: NDArray[np.float64],
        out: NDArray[np.float64],
        enable: NDArray[np.bool_],
        *,
        compiled: bool = True,
    ) -> None:
        """As `run`, into the caller's `out` (n, 6): residual, mirror, point-ahead; and `enable` (n,)."""
        if self._addresses[0] == 0:
            raise RuntimeError("attach the beam board before the fine plant is run")
        step = run_block if compiled else run_block.py_func
        n, done = len(los_error), 0
        while done < n:
            if self._noise_used == len(self._noise):
                self._noise = self._rng.standard_normal((NOISE_CHUNK, 6), dtype=np.float32)
                self._noise_used = 0
            count = min(n - done, len(self._noise) - self._noise_used)
            noise = self._noise[self._noise_used : self._noise_used + count]
            part = slice(done, done + count)
            step(
                los_error[part], power[part], noise, self._state, self._mirror, self._quad, self._frame,
                self._io, self._addresses, out[part], enable[part],
            )  # fmt: skip
            self._noise_used += count
            done += count
