"""INDI's Celestron driver opens the emulated mount, reads what it is, moves it with the arrow keys and aborts."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stranger

PACKAGE = "indi-bin"
DEVICE = "Celestron GPS"


class Indi:
    """An INDI server with the Celestron driver, and its command-line clients."""

    def __init__(self, mount: Any, program: Callable[[str, str], str], home: Path) -> None:
        self.mount = mount
        self._set = program("indi_setprop", PACKAGE)
        self._get = program("indi_getprop", PACKAGE)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = str(probe.getsockname()[1])
        self._server = subprocess.Popen(
            [program("indiserver", PACKAGE), "-p", self.port, program("indi_celestron_gps", PACKAGE)],
            env={**os.environ, "HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that the driver, its child, can be ended with it
        )

    def get(self, name: str) -> str:
        done = subprocess.run(
            [self._get, "-h", "127.0.0.1", "-p", self.port, "-t", "1", "-1", f"{DEVICE}.{name}"],
            capture_output=True,
            text=True,
            timeout=10,
        )
        return done.stdout.strip()

    def set(self, assignment: str) -> None:
        command = [self._set, "-h", "127.0.0.1", "-p", self.port, "-t", "2", f"{DEVICE}.{assignment}"]
        assert subprocess.run(command, capture_output=True, timeout=10).returncode == 0

    def wait_for(self, name: str, value: str, seconds: float) -> bool:
        return bool(self.mount.wait_until(lambda: self.get(name) == value, seconds))

    def close(self) -> None:
        os.killpg(self._server.pid, signal.SIGTERM)
        self._server.wait(10)


@pytest.fixture
def indi(mount: Any, program: Callable[[str, str], str], tmp_path: Path) -> Iterator[Indi]:
    indi = Indi(mount, program, tmp_path)
    yield indi
    indi.close()


def test_the_celestron_driver_connects_moves_and_aborts(mount: Any, indi: Indi) -> None:
    assert indi.wait_for("CONNECTION.DISCONNECT", "On", seconds=15)
    indi.set("DEVICE_AUTO_SEARCH.INDI_DISABLED=On")
    indi.set(f"DEVICE_PORT.PORT={mount.port.path}")
    indi.set("CONNECTION.CONNECT=On")
    assert indi.wait_for("CONNECTION._STATE", "Ok", seconds=15)
    # our site, as the protocol's degrees, minutes and seconds: 28 deg 17 min 58 s
    assert float(indi.get("GEOGRAPHIC_COORD.LAT")) == pytest.approx(28 + 17 / 60 + 58 / 3600, abs=1e-6)
    # not aligned: "right ascension" in hours is the azimuth's angle
    assert float(indi.get("EQUATORIAL_EOD_COORD.RA")) == pytest.approx(178 / 15, abs=1e-3)

    indi.set("TELESCOPE_MOTION_NS.MOTION_NORTH=On")
    assert mount.wait_until(lambda: mount.rate[1] != 0, seconds=5)
    # its default is arrow-key rate 5, 32 times sidereal; which way "north" turns an axis differs between its versions
    assert abs(mount.rate[1]) == pytest.approx(32 * math.radians(15.041 / 3600))
    indi.set("TELESCOPE_MOTION_NS.MOTION_NORTH=Off")
    assert mount.wait_until(lambda: mount.rate == [0, 0], seconds=5)
