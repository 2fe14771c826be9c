"""What the drivers of rotators and their emulators read, for every family of `rotators`."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from fuzz_drivers import FedWire
from fuzz_target import FEED_NS, Feed, Target, renewed
from ideal_axes import IdealAxes
from rotators import FAMILIES

from controller.services.lockstep import Lockstep
from hal.devices import flir_ptu, ioptron, skywatcher
from hal.devices.alpaca.rates import ranges_of
from hal.devices.alpaca.server import Server, state_of
from hal.devices.drive_watch import DriveWatch
from hal.devices.indi.messages import Messages
from hal.devices.pelco_d import ASK_PAN, STOP
from hal.devices.skywatcher import Axis
from hal.errors import HalError
from sim_hw.timeline import Timeline

INDI_ANGLES = (
    b'<defNumberVector device="T" name="HORIZONTAL_COORD" state="Ok" perm="rw"><defNumber name="AZ">180.5</defNumber>'
    b'<defNumber name="ALT">45:30:00</defNumber></defNumberVector>'
)
INDI_SETS = (
    INDI_ANGLES.replace(b"def", b"set").replace(b"setNumber n", b"oneNumber n").replace(b"/setNumber>", b"/oneNumber>")
)
INDI_SWITCHES = b"".join(
    b'<defSwitchVector device="T" name="%s" state="Ok" perm="rw"><defSwitch name="%s">On</defSwitch></defSwitchVector>'
    % names
    for names in ((b"CONNECTION", b"CONNECT"), (b"TELESCOPE_ABORT_MOTION", b"ABORT"), (b"ON_COORD_SET", b"SLEW"))
)
INDI_INFO = (
    b'<defTextVector device="T" name="DRIVER_INFO" state="Idle" perm="ro"><defText name="DRIVER_INTERFACE">5</defText>'
    b"</defTextVector>"
)
ROTATOR_REPLIES = {
    "rotctld": [b"180.50\n45.00\n", b"-170.123456\n0\n", b"RPRT -5\n"],
    "indi": [
        INDI_INFO + INDI_SWITCHES + INDI_ANGLES,
        INDI_SETS + INDI_ANGLES,
        b'<message device="T" message="[INFO] x &amp; y"/>' + INDI_ANGLES,
        b'<delProperty device="T" name="HORIZONTAL_COORD"/>' + INDI_ANGLES,
    ],
    "easycomm2": [b"AZ180.5\nEL45.0\n", b"AZ-0.1\r\nEL-0.1\r\n", b"EL+1\r\nAZ+1\r\n"],
    "gs232a": [b"+0180+0045\r\n", b"\r+0045\r\n"],
    "gs232b": [b"\r\rAZ=180  EL=045\r\n", b"?>\r\n", b"EL=045\r\n"],
    "skywatcher": [b"=E0D284\r", b"=000080\r", b"!4\r", b"=01\r=C0E485\r"],
    "lx200": [b"180\xdf30:00#", b"1359*59#", b"+44\xdf59:59#", b"11:52:00#"],
    "ioptron": [b"+16290000064980000#", b"-00360000129600000#", b"1+00000000000000000#", b"9#"],
    "flir_ptu": [b"* Current Pan position is -2500\r\n", b"!P\r\n* Current Pan position is 2500\r\n", b"! no\r\n"],
    "pelco_d": [bytes.fromhex("ff0100594682 22"), bytes.fromhex("ff01005900005a")],
    "rot1prog": [b"W\3\7\2 ", b"1700000000: x\r\nW\3\7\2 "],
    "rot2prog": [b"W\3\7\2\5\2\3\x09\4\0\2 "],
}


def http(body: bytes, *headers: bytes) -> bytes:
    """An answer with its length."""
    return b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers, b"", body))


ALPACA_REPLIES = [
    http(b'{"Value":[{"Minimum":0.0,"Maximum":3.5}],"ErrorNumber":0,"ErrorMessage":"","ClientTransactionID":7}'),
    http(b'{"Value":[{"Name":"Azimuth","Value":180.25},{"Name":"Slewing","Value":true}],"ClientTransactionID":7}'),
    http(b'{"ErrorNumber":1025,"ErrorMessage":"no","ClientTransactionID":0}', b"Connection: close"),
    http(b'{"Value":[],"ClientTransactionID":6}') + http(b'{"Value":[],"ClientTransactionID":7}'),
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"Value":\r\n3\r\n[]}\r\n0\r\n\r\n',
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 400 Bad Request\r\n\r\nno such device",
]
DRIVE_STATES = [
    b"* Pan in REGULAR hold power mode",
    b"* Tilt in OFF hold power mode",
    b"-0059442611841074260531",
    b"102",
]
ROTATOR_COMMANDS = {
    "alpaca": [
        b"PUT /api/v1/telescope/0/connected HTTP/1.1\r\nContent-Length: 14\r\n\r\nConnected=true",
        b"GET /api/v1/telescope/0/axisrates?axis=0&ClientTransactionID=7 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PUT /api/v1/telescope/0/moveaxis HTTP/1.1\r\nContent-Length: 15\r\n\r\nAxis=1&Rate=0.5",
        b"PUT /api/v1/telescope/0/slewtoaltazasync HTTP/1.1\r\nContent-Length: 22\r\n\r\nAzimuth=10&Altitude=20",
        b"GET /management/v1/configureddevices HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    ],
    "rotctld": [b"p\n+p\n", b"P 10.0 20.0\n", b"P 10\n 20\nS\n", b"+\\dump_state\n_\nM 8 50\nK\n"],
    "indi": [
        b"<getProperties version='1.7'/>",
        (
            b"<newSwitchVector device='Telescope Emulator' name='CONNECTION'><oneSwitch name='CONNECT'>On</oneSwitch>"
            b"</newSwitchVector>"
        ),
        (
            b"<newNumberVector device='Telescope Emulator' name='HORIZONTAL_COORD'><oneNumber name='AZ'>10</oneNumber>"
            b"<oneNumber name='ALT'>20</oneNumber></newNumberVector>"
        ),
        b"<getProperties version='1.7' device='Telescope Emulator' name='CONNECTION'/>",
    ],
    "easycomm3": [b"AZ EL\n", b"AZ10.0 EL20.0\n", b"VL100\nVU0\nSA SE\n", b"MR MU VE GS GE\n"],
    "gs232a": [b"C2\rB\rC\r", b"W180 045\r", b"M100\rS\r"],
    "gs232b": [b"C2\rB\rC\r", b"W180 045\r", b"R\rU\rA\rE\rX3\r"],
    "skywatcher": [b":F3\r:J1\r", b":G100\r:S1E0D284\r:J1\r:f1\r", b":G231\r:I2E80300\r:J2\r:K2\r", b":j1\r:e1\r"],
    "lx200": [b":GZ#:GA#", b":Sz 120*30#:Sa+45*15#:MA#:D#", b":Sr12:00:00#:Sd+45*00:00#:MS#", b"\6:RS#:Mn#:Qn#:U#:CM#"],
    "ioptron": [
        b":GAC#:GLS#:GUT#",
        b":Sz064980000#:Sa+16290000#:MSS#",
        b":SR9#:mn#:qD#:Q#",
        b":SRA064980000#:MS1#:MP1#:MP0#",
    ],
    "flir_ptu": [b"PP TP PR TX\r", b"PP-2500 TP100 A ", b"CV PS-100 TS50 H CI ", b"ED FT PP FV V O L LD PS5\r\n"],
    "pelco_d": [
        bytes.fromhex("ff010051000052"),
        bytes.fromhex("ff01004b468214ff01004d1194f3"),
        STOP + b"\xff\1\0" + STOP,
    ],
    "rot1prog": [b"W4830" + bytes(6) + b"\x2f ", b"W" + bytes(10) + b"\x1f "],
    "md01": [b"W5405\n4053\n\x2f ", b"W" + bytes(10) + b"\x0f ", b"W\6" + bytes(9) + b"\x14 "],
}


def rotator_replies(family: str) -> Callable[[], Feed]:
    """A driver of rotators.FAMILIES that hears these bytes when it asks for its angles."""

    def made() -> Feed:
        clock = Lockstep(Timeline())
        wire = FedWire(clock)
        driver = FAMILIES[family].driver
        rotator = driver.__new__(driver)
        rotator._clock, rotator._name, rotator._wire = clock, "gimbal", wire
        rotator._wakes, rotator._watch = True, DriveWatch("gimbal", clock, driver.refuses)
        wire.says = wire.waiting = ROTATOR_REPLIES[family][0]
        with suppress(HalError):
            rotator._begin()  # some ask at once
        read = rotator.position
        if family == "skywatcher":
            read = partial(rotator._angle_deg, Axis(b"1", 2_073_600, 16_000_000, 1))
        if family == "lx200":
            read = rotator._azimuth_deg
        if family == "pelco_d":
            read = partial(rotator._frames.ask, ASK_PAN)
        if family == "indi":
            rotator._low_deg, rotator._high_deg = rotator._soft(rotator.reach_deg)
        if family == "flir_ptu":
            rotator._steps_deg = [0.0129, 0.0129]
            read = partial(rotator._angle_deg, 0)
        asker = next(getattr(rotator, one) for one in ("_client", "_frames", "_lines") if hasattr(rotator, one))

        def feed(data: bytes) -> None:
            asker._in_step, wire.says, wire.waiting = True, data, b""
            wire._pending.clear()
            read()

        return feed

    return made


def alpaca_reply() -> Feed:
    """A telescope's rates as an Alpaca server tells them, on a connection of its own each time."""
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    server = Server(wire, clock, lambda: wire)

    def feed(data: bytes) -> None:
        wire.says, wire.waiting = data, b""
        wire._pending.clear()
        server._transaction, server._http._connection = 6, None
        told = server.get("axisrates", "its rates", Axis=0)
        server.as_number(state_of(told).get("Azimuth", 0), "its azimuth", 0, 360)
        if ranges_of(told) is None:
            raise server.nonsense(told, "its rates")

    return feed


