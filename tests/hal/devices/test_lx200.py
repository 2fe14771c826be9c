"""Meade's LX200: the bytes of its document, angles in both formats, the shorter way round."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import pytest
from ideal_axes import IdealAxes
from rotators import LIMITS

from controller.services.lockstep import Lockstep
from hal.devices.lx200 import Lx200
from hal.errors import DeviceError
from sim_hw.devices import lx200
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

DEG = math.radians(1.0)


class Bench:
    def __init__(self, azimuth_deg: float = 120.5, elevation_deg: float = 30.0) -> None:
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg, elevation_deg)
        self.mount = lx200.Lx200(self.timeline, self.axes, **LIMITS)
        self.line = SerialLine(self.timeline, self.mount, 9600)
        self.clock = Lockstep(self.timeline)
        self.heard = b""
        self.open = partial(Lx200, "simhw://mount", 9600, self.clock, command_latency_s=0.05, **LIMITS)

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))

    def listen(self) -> None:
        receive = self.mount.receive

        def hear(data: bytes) -> None:
            self.heard += data
            receive(data)

        self.mount.receive = hear  # type: ignore[method-assign]

    def say(self, data: bytes) -> bytes:
        """What the mount answers."""
        told: list[bytes] = []
        self.mount.attach(told.append)
        self.mount.receive(data)
        self.timeline.advance(self.timeline.now_ns + NS // 10)
        return b"".join(told)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"mount": bench.line}, bench.clock):
        yield bench


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b":GZ#", b"120\xdf30:00#"),  # as Hamlib's meade.c reads it
        (b":GA#", b"+30\xdf00:00#"),
        (b":U#:GZ#:GA#", b"120\xdf30#+30\xdf00#"),
        (b":GR#", b"08:02:00#"),
        (b"\x06", b"A"),
        (b":Sz 120*30#:Sa+45*15#:MA#", b"110"),  # Hamlib's goto, and what it waits for
        (b":Sa+91*00#", b"0"),
        (b":Saxx*00#", b"0"),
        (b":Sr12:00:00#:Sd+45*00:00#:MS#", b"110"),
        (b":D#", b"#"),
        (b":XYZ#", b""),
        (b":G", b""),
    ],
)
def test_the_mount_answers_what_the_document_says(bench: Bench, said: bytes, told: bytes) -> None:
    assert bench.say(said) == told


def test_it_is_sent_in_whole_minutes_of_arc_with_the_documents_bytes(bench: Bench) -> None:
    mount = bench.open()
    bench.listen()
    mount.go_to(125.5 * DEG, 31.26 * DEG)
    assert bench.heard == b":Sz125*30#:Sa+31*16#:MA#"
    bench.wait(5)
    assert [angle / DEG for angle in bench.axes.encoder_rad()] == pytest.approx([125.5, 31 + 16 / 60], abs=0.003)


def test_a_mount_that_tells_minutes_only_is_switched_to_seconds(bench: Bench) -> None:
    bench.mount.receive(b":U#")
    mount = bench.open()
    bench.axes.angle[0] = 120.51 * DEG
    assert mount.position().azimuth_rad == pytest.approx(120.51 * DEG, abs=1 / 3600 * DEG)


def test_angles_just_below_the_horizon_keep_their_sign() -> None:
    bench = Bench(10.0, -0.5)
    with serving({"mount": bench.line}, bench.clock):
        assert bench.open().position().elevation_rad == pytest.approx(-0.5 * DEG)


def test_the_shorter_way_round_leads_over_north() -> None:
    bench = Bench(350.0, 30.0)
    with serving({"mount": bench.line}, bench.clock):
        bench.open().go_to(10.0 * DEG, 30.0 * DEG)
        bench.wait(8)
        assert bench.axes.encoder_rad()[0] / DEG == pytest.approx(370.0, abs=0.01)


def test_turned_by_hand_it_goes_on_the_way_it_was_told_and_is_sent_on_half_way() -> None:
    bench = Bench(10.0, 30.0)
    with serving({"mount": bench.line}, bench.clock):
        mount = bench.open()
        for _ in range(300):
            mount.set_rate(0.1, 0.0)
            bench.wait(0.1)
        assert 170 < bench.axes.encoder_rad()[0] / DEG < 185
        for _ in range(600):
            mount.set_rate(0.1, 0.0)
            bench.wait(0.1)
        assert bench.axes.encoder_rad()[0] / DEG == pytest.approx(360.0, abs=0.02)


def test_a_goto_that_the_mount_refuses_is_an_error_with_the_command(bench: Bench) -> None:
    mount = bench.open()
    bench.line.fault = lambda data, put: put(b"0")
    with pytest.raises(DeviceError, match=r"gimbal: the mount refuses :Sz125\*30#"):
        mount.go_to(125.5 * DEG, 30 * DEG)


def test_it_is_named_by_what_it_calls_itself(bench: Bench) -> None:
    assert bench.open().identity == {"model": "LX200", "product": "LX2001"}
