"""Hamlib's own clients drive every emulated rotator over its pty, at the baud rate of its line."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop
from rotators import FAMILIES, LIMITS

from sim_hw.devices.easycomm_standard import EasyCommStandard
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort

pytestmark = pytest.mark.stranger

MODELS = {
    "easycomm2": 202,
    "easycomm3": 204,
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


@contextmanager
def client(path: str, model: int, emulator: Callable[..., Any], baud: int, elevation: bool = True) -> Iterator[Rotctl]:
    timeline = Timeline()
    axes = IdealAxes(timeline, azimuth_deg=180.0, elevation_deg=45.0)
    with Loop(timeline) as loop:
        line = SerialLine(timeline, emulator(timeline, axes), baud)
        port = loop.call(lambda: PtyPort(line, loop.reactor))
        yield Rotctl(path, model, port.path, baud, axes, elevation)
        loop.call(port.close)


@pytest.fixture
def path(program: Callable[[str, str], str]) -> str:
    return program("rotctl", "libhamlib-utils")


@pytest.fixture(params=MODELS)
def rotctl(request: pytest.FixtureRequest, path: str) -> Iterator[Rotctl]:
    family = FAMILIES[request.param]
    with client(path, MODELS[request.param], family.emulator, family.baud, family.elevation) as rotctl:
        yield rotctl


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


def test_rotctl_moves_a_rotator_of_easycomm_i_that_says_nothing(path: str) -> None:
    with client(path, 201, partial(EasyCommStandard, level=1, **LIMITS), 9600) as rotctl:
        assert rotctl("P", "178.5", "46.5") == []
        for _ in range(100):
            rotctl("_")
            if math.degrees(rotctl.axes.angle[1]) > 46.4:
                break
        assert [math.degrees(angle) for angle in rotctl.axes.angle] == pytest.approx([178.5, 46.5], abs=0.1)
