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
    """The feed works, and no aircraft is or may be near the beam."""
    if limits.enclosed_bench:
        return _enclosed(inputs, limits)
    pointing = fresh("pointing state", inputs.pointing, limits.pointing_age_max_s)
    if isinstance(pointing, Opinion):
        return pointing
    reading = inputs.traffic
    if reading is None:
        return Opinion(False, "no aircraft feed: name a receiver in [aircraft] of the rig file", NEVER_S)
    word = reading.body
    if word.heard_ns is None:
        return Opinion(False, "the aircraft feed has said nothing yet" if word.ok else word.reason, NEVER_S)
    if not word.ok:
        return no(reading, word.reason)
    heard = fresh("aircraft feed", reading, limits.traffic_age_max_s)
    return heard if isinstance(heard, Opinion) else yes(heard, word.reason, word.changes_in_s)


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
        "shutter": inputs.shutter,
        "time": inputs.time,
        "lease": inputs.leases,
        **{f"heartbeat of {name}": beat for name, beat in inputs.heartbeats.items()},
    }
    emulated = [name for name, reading in named.items() if reading is not None and reading.simulated]
    if not inputs.realtime:
        emulated.append("clock")
    if emulated:
        return Opinion(False, f"a real laser with emulated {', '.join(emulated)}", simulated=True)
    return Opinion(True, "all real")
