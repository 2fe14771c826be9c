"""EasyComm I, II and III as the standard has them: golden lines, and what differs from the SatNOGS dialect."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from ideal_axes import IdealAxes
from rotators import FAMILIES

from controller.services.lockstep import Lockstep
from sim_hw.devices.easycomm_standard import EasyCommStandard
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

LIMITS = {"rate_max_rad_s": 0.1, "acceleration_max_rad_s2": 0.2}
Ask = Callable[..., bytes]


class Bench:
    def __init__(self, level) -> None:
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=180.5, elevation_deg=45.3)
        self.device = EasyCommStandard(self.timeline, self.axes, level, **LIMITS)

    def ask(self, data: bytes, seconds: float = 0.1) -> bytes:
        said = bytearray()
        self.device.attach(said.extend)
        self.device.receive(data)
        self.timeline.advance(self.timeline.now_ns + round(seconds * NS))
        return bytes(said)

    @property
    def deg(self) -> list[float]:
        return [math.degrees(angle) for angle in self.axes.encoder_rad()]


@pytest.mark.parametrize(
    ("level", "line", "answer"),
    [  # easycomm.txt: the answer echoes its word; Hamlib 4.5.4 asks both in a line, 4.7.2 one after the other
        (1, b"AZ EL \n", b""),
        (1, b"VE\n", b""),
        (2, b"AZ EL \n", b"AZ180.5 EL45.3\n"),
        (2, b"AZ\n", b"AZ180.5\n"),
        (2, b"EL\n", b"EL45.3\n"),
        (2, b"AZ180.5 EL45.3\nAZ\n", b"AZ180.5\n"),
        (2, b"SA SE \n", b""),
        (2, b"VE\n", b"VEBoresight-emulated\n"),
        (2, b"GS\n", b""),
        (3, b"GS\n", b"GS1\n"),
        (3, b"GE\n", b"GE0\n"),
        (3, b"nonsense 12\n", b""),
    ],
)
def test_a_line_is_answered_as_the_standard_has_it(level: int, line: bytes, answer: bytes) -> None:
    assert Bench(level).ask(line) == answer


@pytest.mark.parametrize("level", [1, 2, 3])
def test_every_level_goes_to_tenths_of_a_degree(level: int) -> None:
    bench = Bench(level)
    bench.ask(b"AZ190.3 EL40.1 UP000 XXX DN000 XXX\n", 10.0)  # as Hamlib's model 201 writes it
    assert bench.deg == pytest.approx([190.3, 40.1], abs=0.01)


@pytest.mark.parametrize(
    ("word", "turns"), [(b"VL2000", (-2, 0)), (b"VR0500", (0.5, 0)), (b"VU1000", (0, 1)), (b"VD0250", (0, -0.25))]
)
def test_a_velocity_is_of_thousandths_of_a_degree_a_second_and_left_is_down(word: bytes, turns) -> None:
    bench = Bench(3)
    bench.ask(word + b"\n", 1.0)
    before = bench.deg
    bench.ask(b"", 4.0)
    assert [(b - a) / 4 for a, b in zip(before, bench.deg, strict=True)] == pytest.approx(turns, abs=0.01)


def test_only_the_third_level_knows_velocities() -> None:
    bench = Bench(2)
    bench.ask(b"VR2000\n", 2.0)
    assert bench.deg == pytest.approx([180.5, 45.3])


def test_the_driver_of_iii_turns_at_any_rate_and_no_further_than_its_travel() -> None:
    family, timeline = FAMILIES["easycomm3"], Timeline()
    axes = IdealAxes(timeline, azimuth_deg=180.0, elevation_deg=45.0)
    clock = Lockstep(timeline)
    with serving({"rotator": SerialLine(timeline, family.emulator(timeline, axes), family.baud)}, clock):
        rotator = family.open("simhw://rotator", clock, travel_deg=((170.0, 190.0), (40.0, 50.0)))
        assert rotator.capabilities.best == "rate"
        rotator.set_rate(math.radians(0.123), math.radians(-0.05))
        clock.sleep_until(timeline.now_ns + NS)
        assert [math.degrees(rate) for rate in axes.rate] == pytest.approx([0.123, -0.05], abs=1e-6)
        for _ in range(100):
            rotator.position()
            rotator.set_rate(0.1, -0.1)
            assert math.degrees(axes.encoder_rad()[0]) < 190.1
            assert math.degrees(axes.encoder_rad()[1]) > 39.9
            clock.sleep_until(timeline.now_ns + NS // 10)
        assert math.degrees(axes.encoder_rad()[0]) > 189.0