def drive_states() -> Feed:
    """What gimbals tell of their drives, in every protocol that has an answer of its own for it."""

    def feed(data: bytes) -> None:
        told = [flir_ptu.held(data, axis) for _, axis in flir_ptu.AXES] + [ioptron.state_of(data)]
        if re.fullmatch(rb"[0-9A-F]{3}", data):
            told.append(skywatcher.state_of(data))
        if not any(told):
            raise ValueError(data)

    return feed


def emulated(family: str) -> Callable[[], Feed]:
    """An emulator of rotators.FAMILIES, for which a little time passes after each input."""

    def made() -> Feed:
        timeline = Timeline()
        rotator = FAMILIES[family].emulator(timeline, IdealAxes(timeline, azimuth_deg=1.0, elevation_deg=2.0))
        rotator.attach(lambda data: None)

        def feed(data: bytes) -> None:
            rotator.receive(data)
            timeline.advance(timeline.now_ns + FEED_NS)

        return feed

    return made


ROTATORS = (
    Target("indi messages", lambda: lambda data: Messages().feed(data), [INDI_INFO, INDI_SETS + INDI_ANGLES[:40]]),
    Target("drive states", drive_states, DRIVE_STATES, (ValueError,)),
    Target("alpaca replies", alpaca_reply, ALPACA_REPLIES, (HalError,)),
    *(Target(f"{name} replies", rotator_replies(name), seeds, (HalError,)) for name, seeds in ROTATOR_REPLIES.items()),
    *(Target(f"emulated {name}", renewed(emulated(name)), seeds) for name, seeds in ROTATOR_COMMANDS.items()),
)
