from __future__ import annotations

import math

import numpy as np
import pytest

from controller.acquisition.crossing import Detector, miss_probability, unlit
from controller.acquisition.plan import Latency, Limits, ScanError, Spiral, plan, uncertainty
from controller.acquisition.stepstare import covered, hexagon
from controller.geometry.trackframe import along_cross_on_sky

URAD = 1e-6
BEAM = Detector(40 * URAD, 0.05)
MIRROR = Limits(2e-3, 0.1)
LATENCY = Latency(0.007, 0.25, 0.04)
JITTER_RAD = 15.85 * URAD  # 160/(1+f^2) urad^2/Hz, one-sided, integrated


def ellipse(s1_rad: float, s2_rad: float, angle_rad: float = 0.0) -> np.ndarray:
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    turn = np.array([[c, -s], [s, c]])
    return turn @ np.diag([s1_rad**2, s2_rad**2]) @ turn.T


# Miss probabilities, independent jitter per track: rows pitch / capture radius, columns jitter / capture radius of
# .05, .1, .2, .3, .5 (pat.md 5.5, derived there).
MISSES = {
    1.0: (None, 1.5e-14, 1.4e-5, 1.1e-3, 1.5e-2),
    1.2: (None, 1.5e-10, 1.6e-4, 3.9e-3, 3.0e-2),
    1.4: (None, 2.4e-7, 1.2e-3, 1.1e-2, 5.1e-2),
    1.6: (5.7e-11, 6.1e-5, 6.3e-3, 2.5e-2, 7.6e-2),
    1.8: (2.7e-5, 2.8e-3, 2.2e-2, 4.9e-2, 0.106),
    2.0: (1.4e-2, 2.8e-2, 5.6e-2, 8.5e-2, 0.141),
}


@pytest.mark.parametrize("pitch", MISSES)
def test_the_miss_probability_is_the_published_table(pitch: float) -> None:
    for jitter, expected in zip((0.05, 0.1, 0.2, 0.3, 0.5), MISSES[pitch], strict=True):
        found = unlit(pitch, 1.0, jitter)
        if expected is None:
            assert found < 1e-15
        else:
            assert found == pytest.approx(expected, rel=0.04)  # two printed digits


def test_a_beam_that_lingers_misses_as_the_table_says() -> None:
    slow = miss_probability(1.0, 1.6, 1e-6, Detector(1.0, 0.05), 0.3)
    assert slow == pytest.approx(2.5e-2, rel=0.1)


def test_a_stare_is_seen_up_to_the_capture_radius_and_no_further() -> None:
    offset = np.array([0.0, 0.99, 1.01]) * BEAM.capture_rad
    assert BEAM.seen(offset, 0.0, 0.0) == pytest.approx([1.0, 1.0, 0.0])


def test_a_crossing_is_seen_when_the_mean_over_a_frame_reaches_the_intensity_at_the_capture_radius() -> None:
    speed = 3 * BEAM.capture_rad / BEAM.frame_s
    edges = BEAM.reach(speed, phases=3)
    middle = (np.arange(3) + 0.5) / 3 * 1.5 * BEAM.capture_rad
    for edge, at in zip(edges, middle, strict=True):
        along = at + np.linspace(-1.5, 1.5, 20_001) * BEAM.capture_rad
        mean = np.exp(-2 * (along**2 + edge**2) / BEAM.capture_rad**2).mean()
        assert mean == pytest.approx(math.exp(-2), rel=1e-3) or edge == 0.0
    assert edges[0] > edges[-1]


def test_time_to_reach_a_gaussian_target_is_exponential_with_the_closed_form_mean() -> None:
    # sigma 100 urad, pitch 50 urad, 1000 urad/s: tau 1.2566 s, mean of 1e6 draws 1.254, median .869 (pat.md 5.5).
    scan = Spiral((0, 0), (1e-4, 1e-4), ((1, 0), (0, 1)), 0.5, 50e-6 * 1e-3, 3.0, BEAM, LATENCY)
    assert scan.tau_s == pytest.approx(1.2566, abs=1e-4)
    q = np.sqrt(-2 * np.log(1 - (np.arange(100_000) + 0.5) / 100_000))
    t_s = np.asarray(scan.reached_s(q)) - float(scan.reached_s(0.0))
    assert t_s.mean() == pytest.approx(1.2566, rel=0.003)
    assert np.median(t_s) == pytest.approx(0.869, rel=0.005)
    assert float(scan.reached_s(3.0) - scan.reached_s(0.0)) == pytest.approx(5.655, abs=1e-3)  # t(3 sigma) = 4.5 tau


