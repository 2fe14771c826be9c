"""flirptu, somebody else's client of FLIR's E series, learns what the emulated unit is, sends, halts and turns it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from flirptu import PTU
from ideal_axes import IdealAxes
from indi_server import wait_until
from reactor_loop import Loop

from sim_hw.devices.flir_ptu import STEP_ARCSEC, STEP_DEG, STOPS_DEG, FlirPtu
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort

pytestmark = pytest.mark.stranger

RATE_RAD_S = 0.2


@pytest.fixture
def axes() -> IdealAxes:
    return IdealAxes(Timeline(), azimuth_deg=20.0, elevation_deg=10.0)


@pytest.fixture
def client(axes: IdealAxes) -> Iterator[Any]:
    with Loop(axes.timeline) as loop:
        unit = FlirPtu(axes.timeline, axes, rate_max_rad_s=RATE_RAD_S, acceleration_max_rad_s2=1.0)
        port = loop.call(lambda: PtyPort(SerialLine(axes.timeline, unit, 9600), loop.reactor))
        client = PTU(port.path, timeout=5)
        yield client
        client.serial.close()
        client.halt = lambda: None  # it halts the unit when it is thrown away, which is too late here
        client.serial = ClosedPort()
        loop.call(port.close)


class ClosedPort:
    """What it reads and closes when it is thrown away."""

    in_waiting = 0

    def read(self, n: int) -> bytes:
        return b""

    def close(self) -> None:
        pass


def counts(angle_rad: float) -> int:
    return round(math.degrees(angle_rad) / STEP_DEG)


def test_it_learns_resolution_limits_and_speeds(client: Any) -> None:
    assert client.echo is True
    assert client.panResolution == client.tiltResolution == pytest.approx(STEP_ARCSEC)
    assert (client.minPan, client.maxPan) == tuple(round(stop / STEP_DEG) for stop in STOPS_DEG[0])
    assert (client.minTilt, client.maxTilt) == tuple(round(stop / STEP_DEG) for stop in STOPS_DEG[1])
    assert client.maxPanSpeed == math.floor(math.degrees(RATE_RAD_S) / STEP_DEG)


def test_it_sends_the_unit_somewhere_and_halts_it_on_its_way(client: Any, axes: IdealAxes) -> None:
    assert client.setPosition(2000, 500) is True
    assert wait_until(lambda: [counts(a) for a in axes.angle] == [2000, 500] and axes.rate == [0, 0], seconds=10)
    assert client.getPosition() == (2000, 500)
    client.setPosition(-3000, 0)
    assert wait_until(lambda: axes.rate[0] < 0, seconds=5)
    client.halt()
    assert wait_until(lambda: axes.rate == [0, 0], seconds=5)
    assert counts(axes.angle[0]) > -2500


def test_beyond_a_limit_it_is_told_why_it_is_refused(client: Any) -> None:
    with pytest.warns(RuntimeWarning, match="Maximum allowable Tilt position is"):
        assert client.setTiltPosition(client.maxTilt + 1) is False


def test_in_velocity_mode_it_turns_the_unit_both_ways(client: Any, axes: IdealAxes) -> None:
    client.controlMode = "vel"
    assert client.setSpeed(-300, 200) is True
    wanted = [math.radians(speed * STEP_DEG) for speed in (-300, 200)]
    assert wait_until(lambda: axes.rate == pytest.approx(wanted, rel=1e-6), seconds=5)
