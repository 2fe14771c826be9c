"""Whatever bytes come, a parser answers with its documented error or not at all.

10^5 inputs each, fewer where one input is slow, and the reason beside it. A failure prints the input as Python.
"""

from __future__ import annotations

import json
import struct
from binascii import crc_hqx
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from ideal_axes import IdealAxes
from mutations import Repair, inputs
from usb.core import USBError

from controller.bus.envelope import BusError, Ids, body_of, frame, unframe
from controller.bus.inbox import Writer
from controller.bus.topics import SAFETY_ENABLE, EnableState, TripRecord
from controller.geometry.frames import Site
from controller.pointing.elements import ElementsError, built_in_elements, parse_elements
from controller.safety.clearance.gates import Expected, mismatches
from controller.safety.clearance.pam import PamError, parse_pam
from controller.safety.trips import TripLog
from controller.services.lockstep import Lockstep
from hal.clock import Clock
from hal.devices.aircraft_json import AircraftJsonFeed
from hal.devices.beamboard.dictionary import NEEDED_COMMANDS, Dictionary
from hal.devices.beamboard.exchange import Exchange as BoardExchange
from hal.devices.beamboard.exchange import encode
from hal.devices.nexstar import HandController
from hal.devices.pm100d import Pm100d
from hal.devices.sbs import parse_sbs
from hal.devices.u3v.gencp import ControlChannel
from hal.devices.u3v.stream import parse_leader, parse_trailer
from hal.errors import HalError, WireTimeout
from hal.wires.stream import StreamWire
from hal.wires.usb_descriptors import configuration, device_descriptor
from hal.wires.wirelog import read_log
from sim_hw.devices import beamboard, nexstar, pm100d, u3v_memory
from sim_hw.devices.scpi import Exchange
from sim_hw.faults.door import FaultDoor
from sim_hw.faults.panel import Faults
from sim_hw.timeline import Timeline
from sim_hw.wires.contract import UsbStall
from sim_hw.wires.hislip import HEADER, HislipServer
from sim_hw.wires.line import SerialLine
from sim_hw.wires.modem import Framing
from sim_hw.wires.rfc2217 import Rfc2217Server
from sim_hw.wires.usbtmc import UsbTmc
from sim_hw.wires.vxi11 import Vxi11Server

COUNT = 100_000
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
    count: int = COUNT
    why_fewer: str = field(default="")


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
        clock.sleep_until(clock.now_ns() + 1_000_000)
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


def rfc2217(reactor: Any, exchange: Exchange, timeline: Timeline) -> Rfc2217Server:
    board = beamboard.BeamBoard()
    return Rfc2217Server(SerialLine(timeline, board, 1_000_000), reactor, Framing(1_000_000))


def fault_door() -> Feed:
    door = FaultDoor.__new__(FaultDoor)
    door._faults = Faults(Timeline(), np.random.default_rng(1), {})
    return door._obey


def wire_log(tmp: list[Any]) -> Feed:
    path = tmp[0] / "log.jsonl"

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        read_log(path)

    return feed


def aircraft_file(tmp: list[Any]) -> Feed:
    path = tmp[0] / "aircraft.json"
    clock = Lockstep(Timeline(), 1_760_000_000 * 10**9)

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        AircraftJsonFeed(f"file://{path}", clock).poll()

    return feed


def trip_log(tmp: list[Any]) -> Feed:
    path = tmp[0] / "trips.jsonl"

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        TripLog(path).note("more")

    return feed