def test_the_spiral_sweeps_area_at_a_constant_rate_and_fills_the_ellipse() -> None:
    scan = plan(ellipse(300 * URAD, 120 * URAD, 0.6), BEAM, JITTER_RAD, 0.99, MIRROR, LATENCY)
    inverse = np.linalg.inv(ellipse(300 * URAD, 120 * URAD, 0.6))
    times = np.linspace(1.0, scan.duration_s, 60)
    area = []
    for t_s in times:
        at = np.array(scan.position(t_s))
        area.append(math.pi * 300 * 120 * URAD**2 * float(at @ inverse @ at))
    rates = np.diff(area) / np.diff(times)
    assert rates == pytest.approx(np.full(len(rates), scan.area_rate_rad2_s), rel=1e-6)
    edge = np.array(scan.position(scan.duration_s + 5))
    assert math.sqrt(edge @ inverse @ edge) == pytest.approx(scan.radius_sigma)


def test_no_step_of_the_spiral_is_faster_than_stated() -> None:
    scan = plan(ellipse(300 * URAD, 100 * URAD), BEAM, JITTER_RAD, 0.99, MIRROR, LATENCY)
    t_s = np.arange(2 * scan.stare_s, scan.duration_s, 1e-3)
    path = np.array([scan.position(float(t)) for t in t_s])
    speed = np.hypot(*np.diff(path, axis=0).T) / 1e-3
    assert speed.max() <= 1.02 * scan.speed_rad_s
    assert speed.max() >= 0.95 * scan.speed_rad_s


@pytest.mark.parametrize(("s1", "s2", "jitter"), [(150, 150, 16.0), (300, 110, 16.0), (200, 120, 22.0)])
def test_thousands_of_simulated_scans_take_the_predicted_time_and_succeed_as_often(s1, s2, jitter) -> None:
    scan = plan(ellipse(s1 * URAD, s2 * URAD, 0.4), BEAM, jitter * URAD, 0.99, MIRROR, LATENCY)
    found_s = simulate(scan, ellipse(s1 * URAD, s2 * URAD, 0.4), jitter * URAD, draws=2500, seed=s1)
    success = np.isfinite(found_s)
    assert scan.predicted_success >= 0.99
    assert success.mean() >= scan.predicted_success - 2 * math.sqrt(0.01 * 0.99 / 2500)
    assert (found_s[success] + scan.latency.total_s).mean() == pytest.approx(scan.predicted_mean_s, rel=0.10)


def simulate(scan: Spiral, covariance: np.ndarray, jitter_rad: float, draws: int, seed: int) -> np.ndarray:
    """When a frame of the satellite has seen the beam, inf if never; two-axis correlated jitter, own code."""
    rng = np.random.default_rng(seed)
    step_s, per_frame = 0.005, 10
    target = rng.multivariate_normal([0, 0], covariance, draws)
    phase = rng.integers(0, per_frame, draws)
    keep = math.exp(-2 * math.pi * 1.0 * step_s)  # 1 Hz corner
    jitter = rng.standard_normal((draws, 2)) * jitter_rad
    gathered = np.zeros(draws)
    found = np.full(draws, np.inf)
    for number in range(int(scan.duration_s / step_s) + 1):
        jitter = keep * jitter + math.sqrt(1 - keep**2) * jitter_rad * rng.standard_normal((draws, 2))
        off = target + jitter - np.array(scan.position(number * step_s))
        boundary = (number + phase) % per_frame == 0
        gathered = np.where(boundary, 0.0, gathered) + np.exp(-2 * (off**2).sum(axis=1) / BEAM.capture_rad**2)
        last = (number + 1 + phase) % per_frame == 0
        seen = last & (gathered >= math.exp(-2) * per_frame) & ~np.isfinite(found)
        found[seen] = (number + 1) * step_s
        if np.isfinite(found).all():
            break
    return found


def test_a_wider_uncertainty_takes_longer_in_proportion_to_its_area() -> None:
    small = plan(ellipse(200 * URAD, 200 * URAD), BEAM, JITTER_RAD, 0.99, MIRROR, LATENCY)
    large = plan(ellipse(400 * URAD, 400 * URAD), BEAM, JITTER_RAD, 0.99, MIRROR, LATENCY)
    assert large.tau_s / small.tau_s == pytest.approx(4.0, rel=1e-6)


