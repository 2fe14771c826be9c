"""Designs the board's loop for an identified mirror: integrator, inverse of the mirror's modes, one lead section."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from controller.tracking.fine_bound import Density
from controller.tracking.fine_mirror import MirrorModel
from controller.tracking.fine_response import Complex, Floats, Margins, margins
from hal.errors import DeviceError

GAIN_MARGIN_DB = 7.5  # designed; 6 must be measured
PHASE_MARGIN_DEG = 42.0  # designed; 35 must be measured
SEARCH_STEPS = 500
STEP_OF_SEARCH = 50
Section = tuple[float, float, float, float, float]

# gain a tick, pole radius that replaces the first mode, damping that replaces the second, lead pole, lead zero
START = np.array([0.30, 0.10, 0.12, 0.50, -0.30])
STEP = np.array([0.05, 0.10, 0.05, 0.10, 0.10])
LOW = np.array([0.02, -0.30, 0.06, -0.30, -0.70])
HIGH = np.array([0.80, 0.80, 0.70, 0.70, 0.70])  # a lead pole nearer to 1 would ring at half the tick rate


@dataclass(frozen=True, slots=True)
class LoopDesign:
    """One axis' loop: integrator gain a tick and the biquads behind it (DC gain 1); what the model promises."""

    gain: float
    sections: tuple[Section, ...]
    margins: Margins
    residual_rad: float


def sections_for(model: MirrorModel, knobs: Floats) -> tuple[Section, ...]:
    """Inverse notches that trade the mirror's resonances for damped poles, and the lead section."""
    _, radius, damping, lead_pole, lead_zero = knobs
    (_, _, first), (second_hz, _, second) = model.modes()
    w = 2 * np.pi * second_hz / model.rate_hz
    decay = np.exp(-damping * w)
    replaced = (
        np.array([1.0, -2 * radius, radius**2]),
        np.array([1.0, -2 * decay * np.cos(w * np.sqrt(1 - damping**2)), decay**2]),
    )
    pairs = [*zip((first, second), replaced, strict=True), (np.array([1, lead_zero, 0]), np.array([1, lead_pole, 0]))]
    rows = [(zeros / zeros.sum() * poles.sum(), poles) for zeros, poles in pairs]
    return tuple((float(b[0]), float(b[1]), float(b[2]), float(a[1]), float(a[2])) for b, a in rows)


def loop_response(model: MirrorModel, gain: float, sections: tuple[Section, ...], frequency_hz: Floats) -> Complex:
    """Open-loop gain L(f): integrator, sections, mirror."""
    z = np.exp(-2j * np.pi * frequency_hz / model.rate_hz)
    value = gain / (1 - z) * model.response(frequency_hz)
    for b0, b1, b2, a1, a2 in sections:
        value = value * (b0 + b1 * z + b2 * z * z) / (1 + a1 * z + a2 * z * z)
    return np.asarray(value)


def is_stable(model: MirrorModel, gain: float, sections: tuple[Section, ...]) -> bool:
    """Whether all poles of the closed loop lie inside the unit circle (polynomials, not margins, decide)."""
    above, below = gain * np.concatenate([[0.0, 0.0], model.numerator]), np.convolve([1.0, -1.0], model.denominator)
    for b0, b1, b2, a1, a2 in sections:
        above, below = np.convolve(above, [b0, b1, b2]), np.convolve(below, [1.0, a1, a2])
    size = max(len(above), len(below))
    closed = np.pad(above, (0, size - len(above))) + np.pad(below, (0, size - len(below)))
    return bool(np.max(np.abs(np.roots(closed))) < 1.0)


def design_loop(model: MirrorModel, density: Density, sensor_noise_rad: float) -> LoopDesign:
    """Least residual for a disturbance density and sensor noise that keeps the designed margins.

    A seeded random descent over five knobs; the same model gives the same design. Raises DeviceError when no stable
    loop with the margins was found.
    """
    steps = design_steps(model, density, sensor_noise_rad)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: LoopDesign = done.value
            return found


def design_steps(model: MirrorModel, density: Density, sensor_noise_rad: float) -> Generator[None, None, LoopDesign]:
    """The same in steps of some 10 ms, for a caller that has a watchdog to keep content."""
    nyquist_hz = model.rate_hz / 2
    f = np.concatenate([np.geomspace(0.05, 100, 120), np.linspace(100, nyquist_hz * 0.999, 980)[1:]])
    width = np.gradient(f)
    disturbance = density(f) * width
    noise = 2 * sensor_noise_rad**2 / model.rate_hz * width

    def judge(knobs: Floats) -> tuple[float, float, Margins]:
        loop = loop_response(model, knobs[0], sections_for(model, knobs), f)
        rejection = np.abs(1 / (1 + loop)) ** 2
        residual = float(np.sqrt(np.sum(rejection * (disturbance + np.abs(loop) ** 2 * noise))))
        found = margins(f, loop)
        short = max(0.0, GAIN_MARGIN_DB - found.gain_db) / 6 + max(0.0, PHASE_MARGIN_DEG - found.phase_deg) / 30
        return residual * (1 + 10 * short), residual, found

    rng = np.random.default_rng(1)
    knobs, step = START.copy(), STEP.copy()
    best = judge(knobs)
    for i in range(SEARCH_STEPS):
        trial = np.clip(knobs + step * rng.standard_normal(len(knobs)), LOW, HIGH)
        outcome = judge(trial)
        if outcome[0] < best[0] and is_stable(model, trial[0], sections_for(model, trial)):
            knobs, best = trial, outcome
        if i % 100 == 99:
            step *= 0.6
        if i % STEP_OF_SEARCH == STEP_OF_SEARCH - 1:
            yield
    sections = sections_for(model, knobs)
    _, residual, found = best
    if (
        not is_stable(model, knobs[0], sections)
        or found.gain_db < GAIN_MARGIN_DB - 0.5
        or found.phase_deg < PHASE_MARGIN_DEG - 2
    ):
        raise DeviceError(
            f"beam board: no loop for a mirror at {model.modes()[0][0]:.0f} Hz keeps {GAIN_MARGIN_DB:g} dB and "
            f"{PHASE_MARGIN_DEG:g} degrees; check the mirror's identification."
        )
    return LoopDesign(float(knobs[0]), sections, found, residual)
