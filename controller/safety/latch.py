"""The latch on emission: armed, then confirmed by the same hand inside a window, and dropped by any loss of a vote.

    LOCKED --arm--> ARMED --confirm--> CONFIRMED --every vote yes--> EMITTING
                                           ^------orderly loss---------'|
    LATCHED <-------any other loss of a vote, SAFE, FAULT---------------'

CONFIRMED waits for the votes (the gimbal slews, the target rises); EMITTING falls back to it when the station itself
ends emission, so one consent holds for one pass. LATCHED is left by a new arm alone. Stowing or holding the station,
sending it on another pass, disarming, and waiting too long lock it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from controller.bus.envelope import Lease
from controller.safety.votes import Ballot

CONFIRM_WINDOW_S = 30.0
ALIGNMENT_S = 600.0  # a consent to alignment
CONSENT_S = 3600.0  # from the confirmation: covers the wait for one pass, and the pass
TRIPPED_MODES = frozenset({"SAFE", "FAULT"})
#: Votes whose every no takes the consent back before emission, too: a key that was turned is a new decision, and who
#: has let go of the lease has left. Of other votes an opinion may say so itself.
WITHDRAWING = ("key", "lease")
CONFIRMED = "confirmed, waiting for the votes"
RESTING_MODES = frozenset({"OFF", "STOWED", "HOLD"})


class Phase(StrEnum):
    """How far the way to emission has been gone."""

    LOCKED = "locked"
    ARMED = "armed"
    CONFIRMED = "confirmed"
    EMITTING = "emitting"
    LATCHED = "latched"


class Pass(NamedTuple):
    """What the station was told to follow; a later word is another pass, of the same target, too."""

    target: str
    start_utc_ns: int
    end_utc_ns: int


@dataclass(frozen=True, slots=True)
class Latch:
    """Where the latch is; `hand` is who armed it, under `lease`, for `flown`: the pass under way, or the next one."""

    phase: Phase = Phase.LOCKED
    since_s: float = 0.0
    consent_s: float = 0.0  # when it was confirmed
    hand: str = ""
    lease: Lease | None = None
    reason: str = "not armed"
    mode: str = ""  # the station's mode of the previous turn
    alignment: bool = False  # low power, station at rest, on an enclosed bench
    flown: Pass | None = None


class RefusedError(Exception):
    """An arm or confirm that is not allowed; the message says why."""


def arm(
    latch: Latch,
    now_s: float,
    hand: str,
    mode: str,
    locks: tuple[str, ...],
    lease: Lease | None,
    *,
    alignment: bool = False,
) -> Latch:
    """First of two steps. Raises RefusedError where emission is locked for good, in SAFE, FAULT and unknown modes."""
    if locks:
        raise RefusedError(f"emission is locked: {'; '.join(locks)}")
    if not mode or mode in TRIPPED_MODES:
        raise RefusedError(f"the station is in {mode or 'no known mode'}: an operator must reset it first")
    if latch.phase is Phase.EMITTING:
        raise RefusedError("the laser is emitting")
    if alignment and mode not in RESTING_MODES:
        raise RefusedError(f"the station is in {mode}: alignment needs it at rest, park it first")
    reason = f"armed{' for alignment at low power' if alignment else ''}, not confirmed"
    return Latch(Phase.ARMED, now_s, 0.0, hand, lease, reason, mode, alignment)


def confirm(latch: Latch, now_s: float, hand: str) -> Latch:
    """Second of two steps. Raises RefusedError when it is not armed, by another hand, or too late."""
    if latch.phase is not Phase.ARMED:
        raise RefusedError(f"not armed ({latch.reason})")
    if hand != latch.hand:
        raise RefusedError(f"armed by {latch.hand}; who arms confirms")
    if now_s - latch.since_s > CONFIRM_WINDOW_S:
        raise RefusedError(f"armed more than {CONFIRM_WINDOW_S:g} s ago; arm again")
    return replace(latch, phase=Phase.CONFIRMED, since_s=now_s, consent_s=now_s, reason=CONFIRMED)


def disarm(latch: Latch, now_s: float, reason: str) -> Latch:
    """Back to locked; a latch that has tripped stays tripped."""
    if latch.phase is Phase.LATCHED:
        return latch
    return Latch(Phase.LOCKED, now_s, reason=reason, mode=latch.mode)


def trip(latch: Latch, now_s: float, reason: str) -> Latch:
    """Off, until armed and confirmed again; the first reason stays."""
    if latch.phase is Phase.LATCHED:
        return latch
    return Latch(Phase.LATCHED, now_s, lease=latch.lease, reason=reason, mode=latch.mode)


def turn(latch: Latch, now_s: float, mode: str, ballot: Ballot, flown: Pass | None = None) -> Latch:
    """One turn: what the votes, the station's mode (empty when it is not known) and its pass make of the latch."""
    before, latch = latch.mode, _with_mode(latch, mode)
    if latch.phase in (Phase.LOCKED, Phase.LATCHED):
        return latch
    if mode in TRIPPED_MODES:
        return trip(latch, now_s, f"the station is in {mode}")
    if mode in RESTING_MODES and before != mode:
        return disarm(latch, now_s, f"the station went to {mode}")
    if lost := ballot.against_of(name for name, o in ballot.opinions.items() if o.withdraws or name in WITHDRAWING):
        return trip(latch, now_s, lost)
    if flown is not None and mode not in RESTING_MODES:
        if latch.flown not in (None, flown):
            told = f"the station was told to follow {flown.target}: one consent is for one pass, arm again"
            return disarm(latch, now_s, told)
        latch = replace(latch, flown=flown)
    if latch.phase is Phase.ARMED:
        late = now_s - latch.since_s > CONFIRM_WINDOW_S
        return disarm(latch, now_s, "the confirmation did not come in time") if late else latch
    if latch.alignment and mode and mode not in RESTING_MODES:
        return disarm(latch, now_s, f"alignment ends: the station went to {mode}")
    limit_s = ALIGNMENT_S if latch.alignment else CONSENT_S
    if now_s - latch.consent_s > limit_s:
        return disarm(latch, now_s, f"the confirmation is older than {limit_s:g} s")
    if ballot.unanimous:
        return latch if latch.phase is Phase.EMITTING else _move(latch, Phase.EMITTING, now_s, "every vote is yes")
    if latch.phase is Phase.CONFIRMED:
        return latch
    if ballot.orderly:
        return _move(latch, Phase.CONFIRMED, now_s, ballot.against)
    return trip(latch, now_s, ballot.against)


def _move(latch: Latch, phase: Phase, now_s: float, reason: str) -> Latch:
    return replace(latch, phase=phase, since_s=now_s, reason=reason)


def _with_mode(latch: Latch, mode: str) -> Latch:
    return latch if mode in ("", latch.mode) else replace(latch, mode=mode)
