"""Hamlib's own clients drive every emulated rotator over its pty, at the baud rate of its line."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop
from rotators import FAMILIES

from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort

pytestmark = pytest.mark.stranger

MODELS = {"gs232a": 601, "gs232b": 603}  # by family, as `rotctl -l` lists them


@dataclass
class Rotctl:
    path: str
    model: int
    port: str
    baud: int
    axes: IdealAxes

    def __call__(self, *commands: str) -> list[str]:
        words = [self.path, "-m", str(self.model), "-r", self.port, "-s", str(self.baud), *commands]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


@pytest.fixture(params=MODELS)
def rotctl(request: pytest.FixtureRequest, program: Callable[[str, str], str]) -> Iterator[Rotctl]:
    family, timeline = FAMILIES[request.param], Timeline()
    axes = IdealAxes(timeline, azimuth_deg=180.0, elevation_deg=45.0)
    with Loop(timeline) as loop:
        line = SerialLine(timeline, family.emulator(timeline, axes), family.baud)
        port = loop.call(lambda: PtyPort(line, loop.reactor))
        yield Rotctl(program("rotctl", "libhamlib-utils"), MODELS[request.param], port.path, family.baud, axes)
        loop.call(port.close)


def test_rotctl_reads_the_rotators_angles(rotctl: Rotctl) -> None:
    assert rotctl("p") == ["180.00", "45.00"]


def test_rotctl_moves_the_rotator_to_where_it_says(rotctl: Rotctl) -> None:
    rotctl("P", "175", "50")
    seen = []
    for _ in range(100):
        seen.append(rotctl("p"))
        if seen[-1] == ["175.00", "50.00"]:
            break
    assert seen[-1] == ["175.00", "50.00"]
    assert [math.degrees(angle) for angle in rotctl.axes.angle] == pytest.approx([175, 50], abs=0.5)


def test_rotctl_stops_the_rotator_on_its_way(rotctl: Rotctl) -> None:
    rotctl("P", "90", "10")
    rotctl("S")
    rested = rotctl("p")
    assert rotctl("p") == rested != ["90.00", "10.00"]
    assert rotctl.axes.rate == [0.0, 0.0]
