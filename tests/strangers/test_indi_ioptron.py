"""INDI's driver for iOptron's protocol 3 knows the emulated mount, sends it somewhere, aborts, and moves it by keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ideal_axes import IdealAxes
from indi_server import Indi, sends_and_aborts, wait_until
from reactor_loop import Loop

from sim_hw.devices.ioptron import IOptron
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort

pytestmark = pytest.mark.stranger


@pytest.fixture
def axes() -> IdealAxes:
    return IdealAxes(Timeline(), azimuth_deg=178.0, elevation_deg=44.0)


@pytest.fixture
def indi(axes: IdealAxes, program: Callable[[str, str], str], tmp_path: Path) -> Iterator[Indi]:
    with Loop(axes.timeline) as loop:
        mount = IOptron(axes.timeline, axes, rate_max_rad_s=math.radians(6), acceleration_max_rad_s2=math.radians(6))
        port = loop.call(lambda: PtyPort(SerialLine(axes.timeline, mount, 9600), loop.reactor))
        indi = Indi(program, tmp_path, "indi_ioptronv3_telescope", "iOptronV3")
        try:
            indi.connect(port.path)
            yield indi
        finally:
            indi.close()
            loop.call(port.close)


def test_the_driver_knows_the_mount_sends_it_somewhere_aborts_and_moves_it(indi: Indi, axes: IdealAxes) -> None:
    sends_and_aborts(indi, axes)

    indi.set("TELESCOPE_MOTION_NS.MOTION_NORTH=On")
    assert wait_until(lambda: axes.rate[1] != 0, seconds=5)
    indi.set("TELESCOPE_MOTION_NS.MOTION_NORTH=Off")
    assert wait_until(lambda: axes.rate == [0, 0], seconds=5)
