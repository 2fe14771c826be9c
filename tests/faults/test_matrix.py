"""Every fault against every device, in lockstep: a documented error in time, nothing stale as fresh, and recovery.

The cases come from the table itself: a new word or device without an expectation fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.cli.bench import Bench, open_bench
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.rig import emulated_devices
from hal.clock import NS
from hal.drivers import drivers_of
from hal.errors import HalError
from hal.rig import DEVICES as RIG_DEVICES
from hal.rig import load_rig, open_device
from hal.traits import Frame, Region, ShutterStatus
from sim_hw.faults.table import DEVICES, TABLE

CALLS = 12
DEADLINE_S = {
    "gimbal": 2.5,
    "camera": 2.5,
    "beam_board": 1.5,
    "laser": 2.0,
    "power_meter": 4.0,
    "shutter": 1.0,
}  # of one call
# What the calls must do while the fault lasts: every one fails, at least one fails, or none need fail.
ALWAYS, SOME, NEVER = "always", "some", "never"
EXPECTED = {
    "off": dict.fromkeys(DEVICES, ALWAYS),
    "garbage": dict.fromkeys(DEVICES, ALWAYS),
    "hang_up": dict.fromkeys(DEVICES, ALWAYS),
    "slow": {**dict.fromkeys(DEVICES, SOME), "laser": NEVER, "power_meter": NEVER},
    "intermittent": dict.fromkeys(DEVICES, SOME),
    "late_reply": {**dict.fromkeys(DEVICES, SOME), "beam_board": NEVER},  # the board is asked again, three times
    "delayed": dict.fromkeys(DEVICES, NEVER),
    "split": dict.fromkeys(DEVICES, NEVER),
    "duplicated": dict.fromkeys(DEVICES, NEVER),
    "replug": dict.fromkeys(DEVICES, NEVER),
    "stuck": {**dict.fromkeys(DEVICES, NEVER), "camera": SOME},
    "wrong": dict.fromkeys(DEVICES, NEVER),
    "saturated": {"camera": NEVER, "power_meter": ALWAYS},
    "over_temperature": {"laser": NEVER},
}
# Values that a protocol cannot tell from true ones; sim_hw.faults.table says what notices them.
TELLS_LIES = {"power_meter": ("stuck", "wrong"), "camera": ("wrong",)}
SHUTTER = '\n[shutter]\ndriver = "sc10"\nresource = "emulated"\n'  # the built-in rig has none
OWN = {name: load_rig(DEFAULT_RIG, dict.fromkeys(RIG_DEVICES, "")).driver(name).name for name in RIG_DEVICES}
OWN |= {"shutter": "sc10"}
BESIDE = ("stage", "mirror")  # those need no world: test_stages.py, test_gcs2_mirror.py
DRIVERS = [
    (OWN[device], device) for device in DEVICES if device not in ("stage", "mirror")
]  # no world: test_stages.py, test_gcs2_mirror.py
DRIVERS += [(name, "gimbal") for name in drivers_of("gimbal") if name != OWN["gimbal"]]
# Answers of a few bytes come before the time-out even at twenty bytes a second.
BRIEF = {(driver, "slow") for driver in ("easycomm2", "easycomm3", "rot1prog", "rotctld", "pelco_d")}
CASES = [(driver, device, word) for word, row in TABLE.items() for driver, device in DRIVERS if row.applies_to(device)]


class Lamp:
    """Light that is never the same twice: an old reading is known by its value."""

    def __init__(self) -> None:
        self.power_w = 1e-6

    def received_power_w(self) -> float:
        return self.power_w


@dataclass
class Subject:
    """A device in use, and how to tell whether what it says is of now."""

    bench: Bench
    device: str
    lamp: Lamp
    driver: Any = None
    last: Any = None

    @property
    def now_ns(self) -> int:
        return self.bench.world.now_ns

    def open(self) -> None:
        assert self.bench.lockstep is not None
        self.driver = open_device(self.bench.rig, self.device, self.bench.lockstep)
        self.last = None
        if self.device == "camera":
            self.driver.configure(2e-3, 20.0, Region(0, 0, 64, 64))
            self.driver.start()
        elif self.device == "power_meter":
            self.driver.configure(1550e-9)

    def reopen(self) -> None:
        with suppress(HalError):
            self.driver.close()
        self.open()

    def use(self) -> Any:
        match self.device:
            case "gimbal":
                return self.driver.position()
            case "camera":
                return self.driver.read(1.0)
            case "beam_board":
                return self.driver.heartbeat(False)
            case "laser":
                return self.driver.status()
            case "shutter":
                return self.shutter_status()
            case _:
                self.lamp.power_w *= 1.5 if self.lamp.power_w < 1e-4 else 1e-2
                return self.driver.power_w()

    def shutter_status(self) -> ShutterStatus:
        """The first that was begun after now; the driver itself never waits."""
        clock, asked_ns = self.bench.lockstep, self.now_ns
        assert clock is not None
        while True:
            self.driver.poll()
            status: ShutterStatus | None = self.driver.status
            if status is not None and status.t_ns >= asked_ns:
                return status
            clock.sleep_until(clock.now_ns() + NS // 200)

    def stale(self, result: Any, asked_ns: int) -> str:
        """Why a result is not of this call; empty when it is."""
        if self.device == "power_meter":
            so = result == pytest.approx(self.lamp.power_w, rel=0.1)
            return "" if so else f"{result:.3e} W of {self.lamp.power_w:.3e} W"
        if self.device == "camera":
            frame: Frame = result
            again = self.last is not None and (frame.number <= self.last.number or frame.t_mid_ns <= self.last.t_mid_ns)
            self.last = frame
            return f"frame {frame.number} came again" if again else ""
        return "" if asked_ns - 2_000_000 <= result.t_ns <= self.now_ns + 2_000_000 else f"it is of {result.t_ns}"


@pytest.fixture
def bench(driver: str, tmp_path: Path) -> Iterator[Bench]:
    """The built-in rig; another mount's driver takes the place of its own."""
    path = tmp_path / "rig.toml"
    text = DEFAULT_RIG.read_text(encoding="utf-8")
    text = text if driver in OWN.values() else text.replace(f'"{OWN["gimbal"]}"', f'"{driver}"')
    path.write_text(text + SHUTTER)
    rig = load_rig(path, dict.fromkeys(emulated_devices(path), ""))
    target = choose_pass(rig, None, "", above_limits=False).target
    with open_bench(path, target.elements, target.rise_utc_ns - 60 * NS) as bench:
        yield bench


