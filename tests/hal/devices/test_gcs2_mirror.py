"""PI tip/tilt platforms over GCS 2: worked lines, the servo and its dynamics, units, limits, faults.

The lines: General Command Set 2.0, as PIPython writes and reads them (tests/strangers/test_pipython.py): an answer of
several axes is a line each, with a space before each LF but the last; `MOV 1 12.5 2 -3` moves both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from controller.services.lockstep import Lockstep
from hal.conformance import SUITES, Terms, run_suite
from hal.devices.gcs2_mirror import Gcs2Mirror, radians_of
from hal.errors import DeviceError, HalError
from sim_hw.devices import gcs2_mirror
from sim_hw.devices.platform import Platform
from sim_hw.faults.panel import Faults, Reach
from sim_hw.faults.table import TABLE
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

URAD = 1e-6
RIG: Any = {"axes": ("1", "2"), "reach_rad": 900 * URAD, "resolution_rad": 0.5 * URAD, "settling_s": 0.02}
FAILS = dict.fromkeys(("delayed", "split", "replug", "stuck", "wrong"), False)
FAILS |= dict.fromkeys(("off", "garbage", "hang_up", "slow", "intermittent", "late_reply", "duplicated"), True)
WORDS = [word for word, row in TABLE.items() if row.applies_to("mirror")]


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.platform = Platform(self.timeline)
        self.unit = gcs2_mirror.Gcs2Mirror(self.timeline, self.platform)
        self.line = SerialLine(self.timeline, self.unit, 115_200)
        self.clock = Lockstep(self.timeline)
        reach = Reach(self.line, self.line.hang_up, self.line.plug_in, self.unit.conditions())
        self.faults = Faults(self.timeline, np.random.default_rng(5), {"mirror": reach})

    def open(self, **more: Any) -> Gcs2Mirror:
        return Gcs2Mirror("simhw://mirror", 115_200, self.clock, **RIG | more)

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))

    def say(self, line: str) -> str:
        return self.unit.answer(line)

    @property
    def urad(self) -> tuple[float, float]:
        """Where the platform is, from the middle of its stroke."""
        x, y = (self.platform.true_rad(axis) - self.platform.stroke_rad / 2 for axis in (0, 1))
        return x / URAD, y / URAD


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"mirror": bench.line}, bench.clock):
        yield bench


@pytest.mark.parametrize("speed", [0.1, 1.0])
def test_the_driver_does_what_the_trait_of_a_steering_mirror_says(bench: Bench, speed: float) -> None:
    report = run_suite("mirror", SUITES["mirror"], bench.open, bench.clock, Terms(speed=speed))
    assert [f"{f.sentence}: {f.detail}" for f in report.findings if f.verdict == "fail"] == []
    skipped = [f.detail for f in report.findings if f.verdict == "skipped"]
    assert skipped == ([] if speed == 1.0 else ["it needs its whole reach"])


def test_both_axes_are_asked_and_told_in_the_documents_lines(bench: Bench) -> None:
    assert bench.say("POS? 1 2") == "1=1000.0000 \n2=1000.0000"
    assert bench.say("SPA? 1 0x7000601") == "1 0x7000601=\xb5rad"
    assert (bench.say("TMN? 1"), bench.say("TMX? 2")) == ("1=0.0000", "2=2000.0000")
    assert bench.say("MOV 1 12.5 2 3") == ""
    assert bench.say("ERR?") == "5"  # its servos are off
    assert bench.say("SVO 1 1 2 1") == bench.say("MOV 1 2000.5 2 3") == ""
    assert bench.say("ERR?") == "7"
    assert bench.say("MOV? 2") == "2=1000.0000"  # neither axis was moved


def test_an_axis_rings_and_settles_as_its_servo_does(bench: Bench) -> None:
    """Overshoot of a second-order system with damping 0.5: exp(-pi 0.5 / sqrt(0.75)) = 16.3 % (any control text)."""
    mirror = bench.open()
    mirror.power(True)
    mirror.go_to(0.0, 0.0)
    bench.wait(0.1)
    bench.say("MOV 1 1100")
    seen = []
    for _ in range(400):
        bench.wait(1e-4)
        seen.append(bench.urad[0])
    assert max(seen) == pytest.approx(116.3, abs=0.2)
    assert seen.index(max(seen)) * 1e-4 == pytest.approx(0.5 / (200 * 0.75**0.5), abs=2e-4)
    assert seen[-1] == pytest.approx(100.0, abs=0.01)
    assert bench.urad[1] == 0.0


def test_on_its_way_it_says_that_it_is_not_there(bench: Bench) -> None:
    mirror = bench.open()
    mirror.power(True)
    mirror.go_to(500 * URAD, -300 * URAD)
    bench.wait(0.05)
    assert mirror.status().on_target
    assert bench.urad == pytest.approx((500, -300), abs=0.01)
    bench.platform.go(0, 0.0)
    assert bench.say("ONT? 1 2") == "1=0 \n2=1"


def test_without_its_servo_it_moves_for_nobody_and_the_operator_is_told_what_to_do(bench: Bench) -> None:
    mirror = bench.open()
    with pytest.raises(DeviceError, match=r"mirror: its servo is off and it does not move; say `boresight rig mirror"):
        mirror.go_to(1e-4, 0.0)
    bench.wait(0.1)
    assert bench.urad == (0.0, 0.0)


def test_soft_limits_are_inside_those_of_the_controller(bench: Bench) -> None:
    assert bench.open(reach_rad=5e-3).capabilities.reach_rad == (pytest.approx((-1e-3, 1e-3)),) * 2
    mirror = bench.open()
    mirror.power(True)
    mirror.go_to(1.0, -1.0)
    bench.wait(0.1)
    assert bench.urad == pytest.approx((900, -900), abs=0.01)


@pytest.mark.parametrize(
    ("unit", "radians"),
    [("\xb5rad", 1e-6), ("urad", 1e-6), ("\u03bcrad", 1e-6), (" MRAD", 1e-3), ("rad", 1.0), ("deg", 0.01745329)],
)
def test_the_units_of_angles_are_known(unit: str, radians: float) -> None:
    assert radians_of(unit) == pytest.approx(radians)


@pytest.mark.parametrize("unit", ["MM", "\xb5m", "", "V"])
def test_axes_that_are_no_angles_are_no_mirror(bench: Bench, unit: str) -> None:
    bench.line.spoil = lambda data: data.replace(b"=\xb5rad", b"=" + unit.encode("latin-1"))
    with pytest.raises(DeviceError, match=r"mirror: its axis 1 counts in .*, which is no angle"):
        bench.open()


def test_a_controller_without_that_parameter_is_asked_another_way(bench: Bench) -> None:
    told = bench.unit._run
    bench.unit._run = lambda words: "" if words[:1] == ["SPA?"] else told(words)  # type: ignore[method-assign]
    assert bench.open().capabilities.reach_rad[0][1] == pytest.approx(900 * URAD)


def test_an_axis_that_is_not_there_is_told_with_those_that_are(bench: Bench) -> None:
    with pytest.raises(DeviceError, match=r'no axis "3", but 1, 2; correct x_axis and y_axis'):
        bench.open(axes=("1", "3"))


@pytest.mark.parametrize("word", WORDS)
def test_a_fault_ends_in_a_documented_error_in_time_and_the_mirror_comes_back(bench: Bench, word: str) -> None:
    mirror = bench.open()
    bench.faults.start("mirror", word)
    errors = []
    for _ in range(12):
        begun_ns = bench.clock.now_ns()
        try:
            assert mirror.status().t_ns >= begun_ns
        except HalError as error:
            errors.append(str(error))
        assert bench.clock.now_ns() - begun_ns < 4 * NS
    assert bool(errors) == FAILS[word]
    assert all("mirror" in error for error in errors), "the message names the device"
    bench.faults.clear()
    try:
        mirror.status()
    except HalError:
        mirror.close()
        mirror = bench.open()
    assert mirror.status().x_rad == pytest.approx(0.0, abs=1e-9)
