"""What the drivers of stages and their emulators read, for every family of `stages`."""

from __future__ import annotations

from collections.abc import Callable

from fuzz_drivers import FedWire
from fuzz_target import FEED_NS, Feed, Target, renewed
from stages import FAMILIES

from controller.services.lockstep import Lockstep
from hal.devices.apt import Apt
from hal.devices.gcs2 import Gcs2
from hal.devices.gcs2_mirror import Gcs2Mirror
from hal.devices.xps import Calls, Xps
from hal.devices.zaber import Zaber
from hal.errors import HalError
from hal.wires.lines import Lines
from sim_hw.devices import gcs2_mirror
from sim_hw.timeline import Timeline

APT_STATUS = bytes.fromhex("91040e00 8150 0100 00860000 0000 0000 00240080")
STAGE_COMMANDS = {
    "apt": [
        bytes.fromhex("53040600d001 0100 00860000 900401005001"),
        bytes.fromhex("430401005001 900401005001"),
        bytes.fromhex("050000005001 140401005001 240401005001"),
        bytes.fromhex("13040e00d001 0100 00000000 06010000 67b50b00 100201025001"),
    ],
    "xps": [
        b"GroupInitialize(Group1)GroupHomeSearch(Group1)",
        b"GroupMoveAbsolute(Group1.Pos,1.5)GroupMoveAbort(Group1)",
        b"GroupStatusGet(Group1,int *)",
        b"PositionerSGammaParametersSet(Group1.Pos,1,2,0.1,0.1)",
    ],
    "gcs2": [
        b"SVO 1 1\nFRF 1\n\x05",
        b"MOV 1 2.5\nERR?\n",
        b"POS? 1\nSPA? 1 0x7000601\n",
        b"HLT 1\n\x18VEL 1 2\nHLP?\n",
    ],
    "zaber": [b"/1 1 01 move abs 12345:B1\n", b"/\n/1 get pos\n", b"/1 0 02 set comm.checksum 1\n", b"/1 1 home\n"],
}


def _checked(data: bytearray) -> bytes:
    """A Zaber reply with its checksum put right."""
    body = bytes(data).partition(b":")[0].strip()
    return b"%s:%02X\r\n" % (body, -sum(body[1:]) & 0xFF)


def zaber_reply() -> Feed:
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    stage = Zaber.__new__(Zaber)
    stage._clock, stage._name, stage._wire, stage._resolution_mm = clock, "stage", wire, 1e-3
    stage._checked = True

    def feed(data: bytes) -> None:
        stage._in_step, stage._number, wire.says, wire.waiting = True, 6, data, b""
        wire._pending.clear()
        if b" WR " in data:
            stage._warnings()
        else:
            stage._status()

    return feed


def gcs2_reply() -> Feed:
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    stage = Gcs2.__new__(Gcs2)
    stage._clock, stage._name, stage._wire, stage._bit = clock, "stage", wire, 1
    stage._lines = Lines(wire, clock, b"\n*IDN?\n", rb".*Physik Instrumente", 0.3, b"", told_end=b"\n")

    def feed(data: bytes) -> None:
        stage._lines._in_step, wire.says, wire.waiting = True, data, b""
        wire._pending.clear()
        if b"=" in data:
            stage._number("POS?")
        elif b" \n" in data:
            stage._axes()
        else:
            stage._moves()

    return feed


def mirror_reply() -> Feed:
    """What a tip/tilt controller answers: two axes a question, units, and which of them move."""
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    mirror = Gcs2Mirror.__new__(Gcs2Mirror)
    mirror._clock, mirror._name, mirror._axis_names = clock, "mirror", ("1", "2")
    mirror._middle, mirror._unit_rad = [1000.0, 1000.0], [1e-6, 1e-6]
    mirror._meets(wire, clock)

    def feed(data: bytes) -> None:
        mirror._lines._in_step, wire.says, wire.waiting = True, data, b""
        wire._pending.clear()
        if b"0x" in data:
            mirror._unit("1")
        elif b"." in data:
            mirror._angles("POS?")
        else:
            mirror._powered()

    return feed


