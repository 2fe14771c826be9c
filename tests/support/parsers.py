"""Every parser of the project, as a function of bytes: what CI (tests/fuzz) and the campaign (benchmarks.fuzz) feed."""

from __future__ import annotations

import json
import struct
import threading
from binascii import crc_hqx
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from ideal_axes import IdealAxes
from mutations import Repair
from rotators import FAMILIES
from usb.core import USBError

from controller.bus.envelope import BusError, Ids, body_of, frame, unframe
from controller.bus.inbox import Writer
from controller.bus.topics import SAFETY_ENABLE, EnableState
from controller.pointing.elements import ElementsError, built_in_elements, parse_elements
from controller.services.lockstep import Lockstep
from hal.clock import Clock
from hal.devices import easycomm as easycomm_driver
from hal.devices.beamboard.dictionary import NEEDED_COMMANDS, Dictionary
from hal.devices.beamboard.exchange import Exchange as BoardExchange
from hal.devices.beamboard.exchange import encode
from hal.devices.nexstar import HandController
from hal.devices.pm100d import Pm100d
from hal.devices.u3v.gencp import ControlChannel
from hal.devices.u3v.stream import parse_leader, parse_trailer
from hal.errors import HalError
from hal.wires.stream import StreamWire
from hal.wires.usb_descriptors import configuration, device_descriptor
from hal.wires.usbip_link import EXPORTED, OP_HEADER, RETURN, Connection
from hal.wires.usbip_link import HEADER as URB
from hal.wires.usbip_list import read_list
from hal.wires.wirelog import parse_log
from sim_hw.devices import beamboard, easycomm, nexstar, pm100d, u3v_memory
from sim_hw.devices.scpi import Exchange
from sim_hw.faults.door import FaultDoor
from sim_hw.faults.panel import Faults
from sim_hw.timeline import Timeline
from sim_hw.wires.contract import UsbStall
from sim_hw.wires.hislip import HEADER, HislipServer
from sim_hw.wires.line import SerialLine
from sim_hw.wires.modem import Framing
from sim_hw.wires.rfc2217 import Rfc2217Server
from sim_hw.wires.usbip import UsbipServer
from sim_hw.wires.usbtmc import UsbTmc
from sim_hw.wires.vxi11 import Vxi11Server

Feed = Callable[[bytes], object]


