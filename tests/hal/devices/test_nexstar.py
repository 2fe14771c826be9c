"""The NexStar driver: golden frames, then the emulated mount in simulated time, then everything that goes wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from ideal_axes import IdealAxes

from controller.services.lockstep import Lockstep
from hal.devices.nexstar import NexStar, rate_command, stop_axes
from hal.errors import DeviceError, ProtocolError, WireError, WireTimeout
from hal.wires.serial import SerialWire
from sim_hw.devices.nexstar import NexStar as EmulatedNexStar
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

ARCSEC = math.pi / 648_000

RATE_FRAMES = [
    # Celestron protocol document: 150 arcsec/s in azimuth, trackRateHigh 2 and trackRateLow 88
    (0x10, 150 * ARCSEC, "50 03 10 06 02 58 00 00"),
    # SynScan manual, "Sending a track rate": 120 arcsec/s is 480 = 1 * 256 + 224; 80, 3, 17, 7 is negative altitude
    (0x11, -120 * ARCSEC, "50 03 11 07 01 E0 00 00"),
    (0x10, 0.0, "50 03 10 06 00 00 00 00"),
    (0x10, math.radians(90), "50 03 10 06 FF FF 00 00"),  # more than 16 bits hold
]


@pytest.mark.parametrize(("board", "rate_rad_s", "frame"), RATE_FRAMES)
def test_a_rate_is_quarters_of_an_arc_second(board: int, rate_rad_s: float, frame: str) -> None:
    assert rate_command(board, rate_rad_s) == bytes.fromhex(frame)


class Bench:
    """The emulated mount on a line, in lockstep."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=123.4, elevation_deg=45.6)
        self.mount = EmulatedNexStar(self.timeline, self.axes, np.random.default_rng(3))
        self.line = SerialLine(self.timeline, self.mount, 9600)
        self.clock = Lockstep(self.timeline)

    def driver(self, **more: Any) -> NexStar:
        return NexStar(
            "simhw://gimbal",
            9600,
            self.clock,
            rate_max_rad_s=math.radians(3),
            acceleration_max_rad_s2=math.radians(2),
            command_latency_s=0.075,
            **more,
        )

    def pass_s(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"gimbal": bench.line}, bench.clock):
        yield bench


@pytest.fixture
def gimbal(bench: Bench) -> Iterator[NexStar]:
    gimbal = bench.driver()
    yield gimbal
    gimbal.close()


def test_the_position_is_the_encoders_to_a_24_bit_step(bench: Bench, gimbal: NexStar) -> None:
    position = gimbal.position()

    assert position.azimuth_rad == pytest.approx(math.radians(123.4), abs=math.tau / 2**25)
    assert position.elevation_rad == pytest.approx(math.radians(45.6), abs=math.tau / 2**25)


@pytest.mark.parametrize(
    ("angle_deg", "expected_deg"), [((-10.0, -20.0), (350.0, -20.0)), ((725.0, 170.0), (5.0, 170.0))]
)
def test_azimuth_is_positive_and_elevation_signed(
    bench: Bench, gimbal: NexStar, angle_deg: tuple[float, float], expected_deg: tuple[float, float]
) -> None:
    bench.axes.angle = [math.radians(a) for a in angle_deg]
    position = gimbal.position()

    assert math.degrees(position.azimuth_rad) == pytest.approx(expected_deg[0], abs=2e-5)
    assert math.degrees(position.elevation_rad) == pytest.approx(expected_deg[1], abs=2e-5)


def test_a_moving_axis_is_stamped_with_the_time_of_its_reading(bench: Bench, gimbal: NexStar) -> None:
    gimbal.set_rate(math.radians(2), math.radians(-1))
    bench.pass_s(1)
    first, second = gimbal.position(), gimbal.position()

    seconds = (second.t_ns - first.t_ns) / NS
    rate_rad_s = 2 * math.pi / 180
    assert second.azimuth_rad - first.azimuth_rad == pytest.approx(rate_rad_s * seconds, abs=1e-6)
    at_first_s = (first.t_ns - bench.timeline.now_ns) / NS
    assert first.azimuth_rad == pytest.approx(bench.axes.encoder_rad()[0] + rate_rad_s * at_first_s, abs=1e-6)


