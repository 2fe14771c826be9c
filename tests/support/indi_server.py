"""An INDI server with one driver, and INDI's command-line clients to talk to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

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
