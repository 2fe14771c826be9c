"""Votes on others: satellites, aircraft, and whether anything behind the votes is not real."""

from __future__ import annotations

from controller.safety.inputs import Inputs, Reading
from controller.safety.limits import Limits
from controller.safety.opinion import NEVER_S, Opinion


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