class FedWire(StreamWire):
    """A stream whose device has said all that it will ever say; waiting costs nothing."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("fed://", clock, "device", 1_000_000)
        self.says = b""
        self.waiting = b""

    def write(self, data: bytes) -> None:
        self.waiting = self.says

    def close(self) -> None:
        pass

    def _take(self, n: int, timeout_s: float) -> bytes:
        return self._take_waiting(n)

    def _take_waiting(self, n: int) -> bytes:
        data, self.waiting = self.waiting[:n], self.waiting[n:]
        return data

    def _waiting(self) -> int:
        return len(self.waiting)

    def _check(self) -> str:
        return "nothing"


class Light:
    def received_power_w(self) -> float:
        return 1e-6


@dataclass
class Target:
    name: str
    make: Callable[[], Feed]
    seeds: Sequence[bytes]
    allowed: tuple[type[Exception], ...] = ()
    repair: Repair | None = None


def hand_controller() -> Feed:
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    controller = HandController(wire, clock)

    def feed(data: bytes) -> None:
        controller._in_step, wire.says, wire.waiting = True, data, b""
        wire._pending.clear()
        if len(data) > 8:
            controller.ask(b"z", 18)
        else:
            controller.tell(b"M", "a goto")

    return feed


def rotator_reply() -> Feed:
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    rotator = easycomm_driver.EasyComm.__new__(easycomm_driver.EasyComm)
    rotator._clock, rotator._name, rotator._wire = clock, "gimbal", wire
    rotator._lines = easycomm_driver._lines(wire, clock)

    def feed(data: bytes) -> None:
        rotator._lines._in_step, wire.says, wire.waiting = True, data, b""
        wire._pending.clear()
        rotator.position()

    return feed


def rotator_replies(family: str) -> Callable[[], Feed]:
    """A driver of rotators.FAMILIES that hears these bytes when it asks for its angles."""

    def made() -> Feed:
        clock = Lockstep(Timeline())
        wire = FedWire(clock)
        driver = FAMILIES[family].driver
        rotator = driver.__new__(driver)
        rotator._clock, rotator._name, rotator._wire = clock, "gimbal", wire
        wire.says = wire.waiting = ROTATOR_REPLIES[family][0]
        with suppress(HalError):
            rotator._begin()  # some ask at once
        read = partial(rotator._angle, b"AZ") if hasattr(rotator, "_angle") else rotator.position
        asker = rotator._frames if hasattr(rotator, "_frames") else rotator._lines

        def feed(data: bytes) -> None:
            asker._in_step, wire.says, wire.waiting = True, data, b""
            wire._pending.clear()
            read()

        return feed

    return made


def board_reply() -> Feed:
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    exchange = BoardExchange(wire, clock)

    def feed(data: bytes) -> None:
        exchange._sequence, wire.says, wire.waiting = 0, data, b""
        wire._pending.clear()
        exchange.ask(3)

    return feed


def board_frame(data: bytearray) -> bytes:
    """The same with its length and CRC put right."""
    if len(data) < 9:
        return bytes(data)
    data[0:2] = b"\xa5\x5a"
    data[2:4] = struct.pack("<H", len(data) - 9)
    data[-2:] = struct.pack("<H", crc_hqx(bytes(data[2:-2]), 0xFFFF))
    return bytes(data)


def gencp_reply() -> Feed:
    clock = Lockstep(Timeline())
    says = [b""]

    def bulk_in(*_: object) -> bytes:
        clock.sleep_until(clock.now_ns() + 100_000_000)  # a slow camera: few rounds until the patience ends
        return says[0]

    wire = SimpleNamespace(
        name="camera", bulk_out=lambda *_: None, bulk_in=bulk_in, drain=lambda *_: None, resource="fed://"
    )

    def feed(data: bytes) -> None:
        channel = ControlChannel(wire, 1, 0x81, clock)  # type: ignore[arg-type]
        channel.response_s = 0.001
        says[0] = data
        channel.read(0x1D8, 8)

    return feed


def instrument_reply() -> Feed:
    wire = SimpleNamespace(name="power_meter", write=lambda message: None, close=lambda: None)
    wire.query = lambda message, timeout_s=None: "Thorlabs,PM100D,1,1" if message == "*IDN?" else '0,"No error"'
    meter = Pm100d(wire)

    def feed(data: bytes) -> None:
        wire.query = lambda message, timeout_s=None: data.decode("latin-1")
        meter.power_w()

    return feed


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
        timeline.advance(timeline.now_ns + 100_000_000)

    return feed


def instrument() -> pm100d.Pm100d:
    return pm100d.Pm100d(Timeline(), Light(), np.random.default_rng(1))


def emulated_rotator(make: Callable[[Timeline, IdealAxes], Any]) -> Callable[[], Feed]:
    def made() -> Feed:
        timeline = Timeline()
        axes = IdealAxes(timeline, azimuth_deg=1.0, elevation_deg=2.0)
        rotator = make(timeline, axes)
        rotator.attach(lambda data: None)

        def feed(data: bytes) -> None:
            rotator.receive(data)
            timeline.advance(timeline.now_ns + 100_000_000)

        return feed

    return made


def satnogs(timeline: Timeline, axes: IdealAxes) -> easycomm.EasyComm:
    return easycomm.EasyComm(timeline, axes, rate_max_rad_s=0.1, acceleration_max_rad_s2=0.1)


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


class Socket:
    """What a server's connection needs of a socket, without one."""

    family = 0

    def setblocking(self, on: bool) -> None:
        pass

    def setsockopt(self, *_: object) -> None:
        pass

    def fileno(self) -> int:
        return 1000

    def send(self, data: Any) -> int:
        return len(data)

    def close(self) -> None:
        pass


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


class SaidSocket(Socket):
    """A peer that has said all that it will ever say; then it has hung up."""

    def __init__(self, says: bytes) -> None:
        self.says = says

    def settimeout(self, timeout_s: float | None) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        pass

    def recv(self, n: int, flags: int = 0) -> bytes:
        data = self.says[:n]
        if not flags:
            self.says = self.says[n:]
        return data

    def recv_into(self, view: memoryview) -> int:
        data = self.recv(len(view))
        view[: len(data)] = data
        return len(data)


