"""Votes on what laser and beam board read back."""

from __future__ import annotations

from controller.safety.inputs import Inputs
from controller.safety.limits import Limits
from controller.safety.opinion import Opinion, fresh, no, yes


def interlock(inputs: Inputs, limits: Limits) -> Opinion:
    """No protection of the laser has tripped, and its interlock closed when emission was enabled."""
    reading = fresh("laser status", inputs.laser, limits.laser_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    status = reading.body
    tripped = [name for name in status.tripped.split(", ") if name and name != "interlock"]
    if tripped:
        return no(reading, f"the laser reports {', '.join(tripped)}")
    if inputs.enabled_s is None:
        return yes(reading, "held open until emission is enabled" if not status.interlock_closed else "closed")
    if status.interlock_closed:
        return yes(reading, "closed")
    if inputs.enabled_s <= limits.settle_s and inputs.commanded_s is None:
        return yes(reading, "closing")
    return no(reading, "open while emission is enabled")


def beam_board(inputs: Inputs, limits: Limits) -> Opinion:
    """The beam board is not latched, and its enable line follows."""
    reading = fresh("beam board status", inputs.fine, limits.board_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    if reading.body.latched:
        return no(reading, "the beam board has latched; reset it")
    if inputs.enabled_s is not None and inputs.enabled_s > limits.settle_s and not reading.body.enabled:
        return no(reading, "the beam board does not raise the enable line")
    return yes(reading, "enable line up" if reading.body.enabled else "enable line down")


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
    """The measured power stays under its cap."""
    reading = fresh("measured power", inputs.laser, limits.laser_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    power_w = reading.body.measured_power_w
    told = f"{power_w:.3f} W, cap {limits.power_cap_w:.3f} W"
    return yes(reading, told) if power_w <= limits.power_cap_w else no(reading, told)
