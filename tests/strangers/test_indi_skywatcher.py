"""INDI's EQMod and AZ-GTi drivers open the emulated motor controller, over a serial line and over UDP, and move it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from ideal_axes import IdealAxes
from indi_server import Indi, wait_until
from reactor_loop import Loop

from sim_hw.devices.skywatcher import SkyWatcher
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.udp import UdpServer

pytestmark = pytest.mark.stranger

START_DEG = (0.0, 90.0)  # where both drivers think that a mount is when it is switched on
TURN = 2_073_600  # counts of an AZ-GTi


@dataclass
class Seen:
    indi: Indi
    axes: IdealAxes
    resource: str

    def connect(self) -> None:
        indi = self.indi
        if not self.resource.startswith("udp://"):
            indi.connect(self.resource.removeprefix("serial://"))
            return
        assert indi.wait_for("CONNECTION.DISCONNECT", "On", seconds=15)
        host, port = self.resource.removeprefix("udp://").split(":")
        indi.set("CONNECTION_MODE.CONNECTION_TCP=On")
        indi.set("CONNECTION_TYPE.UDP=On")
        indi.set(f"DEVICE_ADDRESS.ADDRESS;PORT={host};{port}")
        indi.set("CONNECTION.CONNECT=On")
        assert indi.wait_for("CONNECTION._STATE", "Ok", seconds=20)


@pytest.fixture(params=["serial", "udp"])
def seen(request: pytest.FixtureRequest, program: Callable[[str, str], str], tmp_path: Path) -> Iterator[Seen]:
    timeline = Timeline()
    axes = IdealAxes(timeline, *START_DEG)
    board = SkyWatcher(timeline, axes, rate_max_rad_s=math.radians(4), acceleration_max_rad_s2=math.radians(4))
    serial = request.param == "serial"
    driver, device = ("indi_eqmod_telescope", "EQMod Mount") if serial else ("indi_azgti_telescope", "AZ-GTi")
    with Loop(timeline) as loop:
        port = loop.call(
            (lambda: PtyPort(SerialLine(timeline, board, 9600), loop.reactor))
            if serial
            else partial(UdpServer, loop.reactor, board)
        )
        indi = Indi(program, tmp_path, driver, device, "indi-eqmod")
        try:
            yield Seen(indi, axes, port.resource)
        finally:
            indi.close()
            loop.call(port.close)


def test_it_is_known_as_an_az_gti_moved_with_the_arrow_keys_and_parked(seen: Seen) -> None:
    indi, axes = seen.indi, seen.axes
    seen.connect()
    assert indi.get("MOUNTINFORMATION.MOUNT_TYPE") == "AZ-GTi"
    assert int(indi.get("STEPPERS.RASteps360")) == int(indi.get("STEPPERS.DESteps360")) == TURN
    assert indi.get("MOUNTINFORMATION.MOTOR_CONTROLLER") == "0340"

    indi.set("TELESCOPE_PARK.UNPARK=On")
    indi.set("TELESCOPE_MOTION_NS.MOTION_NORTH=On")
    assert wait_until(lambda: axes.rate[1] != 0, seconds=5)
    # its fastest arrow-key rate: 800 times sidereal, rounded to a whole period of the 16 MHz timer
    assert abs(axes.rate[1]) == pytest.approx(800 * math.radians(15.041 / 3600), rel=1e-3)
    assert wait_until(lambda: abs(axes.angle[1] - math.radians(START_DEG[1])) > math.radians(1), seconds=5)
    indi.set("TELESCOPE_MOTION_NS.MOTION_NORTH=Off")
    assert wait_until(lambda: axes.rate == [0, 0], seconds=5)

    indi.set("TELESCOPE_PARK.PARK=On")  # a goto, to where the counts are those of the start
    assert wait_until(lambda: [math.degrees(a) for a in axes.angle] == pytest.approx(START_DEG, abs=0.01), seconds=30)
    assert indi.wait_for("TELESCOPE_PARK._STATE", "Ok", seconds=10)
    assert axes.rate == [0, 0]
