"""The Linux kernel's own `usbip` tool lists what our server exports."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from hal.clock import RealClock
from sim_hw.devices.u3v import U3vCamera
from sim_hw.timeline import Timeline
from sim_hw.wires.reactor import Reactor
from sim_hw.wires.usbip import UsbipServer

pytestmark = pytest.mark.stranger


@pytest.fixture
def port() -> Iterator[int]:
    """Port of a server with one camera, in real time."""
    timeline = Timeline()
    reactor = Reactor(timeline, RealClock())
    camera = U3vCamera(timeline, lambda t0_ns, t1_ns: [], np.random.default_rng(1))
    server = UsbipServer(reactor, {"1-1": camera})
    stop = threading.Event()
    thread = threading.Thread(target=reactor.run, args=(stop.is_set,), name="usbip-server")
    thread.start()
    yield server.port
    stop.set()
    thread.join(5)
    server.close()
    reactor.close()


def test_usbip_lists_the_camera_with_its_interfaces(port: int, program: Callable[[str, str], str]) -> None:
    tool = program("usbip", "usbip")
    done = subprocess.run(
        [tool, "--tcp-port", str(port), "list", "--remote", "127.0.0.1"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert "1-1: " in done.stdout
    assert "(1209:0001)" in done.stdout
    assert "(ef/02/01)" in done.stdout
    # control and streaming interface of USB3 Vision
    assert [line.rsplit("(")[-1].rstrip(")") for line in done.stdout.splitlines() if "(ef/05/" in line] == [
        "ef/05/00",
        "ef/05/02",
    ]
