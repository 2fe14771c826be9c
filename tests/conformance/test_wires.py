"""The suites over every wire that can carry a device, in real time, on loopback.

Motion is left to lockstep (test_emulators.py), where it takes no time, and so are the slow lines of old rotators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop
from rotators import FAMILIES
from stages import FAMILIES as STAGE_FAMILIES

from hal.clock import RealClock
from hal.conformance import SUITES, Report, Terms, run_suite
from hal.devices.beamboard import BeamBoard
from hal.devices.easycomm import EasyComm
from hal.devices.gcs2_mirror import Gcs2Mirror
from hal.devices.itc4000 import Itc4000
from hal.devices.nexstar import NexStar
from hal.devices.pm100d import Pm100d
from hal.devices.sc10 import Sc10
from hal.devices.u3v import U3vCamera
from hal.drivers import DRIVERS
from hal.wires.visa import resource_manager
from sim_hw.devices import beamboard, easycomm, gcs2_mirror, itc4000, nexstar, pm100d, sc10, u3v
from sim_hw.devices.scpi import Exchange
from sim_hw.timeline import Timeline
from sim_hw.wires.hislip import HislipServer
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.rawsocket import RawSocketServer
from sim_hw.wires.rfc2217 import Rfc2217Server
from sim_hw.wires.scpi_line import ScpiLine
from sim_hw.wires.tcp import TcpServer, TcpSessions
from sim_hw.wires.udp import UdpServer
from sim_hw.wires.usbip import UsbipServer
from sim_hw.wires.vxi11 import Vxi11Server

WIRES = {  # what carries the device of each driver; docs/devices.py reads it
    "nexstar": ("pty", "socket", "rfc2217", "tcp"),
    "easycomm": ("pty", "socket", "rfc2217", "tcp"),
    "easycomm2": ("pty", "socket", "rfc2217", "tcp"),
    "easycomm3": ("pty", "socket", "rfc2217", "tcp"),
    "gs232a": ("pty", "socket", "rfc2217", "tcp"),
    "gs232b": ("pty", "socket", "rfc2217", "tcp"),
    "rotctld": ("socket", "tcp"),
    "indi": ("socket", "tcp"),
    "alpaca": ("http", "tcp"),
    "skywatcher": ("pty", "tcp", "udp"),
    "lx200": ("pty", "tcp"),
    "ioptron": ("pty", "tcp"),
    "flir_ptu": ("pty", "tcp"),
    "pelco_d": ("pty", "tcp"),
    "rot1prog": ("pty", "socket", "rfc2217", "tcp"),
    "rot2prog": ("pty", "socket", "rfc2217", "tcp"),
    "md01": ("pty", "socket", "rfc2217", "tcp"),
    "beamboard": ("pty", "socket", "rfc2217", "tcp"),
    "u3v": ("usbip",),
    "sc10": ("pty", "socket", "rfc2217", "tcp"),
    "zaber": ("pty", "socket", "rfc2217", "tcp"),
    "gcs2": ("pty", "socket", "rfc2217", "tcp"),
    "gcs2_mirror": ("pty", "tcp"),
    "apt": ("pty", "socket", "rfc2217", "tcp"),
    "xps": ("socket", "tcp"),
    "itc4000": ("usbtmc", "socket", "hislip", "vxi11", "serial"),
    "pm100d": ("usbtmc", "socket", "hislip", "vxi11", "serial"),
}
CASES = [(driver, wire) for driver, wires in WIRES.items() for wire in wires]
BAUD = {
    "nexstar": 9600,
    "easycomm": 19_200,
    "beamboard": 921_600,
    "sc10": 9600,
    "gcs2_mirror": 115_200,
} | dict.fromkeys(FAMILIES, 9600)
MIRROR: Any = {"axes": ("1", "2"), "reach_rad": 9e-4, "resolution_rad": 5e-7, "settling_s": 0.02}
LIMITS = {"rate_max_rad_s": 0.05, "acceleration_max_rad_s2": 0.03}
TICK_NS = 100_000


class World:
    """Time, and a beam board that ticks with it; light and a closed interlock for the instruments."""

    enable_line = True

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.board = beamboard.BeamBoard()
        self.on_enable_change: list[Callable[[bool], None]] = []
        self._ticks = 0

    @property
    def now_ns(self) -> int:
        return self.timeline.now_ns

    def next_event_ns(self) -> int | None:
        return self.timeline.next_event_ns()

    def advance(self, to_ns: int) -> None:
        self.timeline.advance(to_ns, self._tick)

    def received_power_w(self) -> float:
        return 2e-6

    def laser_power_w(self) -> float:
        return 0.0

    def set_laser(self, output_on: bool, current_a: float) -> None:
        pass

    def _tick(self, to_ns: int) -> None:
        self.board.tick(to_ns // TICK_NS - self._ticks)
        self._ticks = to_ns // TICK_NS


@pytest.fixture(scope="module", autouse=True)
def libusb() -> None:
    """libusb opens a socket of its own when it is first used, and keeps it until the process ends."""
    resource_manager().close()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def loop(world: World) -> Iterator[Loop]:
    with Loop(world) as loop:  # type: ignore[arg-type]
        yield loop


def stream(wire: str, device: Any, world: World, loop: Loop, baud: int) -> tuple[Any, str]:
    if wire in ("tcp", "socket"):
        server = TcpServer(loop.reactor, device)
        return server, server.resource if wire == "tcp" else f"socket://127.0.0.1:{server.port}"
    if wire == "udp":
        datagrams = UdpServer(loop.reactor, device)
        return datagrams, datagrams.resource
    line = SerialLine(world.timeline, device, baud)
    made = (PtyPort if wire == "pty" else Rfc2217Server)(line, loop.reactor)
    return made, made.resource


def messages(wire: str, instrument: Any, world: World, loop: Loop) -> tuple[Any, str]:
    exchange = Exchange(world.timeline, instrument.scpi)
    if wire == "usbtmc":
        usb = instrument.usb(exchange)
        server = UsbipServer(loop.reactor, {"1-1": usb})
        identity = "::".join(f"0x{int.from_bytes(usb.device_descriptor[i : i + 2], 'little'):04x}" for i in (8, 10))
        return server, f"visa://USB0::{identity}::{usb.strings[3]}::INSTR?usbip=127.0.0.1:{server.port}/1-1"
    if wire == "serial":
        port = PtyPort(SerialLine(world.timeline, ScpiLine(exchange), 115_200), loop.reactor)
        return port, f"visa://ASRL{port.path}::INSTR?baud=115200"
    if wire == "vxi11":
        server = Vxi11Server(loop.reactor, exchange, world.timeline)
    else:
        server = (HislipServer if wire == "hislip" else RawSocketServer)(loop.reactor, exchange)
    return server, f"visa://{server.resource}"


def served(driver: str, wire: str, world: World, loop: Loop) -> tuple[Any, str]:
    timeline = world.timeline
    axes = IdealAxes(timeline, azimuth_deg=10.0, elevation_deg=40.0)
    match driver:
        case "nexstar":
            return stream(wire, nexstar.NexStar(timeline, axes, np.random.default_rng(1)), world, loop, BAUD[driver])
        case "easycomm":
            return stream(wire, easycomm.EasyComm(timeline, axes, **LIMITS), world, loop, BAUD[driver])
        case "alpaca":  # a connection for everybody who comes
            sessions = TcpSessions(loop.reactor, FAMILIES[driver].emulator(timeline, axes).another)
            return sessions, sessions.resource.replace("tcp", wire)
        case _ if driver in FAMILIES:
            return stream(wire, FAMILIES[driver].emulator(timeline, axes), world, loop, BAUD[driver])
        case "xps":  # two connections to one unit
            sessions = TcpSessions(loop.reactor, STAGE_FAMILIES[driver].emulator(timeline).another)
            return sessions, sessions.resource.replace("tcp", wire)
        case _ if driver in STAGE_FAMILIES:
            return stream(wire, STAGE_FAMILIES[driver].emulator(timeline), world, loop, STAGE_FAMILIES[driver].baud)
        case "beamboard":
            return stream(wire, world.board, world, loop, BAUD[driver])
        case "gcs2_mirror":
            return stream(wire, gcs2_mirror.Gcs2Mirror(timeline), world, loop, BAUD[driver])
        case "sc10":
            return stream(wire, sc10.Sc10(timeline), world, loop, BAUD[driver])
        case "u3v":
            camera = u3v.U3vCamera(timeline, lambda t0_ns, t1_ns: [], np.random.default_rng(1))
            server = UsbipServer(loop.reactor, {"1-1": camera})
            return server, f"usbip://127.0.0.1:{server.port}/1-1"
        case "itc4000":
            return messages(wire, itc4000.Itc4000(timeline, world), world, loop)
        case _:
            return messages(wire, pm100d.Pm100d(timeline, world, np.random.default_rng(1)), world, loop)


def opened(driver: str, resource: str) -> Any:
    clock = RealClock()
    match driver:
        case "nexstar":
            return NexStar(resource, BAUD[driver], clock, command_latency_s=0.075, **LIMITS)
        case "easycomm":
            return EasyComm(resource, BAUD[driver], clock, command_latency_s=0.075, **LIMITS)
        case _ if driver in FAMILIES:
            return FAMILIES[driver].open(resource, clock, BAUD[driver])
        case _ if driver in STAGE_FAMILIES:
            return STAGE_FAMILIES[driver].open(resource, clock)
        case "beamboard":
            return BeamBoard(resource, BAUD[driver], clock)
        case "gcs2_mirror":
            return Gcs2Mirror(resource, BAUD[driver], clock, **MIRROR)
        case "sc10":
            return Sc10(resource, BAUD[driver], clock)
        case "u3v":
            return U3vCamera(resource, clock)
        case "itc4000":
            return Itc4000.open(resource, clock)
        case _:
            return Pm100d.open(resource, clock)


@pytest.mark.parametrize(("driver", "wire"), CASES)
def test_a_device_does_what_its_trait_says_over_every_wire(driver: str, wire: str, world: World, loop: Loop) -> None:
    server, resource = loop.call(lambda: served(driver, wire, world, loop))
    terms = Terms(motion=False)
    device = DRIVERS[driver].device
    report: Report = run_suite(device, SUITES[device], lambda: opened(driver, resource), RealClock(), terms)
    loop.call(server.close)
    assert [f"{f.sentence}: {f.detail}" for f in report.findings if f.verdict == "fail"] == []
    assert sum(f.verdict == "pass" for f in report.findings) >= 3
