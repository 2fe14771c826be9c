"""The pure parts: bound, margins, poke arithmetic, design."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from controller.tracking.fine_bound import jitter_psd, predictor_bound_rad, tilt_psd
from controller.tracking.fine_design import design_loop, is_stable, loop_response
from controller.tracking.fine_mirror import MirrorModel, identify_mirror
from controller.tracking.fine_poke import QuadOptics, measure_poke
from controller.tracking.fine_response import margins, open_loop
from hal.errors import DeviceError
from hal.traits import Capture

Floats = NDArray[np.float64]
RATE = 10_000.0


@pytest.mark.parametrize("delay_s", [1e-4, 2e-4, 5e-4])
def test_without_noise_the_bound_is_that_of_first_order_jitter(delay_s: float) -> None:
    # limits.md 8: sigma sqrt(1 - exp(-4 pi fc tau)); 15.853 urad rms (pat.md 5.4)
    expected = 15.853e-6 * math.sqrt(1 - math.exp(-4 * math.pi * delay_s))
    assert predictor_bound_rad(jitter_psd, 0.0, delay_s) == pytest.approx(expected, rel=0.003)


def kalman_bound(rms: float, corner_hz: float, noise: float, steps: int) -> float:
    """Independent truth for first-order noise in white noise: the steady-state Riccati equation, then prediction."""
    a = math.exp(-2 * math.pi * corner_hz * 1e-4)
    q = rms**2 * (1 - a * a)
    p = rms**2
    for _ in range(20_000):
        p = a * a * (p * noise**2 / (p + noise**2)) + q
    for _ in range(steps - 1):
        p = a * a * p + q
    return math.sqrt(p)


@pytest.mark.parametrize("noise", [0.3e-6, 0.7e-6, 1.5e-6])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_with_noise_the_bound_is_the_kalman_predictors(noise: float, steps: int) -> None:
    got = predictor_bound_rad(jitter_psd, noise, steps * 1e-4)
    assert got == pytest.approx(kalman_bound(15.853e-6, 1.0, noise, steps), rel=2e-3)  # 32 of all aliases are folded


def test_a_delay_of_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number of samples"):
        predictor_bound_rad(jitter_psd, 0.0, 2.5e-4)


def test_the_densities_integrate_to_their_variance() -> None:
    f = np.concatenate([[0.0], np.geomspace(1e-4, 1e6, 200_000)])
    assert np.trapezoid(jitter_psd(f), f) == pytest.approx((15.853e-6) ** 2, rel=1e-3)  # pat.md 5.4
    assert np.trapezoid(tilt_psd(f, 3e-6, 20.0), f) == pytest.approx(9e-12, rel=1e-3)


DELAYED_INTEGRATOR = 0.3


def delayed_integrator(f: Floats) -> NDArray[np.complex128]:
    z = np.exp(-2j * np.pi * f / RATE)
    return np.asarray(DELAYED_INTEGRATOR * z**2 / (1 - z))


def test_margins_of_a_delayed_integrator_are_the_textbooks() -> None:
    # L = g z^-2/(1 - z^-1): |L| = g/(2 sin(w/2)), phase -90 degrees - 3/2 w. Phase -180 at w = 60 degrees: GM = 1/g.
    f = np.linspace(1.0, 4999.0, 100_000)
    found = margins(f, delayed_integrator(f))
    crossover = 2 * math.asin(DELAYED_INTEGRATOR / 2)
    assert found.gain_db == pytest.approx(-20 * math.log10(DELAYED_INTEGRATOR), abs=0.01)
    assert found.crossover_hz == pytest.approx(crossover * RATE / (2 * math.pi), rel=1e-4)
    assert found.phase_deg == pytest.approx(90 - math.degrees(1.5 * crossover), abs=0.05)


def test_an_unstable_gain_has_no_margin() -> None:
    f = np.linspace(1.0, 4999.0, 100_000)
    assert margins(f, 4 * delayed_integrator(f)).gain_db == 0.0


def closed_loop_sweep(noise: float) -> tuple[Floats, Floats]:
    """Injection and integrator output of a simulated delayed-integrator loop under a sweep."""
    rng = np.random.default_rng(1)
    n = np.arange(10_240)
    injection = 3.0 * np.sin(2 * np.pi * (30 * n / RATE + 4470 / 2 * n**2 / RATE / 9500)) * (n < 9500)
    target = np.zeros(len(n) + 2)
    for k in n:
        error = -(target[k] + (injection[k - 2] if k >= 2 else 0.0)) + noise * rng.standard_normal()
        target[k + 2] = target[k + 1] + DELAYED_INTEGRATOR * error
    return injection, target[2:]


def test_the_injected_sweep_measures_the_open_loop() -> None:
    injection, target = closed_loop_sweep(noise=0.7)
    seen = open_loop(injection, target, RATE, (60.0, 4000.0))
    found = margins(seen.frequency_hz, seen.value)
    assert found.gain_db == pytest.approx(-20 * math.log10(DELAYED_INTEGRATOR), abs=0.7)
    assert found.phase_deg == pytest.approx(90 - math.degrees(3 * math.asin(DELAYED_INTEGRATOR / 2)), abs=5)


def test_a_sweep_that_drowns_in_noise_is_refused() -> None:
    injection, target = closed_loop_sweep(noise=60.0)
    with pytest.raises(DeviceError, match="lost in noise"):
        open_loop(injection, target, RATE, (60.0, 4000.0))


def poke_captures(mirror_to_sky: Floats, noise: float = 0.0) -> tuple[Capture, Capture]:
    """What a quad without crosstalk would show of both axes' pokes."""

    def curve(angle: Floats) -> Floats:  # two cells of 100 urad under a spot of 100 urad, from the error function
        right, left = (
            np.array([math.erf(k * (1e-4 - s * x)) + math.erf(k * s * x) for x in angle]) for s in (1.0, -1.0)
        )
        return np.asarray((right - left) / (right + left))

    k = math.sqrt(2) / 1e-4
    rng = np.random.default_rng(2)
    sine = 20e-6 * np.sin(2 * np.pi * 312.5 / RATE * np.arange(2048))
    captures = []
    for axis in range(2):
        mirror = np.zeros((2048, 2))
        mirror[:, axis] = sine
        sky = -(mirror @ mirror_to_sky.T)
        quad = np.column_stack([curve(sky[:, 0]), curve(sky[:, 1])]) + noise * rng.standard_normal((2048, 2))
        samples = np.column_stack([sine, quad, mirror])
        captures.append(Capture(0, RATE, ("injection", "quad_x", "quad_y", "mirror_x", "mirror_y"), samples))
    return captures[0], captures[1]