def test_a_slow_mirror_slows_the_scan() -> None:
    covariance = ellipse(300 * URAD, 100 * URAD)
    slow = plan(covariance, BEAM, JITTER_RAD, 0.99, Limits(2e-3, 100 * URAD), LATENCY)
    assert slow.speed_rad_s == pytest.approx(100 * URAD)
    assert slow.predicted_mean_s > plan(covariance, BEAM, JITTER_RAD, 0.99, MIRROR, LATENCY).predicted_mean_s


def test_an_ellipse_beyond_the_mirror_is_refused_with_both_figures() -> None:
    with pytest.raises(ScanError, match=r"0.99 success needs ±\d+ µrad but the mirror reaches ±2000"):
        plan(ellipse(800 * URAD, 200 * URAD), BEAM, JITTER_RAD, 0.99, MIRROR, LATENCY)


def test_jitter_larger_than_the_beam_is_refused() -> None:
    with pytest.raises(ScanError, match="jitter of 50 µrad"):
        plan(ellipse(300 * URAD, 200 * URAD), BEAM, 50 * URAD, 0.99, MIRROR, LATENCY)


def test_a_success_of_one_is_refused() -> None:
    with pytest.raises(ScanError, match="not between 0 and 1"):
        plan(ellipse(300 * URAD, 200 * URAD), BEAM, JITTER_RAD, 1.0, MIRROR, LATENCY)


def test_the_lunar_step_stare_has_19_points_and_takes_95_s() -> None:
    # LLOT: 191 urad of uncertainty, 110 urad beam, 19 points of 5 s (pat.md 5.5).
    scan = hexagon(191 * URAD, 110 * URAD, 5.0)
    assert len(scan.points_rad) == 19
    assert scan.duration_s == 95.0
    assert scan.position(0.0) == pytest.approx((0.0, 0.0))
    assert scan.covered_rad >= 191 * URAD


@pytest.mark.parametrize("rings", [0, 1, 2, 3])
def test_every_point_of_the_covered_disc_is_in_some_beam_and_just_outside_is_not(rings: int) -> None:
    radius = covered(rings, math.sqrt(3), 1.0)
    points = np.array(hexagon(radius * 0.999, 2.0, 1.0).points_rad)
    assert len(points) == 1 + 3 * rings * (rings + 1)
    angle = np.linspace(0, 2 * np.pi, 2000)

    def worst(r: float) -> float:
        edge = r * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return float(np.min(np.hypot(*(edge[:, None] - points[None]).transpose(2, 0, 1)), axis=1).max())

    assert max(worst(r) for r in np.linspace(0, radius, 40)) <= 1.0001
    assert worst(radius * 1.01) > 1.0


def test_along_track_metres_lie_along_the_motion_on_the_sky() -> None:
    project = along_cross_on_sky(math.radians(40), math.radians(0.4), math.radians(0.3), 800e3)
    motion = np.array([math.radians(0.4) * math.cos(math.radians(40)), math.radians(0.3)])
    cosine = project[:, 0] @ motion / np.linalg.norm(project[:, 0]) / np.linalg.norm(motion)
    assert cosine == pytest.approx(1.0)


def test_overhead_a_metre_is_a_metre_over_the_range() -> None:
    project = along_cross_on_sky(math.radians(89.9), 0.0, math.radians(0.79), 550e3)
    assert np.linalg.norm(project[:, 0]) == pytest.approx(1 / 550e3, rel=1e-3)
    assert np.linalg.norm(project[:, 1]) == pytest.approx(1 / 550e3, rel=1e-3)


def test_at_the_horizon_of_a_pass_through_the_zenith_along_track_is_foreshortened() -> None:
    # 550 km, elevation 20 deg, range 1294 km, .1685 deg/s, in-plane pass (pat.md 5.1): velocity across the line of
    # sight is range x rate = 3805 m/s of 7585 m/s.
    project = along_cross_on_sky(math.radians(20), 0.0, math.radians(0.1685), 1294e3)
    assert np.linalg.norm(project[:, 0]) * 1294e3 == pytest.approx(3805 / 7585, rel=0.03)
    assert np.linalg.norm(project[:, 1]) * 1294e3 == pytest.approx(1.0, rel=1e-6)


def test_the_uncertainty_adds_ephemeris_mount_and_clock() -> None:
    project = np.eye(2) / 1e6
    covariance = uncertainty(project, 300, 100, np.eye(2) * (50 * URAD) ** 2, (0.01, 0.0), 0.01)
    assert covariance[0, 0] == pytest.approx((300**2 + 50**2 + 100**2) * URAD**2)
    assert covariance[1, 1] == pytest.approx((100**2 + 50**2) * URAD**2)
