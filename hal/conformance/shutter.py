"""What every Shutter must do. Its blades move where the terms allow motion; nothing emits."""

from __future__ import annotations

from hal.conformance.suite import Case, Trial, require
from hal.traits import ShutterState, ShutterStatus

TURN_S = 0.005
MOVED_S = 2.0  # that a shutter may take from a word to the reading that shows it


def _status(trial: Trial, wanted: ShutterState | None = None) -> ShutterStatus:
    """The first reading that was begun after now, and shows `wanted`."""
    begun_ns = trial.clock.now_ns()
    status: ShutterStatus | None = None
    for _ in range(round(MOVED_S / TURN_S)):
        trial.device.poll()
        status = trial.device.status
        if status is not None and status.t_ns >= begun_ns and wanted in {None, status.state}:
            return status
        trial.wait(TURN_S)
    require(False, f"{status} after {MOVED_S:g} s, and not {wanted or 'a new reading'}")
    raise AssertionError


def _status_is_of_now(trial: Trial) -> None:
    first = _status(trial)
    second = _status(trial)
    require(first.t_ns < second.t_ns <= trial.clock.now_ns(), "the time of a status is not that of its reading")
    trial.note("reading_s", (second.t_ns - first.t_ns) * 1e-9)


def _is_closed(trial: Trial) -> None:
    trial.device.move(False)
    _status(trial, "closed")
    trial.device.move(False)  # twice is once
    require(_status(trial).state == "closed", "it opened when it was told to close again")


def _opens(trial: Trial) -> None:
    begun_ns = trial.clock.now_ns()
    trial.device.move(True)
    _status(trial, "open")
    trial.note("opening_s", (trial.clock.now_ns() - begun_ns) * 1e-9)
    trial.device.move(True)
    require(_status(trial).state == "open", "it closed when it was told to open again")
    begun_ns = trial.clock.now_ns()
    trial.device.move(False)
    _status(trial, "closed")
    trial.note("closing_s", (trial.clock.now_ns() - begun_ns) * 1e-9)


def _closing_and_opening_leave_it_closed(trial: Trial) -> None:
    trial.device.move(True)
    _status(trial, "open")
    trial.reopen()
    require(_status(trial).state == "closed", "it is open after it was let go of and opened again")


def _is_closed_when_opened(trial: Trial) -> None:
    trial.reopen()
    require(_status(trial).state == "closed", "it is not closed after it was opened")


CASES = (
    Case("says where its blades are, and when that was read", _status_is_of_now),
    Case("is closed when it was told to be, however often", _is_closed),
    Case("is closed when it is opened again", _is_closed_when_opened),
    Case("opens and closes, and reads both back", _opens, moves=True),
    Case("is closed when it was let go of while it was open", _closing_and_opening_leave_it_closed, moves=True),
)
