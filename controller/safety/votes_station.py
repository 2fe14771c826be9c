"""Votes on what the station itself says: its mode, its pointing, time, elements, frames and heartbeats."""

from __future__ import annotations

import math

import msgspec

from controller.bus.topics import PointingState
from controller.safety.inputs import Inputs, Reading
from controller.safety.limits import Limits
from controller.safety.opinion import Opinion, fresh, no, yes

EMITTING_MODES = frozenset({"ACQUIRE", "COARSE", "FINE", "LINK"})
RESTING_MODES = frozenset({"OFF", "STOWED", "HOLD"})
PASSING_MODES = frozenset({"SLEW", "POINT", "OFF", "STOWED", "HOLD"})
EARLY_S = 0.05  # a frame is no younger than that: the error of a camera's clock that is mapped to ours
RATE_MARGIN = 1.02  # a measured rate has noise


def mode(inputs: Inputs, limits: Limits) -> Opinion:
    """The station is in a mode that emits."""
    reading = fresh("station mode", inputs.mode, limits.mode_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    name = reading.body.mode
    if name in EMITTING_MODES:
        end_utc_ns = reading.body.pass_end_utc_ns
        return yes(reading, name, (end_utc_ns - inputs.t_utc_ns) * 1e-9 if end_utc_ns > inputs.t_utc_ns else None)
    return no(reading, f"the station is in {name}", orderly=name in PASSING_MODES)


def at_rest(inputs: Inputs, limits: Limits) -> Opinion:
    """The station rests: alignment is done by hand."""
    reading = fresh("station mode", inputs.mode, limits.mode_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    name = reading.body.mode
    return yes(reading, name) if name in RESTING_MODES else no(reading, f"the station is in {name}")


def pointing(inputs: Inputs, limits: Limits) -> Opinion:
    """The gimbal follows the target inside the cone."""
    reading = fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    state = reading.body
    if state.activity != "track":
        return no(reading, f"the gimbal does not track ({state.activity})")
    off_rad = math.hypot(*state.deviation_rad)
    told = f"{off_rad * 1e6:.0f} µrad from the target, cone {limits.pointing_cone_rad * 1e6:.0f} µrad"
    return yes(reading, told) if off_rad <= limits.pointing_cone_rad else no(reading, told)


def axis_limits(inputs: Inputs, limits: Limits) -> Opinion:
    """Both axes are inside their travel and no faster than they may be."""
    reading = fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    state = reading.body
    second_rad = state.axes_rad[1]
    if not limits.elevation_min_rad <= second_rad <= limits.elevation_max_rad:
        axis = "elevation" if state.axis_rad is None else "the second axis at"
        return no(reading, f"{axis} {math.degrees(second_rad):.2f} deg is outside of the axis")
    rates_rad_s = state.axes_rate_rad_s
    told = (
        f"{math.degrees(rates_rad_s[0]):.2f} and {math.degrees(rates_rad_s[1]):.2f} deg/s, "
        f"limit {math.degrees(limits.rate_max_rad_s):.2f} deg/s"
    )
    within = all(abs(rate) <= RATE_MARGIN * limits.rate_max_rad_s for rate in rates_rad_s)
    return yes(reading, told) if within else no(reading, told)


def time(inputs: Inputs, limits: Limits) -> Opinion:
    """UTC is known well enough to point by it."""
    reading = fresh("time quality", inputs.time, limits.time_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    quality = reading.body
    if quality.stepped_s:
        told = f"UTC was stepped by {quality.stepped_s:+.3f} s; look at the clock, then arm again"
        return msgspec.structs.replace(no(reading, told), withdraws=True)
    if not quality.synchronised:
        return no(reading, "the clock is not synchronised; start chrony or ntpd")
    told = f"UTC within {quality.error_s * 1e3:.3f} ms, {limits.time_error_max_s * 1e3:g} ms allowed"
    return yes(reading, told) if quality.error_s <= limits.time_error_max_s else no(reading, told)


def ephemeris(inputs: Inputs, limits: Limits) -> Opinion:
    """The gimbal follows the station's target, and its elements, or its newest state, are young enough."""
    reading = fresh("station mode", inputs.mode, limits.mode_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    follows = fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(follows, Opinion):
        return follows
    if not reading.body.target or follows.body.target != reading.body.target:
        followed = follows.body.target or "what the station did not tell it to"
        return no(follows, f"the station's target is {reading.body.target or 'none'}, the gimbal follows {followed}")
    if reading.body.live:
        return _stream(follows, inputs.t_utc_ns, limits)
    epoch_utc_ns = reading.body.ephemeris_epoch_utc_ns
    if not epoch_utc_ns:
        return no(reading, "no target with a stated epoch")
    age_s = abs(inputs.t_utc_ns - epoch_utc_ns) * 1e-9
    told = f"elements {age_s / 3600:.1f} h from their epoch, {limits.ephemeris_age_max_s / 3600:.0f} h allowed"
    if not age_s <= limits.ephemeris_age_max_s:
        return no(reading, told)
    return yes(reading, told, (epoch_utc_ns - inputs.t_utc_ns) * 1e-9 + limits.ephemeris_age_max_s)


def _stream(reading: Reading[PointingState], t_utc_ns: int, limits: Limits) -> Opinion:
    """The newest state of a live target, of which pointing tells, is young enough."""
    state = reading.body
    if not state.state_utc_ns:
        return no(reading, "the target is a live stream, and there is no state of it")
    age_s, limit_s = (t_utc_ns - state.state_utc_ns) * 1e-9, min(state.state_age_max_s, limits.state_age_max_s)
    told = f"newest state {age_s:.2f} s old, {limit_s:g} s allowed"
    if not -limits.state_ahead_max_s <= age_s <= limit_s:
        return no(reading, told)
    return yes(reading, told, limit_s - age_s)


def frames(inputs: Inputs, limits: Limits) -> Opinion:
    """The camera delivers: frames are young, with or without a beacon on them."""
    reading = fresh("camera frame", inputs.coarse, limits.frame_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    came_s, limit_s = reading.body.frame_age_s, limits.frame_age_max_s
    if came_s < -EARLY_S:
        return no(reading, f"frame of {-came_s:.3f} s from now: the camera's clock is wrong")
    age_s = reading.age_s + came_s
    told = f"frame {age_s:.3f} s old, {limit_s:g} s allowed"
    if not came_s <= limit_s:
        return no(reading, told)
    return Opinion(age_s <= limit_s, told, age_s, reading.simulated)


def lease(inputs: Inputs, limits: Limits) -> Opinion:
    """Whoever armed still holds the lease, which nobody holds who does not renew it."""
    reading = fresh("news of the leases", inputs.leases, limits.lease_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    token = inputs.armed_by
    if token is None:
        return no(reading, "nobody has armed")
    held = next((one for one in reading.body.held if (one.id, one.gen) == (token.id, token.gen)), None)
    if held is None:
        return no(reading, f"the lease {token.id} that armed is over")
    return yes(reading, f"held by {held.holder}")


def heartbeats(inputs: Inputs, limits: Limits) -> Opinion:
    """Every service that emission relies on is alive."""
    oldest: Reading[object] | None = None
    for name in limits.services:
        beat, limit_s = inputs.heartbeats.get(name), limits.heartbeat_age_max_s
        reading = fresh(f"heartbeat of {name}", beat, limit_s, returns=False)
        if isinstance(reading, Opinion):
            return reading
        if oldest is None or reading.age_s > oldest.age_s:
            oldest = reading
    return Opinion(True, "all alive") if oldest is None else yes(oldest, "all alive")
