"""The votes: each is a function of what is known and says yes or no, with a reason. Missing or stale is a no.

A loss is orderly when the station itself ends emission (it leaves the emitting modes, or the target goes below the
mask while the gimbal follows it); every other loss is a trip.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from controller.bus.topics import Vote
from controller.safety.inputs import Inputs, Limits, Reading
from controller.safety.path import SET_BELOW_RAD, closest_rad, direction

EMITTING_MODES = frozenset({"ACQUIRE", "COARSE", "FINE", "LINK"})
PASSING_MODES = frozenset({"SLEW", "POINT", "OFF", "STOWED", "HOLD"})
RATE_MARGIN = 1.02  # a measured rate has noise
NEVER_S = -1.0  # age of what has never come


class Opinion(msgspec.Struct, frozen=True, gc=False):
    """One vote before it has a name. (A struct: seventeen are made fifty times a second.)"""

    ok: bool
    reason: str
    age_s: float = 0.0
    simulated: bool = False
    orderly: bool = False


@dataclass(frozen=True, slots=True)
class Ballot:
    """All votes of one moment."""

    opinions: Mapping[str, Opinion]  # by name of the vote

    @property
    def votes(self) -> tuple[Vote, ...]:
        """As they are published."""
        return tuple(Vote(name, o.ok, o.reason, o.age_s, o.simulated) for name, o in self.opinions.items())

    @property
    def orderly(self) -> bool:
        """True when every no is the station's own doing."""
        return all(o.ok or o.orderly for o in self.opinions.values())

    @property
    def unanimous(self) -> bool:
        """True when every vote is yes."""
        return all(o.ok for o in self.opinions.values())

    @property
    def against(self) -> str:
        """The reasons of every no, for the operator."""
        return "; ".join(f"{name}: {o.reason}" for name, o in self.opinions.items() if not o.ok)


Voter = Callable[[Inputs, Limits], Opinion]
T = TypeVar("T")


def ballot(inputs: Inputs, limits: Limits) -> Ballot:
    """Ask everybody."""
    return Ballot({name: voter(inputs, limits) for name, voter in VOTERS.items()})


def _fresh(what: str, reading: Reading[T] | None, age_max_s: float) -> Reading[T] | Opinion:
    """The reading, or a no when it is missing or older than `age_max_s`."""
    if reading is None:
        return Opinion(False, f"no {what}", NEVER_S)
    if not reading.age_s <= age_max_s:
        return Opinion(False, f"{what} is {reading.age_s:.2f} s old, {age_max_s:g} s allowed", reading.age_s)
    return reading


def _yes(reading: Reading[object], reason: str) -> Opinion:
    return Opinion(True, reason, reading.age_s, reading.simulated)


def _no(reading: Reading[object], reason: str, orderly: bool = False) -> Opinion:
    return Opinion(False, reason, reading.age_s, reading.simulated, orderly)


