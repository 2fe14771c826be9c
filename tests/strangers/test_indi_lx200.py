"""INDI's LX200 drivers open the emulated Meade mount, send it somewhere, abort that, and move it by arrow keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ideal_axes import IdealAxes
from indi_server import Indi, sends_and_aborts, wait_until
from reactor_loop import Loop

from sim_hw.devices.lx200 import Lx200
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort

pytestmark = pytest.mark.stranger

DRIVERS = {"LX200 Basic": "indi_lx200basic", "LX200 Classic": "indi_lx200classic"}


@pytest.fixture
def axes() -> IdealAxes:
    return IdealAxes(Timeline(), azimuth_deg=178.0, elevation_deg=44.0)


@pytest.fixture
def indi(
    axes: IdealAxes, request: pytest.FixtureRequest, program: Callable[[str, str], str], tmp_path: Path
) -> Iterator[Indi]:
    device = request.param
    with Loop(axes.timeline) as loop:
        mount = Lx200(axes.timeline, axes, rate_max_rad_s=math.radians(6), acceleration_max_rad_s2=math.radians(6))
        port = loop.call(lambda: PtyPort(SerialLine(axes.timeline, mount, 9600), loop.reactor))
        indi = Indi(program, tmp_path, DRIVERS[device], device)
        try:
            indi.connect(port.path)
            yield indi
        finally:
            indi.close()
            loop.call(port.close)


@pytest.mark.parametrize("indi", ["LX200 Basic"], indirect=True)
def test_the_basic_driver_connects_sends_the_mount_somewhere_and_aborts(indi: Indi, axes: IdealAxes) -> None:
    sends_and_aborts(indi, axes)


@pytest.mark.parametrize("indi", ["LX200 Classic"], indirect=True)
def test_the_classic_driver_moves_it_by_arrow_keys_until_it_lets_go(indi: Indi, axes: IdealAxes) -> None:
    indi.set("TELESCOPE_SLEW_RATE.1x=On")
    indi.set("TELESCOPE_MOTION_NS.MOTION_NORTH=On")
    assert wait_until(lambda: axes.rate[1] != 0, seconds=5)
    assert axes.rate[1] > 0
    indi.set("TELESCOPE_MOTION_NS.MOTION_NORTH=Off")
    assert wait_until(lambda: axes.rate == [0, 0], seconds=5)
