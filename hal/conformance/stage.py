"""What every linear Stage must do: at `Terms.speed` of its travel, and never out of it."""

from __future__ import annotations

from hal.conformance.suite import Case, Deviation, Trial, require
from hal.errors import DeviceError
from hal.traits import StageStatus

TURN_S = 0.02
PATIENCE = 3.0  # times what a way takes at full speed, and
SETTLING_S = 2.0
STEPS = 2.5  # of its resolution, within which it arrives


def _travel_s(trial: Trial) -> float:
    low, high = trial.device.capabilities.travel_mm
    return float(PATIENCE * (high - low) / trial.device.capabilities.speed_max_mm_s + SETTLING_S)


def _at_rest(trial: Trial) -> StageStatus:
    for _ in range(round(_travel_s(trial) / TURN_S)):
        status: StageStatus = trial.device.status()
        if not status.moving:
            return status
        trial.wait(TURN_S)
    raise Deviation(f"it still moves after {_travel_s(trial):g} s")


def _at_home(trial: Trial) -> StageStatus:
    status = _at_rest(trial)
    if not status.powered:
        trial.device.power(True)
    if not status.referenced:
        trial.device.home()
        status = _at_rest(trial)
    require(status.referenced, "it does not know where it is after it was home")
    return status


def _goal_mm(trial: Trial) -> float:
    """A place away from here, so far as the terms allow."""
    low, high = trial.device.capabilities.travel_mm
    here = _at_home(trial).position_mm
    way = trial.terms.speed * (high - low)
    return float(max(low, here - way) if here > (low + high) / 2 else min(high, max(low, here) + way))


def _arrives(trial: Trial, goal_mm: float) -> None:
    off_mm = _at_rest(trial).position_mm - goal_mm
    near_mm = STEPS * trial.device.capabilities.resolution_mm
    require(abs(off_mm) <= near_mm, f"it stands {off_mm:+.6f} mm from where it was sent")


def _status_is_of_now(trial: Trial) -> None:
    begun_ns = trial.clock.now_ns()
    first = trial.device.status()
    second = trial.device.status()
    require(begun_ns <= first.t_ns <= second.t_ns <= trial.clock.now_ns(), "the time of a status is not of its reading")


def _is_at_rest_when_opened(trial: Trial) -> None:
    trial.reopen()
    require(not _at_rest(trial).moving, "it moves after it was opened")


def _travel_is_told(trial: Trial) -> None:
    able = trial.device.capabilities
    low, high = able.travel_mm
    require(low < high, f"its travel {able.travel_mm} has no width")
    require(0 < able.resolution_mm < high - low, f"its resolution is {able.resolution_mm:g} mm")
    trial.note("travel_mm", high - low)


def _stopping_at_rest_is_no_motion(trial: Trial) -> None:
    before = _at_rest(trial).position_mm
    trial.device.stop()
    require(
        abs(_at_rest(trial).position_mm - before) <= STEPS * trial.device.capabilities.resolution_mm, "stop moved it"
    )


def _goes(trial: Trial) -> None:
    goal_mm = _goal_mm(trial)
    begun_ns = trial.clock.now_ns()
    trial.device.go_to(goal_mm)
    _arrives(trial, goal_mm)
    trial.note("arrival_s", (trial.clock.now_ns() - begun_ns) * 1e-9)


def _stops(trial: Trial) -> None:
    goal_mm = _goal_mm(trial)
    trial.device.go_to(goal_mm)
    trial.wait(TURN_S)
    trial.device.stop()
    begun_ns = trial.clock.now_ns()
    stood_mm = _at_rest(trial).position_mm
    trial.note("stopping_s", (trial.clock.now_ns() - begun_ns) * 1e-9)
    trial.wait(0.2)
    near_mm = STEPS * trial.device.capabilities.resolution_mm
    require(abs(trial.device.status().position_mm - stood_mm) <= near_mm, "it went on after it stood")


def _keeps_to_its_travel(trial: Trial) -> None:
    low, high = trial.device.capabilities.travel_mm
    far = high + 10 * (high - low) if _at_home(trial).position_mm > (low + high) / 2 else low - 10 * (high - low)
    trial.device.go_to(far)
    _arrives(trial, high if far > high else low)


def _without_power_it_is_not_sent(trial: Trial) -> None:
    goal_mm = _goal_mm(trial)
    trial.device.power(False)
    require(not trial.device.status().powered, "it says that its motor holds it after that was switched off")
    try:
        trial.device.go_to(goal_mm)
    except DeviceError:
        pass
    else:
        raise Deviation("it takes a position while its motor is off")
    finally:
        trial.device.power(True)
    require(trial.device.status().powered, "it says that its motor is off after that was switched on")


CASES = (
    Case("says where it is, and when that was read", _status_is_of_now),
    Case("says how far it goes and in which steps", _travel_is_told),
    Case("is at rest when it was opened", _is_at_rest_when_opened),
    Case("stays where it is when it is stopped at rest", _stopping_at_rest_is_no_motion),
    Case("knows where it is after it was home, and arrives where it is sent", _goes, moves=True),
    Case("stops when it is told to, and stays there", _stops, moves=True),
    Case("goes to the end of its travel when it is sent beyond", _keeps_to_its_travel, moves=True),
    Case("says that its motor is off, and is not sent anywhere then", _without_power_it_is_not_sent, moves=True),
)
