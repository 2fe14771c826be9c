"""Votes on others: satellites, aircraft, and whether anything behind the votes is not real."""

from __future__ import annotations

import msgspec

from controller.safety.inputs import Inputs, Reading
from controller.safety.limits import Limits
from controller.safety.opinion import NEVER_S, Opinion, fresh, no, yes
from controller.safety.votes_laser import power


def clearinghouse(inputs: Inputs, limits: Limits) -> Opinion:
    """The clearinghouse's message is for this station, this direction and this moment."""
    if limits.enclosed_bench:
        return _enclosed(inputs, limits)
    reading = fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(reading, Opinion):
        return reading
    word = inputs.cleared
    if word is None:
        return Opinion(False, "no clearinghouse windows: name a message in [clearinghouse] of the rig file", NEVER_S)
    if word.ok:
        return yes(reading, word.reason, word.changes_in_s)
    return no(reading, word.reason, orderly=word.scheduled, changes_in_s=word.changes_in_s)


def aircraft(inputs: Inputs, limits: Limits) -> Opinion:
    """An aircraft feed; there is none yet."""
    if limits.enclosed_bench:
        return _enclosed(inputs, limits)
    return Opinion(False, "no aircraft feed: a laser needs one outdoors", NEVER_S)


def _enclosed(inputs: Inputs, limits: Limits) -> Opinion:
    """A room stands in for windows and feed as long as the measured power is what the room was declared for."""
    measured = power(inputs, limits)
    if not measured.ok:
        return msgspec.structs.replace(measured, reason=f"an enclosed bench needs its power cap: {measured.reason}")
    return msgspec.structs.replace(measured, reason=f"enclosed bench, {measured.reason}")


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
