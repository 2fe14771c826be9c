"""Hamlib's own clients drive every emulated rotator and mount: over its pty at the baud rate of its line, and over TCP.

Which Hamlib that is says PATH: Debian 12 has 4.5.4. What 4.7.2 sends is replayed in tests/sim_hw/devices.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop
from rotators import FAMILIES, LIMITS

from hal.clock import RealClock
from sim_hw.devices.easycomm_standard import EasyCommStandard
from sim_hw.devices.nexstar import NexStar
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.tcp import TcpServer

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
LX200, NEXSTAR, SILENT = 1801, 1401, 201
OVER_TCP = (*MODELS.values(), NEXSTAR, LX200, SILENT)


@dataclass
class Rotctl:
    path: str
    model: int
    where: list[str]
    axes: IdealAxes
    elevation: bool

    def shown(self, azimuth_deg: float, elevation_deg: float) -> list[str]:
        """What it prints there."""
        return [f"{azimuth_deg:.2f}", f"{elevation_deg if self.elevation else 0:.2f}"]

    def __call__(self, *commands: str) -> list[str]:
        words = [self.path, "-m", str(self.model), *self.where, *commands]
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
        yield Rotctl(path, model, ["-r", port.path, "-s", str(baud)], axes, elevation)
        loop.call(port.close)


def emulator_of(model: int) -> tuple[Callable[..., Any], bool]:
    """What answers to that model, and whether it turns in elevation."""
    if model == SILENT:
        return partial(EasyCommStandard, level=1, **LIMITS), True
    if model == NEXSTAR:
        return lambda timeline, axes: NexStar(timeline, axes, np.random.default_rng(5), **LIMITS), True
    family = FAMILIES["lx200" if model == LX200 else next(name for name, known in MODELS.items() if known == model)]
    return family.emulator, family.elevation


def until(so: Callable[[], bool]) -> bool:
    clock = RealClock()
    for _ in range(200):
        if so():
            return True
        clock.sleep_until(clock.now_ns() + NS // 20)
    return False


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


@pytest.mark.parametrize("model", OVER_TCP)
def test_rotctl_reads_moves_and_stops_every_family_over_tcp(path: str, model: int) -> None:
    emulator, elevation = emulator_of(model)
    timeline = Timeline()
    axes = IdealAxes(timeline, azimuth_deg=180.0, elevation_deg=45.0)
    with Loop(timeline) as loop:
        server = loop.call(lambda: TcpServer(loop.reactor, emulator(timeline, axes)))
        where = ["-r", f"127.0.0.1:{server.port}"]
        where += ["-C", "retry=0"] if model == LX200 else []  # it always waits for more than comes, and four times
        rotctl = Rotctl(path, model, where, axes, elevation)
        asked = [] if model == SILENT else ["p"]
        said = rotctl(*asked, "P", "90", "10" if elevation else "0", "pause", "1", "S")
        assert said == (rotctl.shown(180, 45) if asked else [])
        assert until(lambda: axes.rate == [0.0, 0.0])
        turned = [math.degrees(angle) for angle in axes.angle]
        assert 90 < turned[0] < 180
        assert (9.9 < turned[1] < 45) if elevation else turned[1] == pytest.approx(45)
        loop.call(server.close)
