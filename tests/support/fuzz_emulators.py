"""What emulators and their servers read: bytes of hosts. TMC of a driver is their seed, too."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from fuzz_drivers import board_frame
from fuzz_target import FEED_NS, Feed, SaidSocket, Socket, Target, instrument, renewed
from ideal_axes import IdealAxes

from hal.devices.beamboard.exchange import encode
from sim_hw.devices import beamboard, easycomm, nexstar, sc10, u3v_memory
from sim_hw.devices.scpi import Exchange
from sim_hw.timeline import Timeline
from sim_hw.wires.contract import UsbStall
from sim_hw.wires.hislip import HEADER, HislipServer
from sim_hw.wires.line import SerialLine
from sim_hw.wires.modem import Framing
from sim_hw.wires.rfc2217 import Rfc2217Server
from sim_hw.wires.usbip import UsbipServer
from sim_hw.wires.usbtmc import UsbTmc
from sim_hw.wires.vxi11 import Vxi11Server


def emulated_board() -> Feed:
    board = beamboard.BeamBoard()
    board.attach(lambda data: None)

    def feed(data: bytes) -> None:
        board.receive(data)
        board.tick(2)
        assert np.isfinite(board.io).all()

    return feed


def emulated_mount() -> Feed:
    timeline = Timeline()
    mount = nexstar.NexStar(timeline, IdealAxes(timeline, azimuth_deg=1.0, elevation_deg=2.0), np.random.default_rng(1))
    mount.attach(lambda data: None)

    def feed(data: bytes) -> None:
        mount.receive(data)
        timeline.advance(timeline.now_ns + FEED_NS)

    return feed


def emulated_rotator() -> Feed:
    timeline = Timeline()
    axes = IdealAxes(timeline, azimuth_deg=1.0, elevation_deg=2.0)
    rotator = easycomm.EasyComm(timeline, axes, rate_max_rad_s=0.1, acceleration_max_rad_s2=0.1)
    rotator.attach(lambda data: None)

    def feed(data: bytes) -> None:
        rotator.receive(data)
        timeline.advance(timeline.now_ns + FEED_NS)

    return feed


def emulated_shutter() -> Feed:
    timeline = Timeline()
    unit = sc10.Sc10(timeline)
    unit.attach(lambda data: None)

    def feed(data: bytes) -> None:
        unit.receive(data)
        timeline.advance(timeline.now_ns + FEED_NS)

    return feed


def scpi_core() -> Feed:
    core = instrument().scpi
    return lambda data: core.execute(data.decode("latin-1"))


def usbtmc() -> Feed:
    meter = instrument()
    timeline = meter._timeline
    device = UsbTmc(Exchange(timeline, meter.scpi), 1, 2, ("a", "b", "c"))

    def feed(data: bytes) -> None:
        device.bulk_out(0x02, data)
        timeline.advance(timeline.now_ns + 1_000_000_000)
        device.bulk_in(0x82, 512)

    return feed


def camera_memory() -> Feed:
    memory = u3v_memory.Memory(u3v_memory.Identity())
    return lambda data: u3v_memory.execute(memory, data)


class NoReactor:
    """Nobody calls back: the bytes are handed in by hand."""

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        pass

    def remove_reader(self, fd: int) -> None:
        pass

    add_writer, remove_writer = add_reader, remove_reader


def server_of(make: Callable[[Any, Exchange, Timeline], Any], inside: Callable[[Any], Any]) -> Callable[[], Feed]:
    """Feeds one connection after the other; a connection that the server has closed is followed by a new one."""

    def made() -> Feed:
        meter = instrument()
        timeline = meter._timeline
        server = make(NoReactor(), Exchange(timeline, meter.scpi), timeline)
        server.close()  # the listener is not used
        state: list[Any] = []

        def feed(data: bytes) -> None:
            if not state or not state[0]._connection.open:
                server._accepted(Socket())
                state[:] = [inside(server)]
            state[0]._connection._came(data)
            timeline.advance(timeline.now_ns + 10_000_000)

        return feed

    return made


def usbip_server() -> Feed:
    meter = instrument()
    device = UsbTmc(Exchange(meter._timeline, meter.scpi), 1, 2, ("a", "b", "c"))
    server = UsbipServer(NoReactor(), {"1-1": device})
    server._listener.close()  # it is not used

    def feed(data: bytes) -> None:
        accepted = SaidSocket(data)
        server._accepted(accepted)  # type: ignore[arg-type]
        (connection,) = server._connections
        connection._readable()
        meter._timeline.advance(meter._timeline.now_ns + 10_000_000)
        connection.close()

    return feed


def rfc2217(reactor: Any, exchange: Exchange, timeline: Timeline) -> Rfc2217Server:
    board = beamboard.BeamBoard()
    return Rfc2217Server(SerialLine(timeline, board, 1_000_000), reactor, Framing(1_000_000))


RPC = (
    struct.pack(">IIIIIIIIII", 1, 0, 2, 0x0607AF, 1, 10, 0, 0, 0, 0) + struct.pack(">IIII", 7, 0, 0, 5) + b"inst0\0\0\0"
)

READ = struct.pack(">IIIIIIIIII", 2, 0, 2, 0x0607AF, 1, 12, 0, 0, 0, 0) + struct.pack(">IIIIII", 1, 100, 5, 0, 0, 0)

TMC = struct.pack("<BBBxIBxxx", 1, 1, 0xFE, 6, 1) + b"*IDN?\n\0\0"

IMPORT = struct.pack(">HHI", 0x0111, 0x8003, 0) + b"1-1".ljust(32, b"\0")

URBS = IMPORT + b"".join(
    struct.pack(">IIIIIIiIII8s", 1, number, 1 << 16 | 1, direction, endpoint, 0, len(data) or 64, 0, 0, 0, setup) + data
    for number, direction, endpoint, setup, data in (
        (1, 1, 0, bytes.fromhex("8006000100001200"), b""),
        (2, 0, 2, bytes(8), TMC),
        (3, 0, 2, bytes(8), struct.pack("<BBBxIBxxx", 2, 2, 0xFD, 512, 0)),
        (4, 1, 1, bytes(8), b""),
    )
)

UNLINKED = struct.pack(">IIIIIi24x", 2, 5, 1 << 16 | 1, 0, 0, 4)


def record(body: bytes) -> bytes:
    return struct.pack(">I", 1 << 31 | len(body)) + body


EMULATORS = (
    Target(
        "emulated mount",
        renewed(emulated_mount),
        [b"V", b"z", b"P\x03\x10\x06\x02\x58\x00\x00", b"b12345678,12345678", b"T\x00"],
    ),
    Target(
        "emulated rotator",
        renewed(emulated_rotator),
        [b"AZ EL\n", b"AZ10.0 EL20.0\n", b"VL100\nSA SE\n", b"VE GS GE\n"],
    ),
    Target(
        "emulated shutter", renewed(emulated_shutter), [b"id?\r", b"ens\rens?\r", b"mode=3\r", b"closed?\rinterlock?\r"]
    ),
    Target("emulated beam board", emulated_board, [encode(n, n, bytes(n % 9)) for n in range(1, 20)], (), board_frame),
    Target("scpi core", scpi_core, [b"*IDN?;*OPC?", b"SENS:CORR:WAV 1310 NM;WAV?", b"*ESE 32", b"SYST:ERR?"]),
    Target("usbtmc", usbtmc, [TMC, struct.pack("<BBBxIBxxx", 2, 2, 0xFD, 512, 0)], (UsbStall,)),
    Target("camera registers", camera_memory, [bytes.fromhex("5533564300400008 0c000100 d801000000000000 0000 0800")]),
    Target("usbip server", usbip_server, [URBS, URBS + UNLINKED, struct.pack(">HHI", 0x0111, 0x8005, 0)]),
    Target(
        "hislip server",
        server_of(lambda reactor, exchange, _: HislipServer(reactor, exchange), lambda s: next(iter(s._channels))),
        [HEADER.pack(b"HS", kind, 0, 1 << 16, 6) + b"*IDN?\n" for kind in (0, 6, 7, 8, 12, 17, 19)],
    ),
    Target(
        "vxi-11 server",
        server_of(Vxi11Server, lambda s: next(iter(s._connections))),
        [record(RPC), record(READ), record(RPC) + record(READ)],
        (),
        lambda data: record(bytes(data[4:])),
    ),
    Target(
        "rfc 2217 server",
        server_of(rfc2217, lambda s: s._telnet),
        [bytes([255, 251, 44, 255, 250, 44, 1, 0, 0, 37, 128, 255, 240]), bytes([255, 250, 44, 5, 8, 255, 240]), b"hi"],
    ),
)
