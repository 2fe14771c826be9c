"""Aravis, an independent USB3 Vision client, over the real libusb: it configures the emulated camera and takes frames.

The path is Aravis, libusb, usbfs calls (answered by umockdev), USB/IP over TCP, the emulator: the last two are ours.
Our own driver then goes the same way, so that `usb://` is proven on the real libusb as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hal.clock import RealClock
from sim_hw.devices.u3v import U3vCamera
from sim_hw.scene.frame import Sensor
from sim_hw.timeline import Timeline
from sim_hw.wires.reactor import Reactor
from sim_hw.wires.usbip import UsbipServer

pytestmark = pytest.mark.stranger

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"
PACKAGES = "python3-gi gir1.2-umockdev-1.0 umockdev gir1.2-aravis-0.8"
PROBE = "import gi; gi.require_version('UMockdev', '1.0'); gi.require_version('Aravis', '0.8')"
OUR_DRIVER = """
import json, sys
from hal.clock import RealClock
from hal.devices.u3v import U3vCamera
from hal.traits import Region
camera = U3vCamera("usb://1209:0001/B0001", RealClock())
camera.configure(0.004, 50.0, Region(96, 64, 64, 48))
camera.start()
frames = [camera.read(5.0) for _ in range(8)]
camera.close()
told = [[f.number, f.image.shape, int(f.image.argmax()), f.t_mid_ns] for f in frames]
json.dump(told, sys.stdout)
"""
SENSOR = Sensor(width_px=256, height_px=256)


@pytest.fixture
def python() -> str:
    """The system's Python with both bindings, or a failure that names the Debian packages."""
    if not Path(PYTHON).exists() or subprocess.run([PYTHON, "-c", PROBE], capture_output=True, timeout=30).returncode:
        pytest.fail(f"Aravis or umockdev is not installed: apt-get install {PACKAGES}")
    return PYTHON


@pytest.fixture
def port() -> Iterator[int]:
    """Port of a server with one camera that sees a spot 12 pixels right of and 30 below the axis."""
    timeline = Timeline()
    reactor = Reactor(timeline, RealClock())
    spot = (12 * SENSOR.pixel_scale_rad, -30 * SENSOR.pixel_scale_rad, 1e7)
    camera = U3vCamera(timeline, lambda t0_ns, t1_ns: [spot], np.random.default_rng(1), SENSOR)
    server = UsbipServer(reactor, {"1-1": camera})
    stop = threading.Event()
    thread = threading.Thread(target=reactor.run, args=(stop.is_set,), name="usbip-server")
    thread.start()
    yield server.port
    stop.set()
    thread.join(5)
    server.close()
    reactor.close()


def bridged(python: str, port: int, *program: str) -> str:
    """What `program` prints while it sees the camera on a USB bus of its own."""
    done = subprocess.run(
        [python, str(HERE / "usbfs_bridge.py"), str(port), "1-1", *program],
        env={**os.environ, "LD_PRELOAD": "libumockdev-preload.so.0"},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_our_driver_takes_frames_over_the_real_libusb(python: str, port: int) -> None:
    frames = json.loads(bridged(python, port, sys.executable, "-c", OUR_DRIVER))
    assert len(frames) == 8
    assert all(shape == [48, 64] and 64 * 33 <= brightest < 64 * 35 for _, shape, brightest, _ in frames)
    first, last = frames[0], frames[-1]
    assert last[3] - first[3] == pytest.approx((last[0] - first[0]) * 20_000_000, abs=1_000_000)


def test_aravis_configures_the_camera_and_takes_its_frames(python: str, port: int) -> None:
    seen = json.loads(bridged(python, port, python, str(HERE / "aravis_client.py"), "8"))
    assert (seen["vendor"], seen["model"], seen["serial"]) == ("Boresight", "BTC1024", "B0001")
    assert (seen["sensor"], seen["exposure_us"], seen["frame_rate_hz"]) == ([256, 256], 4000.0, 50.0)
    frames = seen["frames"]
    assert len(frames) == 8
    for frame in frames:
        assert frame["status"] == "success"
        assert frame["region"] == [96, 64, 64, 48]
        # the middle of 256 pixels is 127.5, so the spot is at (139.5, 97.5)
        assert frame["brightest"][0] in (138, 139, 140, 141)
        assert frame["brightest"][1] in (96, 97, 98, 99)
    numbers = [frame["number"] for frame in frames]
    assert numbers == sorted(set(numbers))
    # 50 frames a second by the camera's own clock, which may be off by 20 ppm
    elapsed_ns = frames[-1]["timestamp_ns"] - frames[0]["timestamp_ns"]
    assert elapsed_ns == pytest.approx((numbers[-1] - numbers[0]) * 20_000_000, rel=21e-6)
