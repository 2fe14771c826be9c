from __future__ import annotations

import functools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.bus.topics import PointingState
from controller.tracking.coarse import CoarseEstimator, Disturbances
from controller.tracking.pairing import Moment, Pairing

URAD = 1e-6


def _load_simulation():
    import importlib.util
    import sys

    path = Path(__file__).parent / "simulated_axes.py"
    spec = importlib.util.spec_from_file_location("simulated_axes", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulated_axes"] = module
    spec.loader.exec_module(module)
    return module


axes = _load_simulation()


@functools.cache
def flown(seed: int = 1, **changes):
    return axes.fly(seed, axes.Scene().without(**changes), -80.0, 80.0)


def settled(result):
    """After the first two seconds, when the step of acquisition is over."""
    return result.t_s > result.t_s[0] + 2.0


def rms(values) -> np.ndarray:
    return np.sqrt(np.mean(values**2, axis=0))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_coarse_error_stays_within_15_urad_rms_on_a_70_degree_pass_with_every_disturbance(seed: int) -> None:
    result = flown(seed)
    assert (rms(result.error_rad[settled(result)]) < 15 * URAD).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_reversal_of_elevation_stays_within_200_urad(seed: int) -> None:
    result = flown(seed)
    near = np.abs(result.t_s) < 5.0
    assert np.abs(result.error_rad[near]).max() < 200 * URAD


def test_jitter_in_the_camera_is_not_followed() -> None:
    quiet = ("along_m", "cross_m", "mount_rad", "worm_rad", "worm2_rad", "backlash_rad", "wind_rad", "gust_rad")
    result = flown(1, **dict.fromkeys(quiet, 0.0))
    k = settled(result)
    seen = rms(result.total_rad[k])
    assert (seen > 15 * URAD).all()  # the camera does see it
    assert (rms(result.error_rad[k]) < 0.4 * seen).all()


def test_the_ephemeris_error_is_found_in_metres_and_leaves_nothing() -> None:
    with_error = flown(1)
    without = flown(1, along_m=0.0, cross_m=0.0)
    k = settled(with_error) & (np.abs(with_error.t_s) > 5)  # the reversal itself is another test
    assert rms(with_error.error_rad[k]) == pytest.approx(rms(without.error_rad[k]), abs=1.0 * URAD)


def test_an_estimator_that_knows_no_worm_does_worse() -> None:
    knows = flown(1)
    ignorant = axes.fly(1, axes.Scene(), -80.0, 80.0, replace(Disturbances(), worm=(1e-9, 1e-9)))
    k = settled(knows)
    assert rms(ignorant.error_rad[k])[1] > rms(knows.error_rad[k])[1] + 1.5 * URAD


def test_the_stated_sigma_is_the_error_of_the_prediction() -> None:
    result = flown(2)
    k = settled(result) & (np.abs(result.t_s) > 5)
    ratio = rms(result.offset_miss_rad[k]) / result.sigma_rad[k].mean(axis=0)
    assert (ratio > 0.6).all()
    assert (ratio < 1.5).all()


def test_while_the_beacon_is_lost_the_estimate_coasts_and_its_sigma_grows() -> None:
    result = axes.fly(3, axes.Scene(blank_s=(-40.0, -35.0)), -60.0, -20.0)
    before = result.sigma_rad[(result.t_s > -41) & (result.t_s < -40)].mean(axis=0)
    end = (result.t_s > -35.2) & (result.t_s < -35.0)
    assert (result.sigma_rad[end].mean(axis=0) > 1.1 * before).all()
    assert (np.abs(result.error_rad[end]) < 3.5 * result.sigma_rad[end]).all()


def test_three_sigma_of_the_total_fit_the_quad_cells_field() -> None:
    result = flown(1)
    k = settled(result) & (np.abs(result.t_s) > 5)
    total = result.total_sigma_rad[k]
    assert (3 * np.median(total, axis=0) < 100 * URAD).all()
    assert rms(result.total_rad[k]) == pytest.approx(rms(total), rel=0.3)


def state(t_s: float, deviation=(0.0, 0.0), rate=(0.0, 0.0), el_deg: float = 40.0) -> PointingState:
    el = math.radians(el_deg)
    return PointingState(
        round(t_s * 1e9), "track", 1.0, el, 0.006, 0.004, 1.0, el, 0.006, 0.004, 800e3, deviation, rate, (0, 0), (0, 0),
        0.075, True,
    )  # fmt: skip


def test_a_frame_is_paired_with_the_deviation_of_its_own_time() -> None:
    pairing = Pairing()
    pairing.take(state(10.0, (100 * URAD, -50 * URAD), (20 * URAD, 10 * URAD)))
    moment = pairing.at(round(10.05e9))
    assert moment.deviation_rad == pytest.approx((101 * URAD, -49.5 * URAD))
    assert moment.axis_rad[0] == pytest.approx(1.0 + 0.006 * 0.05)


def test_an_older_pointing_state_is_ignored() -> None:
    pairing = Pairing()
    pairing.take(state(10.0, (1 * URAD, 0)))
    pairing.take(state(9.9, (9 * URAD, 0)))
    assert pairing.at(round(10e9)).deviation_rad[0] == pytest.approx(1 * URAD)


def test_pairing_without_a_pointing_state_is_an_error() -> None:
    with pytest.raises(LookupError):
        Pairing().at(0)


def test_before_the_first_frame_the_uncertainty_is_the_element_sets() -> None:
    pairing = Pairing()
    pairing.take(state(0.0))
    covariance = CoarseEstimator(Disturbances(mount=0.0, worm=(0.0, 0.0), wind=0.0)).covariance(pairing.at(0))
    project = pairing.at(0).along_cross
    assert covariance == pytest.approx(project @ np.diag([300.0**2, 100.0**2]) @ project.T, rel=1e-6)


def test_one_wild_frame_does_not_move_the_estimate_but_a_lasting_step_does() -> None:
    pairing = Pairing()
    pairing.take(state(0.0))
    estimator = CoarseEstimator()
    for number in range(100):
        estimator.observe(at(pairing, number), (10 * URAD, 0.0))
    before = estimator.error(at(pairing, 100))[0]
    estimator.observe(at(pairing, 100), (900 * URAD, 0.0))
    assert estimator.error(at(pairing, 101))[0] == pytest.approx(before, abs=0.5 * URAD)
    for number in range(101, 200):
        estimator.observe(at(pairing, number), (900 * URAD, 0.0))
    assert estimator.error(at(pairing, 200))[0] == pytest.approx(900 * URAD, abs=30 * URAD)


def at(pairing: Pairing, number: int):
    t_s = number * 0.02
    pairing.take(state(t_s))
    return pairing.at(round(t_s * 1e9))


def test_an_axis_that_stands_in_its_play_has_not_turned_round() -> None:
    def after(*rates_rad_s: float) -> np.ndarray:
        estimator = CoarseEstimator()
        for step, rate in enumerate(rates_rad_s):
            moment = Moment(step * 20_000_000, (0.0, 0.0), (0.0, 0.7), rate, 0.76, np.zeros((2, 2)))
            estimator.observe(moment, None)
        return estimator.covariance(moment)

    going_on = after(-1e-4, -1e-4, -1e-4)
    assert after(-1e-4, 0.0, -1e-4) == pytest.approx(going_on, rel=1e-12)
    assert after(-1e-4, -1e-4, 1e-4)[1, 1] > going_on[1, 1] + 0.9 * Disturbances().reversal ** 2