def mode(inputs: Inputs, limits: Limits) -> Opinion:
    """The station is in a mode that emits."""
    reading = _fresh("station mode", inputs.mode, limits.mode_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    name = reading.body.mode
    if name in EMITTING_MODES:
        return _yes(reading, name)
    return _no(reading, f"the station is in {name}", orderly=name in PASSING_MODES)


def pointing(inputs: Inputs, limits: Limits) -> Opinion:
    """The gimbal follows the target inside the cone."""
    reading = _fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    state = reading.body
    if state.activity != "track":
        return _no(reading, f"the gimbal does not track ({state.activity})")
    off_rad = math.hypot(*state.deviation_rad)
    told = f"{off_rad * 1e6:.0f} µrad from the target, cone {limits.pointing_cone_rad * 1e6:.0f} µrad"
    return _yes(reading, told) if off_rad <= limits.pointing_cone_rad else _no(reading, told)


def horizon(inputs: Inputs, limits: Limits) -> Opinion:
    """Gimbal and target are above the elevation mask."""
    reading = _fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    state = reading.body
    mask_rad = limits.elevation_mask_rad
    told = f"elevation {math.degrees(state.elevation_rad):.2f} deg, mask {math.degrees(mask_rad):.2f} deg"
    if state.elevation_rad >= mask_rad and state.target_elevation_rad >= mask_rad:
        return _yes(reading, told)
    follows = abs(state.elevation_rad - state.target_elevation_rad) <= limits.pointing_cone_rad
    return _no(reading, told, orderly=follows)


def axis_limits(inputs: Inputs, limits: Limits) -> Opinion:
    """Both axes are inside their travel and no faster than they may be."""
    reading = _fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    state = reading.body
    if not limits.elevation_min_rad <= state.elevation_rad <= limits.elevation_max_rad:
        return _no(reading, f"elevation {math.degrees(state.elevation_rad):.2f} deg is outside of the axis")
    rates_rad_s = state.azimuth_rate_rad_s, state.elevation_rate_rad_s
    told = (
        f"{math.degrees(rates_rad_s[0]):.2f} and {math.degrees(rates_rad_s[1]):.2f} deg/s, "
        f"limit {math.degrees(limits.rate_max_rad_s):.2f} deg/s"
    )
    within = all(abs(rate) <= RATE_MARGIN * limits.rate_max_rad_s for rate in rates_rad_s)
    return _yes(reading, told) if within else _no(reading, told)


def sun(inputs: Inputs, limits: Limits) -> Opinion:
    """The path to come stays outside of the Sun's cone."""
    return _cone(inputs, limits, "Sun", limits.sun_cone_rad)


def moon(inputs: Inputs, limits: Limits) -> Opinion:
    """The path to come stays outside of the Moon's cone."""
    return _cone(inputs, limits, "Moon", limits.moon_cone_rad)


def _cone(inputs: Inputs, limits: Limits, name: str, cone_rad: float) -> Opinion:
    reading = _fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    place = inputs.sun if name == "Sun" else inputs.moon
    if place is None:
        return _no(reading, f"the place of the {name} is not known")
    if place.elevation_rad < SET_BELOW_RAD:
        return _yes(reading, f"the {name} is down")
    state, to = reading.body, direction(*place)
    ahead_rad = min(
        closest_rad(
            state.target_azimuth_rad,
            state.target_elevation_rad,
            state.target_azimuth_rate_rad_s,
            state.target_elevation_rate_rad_s,
            limits.look_ahead_s,
            to,
        ),
        closest_rad(state.azimuth_rad, state.elevation_rad, 0.0, 0.0, 0.0, to),
    )
    told = (
        f"{math.degrees(ahead_rad):.1f} deg from the {name} within {limits.look_ahead_s:g} s, "
        f"cone {math.degrees(cone_rad):.1f} deg"
    )
    return _yes(reading, told) if ahead_rad > cone_rad else _no(reading, told)


def interlock(inputs: Inputs, limits: Limits) -> Opinion:
    """No protection of the laser has tripped, and its interlock closed when emission was enabled."""
    reading = _fresh("laser status", inputs.laser, limits.laser_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    status = reading.body
    tripped = [name for name in status.tripped.split(", ") if name and name != "interlock"]
    if tripped:
        return _no(reading, f"the laser reports {', '.join(tripped)}")
    if inputs.enabled_s is None:
        return _yes(reading, "held open until emission is enabled" if not status.interlock_closed else "closed")
    if status.interlock_closed:
        return _yes(reading, "closed")
    if inputs.enabled_s <= limits.settle_s and inputs.commanded_s is None:
        return _yes(reading, "closing")
    return _no(reading, "open while emission is enabled")


def beam_board(inputs: Inputs, limits: Limits) -> Opinion:
    """The beam board is not latched, and its enable line follows."""
    reading = _fresh("beam board status", inputs.fine, limits.board_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    if reading.body.latched:
        return _no(reading, "the beam board has latched; reset it")
    if inputs.enabled_s is not None and inputs.enabled_s > limits.settle_s and not reading.body.enabled:
        return _no(reading, "the beam board does not raise the enable line")
    return _yes(reading, "enable line up" if reading.body.enabled else "enable line down")


def read_back(inputs: Inputs, limits: Limits) -> Opinion:
    """The laser does what it was told: output and current."""
    reading = _fresh("laser status", inputs.laser, limits.laser_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    status = reading.body
    if inputs.commanded_s is None:
        on = status.output_on
        return _no(reading, "the laser is on and was not told to be") if on else _yes(reading, "off as told")
    if inputs.commanded_s - reading.age_s <= limits.settle_s:
        return _yes(reading, "switching on")
    if not status.output_on:
        return _no(reading, "the laser is off and was told to be on")
    if not abs(status.current_a - limits.current_a) <= limits.current_tolerance * limits.current_a:
        return _no(reading, f"the laser draws {status.current_a:.3f} A where {limits.current_a:.3f} A was set")
    return _yes(reading, f"{status.current_a:.3f} A as told")


def power(inputs: Inputs, limits: Limits) -> Opinion:
    """The measured power stays under its cap."""
    reading = _fresh("measured power", inputs.laser, limits.laser_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    power_w = reading.body.measured_power_w
    told = f"{power_w:.3f} W, cap {limits.power_cap_w:.3f} W"
    return _yes(reading, told) if power_w <= limits.power_cap_w else _no(reading, told)


def time(inputs: Inputs, limits: Limits) -> Opinion:
    """UTC is known well enough to point by it."""
    reading = _fresh("time quality", inputs.time, limits.time_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    quality = reading.body
    if not quality.synchronised:
        return _no(reading, "the clock is not synchronised; start chrony or ntpd")
    told = f"UTC within {quality.error_s * 1e3:.3f} ms, {limits.time_error_max_s * 1e3:g} ms allowed"
    return _yes(reading, told) if quality.error_s <= limits.time_error_max_s else _no(reading, told)


def ephemeris(inputs: Inputs, limits: Limits) -> Opinion:
    """The target's elements are young enough."""
    reading = _fresh("station mode", inputs.mode, limits.mode_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    epoch_utc_ns = reading.body.ephemeris_epoch_utc_ns
    if not epoch_utc_ns:
        return _no(reading, "no target with a stated epoch")
    age_s = abs(inputs.t_utc_ns - epoch_utc_ns) * 1e-9
    told = f"elements {age_s / 3600:.1f} h from their epoch, {limits.ephemeris_age_max_s / 3600:.0f} h allowed"
    return _yes(reading, told) if age_s <= limits.ephemeris_age_max_s else _no(reading, told)


def frames(inputs: Inputs, limits: Limits) -> Opinion:
    """The camera delivers: frames are young, with or without a beacon on them."""
    reading = _fresh("camera frame", inputs.coarse, limits.frame_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    age_s = reading.age_s + reading.body.frame_age_s
    told = f"frame {age_s:.3f} s old, {limits.frame_age_max_s:g} s allowed"
    return _yes(reading, told) if age_s <= limits.frame_age_max_s else _no(reading, told)


def heartbeats(inputs: Inputs, limits: Limits) -> Opinion:
    """Every service that emission relies on is alive."""
    oldest: Reading[object] | None = None
    for name in limits.services:
        reading = _fresh(f"heartbeat of {name}", inputs.heartbeats.get(name), limits.heartbeat_age_max_s)
        if isinstance(reading, Opinion):
            return reading
        if oldest is None or reading.age_s > oldest.age_s:
            oldest = reading
    return Opinion(True, "all alive") if oldest is None else _yes(oldest, "all alive")


def clearinghouse(inputs: Inputs, limits: Limits) -> Opinion:
    """Windows of the laser clearinghouse; there is no reader for its files yet."""
    return _outdoors(limits, "no clearinghouse windows: a real laser needs them outdoors")


def aircraft(inputs: Inputs, limits: Limits) -> Opinion:
    """An aircraft feed; there is none yet."""
    return _outdoors(limits, "no aircraft feed: a real laser needs one outdoors")


def _outdoors(limits: Limits, reason: str) -> Opinion:
    if limits.laser_emulated:
        return Opinion(True, "the laser is emulated: no light leaves the computer", simulated=True)
    if limits.enclosed_bench:
        return Opinion(True, f"enclosed bench, measured power capped at {limits.power_cap_w:g} W")
    return Opinion(False, reason, NEVER_S)


def real_or_emulated(inputs: Inputs, limits: Limits) -> Opinion:
    """Nothing emulated, replayed or out of real time counts towards the emission of a real laser."""
    if limits.laser_emulated:
        return Opinion(True, "the laser is emulated", simulated=True)
    named: dict[str, Reading[object] | None] = {
        "mode": inputs.mode,
        "pointing": inputs.pointing,
        "camera": inputs.coarse,
        "beam board": inputs.fine,
        "laser": inputs.laser,
        "time": inputs.time,
        **{f"heartbeat of {name}": beat for name, beat in inputs.heartbeats.items()},
    }
    emulated = [name for name, reading in named.items() if reading is not None and reading.simulated]
    if not inputs.realtime:
        emulated.append("clock")
    if emulated:
        return Opinion(False, f"a real laser with emulated {', '.join(emulated)}", simulated=True)
    return Opinion(True, "all real")


VOTERS: dict[str, Voter] = {
    "mode": mode,
    "pointing": pointing,
    "horizon": horizon,
    "axis_limits": axis_limits,
    "sun": sun,
    "moon": moon,
    "interlock": interlock,
    "beam_board": beam_board,
    "read_back": read_back,
    "power": power,
    "time": time,
    "ephemeris": ephemeris,
    "frames": frames,
    "heartbeats": heartbeats,
    "clearinghouse": clearinghouse,
    "aircraft": aircraft,
    "real_or_emulated": real_or_emulated,
}
