"""The mode machine of a station: this page is the operations manual.

    OFF -> STOWED -> SLEW -> POINT -> ACQUIRE -> COARSE -> FINE -> LINK -> STOWED
                                ^________|________|_________|________|      (lost: back exactly one rung)

An RF station has no beacon to look for: it stays in POINT until the pass is over.

From anywhere: HOLD (the operator said stop: axes held, emission off), SAFE (a vote or watchdog tripped: axes stopped,
emission latched off; left only by an operator), FAULT (a device is lost: its axis stopped, the others safe).
Nothing resumes by itself: HOLD, SAFE and FAULT are left by an operator's command alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from controller.bus.topics import (
    AcquisitionState,
    CoarseState,
    Correction,
    FineState,
    LinkState,
    PointingState,
    SafetyState,
)


class Mode(StrEnum):
    """What the station is doing."""

    OFF = "OFF"
    STOWED = "STOWED"
    SLEW = "SLEW"
    POINT = "POINT"
    ACQUIRE = "ACQUIRE"
    COARSE = "COARSE"
    FINE = "FINE"
    LINK = "LINK"
    HOLD = "HOLD"
    SAFE = "SAFE"
    FAULT = "FAULT"


RESTING = frozenset({Mode.OFF, Mode.STOWED, Mode.HOLD, Mode.SAFE, Mode.FAULT})
EMITTING = frozenset({Mode.ACQUIRE, Mode.COARSE, Mode.FINE, Mode.LINK})


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the machine may know; a stale state is None."""

    now_s: float
    utc_ns: int
    elevation_mask_rad: float
    quad_half_field_rad: float | None  # None: a station without a camera, which stays in POINT
    pointing: PointingState | None = None
    coarse: CoarseState | None = None
    correction: Correction | None = None
    fine: FineState | None = None
    acquisition: AcquisitionState | None = None
    safety: SafetyState | None = None
    link: LinkState | None = None
    lost: tuple[str, ...] = ()  # services whose heartbeat is stale, or that reported a lost device
    silent: bool = False  # pointing has nothing to follow any more: the stream of states has ended


@dataclass(frozen=True, slots=True)
class State:
    """Where the machine is."""

    mode: Mode = Mode.STOWED
    since_s: float = 0.0
    reason: str = "started"
    target: str = ""
    pass_start_utc_ns: int = 0
    pass_end_utc_ns: int = 0
    held_row: int = -1  # the row of STEPS whose condition holds now, and since when without a break
    held_since_s: float = 0.0

    def age_s(self, now_s: float) -> float:
        """Seconds in this mode."""
        return now_s - self.since_s


Condition = Callable[[State, Inputs], bool]


def _slewed(state: State, inputs: Inputs) -> bool:
    return inputs.pointing is not None and inputs.pointing.activity == "track" and inputs.pointing.settled


def _risen(state: State, inputs: Inputs) -> bool:
    pointing = inputs.pointing
    return (
        inputs.quad_half_field_rad is not None
        and pointing is not None
        and pointing.settled
        and pointing.target_elevation_rad >= inputs.elevation_mask_rad
        and inputs.utc_ns >= state.pass_start_utc_ns
    )


def _found(state: State, inputs: Inputs) -> bool:
    return inputs.coarse is not None and inputs.coarse.detected


def handover_fits(correction: Correction | None, coarse: CoarseState | None, half_field_rad: float) -> bool:
    """Three sigma of the coarse error fit the quad cell's field, on both axes, and the beacon is seen."""
    if correction is None or coarse is None or not coarse.detected or correction.source != "coarse":
        return False
    return all(
        abs(error) + 3 * sigma <= half_field_rad
        for error, sigma in zip(coarse.estimate_rad, coarse.sigma_rad, strict=True)
    )


def _handover(state: State, inputs: Inputs) -> bool:
    ready = inputs.fine is not None and inputs.fine.phase in {"closed", "idle"} and not inputs.fine.latched
    half_field_rad = inputs.quad_half_field_rad
    return ready and half_field_rad is not None and handover_fits(inputs.correction, inputs.coarse, half_field_rad)


def _linked(state: State, inputs: Inputs) -> bool:
    return inputs.link is not None and inputs.link.above and inputs.fine is not None and inputs.fine.phase == "closed"


def _unlinked(state: State, inputs: Inputs) -> bool:
    return inputs.link is None or not inputs.link.above


def _quad_lost(state: State, inputs: Inputs) -> bool:
    return inputs.fine is None or inputs.fine.phase != "closed" or inputs.fine.latched


def _beacon_lost(state: State, inputs: Inputs) -> bool:
    return inputs.coarse is None or not inputs.coarse.detected