def emulated_mirror() -> Feed:
    """The emulated controller, for which a little time passes after each input."""
    timeline = Timeline()
    unit = gcs2_mirror.Gcs2Mirror(timeline)
    unit.attach(lambda data: None)

    def feed(data: bytes) -> None:
        unit.receive(data)
        timeline.advance(timeline.now_ns + FEED_NS)
        assert all(0.0 <= unit.platform.true_rad(axis) <= unit.platform.stroke_rad for axis in (0, 1))

    return feed


def xps_reply() -> Feed:
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    stage = Xps.__new__(Xps)
    stage._clock, stage._name, stage._wire, stage._group = clock, "stage", wire, "Group1"
    stage._calls = Calls(wire)

    def feed(data: bytes) -> None:
        stage._calls.in_step, wire.says, wire.waiting = True, data, b""
        wire._pending.clear()
        if b"." in data:
            stage._numbers("GroupPositionCurrentGet(Group1.Pos,double *)", 1)
        else:
            stage._state()

    return feed


def apt_reply() -> Feed:
    clock = Lockstep(Timeline())
    wire = FedWire(clock)
    stage = Apt.__new__(Apt)
    stage._clock, stage._name, stage._wire, stage._resolution_mm = clock, "stage", wire, 1e-3

    def feed(data: bytes) -> None:
        stage._in_step, wire.says, wire.waiting = True, data, b""
        wire._pending.clear()
        stage._status()

    return feed


def emulated(family: str) -> Callable[[], Feed]:
    """An emulator of stages.FAMILIES, for which a little time passes after each input."""

    def made() -> Feed:
        timeline = Timeline()
        stage = FAMILIES[family].emulator(timeline)
        stage.attach(lambda data: None)

        def feed(data: bytes) -> None:
            stage.receive(data)
            timeline.advance(timeline.now_ns + FEED_NS)
            assert 0.0 <= stage.carriage.true_mm <= stage.carriage.length_mm

        return feed

    return made


STAGES = (
    Target(
        "zaber replies",
        zaber_reply,
        [
            b"@01 1 07 OK IDLE -- 12345:36\r\n",
            b"@01 1 07 OK BUSY WR 02 FO WR:E1\r\n",
            b"!01 1 IDLE --:96\r\n@01 1 07 RJ BUSY WR BADDATA:DE\r\n",
        ],
        (HalError,),
        _checked,
    ),
    Target(
        "gcs2 replies",
        gcs2_reply,
        [b"1=12.5000000\n", b"A \n", b"1 \n2 \n3\n", b"1=-1.5E-05\n"],
        (HalError,),
    ),
    Target(
        "gcs2_mirror replies",
        mirror_reply,
        [b"1=1000.0000 \n2=-12.5\n", b"1=1 \n2=0\n", b"1 0x7000601=\xb5rad\n", b"1=1.5E-05 \n2=1.0\n"],
        (HalError,),
    ),
    Target("xps replies", xps_reply, [b"0,1.5000000,EndOfAPI", b"0,44,EndOfAPI", b"-22,,EndOfAPI"], (HalError,)),
    Target("apt replies", apt_reply, [APT_STATUS, bytes.fromhex("4404010001 50") + APT_STATUS], (HalError,)),
    *(Target(f"emulated {name}", renewed(emulated(name)), seeds) for name, seeds in STAGE_COMMANDS.items()),
    Target(
        "emulated gcs2_mirror",
        renewed(emulated_mirror),
        [
            b"SVO 1 1 2 1\nMOV 1 12.5 2 3\n\x05",
            b"POS? 1 2\nONT?\nSPA? 1 0x7000601\n",
            b"MVR 2 -3\nERR?\n\x18HLT 1\nHLP?\n",
        ],
    ),
)
