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

MODELS = {
    "gs232a": 601,
    "gs232b": 603,
    "rot1prog": 902,
    "rot2prog": 901,
    "md01": 903,
}  # by family, as `rotctl -l` lists them


@dataclass
class Rotctl:
    path: str
    model: int
    port: str
    baud: int
    axes: IdealAxes
    elevation: bool

    def shown(self, azimuth_deg: float, elevation_deg: float) -> list[str]:
        """What it prints there."""
        return [f"{azimuth_deg:.2f}", f"{elevation_deg if self.elevation else 0:.2f}"]

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
        yield Rotctl(
            program("rotctl", "libhamlib-utils"), MODELS[request.param], port.path, family.baud, axes, family.elevation
        )
        loop.call(port.close)


def test_rotctl_reads_the_rotators_angles(rotctl: Rotctl) -> None:
    assert rotctl("p") == rotctl.shown(180, 45)


def test_rotctl_moves_the_rotator_to_where_it_says(rotctl: Rotctl) -> None:
    rotctl("P", "175", "50" if rotctl.elevation else "0")
    seen = []
    for _ in range(100):
        seen.append(rotctl("p"))
        if seen[-1] == rotctl.shown(175, 50):
            break
    assert seen[-1] == rotctl.shown(175, 50)
    turned = [175, 50] if rotctl.elevation else [175, 45]
    assert [math.degrees(angle) for angle in rotctl.axes.angle] == pytest.approx(turned, abs=0.5)


def test_rotctl_stops_the_rotator_on_its_way(rotctl: Rotctl) -> None:
    rotctl("P", "90", "10" if rotctl.elevation else "0")
    rotctl("S")
    rested = rotctl("p")
    assert rotctl("p") == rested != rotctl.shown(90, 10)
    assert rotctl.axes.rate == [0.0, 0.0]