def test_a_cycle_of_position_and_two_rates_runs_at_about_11_hertz(bench: Bench, gimbal: NexStar) -> None:
    start_ns = bench.timeline.now_ns
    gimbal.position()
    gimbal.set_rate(0.001, 0.002)

    # bytes: 1 + 18, then twice 8 + 1, at 10 bits and 9600 baud; three replies that take 15 ms each
    expected_s = (19 + 18) * 10 / 9600 + 3 * 0.015
    assert (bench.timeline.now_ns - start_ns) / NS == pytest.approx(expected_s, abs=1e-7)


def test_rates_reach_the_axes_rounded_to_the_step_and_within_the_limit(bench: Bench, gimbal: NexStar) -> None:
    gimbal.set_rate(math.radians(1.23456), -math.radians(7))
    bench.pass_s(0.2)

    step = gimbal.capabilities.rate_resolution_rad_s
    assert bench.axes.rate[0] == pytest.approx(math.radians(1.23456), abs=step / 2)
    assert bench.axes.rate[1] == pytest.approx(-math.radians(3), abs=step / 2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_rate_that_is_no_number_is_refused_and_nothing_is_sent(bench: Bench, gimbal: NexStar, bad: float) -> None:
    bench.pass_s(0.2)
    before = len(bench.axes.set_at)
    with pytest.raises(ValueError, match="not finite"):
        gimbal.set_rate(0.01, bad)
    bench.pass_s(0.5)
    assert len(bench.axes.set_at) == before


def test_opening_ends_motion_goto_and_tracking_that_somebody_left(bench: Bench) -> None:
    bench.mount.receive(b"T\x01")
    bench.mount.receive(b"BC000,2000")
    bench.pass_s(2)
    assert bench.axes.rate[0] != 0

    bench.driver().close()
    bench.pass_s(0.2)
    assert bench.axes.rate == [0, 0]
    assert not bench.mount.slewing


def test_stop_brings_both_axes_to_rest(bench: Bench, gimbal: NexStar) -> None:
    gimbal.set_rate(0.01, 0.01)
    bench.pass_s(0.2)
    gimbal.stop()
    bench.pass_s(0.15)

    assert bench.axes.rate == [0, 0]


def test_the_driver_says_that_the_mount_keeps_moving_without_a_host(gimbal: NexStar) -> None:
    assert gimbal.capabilities.keeps_moving_when_silent


def spoil_once(line: SerialLine, spoil: Callable[[bytes], bytes]) -> None:
    """The next reply goes wrong, those after it are right."""

    def once(data: bytes) -> bytes:
        line.spoil = None
        return spoil(data)

    line.spoil = once


@pytest.mark.parametrize("half", [0, 1, 9, 17])
def test_silence_and_half_a_reply_are_time_outs_that_the_next_call_recovers_from(
    bench: Bench, gimbal: NexStar, half: int
) -> None:
    spoil_once(bench.line, lambda data: data[:half])
    start_ns = bench.timeline.now_ns
    with pytest.raises(WireTimeout, match=r"gimbal: .* of 18 bytes"):
        gimbal.position()
    assert bench.timeline.now_ns - start_ns == 400_000_000

    assert gimbal.position().azimuth_rad == pytest.approx(math.radians(123.4), abs=1e-6)


def test_a_late_reply_is_never_the_answer_to_the_next_query(bench: Bench, gimbal: NexStar) -> None:
    """The controller is slow, and answers in order: the old reply comes when the driver has given up on it."""
    send = bench.line._send
    late: list[bytes] = []
    spoil_once(bench.line, lambda data: late.append(data) or b"")  # type: ignore[func-returns-value]
    bench.timeline.after(0.41, lambda: send(late[0]))
    with pytest.raises(WireTimeout):
        gimbal.position()

    bench.axes.angle = [math.radians(200), math.radians(10)]
    assert math.degrees(gimbal.position().azimuth_rad) == pytest.approx(200, abs=1e-4)


def test_a_late_acknowledgement_does_not_pass_for_a_position(bench: Bench, gimbal: NexStar) -> None:
    send = bench.line._send
    spoil_once(bench.line, lambda data: b"")
    bench.timeline.after(0.41, lambda: send(b"#"))
    with pytest.raises(WireTimeout):
        gimbal.set_rate(0.01, 0.0)

    assert math.degrees(gimbal.position().elevation_rad) == pytest.approx(45.6, abs=1e-4)


def test_bytes_that_nobody_asked_for_are_no_answer(bench: Bench, gimbal: NexStar) -> None:
    bench.line._send(b"#12345678,12345678#")
    bench.pass_s(0.1)

    assert math.degrees(gimbal.position().azimuth_rad) == pytest.approx(123.4, abs=1e-4)


@pytest.mark.parametrize("garbage", [b"\xff" * 18, b"12345678;12345678#", b"1234567G,12345678#"])
def test_garbage_for_an_angle_is_a_protocol_error_and_the_next_call_recovers(
    bench: Bench, gimbal: NexStar, garbage: bytes
) -> None:
    spoil_once(bench.line, lambda data: garbage)
    with pytest.raises(ProtocolError, match=r"gimbal: sent .* instead of angles"):
        gimbal.position()

    assert math.degrees(gimbal.position().azimuth_rad) == pytest.approx(123.4, abs=1e-4)


def test_garbage_for_an_acknowledgement_is_a_protocol_error(bench: Bench, gimbal: NexStar) -> None:
    spoil_once(bench.line, lambda data: b"!?")
    with pytest.raises(ProtocolError, match="instead of an acknowledgement of the azimuth rate"):
        gimbal.set_rate(0.01, 0.01)


def test_a_motor_board_that_does_not_answer_is_named(bench: Bench, gimbal: NexStar) -> None:
    spoil_once(bench.line, lambda data: b"\x00#")  # the document's mark of a board that gave no response
    with pytest.raises(DeviceError, match="motor board did not take the azimuth rate"):
        gimbal.set_rate(0.01, 0.01)


def test_after_half_an_acknowledgement_an_old_answer_is_no_position(bench: Bench, gimbal: NexStar) -> None:
    spoil_once(bench.line, lambda data: b"?")
    bench.timeline.after(0.23, lambda: bench.line._send(b"12345678,12345678#"))
    with pytest.raises(WireTimeout):
        gimbal.set_rate(0.01, 0.0)

    assert math.degrees(gimbal.position().elevation_rad) == pytest.approx(45.6, abs=1e-4)


def test_a_silent_mount_is_lost_after_two_answers_and_that_is_less_than_a_second(bench: Bench, gimbal: NexStar) -> None:
    begin_ns = bench.timeline.now_ns
    bench.line.spoil = lambda data: b""
    for _ in range(2):
        with pytest.raises(WireTimeout):
            gimbal.position()

    assert bench.timeline.now_ns - begin_ns < 0.7 * NS


def test_an_answer_after_a_lost_one_has_less_time(bench: Bench, gimbal: NexStar) -> None:
    spoil_once(bench.line, lambda data: b"")
    with pytest.raises(WireTimeout):
        gimbal.position()
    begin_ns = bench.timeline.now_ns
    bench.line.spoil = lambda data: b"" if len(data) > 2 else data  # the echo comes
    with pytest.raises(WireTimeout):
        gimbal.position()

    assert bench.timeline.now_ns - begin_ns < 0.3 * NS


@pytest.mark.parametrize("lost_before", [False, True])
def test_both_axes_are_told_to_stop_before_anything_is_waited_for(
    bench: Bench, gimbal: NexStar, lost_before: bool
) -> None:
    gimbal.set_rate(0.01, 0.01)
    bench.pass_s(0.2)
    bench.line.spoil = lambda data: b""
    if lost_before:
        with pytest.raises(WireTimeout):
            gimbal.position()
    rates: list[float] = []
    bench.timeline.after(0.15, lambda: rates.extend(bench.axes.rate))
    with pytest.raises(WireTimeout):
        gimbal.stop()

    assert rates == [0, 0]


def test_half_a_rate_command_left_by_a_dead_host_never_becomes_a_jump(bench: Bench) -> None:
    for kept in range(1, 8):
        bench.mount.receive(rate_command(0x10, math.radians(1))[:kept])
        bench.driver().close()
        bench.pass_s(0.3)
        assert bench.axes.rate == [0, 0]
    # filler zeros can complete the command, at no more than the rate that was asked for
    assert abs(bench.axes.encoder_rad()[0] - math.radians(123.4)) < math.radians(1) * 7 * 0.2


def test_a_pulled_cable_is_a_wire_error_and_no_time_out(bench: Bench, gimbal: NexStar) -> None:
    bench.line.hang_up()
    for use in (gimbal.position, gimbal.stop, lambda: gimbal.set_rate(0, 0)):
        with pytest.raises(WireError, match="hung up") as caught:
            use()
        assert not isinstance(caught.value, WireTimeout)


def test_nobody_at_the_port_is_told_with_what_to_check(bench: Bench) -> None:
    bench.line.spoil = lambda data: b""
    with pytest.raises(WireTimeout, match="no NexStar hand controller answers; check that the mount is on"):
        bench.driver()

    bench.line.spoil = None
    bench.driver().close()  # the port was not left open


def test_firmware_without_32_bit_angles_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_hw.devices.nexstar.VERSION", (1, 6))
    with pytest.raises(DeviceError, match=r"firmware 1\.6 has no 32-bit angles; update it to 2\.2"):
        bench.driver()


@pytest.mark.parametrize("half", [b"", b"P\x03\x10", b"P\x03\x10\x06\x50"])
def test_whoever_takes_over_can_stop_the_axes_without_knowing_anything(
    bench: Bench, gimbal: NexStar, half: bytes
) -> None:
    gimbal.set_rate(0.02, -0.02)
    bench.pass_s(0.2)
    gimbal.close()
    bench.mount.receive(half)  # the owner died in the middle of a command
    start_ns = bench.timeline.now_ns
    wire = SerialWire("simhw://gimbal", 9600, bench.clock, "gimbal")
    with suppress(WireTimeout):  # the controller is busy with a board that its half command named wrongly
        stop_axes(wire, bench.clock)
    stopped_ns = bench.axes.set_at[-1]
    stop_axes(wire, bench.clock)
    wire.close()

    assert bench.axes.rate == [0, 0]
    assert stopped_ns - start_ns < 500_000_000  # the design's bound on motion without an owner


def test_a_stop_that_no_board_takes_is_told(bench: Bench) -> None:
    wire = SerialWire("simhw://gimbal", 9600, bench.clock, "gimbal")
    bench.line.spoil = lambda data: b"\x00#" if data == b"#" else data
    with pytest.raises(DeviceError, match="did not take the azimuth rate"):
        stop_axes(wire, bench.clock)
    wire.close()


@pytest.mark.parametrize(("rate_deg_s", "end_deg"), [(3.0, 60.0), (-3.0, 20.0)])
def test_no_rate_carries_elevation_out_of_its_soft_travel(rate_deg_s: float, end_deg: float) -> None:
    bench = Bench()
    with serving({"gimbal": bench.line}, bench.clock):
        mount = bench.driver(elevation_rad=(math.radians(20), math.radians(60)))
        for _ in range(300):  # as a loop repeats it
            mount.set_rate(0.01, math.radians(rate_deg_s))
            bench.pass_s(0.1)
        azimuth_rad, elevation_rad = bench.axes.encoder_rad()
        assert math.degrees(elevation_rad) == pytest.approx(end_deg, abs=0.1)
        assert azimuth_rad > math.radians(123.4) + 0.2, "azimuth has no stops"
        mount.set_rate(0.0, math.radians(-rate_deg_s))
        bench.pass_s(1.0)
        assert abs(math.degrees(bench.axes.encoder_rad()[1]) - end_deg) > 1.0, "and it comes back"
        mount.close()


@pytest.mark.parametrize(("rate_deg_s", "end_deg"), [(3.0, 150.0), (-3.0, 100.0)])
def test_no_rate_carries_azimuth_out_of_soft_limits_of_less_than_a_turn(rate_deg_s: float, end_deg: float) -> None:
    bench = Bench()
    with serving({"gimbal": bench.line}, bench.clock):
        mount = bench.driver(azimuth_rad=(math.radians(100), math.radians(150)))
        assert mount.capabilities.travel_rad[0] == pytest.approx((math.radians(100), math.radians(150)))
        for _ in range(140):  # as a loop repeats it
            mount.set_rate(math.radians(rate_deg_s), 0.0)
            bench.pass_s(0.1)
        assert math.degrees(bench.axes.encoder_rad()[0]) == pytest.approx(end_deg, abs=0.1)
        assert math.degrees(mount.position().azimuth_rad) == pytest.approx(end_deg, abs=0.1), "not a turn further"
        mount.set_rate(math.radians(-rate_deg_s), 0.0)
        bench.pass_s(1.0)
        assert abs(math.degrees(bench.axes.encoder_rad()[0]) - end_deg) > 1.0, "and it comes back"
        mount.close()


def test_soft_limits_of_a_turn_or_more_cannot_hold_where_turns_are_not_told() -> None:
    bench = Bench()
    with serving({"gimbal": bench.line}, bench.clock):
        mount = bench.driver(azimuth_rad=(math.radians(-720), math.radians(720)))
        assert mount.capabilities.travel_rad is None
        mount.close()
        with pytest.raises(DeviceError, match="azimuth_min_deg is not below azimuth_max_deg"):
            bench.driver(azimuth_rad=(1.0, 1.0))
