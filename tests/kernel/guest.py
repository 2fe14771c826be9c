"""Runs inside the guest, as root, with the host's Python: what the kernel makes of our devices, as a line of JSON.

Arguments: port of the USB/IP server on the host. Each question is asked on its own: what fails is told so.
"""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import serial

from hal.clock import RealClock
from hal.devices.beamboard import BeamBoard
from hal.devices.pm100d import Pm100d
from hal.devices.u3v import U3vCamera
from hal.errors import HalError
from hal.traits import Region

HOST = "10.0.2.2"  # the host's loopback, by QEMU's user network
CAMERA, METER = "usb://1209:0001/B0001", "visa://USB0::0x1313::0x8078::P0009084::INSTR"
BOARD = "serial:///dev/boresight/beamboard-BB0042"
BAUD = 921_600
clock = RealClock()
results: dict[str, Any] = {}


def run(*words: str, timeout_s: float = 20.0) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_s)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def ask(name: str, question: Callable[[], Any]) -> None:
    sys.stdout.write(f"ASKS {name}\n")  # so that the host knows that we live, and what we were at if we do not
    sys.stdout.flush()
    try:
        results[name] = question()
    except Exception as error:
        results[name] = {"error": f"{type(error).__name__}: {error}"}


def attach(busid: str) -> None:
    run("usbip", "--tcp-port", sys.argv[1], "attach", "-r", HOST, "-b", busid)


def wait_for(so: Callable[[], bool], seconds: float = 10.0) -> bool:
    end_ns = clock.now_ns() + round(seconds * 1e9)
    while not so():
        if clock.now_ns() > end_ns:
            return False
        clock.sleep_until(clock.now_ns() + 50_000_000)
    return True


def usb_path(identity: str) -> Path:
    for path in Path("/sys/bus/usb/devices").iterdir():
        if not (path / "idProduct").exists():
            continue
        if ":".join((path / name).read_text().strip() for name in ("idVendor", "idProduct")) == identity:
            return path
    raise LookupError(identity)


def plugged(identity: str) -> bool:
    try:
        return bool(usb_path(identity))
    except LookupError:
        return False


def driver_of(product: str) -> list[str]:
    path = usb_path(product)
    return sorted(os.path.basename(os.readlink(link)) for link in path.glob(f"{path.name}:*/driver"))


def node(path: str) -> dict[str, str]:
    status = os.stat(path)
    return {
        "mode": oct(status.st_mode & 0o777),
        "group": grp.getgrgid(status.st_gid).gr_name,
        "is": os.path.realpath(path),
    }


def usb_node(product: str) -> dict[str, str]:
    path = usb_path(product)
    numbers = [int((path / name).read_text()) for name in ("busnum", "devnum")]
    return node("/dev/bus/usb/{:03d}/{:03d}".format(*numbers))


def serial_settings() -> str:
    with serial.Serial("/dev/ttyACM0", 57_600, bytesize=7, parity="E") as port:
        port.dtr, port.rts = True, False
        clock.sleep_until(clock.now_ns() + 100_000_000)
        port.dtr, port.rts = False, True
        clock.sleep_until(clock.now_ns() + 100_000_000)
        port.send_break(0.3)
    return "set"


def kernels_usbtmc() -> str:
    fd = os.open("/dev/usbtmc0", os.O_RDWR)
    try:
        os.write(fd, b"*IDN?\n")
        return os.read(fd, 200).decode().strip()
    finally:
        os.close(fd)


def frames(count: int) -> list[int]:
    camera = U3vCamera(CAMERA, clock)
    try:
        camera.configure(2e-3, 10.0, Region(0, 0, 64, 64))
        camera.start()
        seen = [camera.read(5.0) for _ in range(count)]
        camera.stop()
        return [frame.image.size for frame in seen]
    finally:
        camera.close()


def power_w() -> float:
    meter = Pm100d.open(METER, clock)
    try:
        meter.configure(1550e-9)
        return meter.power_w()
    finally:
        meter.close()


def board_state() -> dict[str, Any]:
    board = BeamBoard(BOARD, BAUD, clock)
    try:
        status = board.heartbeat(False)
        return {"mode": status.mode, "enabled": status.enabled, "serial": board.serial}
    finally:
        board.close()


def detached(busid_port: int, use: Callable[[], Any]) -> str:
    """What a driver reports whose device was detached while it was open."""
    run("usbip", "detach", "-p", str(busid_port))
    begun_ns = clock.now_ns()
    try:
        for _ in range(20):
            use()
    except HalError as error:
        return f"{type(error).__name__} after {(clock.now_ns() - begun_ns) * 1e-9:.1f} s"
    return "nothing"


def camera_unplugged() -> str:
    camera = U3vCamera(CAMERA, clock)
    camera.configure(2e-3, 10.0, Region(0, 0, 64, 64))
    camera.start()
    camera.read(5.0)
    told = detached(0, lambda: camera.read(2.0))
    camera.close()
    return told


def meter_unplugged() -> str:
    meter = Pm100d.open(METER, clock)
    told = detached(1, meter.power_w)
    meter.close()
    return told


def board_unplugged() -> str:
    board = BeamBoard(BOARD, BAUD, clock)
    told = detached(2, board.status)
    board.close()
    return told


def main() -> None:
    for busid in ("1-1", "1-2", "1-3"):
        ask(f"attach {busid}", lambda busid=busid: attach(busid))
    wait_for(lambda: Path("/dev/ttyACM0").exists() and Path("/dev/usbtmc0").exists())
    run("udevadm", "settle", "--timeout=10")
    for name, product in (("camera", "1209:0001"), ("power_meter", "1313:8078"), ("beam_board", "1209:0003")):
        ask(f"{name} drivers", lambda product=product: driver_of(product))
        ask(f"{name} node", lambda product=product: usb_node(product))
        ask(f"{name} lsusb", lambda product=product: run("lsusb", "-v", "-d", product))
    ask(
        "power",
        lambda: {
            name: (usb_path(product) / "power/control").read_text().strip()
            for name, product in (("camera", "1209:0001"), ("power_meter", "1313:8078"), ("beam_board", "1209:0003"))
        },
    )
    ask("tty node", lambda: node("/dev/ttyACM0"))
    ask("links", lambda: {str(path): os.path.realpath(path) for path in Path("/dev/boresight").iterdir()})
    ask("kernel's usbtmc", kernels_usbtmc)
    ask("serial settings", serial_settings)
    ask("board", board_state)
    ask("frames", lambda: frames(3))
    ask("watts", power_w)
    ask("camera unplugged", camera_unplugged)
    ask("camera attached again", lambda: (attach("1-1"), wait_for(lambda: plugged("1209:0001")), frames(1))[2])
    ask("meter unplugged", meter_unplugged)
    ask("meter attached again", lambda: (attach("1-2"), wait_for(lambda: plugged("1313:8078")), power_w())[2])
    ask("board unplugged", board_unplugged)
    ask(
        "board attached again",
        lambda: (attach("1-3"), wait_for(lambda: Path(BOARD.removeprefix("serial://")).exists()), board_state())[2],
    )
    sys.stdout.write("RESULTS " + json.dumps(results) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
