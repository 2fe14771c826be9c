"""Votes on where the beam goes and is about to go: horizon, Sun, Moon."""

from __future__ import annotations

import math

from controller.bus.topics import PointingState
from controller.geometry.bodies import Place
from controller.safety.inputs import Inputs
from controller.safety.limits import Limits
from controller.safety.opinion import Opinion, fresh, no, yes
from controller.safety.path import SET_BELOW_RAD, Circle, angle, circle, closest_rad, crosses_s, direction

FORESEEN_S = 600.0  # a great circle is a pass for some minutes, and a guess after that


def horizon(inputs: Inputs, limits: Limits) -> Opinion:
    """Gimbal and target are above the elevation mask, and above the horizon mask where the rig has one."""
    reading = fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    state = reading.body
    mask_rad, target_mask_rad = limits.mask_rad(state.azimuth_rad), limits.mask_rad(state.target_azimuth_rad)
    told = f"elevation {math.degrees(state.elevation_rad):.2f} deg, mask {math.degrees(mask_rad):.2f} deg"
    changes_in_s = _reached_s(state.target_elevation_rad - target_mask_rad, state.target_elevation_rate_rad_s)
    if state.elevation_rad >= mask_rad and state.target_elevation_rad >= target_mask_rad:
        return yes(reading, told, changes_in_s)
    follows = abs(state.elevation_rad - state.target_elevation_rad) <= limits.pointing_cone_rad
    return no(reading, told, orderly=follows, changes_in_s=changes_in_s)


def sun(inputs: Inputs, limits: Limits) -> Opinion:
    """The path to come, the target's and the boresight's own, stays outside of the Sun's cone."""
    return _cone(inputs, limits, "Sun", inputs.sun, limits.sun_cone_rad)


def moon(inputs: Inputs, limits: Limits) -> Opinion:
    """The path to come, the target's and the boresight's own, stays outside of the Moon's cone."""
    return _cone(inputs, limits, "Moon", inputs.moon, limits.moon_cone_rad)


def _cone(inputs: Inputs, limits: Limits, name: str, place: Place | None, cone_rad: float) -> Opinion:
    reading = fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    if place is None:
        return no(reading, f"the place of the {name} is not known")
    if place.elevation_rad < SET_BELOW_RAD:
        return yes(reading, f"the {name} is down")
    target, gimbal = _ways(reading.body, place)
    to = direction(*place)
    way_rad = (angle(direction(*ahead), to) for ahead in reading.body.way_ahead_rad)
    ahead_rad = min(closest_rad(target, limits.look_ahead_s), closest_rad(gimbal, 0.0), *way_rad)
    told = (
        f"{math.degrees(ahead_rad):.1f} deg from the {name} within {limits.look_ahead_s:g} s, "
        f"cone {math.degrees(cone_rad):.1f} deg"
    )
    crosses = crosses_s(target, cone_rad)
    changes_in_s = None if crosses is None or crosses > FORESEEN_S else crosses
    if not ahead_rad > cone_rad:
        return no(reading, told, changes_in_s=changes_in_s)
    return yes(reading, told, None if changes_in_s is None else max(0.0, changes_in_s - limits.look_ahead_s))


def _ways(state: PointingState, place: Place) -> tuple[Circle, Circle]:
    """The way of the target, and the gimbal where it is, both seen from a body."""
    to = direction(*place)
    target = circle(
        state.target_azimuth_rad,
        state.target_elevation_rad,
        state.target_azimuth_rate_rad_s,
        state.target_elevation_rate_rad_s,
        to,
    )
    return target, circle(state.azimuth_rad, state.elevation_rad, 0.0, 0.0, to)


def _reached_s(above_rad: float, rate_rad_s: float) -> float | None:
    """Time until a height is zero at this rate; None when it never is, or not in foreseeable time."""
    if not above_rad * rate_rad_s < 0.0:
        return None
    left_s = -above_rad / rate_rad_s
    return left_s if left_s <= FORESEEN_S else None
