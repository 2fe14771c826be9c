"""iOptron's command language 3.10: the bytes of its document and of Hamlib's iOptron client."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import pytest
from ideal_axes import IdealAxes
from rotators import LIMITS

from controller.services.lockstep import Lockstep
from hal.devices.ioptron import IOptron
from hal.errors import DeviceError
from sim_hw.devices import ioptron
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

DEG = math.radians(1.0)


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=180.5, elevation_deg=45.25)
        self.mount = ioptron.IOptron(self.timeline, self.axes, **LIMITS)
        self.line = SerialLine(self.timeline, self.mount, 9600)
        self.clock = Lockstep(self.timeline)
        self.open = partial(IOptron, "simhw://mount", 9600, self.clock, command_latency_s=0.05, **LIMITS)

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"mount": bench.line}, bench.clock):
        yield bench


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("GAC", "+16290000064980000#"),  # 45.25 and 180.5 degrees: Hamlib 4.7's transcript
        ("Sz064980000", "1"),
        ("Sz64980000", ""),  # a digit is missing
        ("MountInfo", "5035"),
        ("GAL", "+00#"),
        ("Q", "1"),
        ("XYZ", ""),
    ],
)
def test_the_mount_answers_what_the_document_says(bench: Bench, said: str, told: str) -> None:
    assert bench.mount.answer(said) == told


def test_below_its_limit_of_altitude_it_does_not_go(bench: Bench) -> None:
    bench.mount.answer("SAL+20")
    bench.mount.answer("Sa+03600000")
    assert bench.mount.answer("MSS") == "0"


def test_it_is_sent_with_the_documents_digits_and_arrives(bench: Bench) -> None:
    mount = bench.open()
    heard = b""
    receive = bench.mount.receive

    def listen(data: bytes) -> None:
        nonlocal heard
        heard += data
        receive(data)

    bench.mount.receive = listen  # type: ignore[method-assign]
    mount.go_to(185.5 * DEG, 44.25 * DEG)
    assert heard == b":Sz066780000#:Sa+15930000#:MSS#"
    bench.wait(5)
    assert [angle / DEG for angle in bench.axes.encoder_rad()] == pytest.approx([185.5, 44.25], abs=0.003)


def test_the_mounts_own_limit_of_altitude_bounds_the_soft_limits(bench: Bench) -> None:
    bench.mount.answer("SAL+20")
    mount = bench.open(travel_deg=((0.0, 360.0), (-10.0, 80.0)))
    assert mount.capabilities.travel_rad is not None
    assert mount.capabilities.travel_rad[1] == pytest.approx((20 * DEG, 80 * DEG))


def test_a_parked_mount_is_unparked_when_it_is_opened(bench: Bench) -> None:
    bench.mount.answer("SPA064980000")
    bench.mount.answer("SPH16290000")
    bench.mount.answer("MP1")
    bench.wait(5)
    mount = bench.open()
    mount.go_to(182 * DEG, 45 * DEG)
    bench.wait(5)
    assert bench.axes.encoder_rad()[0] / DEG == pytest.approx(182, abs=0.01)


def test_a_goto_that_the_mount_refuses_is_an_error_with_the_command(bench: Bench) -> None:
    mount = bench.open()
    bench.mount.answer("SAL+60")
    with pytest.raises(DeviceError, match="gimbal: the mount refuses :MSS#; it does not go there"):
        mount.go_to(182 * DEG, 45 * DEG)


def test_it_is_named_by_what_it_calls_itself(bench: Bench) -> None:
    assert bench.open().identity == {"model": "iOptron", "mount": "5035", "firmware": "210105210105"}
