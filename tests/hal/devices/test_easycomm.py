"""The EasyComm driver against its emulator: golden lines, the suite of its trait, and what goes wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ideal_axes import IdealAxes

from controller.services.lockstep import Lockstep
from hal.conformance import SUITES, Terms, run_suite
from hal.devices import easycomm
from hal.errors import ProtocolError, WireTimeout
from sim_hw.devices.easycomm import EasyComm
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=180.5, elevation_deg=45.3)
        self.rotator = EasyComm(self.timeline, self.axes, rate_max_rad_s=0.1, acceleration_max_rad_s2=0.1)
        self.line = SerialLine(self.timeline, self.rotator, 19_200)
        self.clock = Lockstep(self.timeline)

    def open(self, **more: Any) -> easycomm.EasyComm:
        return easycomm.EasyComm(
            "simhw://rotator",
            19_200,
            self.clock,
            rate_max_rad_s=0.1,
            acceleration_max_rad_s2=0.1,
            command_latency_s=0.02,
            **more,
        )


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"rotator": bench.line}, bench.clock):
        yield bench


@pytest.fixture
def ask() -> Callable[[bytes], bytes]:
    bench, said = Bench(), bytearray()
    bench.rotator.attach(said.extend)

    def ask(data: bytes) -> bytes:
        said.clear()
        bench.rotator.receive(data)
        bench.timeline.advance(bench.timeline.now_ns + NS // 10)
        return bytes(said)

    return ask


@pytest.mark.parametrize(
    ("question", "answer"),
    [  # as Hamlib 4.5.4 and 4.7.2 ask: both in one line, or one in each
        (b"AZ EL \n", b"AZ180.5 EL45.3\n"),
        (b"AZ\n", b"AZ180.5\n"),
        (b"EL\n", b"EL45.3\n"),
        (b"SA SE \n", b"AZ180.5 EL45.3\n"),
        (b"GS\n;", b"GS1\n"),
        (b"no such command\n", b""),
        (b"AZ180.5 EL45.3\nAZ\n", b"AZ180.5\n"),
    ],
)
def test_a_line_is_answered_once(ask: Callable[[bytes], bytes], question: bytes, answer: bytes) -> None:
    assert ask(question) == answer


def test_the_driver_does_what_the_trait_of_a_gimbal_says(bench: Bench) -> None:
    for speed in (0.1, 1.0):
        report = run_suite("gimbal", SUITES["gimbal"], bench.open, bench.clock, Terms(speed=speed))
        assert [f"{f.sentence}: {f.detail}" for f in report.findings if f.verdict == "fail"] == []


def test_a_rate_goes_out_in_thousandths_of_a_degree(bench: Bench) -> None:
    rotator = bench.open()
    rotator.set_rate(math.radians(1.5), math.radians(-0.25))
    bench.clock.sleep_until(bench.timeline.now_ns + NS // 10)
    assert bench.axes.rate == pytest.approx([math.radians(1.5), math.radians(-0.25)])


def test_a_late_answer_is_never_that_of_the_next_question(bench: Bench) -> None:
    rotator = bench.open()
    late: list[bytes] = []
    bench.line.fault = lambda data, put: (late.append(data), bench.timeline.after(0.6, lambda: put(data)))[0]
    with pytest.raises(WireTimeout):
        rotator.position()
    bench.line.fault = None
    rotator.set_rate(0.05, 0.0)
    bench.clock.sleep_until(bench.timeline.now_ns + 2 * NS)
    assert rotator.position().azimuth_rad == pytest.approx(bench.axes.encoder_rad()[0], abs=0.004)
    assert late


def test_nonsense_is_a_protocol_error_and_the_next_question_is_answered(bench: Bench) -> None:
    rotator = bench.open()
    bench.line.fault = lambda data, put: put(b"AZ?? EL??\n")
    with pytest.raises(ProtocolError, match="instead of its angles"):
        rotator.position()
    bench.line.fault = None
    assert rotator.position().elevation_rad == pytest.approx(math.radians(45.3), abs=1e-6)


def test_whoever_takes_over_stops_both_axes_knowing_nothing(bench: Bench) -> None:
    rotator = bench.open()
    rotator.set_rate(0.05, 0.05)
    bench.clock.sleep_until(bench.timeline.now_ns + NS // 2)
    rotator.close()
    bench.line.host_write(b"VL5")  # half a command of the owner that died
    wire = easycomm.open_stream("simhw://rotator", bench.clock, "gimbal", baud=19_200)
    easycomm.stop_axes(wire, bench.clock)
    assert bench.axes.rate == [0.0, 0.0]
    wire.close()


def test_a_rotator_whose_answers_are_lost_is_stopped_all_the_same(bench: Bench) -> None:
    rotator = bench.open()
    rotator.set_rate(0.05, 0.05)
    bench.line.fault = lambda data, put: None
    with pytest.raises(WireTimeout):
        rotator.stop()
    bench.timeline.advance(bench.timeline.now_ns + NS)
    assert bench.axes.rate == [0.0, 0.0]
    rotator.close()


@pytest.mark.parametrize(("rate", "end_deg"), [(0.1, 200.0), (-0.1, 170.0)])
def test_no_rate_carries_azimuth_out_of_soft_limits_of_less_than_a_turn(
    bench: Bench, rate: float, end_deg: float
) -> None:
    rotator = bench.open(azimuth_rad=(math.radians(170), math.radians(200)))
    for _ in range(120):  # as a loop repeats it
        rotator.set_rate(rate, 0.0)
        bench.clock.sleep_until(bench.timeline.now_ns + NS // 10)
    assert math.degrees(bench.axes.encoder_rad()[0]) == pytest.approx(end_deg, abs=0.2)
    rotator.close()
