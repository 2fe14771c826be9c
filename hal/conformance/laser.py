"""What every Laser must do. Nothing here switches the output on."""

from __future__ import annotations

import math

from hal.conformance.suite import Case, NotHere, Trial, require
from hal.errors import DeviceError
from hal.traits import LaserStatus

CURRENT_A, LIMIT_A = 0.05, 0.1


def _status_is_of_now(trial: Trial) -> None:
    begun_ns = trial.clock.now_ns()
    status: LaserStatus = trial.device.status()
    require(begun_ns <= status.t_ns <= trial.clock.now_ns(), "the time of a status is not that of its reading")
    require(math.isfinite(status.current_a) and math.isfinite(status.measured_power_w), f"{status}")
    trial.note("dark_power_w", status.measured_power_w)


def _is_off(trial: Trial) -> None:
    trial.device.output(False)
    require(not trial.device.status().output_on, "the output is on after it was switched off")
    trial.device.output(False)  # twice is once
    require(not trial.device.status().output_on, "the output is on after it was switched off")


def _takes_currents(trial: Trial) -> None:
    trial.device.output(False)
    trial.device.configure(CURRENT_A, LIMIT_A)
    require(not trial.device.status().output_on, "setting a current switched the output on")


def _refuses_currents(trial: Trial) -> None:
    for current_a, limit_a in ((2 * LIMIT_A, LIMIT_A), (-CURRENT_A, LIMIT_A), (math.nan, LIMIT_A)):
        try:
            trial.device.configure(current_a, limit_a)
        except DeviceError:
            continue
        require(False, f"{current_a:g} A with a limit of {limit_a:g} A was taken")


def _opening_changes_nothing(trial: Trial) -> None:
    if trial.device.status().output_on:
        raise NotHere("the output is on")
    trial.reopen()
    require(not trial.device.status().output_on, "opening it switched the output on")


CASES = (
    Case("says its state, and when that was read", _status_is_of_now),
    Case("is off when it was switched off, however often", _is_off),
    Case("takes a current below its limit without switching on", _takes_currents),
    Case("refuses a current that is beyond its limit or no number", _refuses_currents),
    Case("stays off when it is opened again", _opening_changes_nothing),
)
