"""Hamlib's own EasyComm II client (model 202) drives the emulated rotator over its pty."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop

from sim_hw.devices.easycomm import EasyComm
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort

pytestmark = pytest.mark.stranger


@pytest.fixture
def rotctl(program: Callable[[str, str], str]) -> Iterator[Callable[..., list[str]]]:
    path = program("rotctl", "libhamlib-utils")
    timeline = Timeline()
    axes = IdealAxes(timeline, azimuth_deg=180.5, elevation_deg=45.3)
    rotator = EasyComm(timeline, axes, rate_max_rad_s=1.0, acceleration_max_rad_s2=5.0)
    with Loop(timeline) as loop:
        port = loop.call(lambda: PtyPort(SerialLine(timeline, rotator, 19_200), loop.reactor))

        def run(*commands: str) -> list[str]:
            words = [path, "-m", "202", "-r", port.path, "-s", "19200", *commands]
            done = subprocess.run(words, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done.stderr
            return done.stdout.split()

        yield run
        loop.call(port.close)


def test_rotctl_reads_the_rotators_angles(rotctl: Callable[..., list[str]]) -> None:
    assert rotctl("p") == ["180.50", "45.30"]


def test_rotctl_moves_the_rotator_to_where_it_says(rotctl: Callable[..., list[str]]) -> None:
    rotctl("P", "170.0", "50.0")
    seen = []
    for _ in range(100):
        seen.append(rotctl("p"))
        if seen[-1] == ["170.00", "50.00"]:
            break
    assert seen[-1] == ["170.00", "50.00"]
    assert rotctl("S") == []
