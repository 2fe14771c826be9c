"""Hamlib's Meade client (model 1801) reads, sends and stops the emulated mount over its pty, at 9600 baud."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Iterator

import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop

from sim_hw.devices.lx200 import Lx200
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort

pytestmark = pytest.mark.stranger


@pytest.fixture
def axes() -> IdealAxes:
    return IdealAxes(Timeline(), azimuth_deg=180.0, elevation_deg=45.0)


@pytest.fixture
def rotctl(axes: IdealAxes, program: Callable[[str, str], str]) -> Iterator[Callable[..., list[str]]]:
    with Loop(axes.timeline) as loop:
        mount = Lx200(axes.timeline, axes, rate_max_rad_s=0.1, acceleration_max_rad_s2=0.2)
        port = loop.call(lambda: PtyPort(SerialLine(axes.timeline, mount, 9600), loop.reactor))

        def run(*commands: str) -> list[str]:
            words = [program("rotctl", "libhamlib-utils"), "-m", "1801", "-r", port.path, "-s", "9600", *commands]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            return done.stdout.split()

        yield run
        loop.call(port.close)


def test_rotctl_reads_the_mount_and_sends_it_somewhere(rotctl: Callable[..., list[str]]) -> None:
    """It stops the mount whenever it ends, so that it has to look on: each look takes it 1.2 s of time-outs."""
    seen = rotctl("p", "P", "178.5", "46", "p", "p", "p", "p")
    assert seen[:2] == ["180.00", "45.00"]
    assert seen[-2:] == ["178.50", "46.00"]


def test_rotctl_stops_the_mount_on_its_way(rotctl: Callable[..., list[str]], axes: IdealAxes) -> None:
    rotctl("P", "90", "10", "S")
    assert axes.rate == [0.0, 0.0]
    assert math.degrees(axes.encoder_rad()[0]) > 120