def subject_of(bench: Bench, device: str) -> Subject:
    subject = Subject(bench, device, Lamp())
    bench.devices.power_meter._light = subject.lamp
    subject.open()
    for _ in range(3):
        subject.use()
    return subject


def call(subject: Subject) -> tuple[HalError | None, str]:
    """One call: its error, or why its result is stale. Its duration is checked against the deadline of its device."""
    asked_ns = subject.now_ns
    result, error = None, None
    try:
        result = subject.use()
    except HalError as raised:
        error = raised
    took_s = (subject.now_ns - asked_ns) / NS
    assert took_s <= DEADLINE_S[subject.device], f"a call took {took_s:.2f} s of simulated time"
    return error, "" if error is not None else subject.stale(result, asked_ns)


@pytest.mark.parametrize(("driver", "device", "word"), CASES)
def test_a_fault_ends_in_a_documented_error_in_time_and_the_device_comes_back(
    bench: Bench, driver: str, device: str, word: str
) -> None:
    assert bench.rig.driver(device).name == driver
    subject = subject_of(bench, device)
    bench.faults.start(device, word)
    errors, stale = 0, []
    for _ in range(CALLS):
        error, why = call(subject)
        errors += error is not None
        stale += [why] if why else []
        if error is not None:
            assert device in str(error), "the message names the device"
    expected = NEVER if (driver, word) in BRIEF else EXPECTED[word][device]
    assert stale == [] or word in TELLS_LIES.get(device, ())
    assert errors >= {ALWAYS: CALLS, SOME: 1, NEVER: 0}[expected]
    bench.faults.clear()
    assert recovers(subject), f"{device} does not come back after {word}"


def recovers(subject: Subject) -> bool:
    """Three good calls in a row, after at most a few attempts; a device that was unplugged is opened again."""
    good = 0
    for attempt in range(20):
        error, stale = call(subject)
        good = 0 if error is not None or stale else good + 1
        if good == 3:
            return True
        if error is not None and attempt >= 3:
            try:
                subject.reopen()
            except HalError:
                continue
    return False
