"""The dead-man of a jog: what moves, for how long, and how far."""

from __future__ import annotations

import math

import pytest

from controller.pointing.jog import HOLD_S, Bounds, Jog
from hal.clock import NS
from hal.traits import AxisPosition, GimbalCapabilities

CAPABILITIES = GimbalCapabilities(math.radians(3), math.radians(2), 1e-6, 1e-6, 0.075, True)
BOUNDS = Bounds(0.0, math.radians(90), math.radians(90))
SPEED = math.radians(1)


def at(azimuth_deg: float, elevation_deg: float, t_s: float = 0.0) -> AxisPosition:
    return AxisPosition(round(t_s * NS), math.radians(azimuth_deg), math.radians(elevation_deg))


@pytest.fixture
def jog() -> Jog:
    return Jog(CAPABILITIES, BOUNDS, SPEED)


def test_nothing_moves_before_a_key_is_pressed(jog: Jog) -> None:
    assert jog.step(NS, at(10, 45)) == ((0.0, 0.0), "")


def test_a_key_moves_its_axis_for_the_hold_time_and_no_longer(jog: Jog) -> None:
    jog.press(1, 0, NS)
    assert jog.step(NS + round(HOLD_S * NS), at(10, 45)) == ((SPEED, 0.0), "")
    assert jog.step(NS + round(HOLD_S * NS) + 1, at(10, 45)) == ((0.0, 0.0), "")
    assert jog.step(NS + 1, at(10, 45)) == ((0.0, 0.0), "")  # it does not come back by itself


def test_any_other_key_stops_at_once(jog: Jog) -> None:
    jog.press(0, -1, NS)
    jog.release()
    assert jog.step(NS + 1, at(10, 45)) == ((0.0, 0.0), "")


def test_a_speed_beyond_the_gimbal_is_cut(jog: Jog) -> None:
    jog.speed_rad_s = 1.0
    jog.press(1, 0, NS)
    assert jog.step(NS, at(10, 45))[0] == (CAPABILITIES.rate_max_rad_s, 0.0)


@pytest.mark.parametrize(("elevation_deg", "sign"), [(89.6, 1), (0.4, -1), (95.0, 1), (-3.0, -1)])
def test_an_axis_stops_early_enough_to_stay_inside_its_limit_and_may_leave_it_inwards(
    jog: Jog, elevation_deg: float, sign: int
) -> None:
    jog.press(0, sign, NS)
    assert jog.step(NS, at(10, elevation_deg)) == ((0.0, 0.0), "elevation is at its limit")
    jog.press(0, -sign, NS)
    assert jog.step(NS, at(10, elevation_deg)) == ((0.0, -sign * SPEED), "")


def test_azimuth_is_bounded_from_where_the_jog_began_through_north_and_all(jog: Jog) -> None:
    jog.step(NS, at(350, 45))
    for azimuth_deg in (0, 20, 50, 79.6):
        jog.press(1, 0, NS)
        rates, why = jog.step(NS, at(azimuth_deg, 45))
    assert (rates, why) == ((0.0, 0.0), "azimuth is at its limit")
    jog.press(-1, 0, NS)
    assert jog.step(NS, at(79.6, 45))[0] == (-SPEED, 0.0)