def rotation(angle_rad: float) -> Floats:
    return np.array([[math.cos(angle_rad), -math.sin(angle_rad)], [math.sin(angle_rad), math.cos(angle_rad)]])


def test_the_matrix_of_a_poke_undoes_the_coupling() -> None:
    truth = 1.1 * rotation(0.25)
    poke = measure_poke(poke_captures(truth), 312.5, QuadOptics())
    assert np.allclose(poke.mirror_to_sky, truth, atol=0.002)  # uncorrected, the cell's curve would take 2 %
    assert np.allclose(poke.mirror_per_quad @ poke.quad_per_mirror, -np.eye(2), atol=1e-12)
    assert min(poke.coherence) > 0.999


@pytest.mark.parametrize(
    ("mirror_to_sky", "sentence"),
    [
        (np.diag([1.0, -1.0]), "wrong way round"),
        (np.array([[0.0, 1.0], [1.0, 0.0]]), "wrong way round"),  # axes swapped
        (rotation(math.radians(120)), "turned by 120 degrees"),
        (3.0 * np.eye(2), r"3\.\d+ times as far"),
        (0.2 * np.eye(2), r"0\.2\d* times as far"),
        (np.diag([0.0, 1.0]), "does not follow mirror axis x"),
    ],
)
def test_a_poke_that_would_make_the_loop_run_away_is_refused(mirror_to_sky: Floats, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        measure_poke(poke_captures(mirror_to_sky), 312.5, QuadOptics())


def test_a_poke_in_noise_is_refused() -> None:
    with pytest.raises(DeviceError, match="does not follow"):
        measure_poke(poke_captures(np.eye(2), noise=10.0), 312.5, QuadOptics())


def test_the_quads_scale_is_that_of_a_wide_cell_when_the_field_is_wide() -> None:
    wide = QuadOptics(spot_radius_rad=100e-6, half_field_rad=1e-3)
    assert wide.scale_rad == pytest.approx(100e-6 * math.sqrt(math.pi / 8), rel=1e-6)  # limits.md 8
    near = QuadOptics()
    small = np.array([-1e-3, 1e-3])
    assert near.angle_rad(small) == pytest.approx(small * near.scale_rad, rel=1e-3)


def synthetic_mirror(first_hz: float = 1000.0, damping: float = 0.02) -> MirrorModel:
    """Poles of two modes, with a numerator of DC gain 1 that is a plausible mirror's."""
    denominator = np.array([1.0])
    for f, zeta in ((first_hz, damping), (2600.0, 0.02)):
        w = 2 * math.pi * f / RATE
        pole = math.exp(-zeta * w)
        denominator = np.convolve(denominator, [1, -2 * pole * math.cos(w * math.sqrt(1 - zeta**2)), pole**2])
    numerator = np.array([0.19, 0.08, 0.08, 0.19])
    return MirrorModel(numerator / numerator.sum() * denominator.sum(), denominator, RATE, 0.0)


def mirror_capture(model: MirrorModel, noise: float = 0.2e-6) -> Capture:
    rng = np.random.default_rng(3)
    n = np.arange(4096)
    command = 20e-6 * np.sin(2 * np.pi * (30 * n / RATE + 4670 / 2 * n**2 / RATE / 3500)) * (n < 3500)
    position = np.zeros(len(n) + 6)
    for k in n:
        past = sum(b * (command[k - 2 - i] if k >= 2 + i else 0.0) for i, b in enumerate(model.numerator))
        position[k + 6] = past - sum(a * position[k + 6 - j] for j, a in enumerate(model.denominator) if j)
    seen = position[6:] + noise * rng.standard_normal(len(n))
    return Capture(0, RATE, ("command_x", "mirror_x"), np.column_stack([command, seen]))


def test_identification_recovers_a_known_mirror() -> None:
    truth = synthetic_mirror(980.0)
    found = identify_mirror(mirror_capture(truth), "x")
    (first_hz, damping, _), (second_hz, _, _) = found.modes()
    assert (first_hz, second_hz) == pytest.approx((980.0, 2600.0), rel=1e-3)
    assert damping == pytest.approx(0.02, rel=0.05)


def test_a_sensor_that_shows_only_noise_is_refused() -> None:
    capture = mirror_capture(synthetic_mirror())
    capture.samples[:, 1] = np.random.default_rng(1).normal(0, 1e-6, 4096)
    with pytest.raises(DeviceError, match="does not look like a mirror"):
        identify_mirror(capture, "x")
    capture.samples[:, 1] = 0.0
    with pytest.raises(DeviceError, match="left no trace"):
        identify_mirror(capture, "x")


@pytest.mark.parametrize("first_hz", [950.0, 1050.0])
def test_the_design_is_stable_keeps_its_margins_and_has_unit_gain_filters(first_hz: float) -> None:
    model = synthetic_mirror(first_hz)
    design = design_loop(model, jitter_psd, 0.7e-6)
    f = np.linspace(1, 4999, 20_000)
    found = margins(f, loop_response(model, design.gain, design.sections, f))
    assert found.gain_db > 6.9
    assert found.phase_deg > 40
    assert is_stable(model, design.gain, design.sections)
    assert not is_stable(model, 4 * design.gain, design.sections)
    for b0, b1, b2, a1, a2 in design.sections:
        assert (b0 + b1 + b2) / (1 + a1 + a2) == pytest.approx(1.0)


def test_a_mirror_that_no_gain_within_reach_can_steady_is_refused() -> None:
    model = synthetic_mirror()
    wild = MirrorModel(100 * model.numerator, model.denominator, RATE, 0.0)
    with pytest.raises(DeviceError, match="no loop for a mirror at 1000 Hz"):
        design_loop(wild, jitter_psd, 0.7e-6)


def test_a_noisier_quad_gets_a_slower_loop() -> None:
    model = synthetic_mirror()
    quiet, noisy = (design_loop(model, jitter_psd, noise) for noise in (0.3e-6, 3e-6))
    assert noisy.gain < 0.8 * quiet.gain
    assert noisy.residual_rad > quiet.residual_rad
