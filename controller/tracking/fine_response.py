"""Frequency responses and stability margins from captures of an injected sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy import fft  # by itself numpy loads it when it is first asked for, which would be in flight
from numpy.typing import NDArray

from hal.errors import DeviceError
from hal.traits import Capture

Complex = NDArray[np.complex128]
Floats = NDArray[np.float64]

SMOOTHING_HZ = 50.0  # finer than anything that a damped loop shows
COHERENCE_MIN = 0.5  # a bin below says more about noise than about the loop


class SweepLostError(DeviceError):
    """The sweep does not stand out of the noise; a stronger one may."""


@dataclass(frozen=True, slots=True)
class Response:
    """Output over input at some frequencies; coherence is 1 where all of the output comes from the input."""

    frequency_hz: Floats  # (m,)
    value: Complex  # (m,)
    coherence: Floats  # (m,)


@dataclass(frozen=True, slots=True)
class Margins:
    """How far a loop is from instability; modulus is the least distance of L from -1."""

    gain_db: float
    phase_deg: float
    crossover_hz: float
    modulus: float


def channel(capture: Capture, name: str) -> Floats:
    """One column of a capture."""
    return capture.samples[:, capture.channels.index(name)]


def spectrum(samples: Floats) -> Complex:
    """Spectrum of the first difference: keeps strong slow disturbances from leaking into the sweep's band.

    Differencing both signals of a response leaves their ratio as it is.
    """
    return fft.rfft(np.diff(samples, prepend=samples[0]))


def response(source: Floats, result: Floats, rate_hz: float, band_hz: tuple[float, float]) -> Response:
    """`result` over `source` (both (n,)) in a band, cross-spectra smoothed over SMOOTHING_HZ.

    With `source` the injected signal the estimate has no bias from noise that a closed loop feeds back.
    """
    x, y = spectrum(source), spectrum(result)
    kernel = np.ones(max(1, round(SMOOTHING_HZ * len(source) / rate_hz)))
    power = np.convolve(np.abs(x) ** 2, kernel, "same")
    cross = np.convolve(y * np.conj(x), kernel, "same")
    total = np.convolve(np.abs(y) ** 2, kernel, "same")
    f = np.arange(len(x)) * rate_hz / len(source)
    use = (f >= band_hz[0]) & (f <= band_hz[1]) & (power > 1e-6 * power.max()) & (total > 0)
    coherence = np.abs(cross[use]) ** 2 / (power[use] * total[use])
    return Response(f[use], cross[use] / power[use], coherence)


def open_loop(injection: Floats, target: Floats, rate_hz: float, band_hz: tuple[float, float]) -> Response:
    """Open-loop gain L from a sweep that was added to the integrator's output in the closed loop.

    target = -L (target + injection), so with r = target/injection L = -r/(1 + r). Raises SweepLostError.
    """
    seen = response(injection, target, rate_hz, band_hz)
    good = seen.coherence > COHERENCE_MIN
    if np.count_nonzero(good) < 0.8 * len(good) or not len(good):
        raise SweepLostError("beam board: the injected sweep is lost in noise; wait for a steadier or brighter beacon.")
    closed = seen.value[good]
    return Response(seen.frequency_hz[good], -closed / (1 + closed), seen.coherence[good])


def margins(frequency_hz: Floats, gain: Complex) -> Margins:
    """Gain margin, phase margin and crossover of an open loop L(f), frequencies ascending.

    Every crossing counts: the phase margin is the least of all unity-gain crossings, the gain margin the least over
    all crossings of the negative real axis. One beyond -1 is no margin at all: the loop is unstable, or stable only as
    long as its gain stays high.
    """
    size = np.abs(gain)
    unity = np.flatnonzero((size[:-1] >= 1) != (size[1:] >= 1))
    phases, crossover_hz = [180.0], 0.0
    for i in unity:
        share = np.log(size[i]) / np.log(size[i] / size[i + 1])
        at = gain[i] * (gain[i + 1] / gain[i]) ** share
        phases.append(abs(float(np.degrees(np.angle(-at)))))
        crossover_hz = float(frequency_hz[i] + share * (frequency_hz[i + 1] - frequency_hz[i]))
    gains = [120.0]
    for i in np.flatnonzero((gain.imag[:-1] >= 0) != (gain.imag[1:] >= 0)):
        share = gain.imag[i] / (gain.imag[i] - gain.imag[i + 1])
        real = float(gain.real[i] + share * (gain.real[i + 1] - gain.real[i]))
        if -1 < real < 0:
            gains.append(-20 * np.log10(-real))
        elif real <= -1:
            gains.append(0.0)
    return Margins(float(min(gains)), min(phases), crossover_hz, float(np.min(np.abs(1 + gain))))
