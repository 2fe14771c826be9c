"""An INDI server with one driver, and INDI's command-line clients to talk to it."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from ideal_axes import IdealAxes

from hal.clock import NS, RealClock

PACKAGE = "indi-bin"


def wait_until(what: Callable[[], bool], seconds: float) -> bool:
    """True once `what()` is."""
    clock = RealClock()
    deadline_ns = clock.now_ns() + round(seconds * NS)
    while clock.now_ns() < deadline_ns:
        if what():
            return True
        clock.sleep_until(clock.now_ns() + NS // 200)
    return False


def sends_and_aborts(indi: Indi, axes: IdealAxes) -> None:
    """INDI's driver reads where an unaligned mount is, sends it somewhere, and stops it on its way elsewhere.

    Right ascension in hours is then the azimuth's angle.
    """
    assert wait_until(lambda: abs(float(indi.get("EQUATORIAL_EOD_COORD.RA") or 0) - 178 / 15) < 1e-3, seconds=10)
    assert abs(float(indi.get("EQUATORIAL_EOD_COORD.DEC")) - 44) < 1e-3
    indi.set("EQUATORIAL_EOD_COORD.RA;DEC=12;45")
    assert wait_until(lambda: axes.rate[0] > 0, seconds=5)
    assert indi.wait_for("EQUATORIAL_EOD_COORD._STATE", "Ok", seconds=20)
    azimuth_deg, elevation_deg = (math.degrees(angle) for angle in axes.encoder_rad())
    assert max(abs(azimuth_deg - 180), abs(elevation_deg - 45)) < 0.01

    indi.set("EQUATORIAL_EOD_COORD.RA;DEC=6;10")
    assert wait_until(lambda: axes.rate[0] < 0, seconds=5)
    indi.set("TELESCOPE_ABORT_MOTION.ABORT=On")
    assert wait_until(lambda: axes.rate == [0, 0], seconds=5)
    assert math.degrees(axes.encoder_rad()[0]) > 100


class Indi:
    """`device` is the driver's name of its telescope; `package` has the driver."""

    def __init__(
        self, program: Callable[[str, str], str], home: Path, driver: str, device: str, package: str = PACKAGE
    ) -> None:
        self.device = device
        self._set = program("indi_setprop", PACKAGE)
        self._get = program("indi_getprop", PACKAGE)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = str(probe.getsockname()[1])
        self._server = subprocess.Popen(
            # of its own, also as a local socket: by default there is one of a machine
            [program("indiserver", PACKAGE), "-p", self.port, "-u", str(home / "indi"), program(driver, package)],
            env={**os.environ, "HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that the driver, its child, can be ended with it
        )

    def get(self, name: str) -> str:
        done = subprocess.run(
            [self._get, "-h", "127.0.0.1", "-p", self.port, "-t", "1", "-1", f"{self.device}.{name}"],
            capture_output=True,
            text=True,
            timeout=10,
        )
        return done.stdout.strip()

    def set(self, assignment: str) -> None:
        command = [self._set, "-h", "127.0.0.1", "-p", self.port, "-t", "2", f"{self.device}.{assignment}"]
        assert subprocess.run(command, capture_output=True, timeout=10).returncode == 0, assignment

    def connect(self, port: str) -> None:
        """Open the device at a serial port, and no other."""
        assert self.wait_for("CONNECTION.DISCONNECT", "On", seconds=15)
        self.set("DEVICE_AUTO_SEARCH.INDI_DISABLED=On")
        self.set(f"DEVICE_PORT.PORT={port}")
        self.set("CONNECTION.CONNECT=On")
        assert self.wait_for("CONNECTION._STATE", "Ok", seconds=15)

    def wait_for(self, name: str, value: str, seconds: float) -> bool:
        """True once a property has this value."""
        return wait_until(lambda: self.get(name) == value, seconds)

    def close(self) -> None:
        os.killpg(self._server.pid, signal.SIGTERM)
        self._server.wait(10)
