"""What every Gimbal must do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hal.conformance.suite import Case, NotHere, Trial, require
from hal.errors import HalError
from hal.traits import AxisPosition

REST_S = 1.0
TURN_S = 3.0
GOTO_S = 3.0  # what a goto takes beyond its way: brakes, a slow approach
AXES = ("azimuth_rad", "elevation_rad")
RATE_SHARE = 0.05  # by which a rate may be wrong, worm and backlash over a short turn included
AT_REST_STEPS = 8  # of its resolution: encoder noise at rest
BACKLASH_RAD = math.radians(0.05)  # what a turn may lose when it begins


def envelope_deg(trial_speed: float, rate_max_rad_s: float) -> float:
    """How far from where it stands the suite turns each axis at most, degrees."""
    return math.degrees(trial_speed * rate_max_rad_s * (TURN_S + 1.0)) * 2


def _position_answers(trial: Trial) -> None:
    position: AxisPosition = trial.device.position()
    for axis in AXES:
        angle = getattr(position, axis)
        require(math.isfinite(angle) and abs(angle) <= math.tau, f"{axis} is {angle}")


def _time_is_of_the_reading(trial: Trial) -> None:
    before_ns = trial.clock.now_ns()
    for _ in range(5):
        position = trial.device.position()
        after_ns = trial.clock.now_ns()
        require(
            before_ns <= position.t_ns <= after_ns,
            f"the time of a position is {(position.t_ns - before_ns) * 1e-6:.3f} ms after asking, and the answer came "
            f"after {(after_ns - before_ns) * 1e-6:.3f} ms",
        )
        before_ns = after_ns


def _rests(trial: Trial) -> None:
    trial.wait(REST_S)
    seen = [trial.device.position() for _ in range(10)]
    limit_rad = AT_REST_STEPS * max(trial.device.capabilities.resolution_rad, 1e-6)
    for axis in AXES:
        angles = [getattr(position, axis) for position in seen]
        spread = max(_apart(angle, angles[0]) for angle in angles)
        trial.note(f"{axis.removesuffix('_rad')}_at_rest_rad", spread)
        require(spread <= limit_rad, f"{axis} wanders by {spread:.2e} rad at rest")


def _turns(axis: int, sign: int) -> Case:
    name = ("azimuth", "elevation")[axis]

    def run(trial: Trial) -> None:
        capabilities = trial.device.capabilities
        if axis == 1 and not capabilities.has_elevation:
            raise NotHere("it has no elevation axis")
        rate = sign * _speed_rad_s(trial)
        rates = (rate, 0.0) if axis == 0 else (0.0, rate)
        with _moving(trial):
            trial.device.set_rate(*rates)
            trial.wait(_settling_s(trial))
            first = trial.device.position()
            trial.wait(TURN_S)
            last = trial.device.position()
        dt_s = (last.t_ns - first.t_ns) * 1e-9
        for index, key in enumerate(AXES):
            turned = _turn(getattr(first, key), getattr(last, key))
            wanted = rates[index] * dt_s
            slack = RATE_SHARE * abs(wanted) + BACKLASH_RAD + 2 * capabilities.resolution_rad
            require(
                abs(turned - wanted) <= slack,
                f"{key} turned by {turned:.5f} rad in {dt_s:.3f} s where {wanted:.5f} rad was told",
            )
        measured = _turn(getattr(first, AXES[axis]), getattr(last, AXES[axis])) / dt_s
        trial.note(f"{name}_rate_{'plus' if sign > 0 else 'minus'}_rad_s", measured)

    return Case(f"turns its {name} {'up' if sign > 0 else 'down'} at the rate that it is told", run, moves=True)


def _tells_of_its_drives(trial: Trial) -> None:
    able = trial.device.capabilities.drives
    if not able.tells:
        raise NotHere("its protocol says nothing of its drives")
    before_ns = trial.clock.now_ns()
    status = trial.device.drives()
    require(before_ns <= status.t_ns <= trial.clock.now_ns(), "the time of what its drives say is not of the asking")
    for axis in ("azimuth", "elevation"):
        state = getattr(status, axis)
        require(state in able.tells, f"its {axis} drive says {state!r}, which is none of {sorted(able.tells)}")
    require(status.ready, f"its drives say {status.azimuth}, {status.elevation} after it was opened")


def _stops(trial: Trial) -> None:
    capabilities = trial.device.capabilities
    rate = _speed_rad_s(trial)
    with _moving(trial):
        trial.device.set_rate(rate, rate)
        trial.wait(1.0)
        trial.device.stop()
        at_stop = trial.device.position()
        trial.wait(_settling_s(trial))
        first = trial.device.position()
        trial.wait(REST_S)
        last = trial.device.position()
    limit = AT_REST_STEPS * max(capabilities.resolution_rad, 1e-6)
    for axis in AXES:
        moved = _apart(getattr(first, axis), getattr(last, axis))
        require(moved <= limit, f"{axis} still moves by {moved:.2e} rad in {REST_S:g} s after a stop")
    trial.note("azimuth_coasts_rad", _apart(at_stop.azimuth_rad, last.azimuth_rad))


def _goes(trial: Trial) -> None:
    capabilities = trial.device.capabilities
    if "position" not in capabilities.takes:
        raise NotHere("it takes rates only")
    if trial.terms.speed < 1.0:
        raise NotHere("it goes at full speed")
    slack = 1.5 * max(capabilities.position_step_rad, capabilities.resolution_rad) + 100e-6
    start = trial.device.position()
    away = min(TURN_S * capabilities.rate_max_rad_s, math.radians(10.0))
    with _moving(trial):
        for goal in (
            (start.azimuth_rad - away, start.elevation_rad + (away if capabilities.has_elevation else 0.0)),
            (start.azimuth_rad, start.elevation_rad),
        ):
            trial.device.go_to(*goal)
            trial.wait(_settling_s(trial) + 2 * away / capabilities.rate_max_rad_s + GOTO_S)
            there = trial.device.position()
            off = max(_apart(getattr(there, axis), angle) for axis, angle in zip(AXES, goal, strict=True))
            require(off <= slack, f"it is {off:.4f} rad from where it was sent")


def _refuses_no_number(trial: Trial) -> None:
    before = trial.device.position()
    for name, command in (("rate", "set_rate"), ("position", "go_to")):
        for numbers in ((math.nan, 0.0), (0.0, math.inf)):
            if name not in trial.device.capabilities.takes:
                continue
            try:
                getattr(trial.device, command)(*numbers)
            except ValueError:
                continue
            trial.device.stop()
            require(False, f"{command} took {numbers}")
    trial.wait(0.5)
    after = trial.device.position()
    moved = max(_apart(getattr(before, axis), getattr(after, axis)) for axis in AXES)
    require(
        moved <= 100e-6 + trial.device.capabilities.resolution_rad,
        f"it moved by {moved:.2e} rad after rates that are no numbers",
    )


def _cuts(trial: Trial) -> None:
    if trial.terms.speed < 1.0:
        raise NotHere("it needs full speed")
    capabilities = trial.device.capabilities
    with _moving(trial):
        trial.device.set_rate(10 * capabilities.rate_max_rad_s, 0.0)
        trial.wait(_settling_s(trial))
        first = trial.device.position()
        trial.wait(0.5)
        last = trial.device.position()
    dt_s = (last.t_ns - first.t_ns) * 1e-9
    rate = _turn(first.azimuth_rad, last.azimuth_rad) / dt_s
    slack = 0.05 * capabilities.rate_max_rad_s + 2 * capabilities.resolution_rad / dt_s
    require(rate <= capabilities.rate_max_rad_s + slack, f"it turns at {rate:.4f} rad/s, beyond its own limit")


def _opens_again(trial: Trial) -> None:
    before = trial.device.position()
    trial.reopen()
    after = trial.device.position()
    for axis in AXES:
        moved = _apart(getattr(before, axis), getattr(after, axis))
        require(
            moved <= 100e-6 + trial.device.capabilities.resolution_rad,
            f"{axis} differs by {moved:.2e} rad after it was opened again",
        )


@contextmanager
def _moving(trial: Trial) -> Iterator[None]:
    """Whatever happens inside, it is told to stop, twice if need be, and given the time for it."""
    try:
        yield
    finally:
        _stop(trial.device)
        trial.wait(_settling_s(trial))


def _speed_rad_s(trial: Trial) -> float:
    """The speed at which these terms let it turn."""
    capabilities = trial.device.capabilities
    if "rate" not in capabilities.takes:
        raise NotHere("it takes directions only")
    wanted = trial.terms.speed * capabilities.rate_max_rad_s
    if capabilities.rates_rad_s and min(capabilities.rates_rad_s) > wanted:
        raise NotHere("it has no speed as slow as that")
    return float(capabilities.possible(wanted))


def _settling_s(trial: Trial) -> float:
    """From a command until the axes turn as told."""
    c = trial.device.capabilities
    rate = trial.terms.speed * c.rate_max_rad_s
    return float(c.command_latency_s + rate / c.acceleration_max_rad_s2 + 0.5)


def _stop(gimbal: Any) -> None:
    try:
        gimbal.stop()
    except HalError:
        gimbal.stop()


def _turn(start_rad: float, end_rad: float) -> float:
    """From one angle to the other the short way, with its sign."""
    return math.remainder(end_rad - start_rad, math.tau)


def _apart(a_rad: float, b_rad: float) -> float:
    return abs(_turn(a_rad, b_rad))


CASES = (
    Case("answers with two angles", _position_answers),
    Case("gives a position the time at which it was read", _time_is_of_the_reading),
    Case("stands still after it was opened", _rests),
    Case("tells whether its drives are ready, where its protocol does", _tells_of_its_drives),
    Case("refuses rates and directions that are no numbers, and does not move", _refuses_no_number),
    *(_turns(axis, sign) for axis in (0, 1) for sign in (1, -1)),
    Case("stops both axes", _stops, moves=True),
    Case("cuts a rate beyond its limit", _cuts, moves=True),
    Case("goes to where it is sent, and back", _goes, moves=True),
    Case("is where it was when it is opened again", _opens_again),
)
