"""SPID controllers: the frames of Hamlib's spid.txt and of its transcripts, and what only this family has."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from ideal_axes import IdealAxes
from rotators import FAMILIES

from controller.services.lockstep import Lockstep
from hal.devices import spid
from hal.errors import ProtocolError, WireTimeout
from sim_hw.devices.spid import Spid
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

LIMITS = {"rate_max_rad_s": 0.2, "acceleration_max_rad_s2": 0.5}
STATUS = bytes.fromhex("57 00000000 00 00000000 00 1F 20")
STOP = bytes.fromhex("57 00000000 00 00000000 00 0F 20")


class Box:
    def __init__(self, model, azimuth_deg: float, elevation_deg: float) -> None:
        self.timeline, self.said = Timeline(), bytearray()
        self.axes = IdealAxes(self.timeline, azimuth_deg, elevation_deg)
        self.spid = Spid(self.timeline, self.axes, model, **LIMITS)
        self.spid.attach(self.said.extend)

    def ask(self, data: bytes, seconds: float = 0.1) -> bytes:
        self.said.clear()
        self.spid.receive(data)
        self.timeline.advance(self.timeline.now_ns + round(seconds * NS))
        return bytes(self.said)

    @property
    def deg(self) -> list[float]:
        return [math.degrees(angle) for angle in self.axes.encoder_rad()]


@pytest.mark.parametrize(
    ("model", "azimuth", "elevation", "answer"),
    [
        ("rot1prog", 12, 0, "57 03 07 02 20"),  # spid.txt, status and stop
        ("rot2prog", 12.5, 34, "57 03 07 02 05 02 03 09 04 00 02 20"),
        ("rot2prog", 180.5, 45, "57 05 04 00 05 02 04 00 05 00 02 20"),  # Hamlib 4.5.4 on a real port
        ("md01", 180.3, 45.1, "57 05 04 00 03 0A 04 00 05 01 0A 20"),
    ],
)
@pytest.mark.parametrize("question", [STATUS, STOP])
def test_the_emulator_answers_as_the_document_has_it(model, azimuth, elevation, answer, question) -> None:
    assert Box(model, azimuth, elevation).ask(question) == bytes.fromhex(answer)


@pytest.mark.parametrize(
    ("model", "frame", "goes"),
    [
        ("rot1prog", "57 34 38 33 30 00 00 00 00 00 00 2F 20", [123, 40]),  # spid.txt, set
        ("rot2prog", "57 30 39 36 37 02 30 38 37 34 02 2F 20", [123.5, 77]),
        ("rot2prog", "57 31 30 38 31 02 30 38 31 30 02 2F 20", [180.5, 45]),  # Hamlib 4.5.4
        ("md01", "57 35 34 30 35 0A 34 30 35 33 0A 2F 20", [180.5, 45.3]),
    ],
)
def test_the_emulator_goes_where_the_document_says(model, frame, goes) -> None:
    box = Box(model, 150.0, 40.0)
    answered = box.ask(bytes.fromhex(frame), 20.0)
    assert box.deg == pytest.approx(goes, abs=0.01)
    assert (answered != b"") == (model == "md01")


def test_half_a_command_is_completed_forgotten_or_passed_over_and_the_next_is_heard() -> None:
    box = Box("rot2prog", 12.5, 34.0)
    assert box.ask(STATUS[:5]) == b""
    assert box.ask(STATUS[5:]) != b""
    assert box.ask(STATUS[:5] + STATUS) != b""
    assert box.ask(STATUS[:5], 2.0) == b""
    assert box.ask(STATUS) != b""


def test_an_md_01_jogs_until_it_is_told_to_stop() -> None:
    box = Box("md01", 100.0, 40.0)
    box.ask(bytes.fromhex("57 06 00 00 00 00 00 00 00 00 00 14 20"), 2.0)
    assert box.deg[0] > 105
    assert box.deg[1] > 45
    box.ask(STOP)
    rested = box.deg
    box.ask(b"", 1.0)
    assert box.deg == rested


@pytest.fixture(params=["rot1prog", "rot2prog", "md01"])
def line(request: pytest.FixtureRequest) -> Iterator[tuple[SerialLine, Callable]]:
    family, timeline = FAMILIES[request.param], Timeline()
    axes = IdealAxes(timeline, 180.0, 45.0)
    line = SerialLine(timeline, family.emulator(timeline, axes), family.baud)
    clock = Lockstep(timeline)
    with serving({"rotator": line}, clock):
        yield line, lambda **more: family.open("simhw://rotator", clock, **more)


@pytest.mark.parametrize(
    ("name", "angles", "frame"),
    [
        ("rot1prog", (123, 0), "57 34 38 33 30 00 00 00 00 00 00 2F 20"),  # spid.txt, set
        ("rot2prog", (123.5, 77), "57 30 39 36 37 02 30 38 37 34 02 2F 20"),
        ("md01", (180.5, 45.3), "57 35 34 30 35 0A 34 30 35 33 0A 2F 20"),  # Hamlib 4.5.4
    ],
)
def test_the_driver_sends_what_the_document_says(name, angles, frame) -> None:
    family, timeline = FAMILIES[name], Timeline()
    device = family.emulator(timeline, IdealAxes(timeline, 180.0, 45.0))
    heard, receive = bytearray(), device.receive
    device.receive = lambda data: (heard.extend(data), receive(data))[1]
    clock = Lockstep(timeline)
    with serving({"rotator": SerialLine(timeline, device, family.baud)}, clock):
        rotator = family.open("simhw://rotator", clock)
        heard.clear()
        rotator.go_to(*(math.radians(angle) for angle in angles))
        clock.sleep_until(timeline.now_ns + NS)
    assert bytes(heard[:13]) == bytes.fromhex(frame)


def test_its_step_is_what_the_controller_says(line) -> None:
    steps = {5: 1.0, 12: 0.5}
    _, opened = line
    rotator = opened()
    wanted = 0.1 if rotator.model == "MD-01" else steps[rotator.reply_bytes]
    assert math.degrees(rotator.capabilities.position_step_rad) == pytest.approx(wanted)


def test_every_stop_is_one_question_and_leaves_no_answer_behind(line) -> None:
    wire, opened = line
    rotator = opened()
    for _ in range(3):
        rotator.stop()
        assert wire.all_available_at() is None


def test_lines_of_a_log_between_the_answers_are_passed_over() -> None:
    timeline = Timeline()
    axes = IdealAxes(timeline, 180.0, 45.0)
    line = SerialLine(timeline, Spid(timeline, axes, "md01", **LIMITS, logs=True), 9600)
    said = []
    line.spoil = lambda data: (said.append(data), data)[1]
    clock = Lockstep(timeline)
    with serving({"rotator": line}, clock):
        rotator = FAMILIES["md01"].open("simhw://rotator", clock)
        for _ in range(10):
            assert rotator.position().elevation_rad == pytest.approx(math.radians(45.0))
    assert sum(b"W status asked\r\n" in data for data in said) >= 3


def test_a_log_without_an_end_is_no_answer(line) -> None:
    wire, opened = line
    rotator = opened()
    wire.fault = lambda data, put: put(b"17: x\r\n" * (spid.LOG_LINES + 1) + data)
    with pytest.raises(WireTimeout, match="writes its log"):
        rotator.position()


@pytest.mark.parametrize("spoiled", [lambda data: data[:-1] + b"!", lambda data: data[:1] + b"\x0b" + data[2:]])
def test_a_frame_that_the_protocol_does_not_allow_is_refused(line, spoiled) -> None:
    wire, opened = line
    rotator = opened()
    wire.fault = lambda data, put: put(spoiled(data))
    with pytest.raises(ProtocolError, match="instead of its angles"):
        rotator.position()
