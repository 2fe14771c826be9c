"""How well any causal loop can do: disturbance densities and the minimum-variance prediction error.

Total delay is half the exposure plus half the hold plus latency: from the middle of what the sensor averaged to the
middle of what the actuator holds. For the beam board that is two ticks (see sim_hw/plant/fine.py: 50 + 50 + 100 us).
What a mirror's own dynamics add is not counted: an inverse filter could take it away.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Density = Callable[[Floats], Floats]  # frequency in Hz -> one-sided density in rad^2/Hz

GRID = 1 << 16
FOLDS = 32  # bands above half the sample rate that sampling folds down


def jitter_psd(frequency_hz: Floats, at_zero_rad2_hz: float = 160e-12, corner_hz: float = 1.0) -> Floats:
    """SILEX-type platform jitter, 160/(1 + f^2) urad^2/Hz one-sided (Wittig et al., Proc. SPIE 1218 (1990))."""
    return np.asarray(at_zero_rad2_hz / (1 + (frequency_hz / corner_hz) ** 2))


def tilt_psd(frequency_hz: Floats, rms_rad: float, corner_hz: float) -> Floats:
    """Turbulence tilt of one axis: flat, then f^-4 (for the theory's f^-11/3); integrates to `rms_rad` squared."""
    return np.asarray(rms_rad**2 * 4 / (np.pi * corner_hz) / (1 + (frequency_hz / corner_hz) ** 2) ** 2)


def predictor_bound_rad(
    density: Density, sensor_noise_rad: float, total_delay_s: float = 200e-6, sample_s: float = 100e-6
) -> float:
    """Root-mean-square error of the best causal prediction of the disturbance, one axis.

    The sensor gives the disturbance plus white noise of `sensor_noise_rad` a sample. By spectral factorisation
    (Kolmogorov and Szego; see Hannan, Multiple Time Series, III.3): with S = s^2 |1 + h1 z + ...|^2 the n-step error of
    the sensor's signal is s^2 (1 + h1^2 + ... + h(n-1)^2), and the noise in it is not the disturbance's. What `density`
    has above half the sample rate is folded down, as sampling does. Without noise and for 160/(1 + f^2) this is
    15.85 urad sqrt(1 - exp(-4 pi tau)). Raises ValueError for a delay that is not a whole number of samples.
    """
    steps = round(total_delay_s / sample_s)
    if steps < 1 or abs(steps * sample_s - total_delay_s) > 1e-9:
        raise ValueError(f"total delay {total_delay_s} s is not a positive whole number of samples of {sample_s} s")
    f = np.fft.fftfreq(GRID, sample_s)
    folded = sum((density(np.abs(f + k / sample_s)) for k in range(-FOLDS, FOLDS + 1)), np.zeros(GRID))
    # Two-sided and scaled so that its mean over the grid is the variance.
    power = folded / (2 * sample_s) + sensor_noise_rad**2
    cepstrum = np.fft.ifft(np.log(power)).real
    innovation = np.exp(cepstrum[0])
    impulse = [1.0]
    for i in range(1, steps):
        impulse.append(sum(k * cepstrum[k] * impulse[i - k] for k in range(1, i + 1)) / i)
    error = innovation * sum(h * h for h in impulse) - sensor_noise_rad**2
    return float(np.sqrt(max(error, 0.0)))