EXPECTED = Expected("TEST 1", "EXAMPLE", Site(34.667332, -86.466466, 194.9))
PAM = b"""\
Mission ID: TEST 1
Laser Owner/Operator: EXAMPLE
Mission Start Date/Time (UTC): 2025 Aug 21 16:47:09
Mission Stop Date/Time (UTC): 2025 Aug 22 00:47:08
Type of Windows in this report: Authorized Shoot(Open) Windows
Comment: For Execution
Number of Targets: 1
YYYY MMM dd (DDD) HHMM SS    YYYY MMM dd (DDD) HHMM SS      MM:SS
2025 Aug 21 (233) 1647 09    2025 Aug 22 (234) 0047 08    0479:59
Percent = 100.00%
Source Geometry: (WGS-84)
Method: Fixed Point
Latitude:  34.66733200 degrees N
Longitude: 86.46646600 degrees W
Altitude:  0.1949 km

Target Geometry: (WGS-84) 1
Method: Fixed Field of View
Azimuth Range:   1.0 to 10.0 degrees
Elevation Range: 1.0 to 3.0 degrees
Azimuth: 1.0 degrees
Elevation: 2.0 degrees
"""
SBS = b"MSG,3,1,1,4CA2D6,1,2026/03/01,20:00:00.000,2026/03/01,20:00:00.000,,36000,450,,28.5,-16.25,,,0,0,0,-1"
AIRCRAFT = json.dumps(
    {
        "now": 1_759_999_999.5,
        "aircraft": [
            {"hex": "4ca2d6", "lat": 28.5, "lon": -16.2, "alt_baro": 36000, "gs": 450.0, "seen_pos": 2.0, "seen": 0.1},
            {"hex": "4ca2d7", "alt_baro": "ground", "seen": 0.1},
        ],
    }
).encode()
FOLDER: list[Any] = []
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
        count=20_000,
        why_fewer="every set is handed to SGP4",
    ),
    Target(
        "avoidance messages",
        lambda: lambda data: mismatches(parse_pam(data.decode("latin-1")), EXPECTED),
        [PAM, PAM.replace(b"Fixed Field of View", b"Fixed Azimuth/Elevation")],
        (PamError,),
        count=20_000,
        why_fewer="a message is long",
    ),
    Target("aircraft lines", lambda: lambda data: parse_sbs(data.decode("latin-1"), 0), [SBS], (ValueError,)),
    Target(
        "aircraft file",
        lambda: aircraft_file(FOLDER),
        [AIRCRAFT],
        (HalError,),
        count=20_000,
        why_fewer="a file is written each time",
    ),
    Target(
        "trip log",
        lambda: trip_log(FOLDER),
        [b'{"answered":3}\n', msgspec.json.encode(TripRecord(1, 2, "a", "a", [], [])) + b"\n"],
        count=20_000,
        why_fewer="a file is written each time",
    ),
    Target(
        "wire log",
        lambda: wire_log(FOLDER),
        [b'{"t_ns": 1, "is": "open", "kind": "stream"}\n{"t_ns": 2, "is": ">", "text": "z"}\n'],
        (HalError,),
        count=20_000,
        why_fewer="a file is written each time",
    ),
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
        count=50_000,
        why_fewer="each message runs the instrument",
    ),
    Target(
        "vxi-11 server",
        server_of(Vxi11Server, lambda s: next(iter(s._connections))),
        [record(RPC), record(READ), record(RPC) + record(READ)],
        (),
        lambda data: record(bytes(data[4:])),
        count=50_000,
        why_fewer="each call runs the instrument",
    ),
    Target(
        "rfc 2217 server",
        server_of(rfc2217, lambda s: s._telnet),
        [bytes([255, 251, 44, 255, 250, 44, 1, 0, 0, 37, 128, 255, 240]), bytes([255, 250, 44, 5, 8, 255, 240]), b"hi"],
        count=50_000,
        why_fewer="bytes cross an emulated line",
    ),
    Target(
        "fault door",
        fault_door,
        [b'{"start": "camera", "word": "off", "for_s": 2}', b'{"clear": null}', b'{"table": 1}'],
    ),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_bytes_bring_a_parser_to_more_than_its_documented_error(target: Target, tmp_path: Any) -> None:
    FOLDER[:] = [tmp_path]
    assert target.count == COUNT or target.why_fewer
    feed = target.make()
    refused = 0
    for data in inputs(target.seeds, target.count, seed=2026, repair=target.repair):
        try:
            feed(data)
        except target.allowed:
            refused += 1
        except Exception as error:
            pytest.fail(f"{target.name}: {type(error).__name__}: {error}\ninput = {data!r}")
    assert refused < target.count, "no input at all was accepted: the seeds are wrong"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_seeds_themselves_are_understood(target: Target, tmp_path: Any) -> None:
    FOLDER[:] = [tmp_path]
    feed = target.make()
    understood = 0
    for data in target.seeds:
        try:
            feed(data)
        except target.allowed:
            continue
        understood += 1
    assert understood


def test_a_camera_that_speaks_for_ever_but_never_to_the_point_is_a_time_out() -> None:
    """Found by fuzzing: late answers, and requests for more time, kept the driver for ever."""
    feed = gencp_reply()
    late = struct.pack("<IHHHH", 0x43563355, 0, 0x0801, 0, 999)
    pending = struct.pack("<IHHHH", 0x43563355, 0, 0x0805, 4, 1) + struct.pack("<HH", 0, 60_000)
    for answer in (late, pending):
        with pytest.raises(WireTimeout, match="no answer to a register command"):
            feed(answer)
