"""What every SteeringMirror must do: at `Terms.speed` of its reach, and never out of it."""

from __future__ import annotations

import math

from hal.conformance.suite import Case, Deviation, NotHere, Trial, require
from hal.errors import DeviceError
from hal.traits import MirrorStatus

PATIENCE = 50.0  # times what it takes to settle over a small way
STEPS = 2.5  # of its resolution, within which it arrives


def _settled(trial: Trial) -> MirrorStatus:
    turn_s = trial.device.capabilities.settling_s
    for _ in range(round(PATIENCE)):
        status: MirrorStatus = trial.device.status()
        if status.on_target or not status.powered:
            return status
        trial.wait(turn_s)
    raise Deviation(f"it does not settle in {PATIENCE * turn_s:g} s")


def _powered(trial: Trial) -> None:
    if not trial.device.status().powered:
        trial.device.power(True)


def _off(trial: Trial, x_rad: float, y_rad: float) -> None:
    status = _settled(trial)
    near = STEPS * trial.device.capabilities.resolution_rad
    off = max(abs(status.x_rad - x_rad), abs(status.y_rad - y_rad))
    require(off <= near, f"it stands {off * 1e6:.2f} urad from where it was sent")


def _status_is_of_now(trial: Trial) -> None:
    begun_ns = trial.clock.now_ns()
    first, second = trial.device.status(), trial.device.status()
    require(begun_ns <= first.t_ns <= second.t_ns <= trial.clock.now_ns(), "the time of a status is not of its reading")


def _reach_is_told(trial: Trial) -> None:
    able = trial.device.capabilities
    for axis, (low, high) in zip("xy", able.reach_rad, strict=True):
        require(low < 0.0 < high, f"its reach about {axis} is {low:g} to {high:g} rad")
    require(able.resolution_rad > 0.0 and able.settling_s > 0.0, "its resolution or its settling is none")


def _refuses_no_number(trial: Trial) -> None:
    before = trial.device.status()
    for angles in ((math.nan, 0.0), (0.0, math.inf)):
        try:
            trial.device.go_to(*angles)
        except ValueError:
            continue
        raise Deviation(f"it took {angles}")
    after = trial.device.status()
    moved = max(abs(after.x_rad - before.x_rad), abs(after.y_rad - before.y_rad))
    require(moved <= STEPS * trial.device.capabilities.resolution_rad, "it moved after angles that are no numbers")


def _goes(trial: Trial) -> None:
    _powered(trial)
    (_, x_rad), (y_rad, _) = trial.device.capabilities.reach_rad
    for share in (trial.terms.speed, -trial.terms.speed, 0.0):
        trial.device.go_to(share * x_rad, share * y_rad)
        _off(trial, share * x_rad, share * y_rad)


def _is_cut(trial: Trial) -> None:
    _powered(trial)
    if trial.terms.speed < 1.0:
        raise NotHere("it needs its whole reach")
    (x_rad, _), (_, y_rad) = trial.device.capabilities.reach_rad
    trial.device.go_to(10 * x_rad, 10 * y_rad)
    _off(trial, x_rad, y_rad)
    trial.device.go_to(0.0, 0.0)
    _off(trial, 0.0, 0.0)


def _does_not_move_without_power(trial: Trial) -> None:
    _powered(trial)
    trial.device.go_to(0.0, 0.0)
    before = _settled(trial)
    trial.device.power(False)
    try:
        require(not trial.device.status().powered, "its servo is on after it was switched off")
        try:
            trial.device.go_to(trial.terms.speed * trial.device.capabilities.reach_rad[0][1], 0.0)
        except DeviceError:
            pass
        else:
            raise Deviation("it takes a direction while its servo is off, and says nothing")
        after = trial.device.status()
        moved = max(abs(after.x_rad - before.x_rad), abs(after.y_rad - before.y_rad))
        require(moved <= STEPS * trial.device.capabilities.resolution_rad, "it moved without its servo")
    finally:
        trial.device.power(True)


CASES = (
    Case("answers with its angles, and the time of the asking", _status_is_of_now),
    Case("tells its reach", _reach_is_told),
    Case("refuses angles that are no numbers, and does not move", _refuses_no_number),
    Case("goes to where it is sent, and back", _goes, moves=True),
    Case("stays inside its reach", _is_cut, moves=True),
    Case("refuses to move without its servo, and says so", _does_not_move_without_power, moves=True),
)
