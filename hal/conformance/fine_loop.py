"""What every FineLoop (a beam board) must do. The emission enable line is never asked for."""

from __future__ import annotations

from hal.clock import NS
from hal.conformance.suite import Case, Deviation, Trial, require
from hal.errors import DeviceError
from hal.traits import FineStatus

BEAT_S = 0.05
SILENCE_S = 0.4  # longer than the watchdog's 250 ms
WATCHDOG_MAX_S = 0.25
STROKE_RAD = 1e-3  # at full speed; half of what a steering mirror has
MIRROR_SHARE, MIRROR_SLACK_RAD = 0.15, 5e-6  # before it was calibrated


def _beat(trial: Trial, seconds: float) -> FineStatus:
    """Let time pass with a heartbeat that does not want emission; the last status."""
    end_ns = trial.clock.now_ns() + round(seconds * NS)
    status: FineStatus = trial.device.heartbeat(False)
    while trial.clock.now_ns() < end_ns:
        trial.wait(BEAT_S)
        status = trial.device.heartbeat(False)
    return status


def _fresh(trial: Trial) -> None:
    trial.device.reset()
    trial.device.heartbeat(False)


def _status_is_of_now(trial: Trial) -> None:
    _fresh(trial)
    for _ in range(20):  # the map of its clock settles
        begun_ns = trial.clock.now_ns()
        status: FineStatus = trial.device.status()
        age_s = (trial.clock.now_ns() - status.t_ns) * 1e-9
    took_s = (trial.clock.now_ns() - begun_ns) * 1e-9
    trial.note("status_age_s", age_s)
    require(-1e-3 <= age_s <= took_s + 1e-3, f"a status is {age_s * 1e3:.2f} ms old after {took_s * 1e3:.2f} ms")


def _counts_ticks(trial: Trial) -> None:
    _fresh(trial)
    first: FineStatus = trial.device.status()
    last = _beat(trial, 1.0)
    rate_hz = (last.tick - first.tick) / ((last.t_ns - first.t_ns) * 1e-9)
    trial.note("tick_rate_hz", rate_hz)
    stated = float(trial.device.dictionary["tick_rate_hz"])
    require(abs(rate_hz / stated - 1.0) < 5e-3, f"it ticks at {rate_hz:.1f} Hz and says {stated:g} Hz")


def _keeps_parameters(trial: Trial) -> None:
    name = "loop_gain"
    before = trial.device.parameter(name)
    try:
        trial.device.set_parameter(name, before / 2)
        require(abs(trial.device.parameter(name) - before / 2) <= 1e-6 * abs(before), f"{name} was not taken")
    finally:
        trial.device.set_parameter(name, before)


def _refuses_what_it_lacks(trial: Trial) -> None:
    for method in ("parameter", "set_mode"):
        try:
            getattr(trial.device, method)("no_such_name")
        except DeviceError:
            continue
        raise Deviation("a name that it does not have was taken")


def _needs_a_heartbeat(trial: Trial) -> None:
    trial.device.reset()
    trial.wait(SILENCE_S)
    try:
        trial.device.set_mode("setpoint")
    except DeviceError:
        return
    raise Deviation("it left idle without a heartbeat")


def _follows_setpoints(trial: Trial) -> None:
    _fresh(trial)
    trial.device.set_mode("setpoint")
    stroke_rad = trial.terms.speed * STROKE_RAD
    try:
        for x_rad, y_rad in ((stroke_rad, -stroke_rad), (-stroke_rad, stroke_rad)):
            start_ns = trial.clock.now_ns() + NS // 20
            trial.device.setpoints([(start_ns, 0.0, 0.0), (start_ns + NS // 20, x_rad, y_rad)])
            _beat(trial, 0.3)
            x, y = _beat(trial, 0.1).mirror_mean_rad
            slack = MIRROR_SHARE * stroke_rad + MIRROR_SLACK_RAD
            require(
                abs(x - x_rad) <= slack and abs(y - y_rad) <= slack,
                f"the mirror is at ({x:.2e}, {y:.2e}) rad where ({x_rad:.2e}, {y_rad:.2e}) was set",
            )
            trial.note("mirror_gain", x / x_rad)
    finally:
        trial.device.set_mode("idle")


def _captures(trial: Trial) -> None:
    _fresh(trial)
    seconds = 0.02
    capture = trial.device.capture(("mirror_x", "mirror_y"), seconds, lambda: trial.device.heartbeat(False))
    stated = float(trial.device.dictionary["tick_rate_hz"])
    require(capture.rate_hz == stated, f"a capture has {capture.rate_hz:g} Hz")
    require(capture.samples.shape == (round(seconds * stated), 2), f"a capture is {capture.samples.shape}")


def _latches(trial: Trial) -> None:
    _fresh(trial)
    trial.device.set_mode("setpoint")
    trial.wait(WATCHDOG_MAX_S - 2 * BEAT_S)
    require(trial.device.status().mode != "latched", "it latched before its watchdog was due")
    trial.device.heartbeat(False)
    trial.wait(SILENCE_S)
    status: FineStatus = trial.device.status()
    require(status.mode == "latched" and not status.enabled, f"after {SILENCE_S:g} s of silence it is {status.mode}")
    try:
        trial.device.set_mode("setpoint")
    except DeviceError:
        pass
    else:
        raise Deviation("it left the latch without a reset")
    trial.device.reset()
    require(trial.device.status().mode == "idle", "a reset did not bring it back to idle")


def _does_not_emit(trial: Trial) -> None:
    _fresh(trial)
    require(not _beat(trial, 0.2).enabled, "the enable line is up, and nobody asked for it")


def _opens_again(trial: Trial) -> None:
    _fresh(trial)
    trial.device.set_mode("setpoint")
    trial.reopen()
    require(trial.device.status().mode == "idle", "it is not idle after its owner closed it")


CASES = (
    Case("gives a status the time at which it was true", _status_is_of_now),
    Case("ticks at the rate that it says", _counts_ticks),
    Case("keeps the parameters that it is given", _keeps_parameters),
    Case("refuses names that it does not have", _refuses_what_it_lacks),
    Case("stays idle without a heartbeat", _needs_a_heartbeat),
    Case("follows set-points with its mirror", _follows_setpoints, moves=True),
    Case("records captures at its tick rate", _captures),
    Case("latches when the heartbeat stops, and leaves that by a reset only", _latches, moves=True),
    Case("keeps the enable line down when nobody asks for it", _does_not_emit),
    Case("is idle when it is opened again", _opens_again),
)
