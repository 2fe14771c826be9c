"""What a steering mirror is, found from one injected sweep seen by its position sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.tracking.fine_response import Complex, Floats, channel, spectrum
from hal.errors import DeviceError
from hal.traits import Capture

DELAY_SAMPLES = 2  # command to the end of the tick that first holds it: one full sample, and the tick itself
MODES = 2
ITERATIONS = 12
MISFIT_MAX = 0.1  # of the response's energy in the band
BAND_HZ = (60.0, 4300.0)


@dataclass(frozen=True, slots=True)
class MirrorModel:
    """Command to position: z^-2 B(z)/A(z), polynomials in 1/z at `rate_hz`."""

    numerator: Floats
    denominator: Floats  # [1, a1, a2, a3, a4]
    rate_hz: float
    misfit: float

    def response(self, frequency_hz: Floats) -> Complex:
        """Position over command."""
        z = np.exp(-2j * np.pi * frequency_hz / self.rate_hz)
        value = z**DELAY_SAMPLES * np.polyval(self.numerator[::-1], z) / np.polyval(self.denominator[::-1], z)
        return np.asarray(value)

    def modes(self) -> list[tuple[float, float, NDArray[np.float64]]]:
        """(natural frequency in Hz, damping, [1, a1, a2]) of each resonance, lowest first."""
        found = []
        for pole in np.roots(self.denominator):
            if pole.imag > 0:
                s = np.log(pole) * self.rate_hz
                section = np.array([1.0, -2 * pole.real, abs(pole) ** 2])
                found.append((float(abs(s) / (2 * np.pi)), float(-s.real / abs(s)), section))
        return sorted(found, key=lambda mode: mode[0])


def identify_mirror(capture: Capture, axis: str) -> MirrorModel:
    """Fit two modes to channels command_<axis> and mirror_<axis> of a capture that starts and ends at rest.

    Rational fit by Sanathanan and Koerner's iteration (IEEE Trans. Autom. Control 8 (1963) 56): linear least squares,
    re-weighted by the previous denominator. Raises DeviceError when the sweep did not reach the sensor or when what was
    found is no mirror with two damped resonances.
    """
    u, y = spectrum(channel(capture, f"command_{axis}")), spectrum(channel(capture, f"mirror_{axis}"))
    f = np.arange(len(u)) * capture.rate_hz / len(capture.samples)
    use = (f >= BAND_HZ[0]) & (f <= BAND_HZ[1])
    u, y, f = u[use], y[use], f[use]
    if not np.any(np.abs(u) > 0) or not np.any(np.abs(y) > 0):
        raise DeviceError(f"beam board: the sweep on mirror axis {axis} left no trace; check the mirror's drive.")
    z = np.exp(-2j * np.pi * f / capture.rate_hz)
    order = 2 * MODES
    numerator, denominator = np.zeros(order), np.eye(1, order + 1)[0]
    for _ in range(ITERATIONS):
        weight = 1 / np.abs(np.polyval(denominator[::-1], z))
        # sum_i b_i z^(2+i) u - sum_j a_j z^j y = y
        columns = [weight * z ** (DELAY_SAMPLES + i) * u for i in range(order)]
        columns += [-weight * z**j * y for j in range(1, order + 1)]
        matrix, target = np.stack(columns, axis=1), weight * y
        rows = np.concatenate([matrix.real, matrix.imag])
        solution = np.linalg.lstsq(rows, np.concatenate([target.real, target.imag]), rcond=None)[0]
        numerator, denominator = solution[:order], np.concatenate([[1.0], solution[order:]])
    model = MirrorModel(numerator, denominator, capture.rate_hz, 0.0)
    misfit = float(np.linalg.norm(y - model.response(f) * u) / np.linalg.norm(y))
    model = MirrorModel(numerator, denominator, capture.rate_hz, misfit)
    modes = model.modes()
    if misfit > MISFIT_MAX or len(modes) != MODES or not all(0 < damping < 0.7 for _, damping, _ in modes):
        raise DeviceError(
            f"beam board: mirror axis {axis} does not look like a mirror with {MODES} resonances "
            f"(misfit {misfit:.0%}); check that it moves freely and that its position sensor works."
        )
    return model