def usbip_reply() -> Feed:
    clock = Lockstep(Timeline())

    def feed(data: bytes) -> None:
        link = Connection.__new__(Connection)
        link._clock, link._lock, link._sequence, link._device_id = clock, threading.Lock(), 0, 1
        link._socket = SaidSocket(data)  # type: ignore[assignment]
        link.submit(0x81, bytes(8), b"", 64, 1000)

    return feed


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


def fault_door() -> Feed:
    door = FaultDoor.__new__(FaultDoor)
    door._faults = Faults(Timeline(), np.random.default_rng(1), {})
    return door._obey


DICTIONARY = json.dumps(
    {
        "tick_rate_hz": 10000,
        "modes": [{"name": "idle"}, None],
        "channels": [{"name": "quad_x"}],
        "commands": [{"name": name, "id": "0x03"} for name in sorted(NEEDED_COMMANDS)],
        "parameters": [{"name": "loop_gain"}, None],
    }
).encode()
_CLOCK = Lockstep(Timeline())
ENVELOPE = frame(Writer("safety", _CLOCK, Ids(_CLOCK, 1), True).telemetry(SAFETY_ENABLE, EnableState(1, True), 1))
TLE = "\n".join((built_in_elements()[0].name, built_in_elements()[0].line1, built_in_elements()[0].line2)).encode()
RPC = (
    struct.pack(">IIIIIIIIII", 1, 0, 2, 0x0607AF, 1, 10, 0, 0, 0, 0) + struct.pack(">IIII", 7, 0, 0, 5) + b"inst0\0\0\0"
)
READ = struct.pack(">IIIIIIIIII", 2, 0, 2, 0x0607AF, 1, 12, 0, 0, 0, 0) + struct.pack(">IIIIII", 1, 100, 5, 0, 0, 0)
CONFIGURATION = bytes.fromhex("090220000101 00c001 09040000 02fe030100 07050202000200 07058202000200")
LEADER = struct.pack("<4sHHQHHQIIIIIHH", b"U3VL", 0, 50, 1, 0, 1, 5, 0x0110_0007, 64, 64, 0, 0, 0, 0)
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
LISTED = (
    OP_HEADER.pack(0x0111, 0x0005, 0)
    + struct.pack(">I", 1)
    + EXPORTED.pack(b"/sys/1-1", b"1-1", 1, 1, 3, 0x1313, 0x8078, 1, 0, 0, 0, 1, 1, 1)
    + bytes([0xFE, 3, 1, 0])
)
RETURNED = URB.pack(3, 1, 0, 0, 0) + RETURN.pack(0, 6, 0, 0, 0) + b"answer"


ROTATOR_REPLIES = {
    "rotctld": [b"180.50\n45.00\n", b"-170.123456\n0\n", b"RPRT -5\n"],
    "easycomm2": [b"AZ180.5\n", b"AZ-0.1\r\n", b"EL+1\r\nAZ+1\r\n"],
    "gs232a": [b"+0180+0045\r\n", b"\r+0045\r\n"],
    "gs232b": [b"\r\rAZ=180  EL=045\r\n", b"?>\r\n", b"EL=045\r\n"],
    "rot1prog": [b"W\3\7\2 ", b"1700000000: x\r\nW\3\7\2 "],
    "rot2prog": [b"W\3\7\2\5\2\3\x09\4\0\2 "],
}
ROTATOR_COMMANDS = {
    "rotctld": [b"p\n+p\n", b"P 10.0 20.0\n", b"P 10\n 20\nS\n", b"+\\dump_state\n_\nM 8 50\nK\n"],
    "easycomm3": [b"AZ EL\n", b"AZ10.0 EL20.0\n", b"VL100\nVU0\nSA SE\n", b"MR MU VE GS GE\n"],
    "gs232a": [b"C2\rB\rC\r", b"W180 045\r", b"M100\rS\r"],
    "gs232b": [b"C2\rB\rC\r", b"W180 045\r", b"R\rU\rA\rE\rX3\r"],
    "rot1prog": [b"W4830" + bytes(6) + b"\x2f ", b"W" + bytes(10) + b"\x1f "],
    "md01": [b"W5405\n4053\n\x2f ", b"W" + bytes(10) + b"\x0f ", b"W\6" + bytes(9) + b"\x14 "],
}


