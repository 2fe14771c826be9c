"""Votes on what laser, shutter and beam board read back."""

from __future__ import annotations

from controller.safety.inputs import Inputs, Reading
from controller.safety.limits import Limits
from controller.safety.opinion import Opinion, fresh, no, yes
from hal.traits import LaserStatus

STAYS_CLOSED = "closed while emission is not enabled: it is bridged; wire the beam board's enable line into its loop"
STAYS_UP = "the enable line is up while emission is not enabled: look for what holds it"


def interlock(inputs: Inputs, limits: Limits) -> Opinion:
    """No protection of the laser has tripped, and its interlock is closed while emission is enabled, and only then."""
    reading = fresh("laser status", inputs.laser, limits.laser_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    status = reading.body
    # What tripped and is over, a laser remembers until its output is switched on: after that a memory is a new trip.
    remembers = inputs.commanded_s is not None and reading.age_s < inputs.commanded_s
    told = status.tripped if remembers else status.protecting
    tripped = [name for name in told.split(", ") if name and name != "interlock"]
    if tripped:
        return no(reading, f"the laser reports {', '.join(tripped)}")
    if inputs.enabled_s is None:
        return _released(reading, status.interlock_closed, inputs, limits, "interlock open", STAYS_CLOSED)
    if status.interlock_closed:
        return yes(reading, "closed")
    if inputs.enabled_s <= limits.settle_s and inputs.commanded_s is None:
        return yes(reading, "closing")
    return no(reading, "open while emission is enabled")


def beam_board(inputs: Inputs, limits: Limits) -> Opinion:
    """The beam board is not latched, and its enable line follows, up and down."""
    reading = fresh("beam board status", inputs.fine, limits.board_age_max_s, returns=False)
    if isinstance(reading, Opinion):
        return reading
    if reading.body.latched:
        return no(reading, "the beam board has latched; reset it")
    up = reading.body.enabled
    if inputs.enabled_s is None:
        return _released(reading, up, inputs, limits, "enable line down", STAYS_UP)
    if inputs.enabled_s > limits.settle_s and not up:
        return no(reading, "the beam board does not raise the enable line")
    return yes(reading, "enable line up" if up else "enable line down")


def _released(reading: Reading[object], still: bool, inputs: Inputs, limits: Limits, is_so: str, stays: str) -> Opinion:
    """What enables emission is let go of when that is withdrawn: a line or loop that stays would switch nothing off."""
    if not still:
        return yes(reading, is_so)
    if inputs.withdrawn_s - reading.age_s <= limits.settle_s:
        return yes(reading, "opening")
    return no(reading, stays)


def read_back(inputs: Inputs, limits: Limits) -> Opinion:
    """The laser does what it was told: output and current."""
    reading = fresh("laser status", inputs.laser, limits.laser_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    status = reading.body
    if inputs.commanded_s is None:
        on = status.output_on
        return no(reading, "the laser is on and was not told to be") if on else yes(reading, "off as told")
    if inputs.commanded_s - reading.age_s <= limits.settle_s:
        return yes(reading, "switching on")
    if not status.output_on:
        return no(reading, "the laser is off and was told to be on")
    if not abs(status.current_a - limits.current_a) <= limits.current_tolerance * limits.current_a:
        return no(reading, f"the laser draws {status.current_a:.3f} A where {limits.current_a:.3f} A was set")
    return yes(reading, f"{status.current_a:.3f} A as told")


def power(inputs: Inputs, limits: Limits) -> Opinion:
    """The measured power stays under its cap, and is a measurement: none below zero, and light where there is light."""
    reading = fresh("measured power", inputs.laser, limits.laser_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    power_w = reading.body.measured_power_w
    told = f"{power_w:.3f} W, cap {limits.power_cap_w:.3f} W"
    if not -limits.power_noise * limits.power_cap_w <= power_w <= limits.power_cap_w:
        return no(reading, told)
    settled = inputs.commanded_s is not None and not inputs.commanded_s - reading.age_s <= limits.settle_s
    if settled and power_w < limits.power_floor_w:
        told = f"{power_w:.3f} W while the laser is on, at least {limits.power_floor_w:.3f} W are expected"
        return no(reading, f"{told}: the enable line has fallen, or its monitor photodiode is blind")
    return yes(reading, told)


def key(inputs: Inputs, limits: Limits) -> Opinion:
    """The key switch is on, where the rig declares one."""
    reading = _declared("key", inputs, limits)
    if isinstance(reading, Opinion):
        return reading
    return yes(reading, "on") if reading.body.key_on is True else no(reading, _told("key", reading.body.key_on, "off"))


def shutter(inputs: Inputs, limits: Limits) -> Opinion:
    """The shutter stands as the enable line wants it, where the rig has one."""
    if not limits.shutter:
        return Opinion(True, "the rig has no shutter")
    reading = fresh("shutter status", inputs.shutter, limits.shutter_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    status = reading.body
    if status.interlock_tripped:
        return no(reading, "its interlock has tripped")
    if status.state == ("closed" if inputs.enabled_s is None else "open"):
        return yes(reading, status.state)
    if inputs.enabled_s is None:
        return no(reading, "open" if status.state == "open" else "its read-backs contradict each other")
    if inputs.enabled_s <= limits.settle_s and inputs.commanded_s is None:
        return yes(reading, "opening")
    return no(reading, f"{status.state} while emission is enabled")


def divergence(inputs: Inputs, limits: Limits) -> Opinion:
    """The measured divergence is no narrower than what the hazard zones rest on, where the rig declares it."""
    reading = _declared("divergence", inputs, limits)
    if isinstance(reading, Opinion):
        return reading
    measured_rad = reading.body.divergence_rad
    if measured_rad is None:
        return no(reading, _told("divergence", None, ""))
    least_rad = (1.0 - limits.divergence_tolerance) * limits.divergence_rad
    told = f"{measured_rad * 1e6:.1f} µrad, at least {least_rad * 1e6:.1f} µrad"
    return yes(reading, told) if measured_rad >= least_rad else no(reading, told)


def _declared(what: str, inputs: Inputs, limits: Limits) -> Reading[LaserStatus] | Opinion:
    """The laser's status, or what to say without it; what the rig does not declare has nothing to say."""
    if what not in limits.reads_back:
        return Opinion(True, f"the rig declares no {what}")
    return fresh("laser status", inputs.laser, limits.laser_age_max_s)


def _told(what: str, state: bool | None, wrong: str) -> str:
    return f"the laser does not read its {what} back, and the rig declares one" if state is None else wrong
