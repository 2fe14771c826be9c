"""What drivers and their wires read: bytes of devices."""

from __future__ import annotations

import json
import struct
import threading
from binascii import crc_hqx
from io import BytesIO
from types import SimpleNamespace

from fuzz_target import Feed, SaidSocket, Target
from usb.core import USBError

from controller.services.lockstep import Lockstep
from hal.clock import Clock, Deadline
from hal.devices import easycomm as easycomm_driver
from hal.devices.beamboard.dictionary import NEEDED_COMMANDS, Dictionary
from hal.devices.beamboard.exchange import Exchange as BoardExchange
from hal.devices.beamboard.exchange import encode
from hal.devices.nexstar import HandController
from hal.devices.pm100d import Pm100d
from hal.devices.sc10 import Sc10
from hal.devices.soft_travel import ENDLESS, SoftTravel
from hal.devices.u3v.gencp import ControlChannel
from hal.devices.u3v.stream import parse_leader, parse_trailer
from hal.errors import HalError
from hal.wires.stream import StreamWire
from hal.wires.usb_descriptors import configuration, device_descriptor
from hal.wires.usbip_link import EXPORTED, OP_HEADER, RETURN, Connection
from hal.wires.usbip_link import HEADER as URB
from hal.wires.usbip_list import read_list
from sim_hw.timeline import Timeline


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
    rotator._azimuth_rad, rotator._soft_travel = ENDLESS, SoftTravel(clock, (ENDLESS, ENDLESS))

    def feed(data: bytes) -> None:
        rotator._lines._in_step, wire.says, wire.waiting = True, data, b""
        wire._pending.clear()
        rotator.position()

    return feed


def shutter_reply() -> Feed:
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    shutter = Sc10.__new__(Sc10)
    shutter._clock, shutter._name, shutter._wire = clock, "shutter", wire
    shutter._wanted, shutter.status = False, None
    shutter._begin()

    def feed(data: bytes) -> None:
        wire.says, wire.waiting = data, b""
        for _ in range(8):  # a question, an answer, and so on
            shutter.poll()

    return feed


def board_reply() -> Feed:
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    exchange = BoardExchange(wire, clock)

    def feed(data: bytes) -> None:
        wire.waiting = data
        wire._pending.clear()
        exchange._judge(exchange._reply_to(1, 3, Deadline(clock, 0.02)), clock.now_ns(), 9)

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


def usbip_reply() -> Feed:
    clock = Lockstep(Timeline())

    def feed(data: bytes) -> None:
        link = Connection.__new__(Connection)
        link._clock, link._lock, link._sequence, link._device_id = clock, threading.Lock(), 0, 1
        link._socket = SaidSocket(data)  # type: ignore[assignment]
        link.submit(0x81, bytes(8), b"", 64, 1000)

    return feed


DICTIONARY = json.dumps(
    {
        "tick_rate_hz": 10000,
        "modes": [{"name": "idle"}, None],
        "channels": [{"name": "quad_x"}],
        "commands": [{"name": name, "id": "0x03"} for name in sorted(NEEDED_COMMANDS)],
        "parameters": [{"name": "loop_gain"}, None],
    }
).encode()

CONFIGURATION = bytes.fromhex("090220000101 00c001 09040000 02fe030100 07050202000200 07058202000200")

LEADER = struct.pack("<4sHHQHHQIIIIIHH", b"U3VL", 0, 50, 1, 0, 1, 5, 0x0110_0007, 64, 64, 0, 0, 0, 0)

LISTED = (
    OP_HEADER.pack(0x0111, 0x0005, 0)
    + struct.pack(">I", 1)
    + EXPORTED.pack(b"/sys/1-1", b"1-1", 1, 1, 3, 0x1313, 0x8078, 1, 0, 0, 0, 1, 1, 1)
    + bytes([0xFE, 3, 1, 0])
)

RETURNED = URB.pack(3, 1, 0, 0, 0) + RETURN.pack(0, 6, 0, 0, 0) + b"answer"


DRIVERS = (
    Target("nexstar replies", hand_controller, [b"#", b"12345678,9ABCDEF0#", b"\x81#", b"\x04\x15#"], (HalError,)),
    Target(
        "sc10 replies", shutter_reply, [b"id?\rSC10\r> mode=1\r> trig=0\r> ens?\r0\r> ", b"closed?\r1\r> "], (HalError,)
    ),
    Target("easycomm replies", rotator_reply, [b"AZ180.0 EL45.5\n", b"AZ-0.1 EL-1.0\r\n"], (HalError,)),
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
    Target("usbip replies", usbip_reply, [RETURNED], (USBError,)),
    Target("usbip list", lambda: lambda data: read_list(BytesIO(data).read), [LISTED], (ValueError, struct.error)),
)