def record(body: bytes) -> bytes:
    return struct.pack(">I", 1 << 31 | len(body)) + body


TARGETS = (
    Target("nexstar replies", hand_controller, [b"#", b"12345678,9ABCDEF0#", b"\x81#", b"\x04\x15#"], (HalError,)),
    Target(
        "beam board replies",
        board_reply,
        [encode(1, 0x83, struct.pack("<IB", 5, 0) + bytes(40)), encode(1, 0x83, struct.pack("<IB", 5, 3))],
        (HalError,),
        board_frame,
    ),
    Target("beam board dictionary", lambda: lambda data: Dictionary.parse(data, "board"), [DICTIONARY], (HalError,)),
    Target("gencp replies", gencp_reply, [bytes.fromhex("553356430000010808000100") + bytes(8)], (HalError,)),
    Target("u3v leader", lambda: lambda data: parse_leader(data, "camera"), [LEADER], (HalError,)),
    Target("u3v trailer", lambda: lambda data: parse_trailer(data, "camera"), [b"U3VT" + bytes(32)], (HalError,)),
    Target("scpi replies", instrument_reply, [b"1.234E-06", b"9.9E37", b"1;2;3", b'0,"No error"'], (HalError,)),
    Target("usb configuration", lambda: configuration, [CONFIGURATION], (USBError,)),
    Target("usb device", lambda: device_descriptor, [bytes([18, 1, 0, 2, *range(14)])], (USBError,)),
    Target("telemetry", lambda: lambda data: body_of(unframe(data)), [ENVELOPE], (BusError,)),
    Target(
        "element sets",
        lambda: lambda data: parse_elements(data.decode("latin-1").splitlines(), "file"),
        [TLE],
        (ElementsError,),
    ),
    Target(
        "wire log",
        lambda: lambda data: parse_log(data, Path("log")),
        [b'{"t_ns": 1, "is": "open", "kind": "stream"}\n{"t_ns": 2, "is": ">", "text": "z"}\n'],
        (HalError,),
    ),
    Target("easycomm replies", rotator_reply, [b"AZ180.0 EL45.5\n", b"AZ-0.1 EL-1.0\r\n"], (HalError,)),
    Target(
        "emulated rotator",
        emulated_rotator(satnogs),
        [b"AZ EL\n", b"AZ10.0 EL20.0\n", b"VL100\nSA SE\n", b"VE GS GE\n"],
    ),
    *(Target(f"{name} replies", rotator_replies(name), seeds, (HalError,)) for name, seeds in ROTATOR_REPLIES.items()),
    *(
        Target(f"emulated {name}", emulated_rotator(FAMILIES[name].emulator), seeds)
        for name, seeds in ROTATOR_COMMANDS.items()
    ),
    Target("usbip replies", usbip_reply, [RETURNED], (USBError,)),
    Target("usbip list", lambda: lambda data: read_list(BytesIO(data).read), [LISTED], (ValueError, struct.error)),
    Target("usbip server", usbip_server, [URBS, URBS + UNLINKED, struct.pack(">HHI", 0x0111, 0x8005, 0)]),
    Target("emulated beam board", emulated_board, [encode(n, n, bytes(n % 9)) for n in range(1, 20)], (), board_frame),
    Target(
        "emulated mount",
        emulated_mount,
        [b"V", b"z", b"P\x03\x10\x06\x02\x58\x00\x00", b"b12345678,12345678", b"T\x00"],
    ),
    Target("scpi core", scpi_core, [b"*IDN?;*OPC?", b"SENS:CORR:WAV 1310 NM;WAV?", b"*ESE 32", b"SYST:ERR?"]),
    Target("usbtmc", usbtmc, [TMC, struct.pack("<BBBxIBxxx", 2, 2, 0xFD, 512, 0)], (UsbStall,)),
    Target("camera registers", camera_memory, [bytes.fromhex("5533564300400008 0c000100 d801000000000000 0000 0800")]),
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
    Target(
        "fault door",
        fault_door,
        [b'{"start": "camera", "word": "off", "for_s": 2}', b'{"clear": null}', b'{"table": 1}'],
    ),
)