def _scan_failed(state: State, inputs: Inputs) -> bool:
    return inputs.acquisition is not None and inputs.acquisition.phase == "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the manual: from one mode to the next when a condition has held for `hold_s`."""

    source: Mode
    target: Mode
    condition: Condition
    hold_s: float
    tell: str


STEPS = (
    Step(Mode.SLEW, Mode.POINT, _slewed, 0.2, "on the predicted path, open loop"),
    Step(Mode.POINT, Mode.ACQUIRE, _risen, 0.1, "target above the mask: scanning the uplink over its uncertainty"),
    Step(Mode.ACQUIRE, Mode.COARSE, _found, 0.1, "beacon seen by the camera"),
    Step(Mode.ACQUIRE, Mode.POINT, _scan_failed, 0.0, "scan finished without a beacon: scanning again, wider"),
    Step(Mode.COARSE, Mode.FINE, _handover, 0.2, "three sigma of the coarse error fit the quad cell"),
    Step(Mode.COARSE, Mode.ACQUIRE, _beacon_lost, 2.0, "beacon lost: scanning from the coasted estimate"),
    Step(Mode.FINE, Mode.COARSE, _quad_lost, 1.0, "quad cell lost the beacon: back to the camera"),
    Step(Mode.FINE, Mode.LINK, _linked, 0.2, "received power above the threshold"),
    Step(Mode.LINK, Mode.FINE, _unlinked, 0.5, "received power below the threshold"),
)

# How long a mode may last before the operator is told what to look at; the station waits on (a pass is short).
TIME_OUTS_S = {
    Mode.SLEW: (180.0, "the gimbal has not reached the start of the pass: check its rate limit and obstructions"),
    Mode.ACQUIRE: (60.0, "no beacon yet: check the ephemeris age, the calibration and the emission votes"),
    Mode.COARSE: (30.0, "the coarse error does not fit the quad cell: check wind, balance and the camera's focus"),
    Mode.FINE: (30.0, "no received power: check the fibre, the power meter and the wavelength"),
}

# The services whose loss stops everything, with the mode that follows.
FAULT_MODES = {
    "pointing": Mode.FAULT,
    "tracking": Mode.FAULT,
    "safety": Mode.SAFE,
    "link": Mode.FINE,  # the power meter is lost: the beam stays on target, the link is not known to be up
}


def step(state: State, inputs: Inputs) -> State:
    """One turn of the machine; the same state and inputs always give the same answer."""
    for check in (_lost, _silent, _tripped, _over):
        if (forced := check(state, inputs)) is not None:
            return forced
    return _climb(state, inputs)


def go(state: State, mode: Mode, now_s: float, reason: str) -> State:
    """Enter a mode."""
    return replace(state, mode=mode, since_s=now_s, reason=reason, held_row=-1)


def _lost(state: State, inputs: Inputs) -> State | None:
    if state.mode in RESTING:
        return None
    for name in inputs.lost:
        mode = FAULT_MODES.get(name)
        if mode is Mode.FINE and state.mode is not Mode.LINK:
            continue
        if mode is not None:
            return go(state, mode, inputs.now_s, f"{name} is lost")
    return None


def _silent(state: State, inputs: Inputs) -> State | None:
    if state.mode in RESTING or not inputs.silent:
        return None
    return go(state, Mode.HOLD, inputs.now_s, f"the stream of {state.target} is silent: the axes are held")


def _tripped(state: State, inputs: Inputs) -> State | None:
    if state.mode not in EMITTING or inputs.safety is None or not inputs.safety.latched:
        return None
    return go(state, Mode.SAFE, inputs.now_s, f"safety tripped: {inputs.safety.locked_reason}")


def _over(state: State, inputs: Inputs) -> State | None:
    if state.mode in RESTING or not state.pass_end_utc_ns or inputs.utc_ns < state.pass_end_utc_ns:
        return None
    return go(state, Mode.STOWED, inputs.now_s, "the pass is over: parking")


def _climb(state: State, inputs: Inputs) -> State:
    """Follow the first row whose condition has held long enough; remember since when it holds."""
    for number, row in enumerate(STEPS):
        if row.source is not state.mode or not row.condition(state, inputs):
            continue
        if state.held_row != number:
            state = replace(state, held_row=number, held_since_s=inputs.now_s)
        if inputs.now_s - state.held_since_s >= row.hold_s:
            return go(state, row.target, inputs.now_s, row.tell)
        return state
    return state if state.held_row < 0 else replace(state, held_row=-1)


def track(state: State, now_s: float, target: str, start_utc_ns: int, end_utc_ns: int) -> State:
    """An operator's command to follow a target over one pass. Refused by the caller while in SAFE or FAULT."""
    moved = go(state, Mode.SLEW, now_s, f"slewing to the start of the pass of {target}")
    return replace(moved, target=target, pass_start_utc_ns=start_utc_ns, pass_end_utc_ns=end_utc_ns)
