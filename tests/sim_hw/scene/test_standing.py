"""How the emulated mount stands, against ERFA's hour angle and declination and its parallactic angle."""

from __future__ import annotations

import math

import erfa
import numpy as np
import pytest

from sim_hw.scene.mount import Standing

AZIMUTH = np.radians(np.arange(3.0, 360.0, 13.0))
ELEVATION = np.radians(20.0 + 60.0 * np.arange(len(AZIMUTH)) / len(AZIMUTH))


@pytest.mark.parametrize("latitude_deg", [28.2995, -33.9, 70.0])
def test_an_emulated_equatorial_mount_has_erfas_hour_angle_and_declination(latitude_deg: float) -> None:
    latitude, side = math.radians(latitude_deg), 1 if latitude_deg > 0 else -1
    standing = Standing(False, 0.0 if side > 0 else math.pi, abs(latitude))
    hour_angle, declination = erfa.ae2hd(AZIMUTH, ELEVATION, latitude)
    first, second = standing.axes(AZIMUTH, ELEVATION)
    assert np.abs(np.remainder(first - side * hour_angle + 1.0, math.tau) - 1.0).max() < 1e-12
    assert second == pytest.approx(side * declination, abs=1e-12)
    # The parallactic angle is that from north through east, where hour angle falls, to upwards.
    q = erfa.hd2pa(hour_angle, declination, latitude)
    up = np.tile([0.0, 1.0], (len(AZIMUTH), 1))
    told = side * np.stack([-np.sin(q), np.cos(q)], axis=-1)
    assert standing.along(AZIMUTH, ELEVATION, up) == pytest.approx(told, abs=1e-9)


def test_a_mount_that_stands_upright_turns_nothing() -> None:
    pairs = np.random.default_rng(0).normal(size=(len(AZIMUTH), 2))
    standing = Standing()
    assert standing.along(AZIMUTH, ELEVATION, pairs) is pairs
    assert standing.axes(AZIMUTH, ELEVATION) == (AZIMUTH, ELEVATION)
