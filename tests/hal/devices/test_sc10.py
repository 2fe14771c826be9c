"""The SC10 driver against its emulator: golden bytes, the suite of its trait, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from controller.services.lockstep import Lockstep
from hal.conformance import SUITES, Terms, run_suite
from hal.devices import sc10
from hal.errors import DeviceError, HalError, WireError, WireTimeout
from sim_hw.devices.sc10 import Sc10
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

TURN_NS = NS // 200


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.light = False
        self.unit = Sc10(self.timeline, self)
        self.line = SerialLine(self.timeline, self.unit, 9600)
        self.clock = Lockstep(self.timeline)

    def set_shutter(self, passes: bool) -> None:
        self.light = passes

    def open(self) -> sc10.Sc10:
        return sc10.Sc10("simhw://shutter", 9600, self.clock)

    def turn(self, shutter: sc10.Sc10, seconds: float) -> None:
        """Poll for a while."""
        end_ns = self.clock.now_ns() + round(seconds * NS)
        while self.clock.now_ns() < end_ns:
            shutter.poll()
            self.clock.sleep_until(self.clock.now_ns() + TURN_NS)

    def state(self, shutter: sc10.Sc10) -> str:
        self.turn(shutter, 0.3)
        assert shutter.status is not None
        return shutter.status.state


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"shutter": bench.line}, bench.clock):
        yield bench


@pytest.fixture
def ask() -> Callable[[bytes], bytes]:
    bench, said = Bench(), bytearray()
    bench.unit.attach(said.extend)

    def ask(data: bytes) -> bytes:
        said.clear()
        bench.unit.receive(data)
        bench.timeline.advance(bench.timeline.now_ns + NS // 10)
        return bytes(said)

    return ask


@pytest.mark.parametrize(
    ("question", "answer"),
    [  # echo, answer, prompt: as InstrumentKit 0.6.0 reads them (tests/test_thorlabs/test_thorlabs_sc10.py)
        (b"id?\r", b"id?\rTHORLABS SC10 VERSION 1.07\r> "),
        (b"ens?\r", b"ens?\r0\r> "),
        (b"ens\r", b"ens\r> "),
        (b"closed?\r", b"closed?\r1\r> "),
        (b"interlock?\r", b"interlock?\r0\r> "),
        (b"mode=2\r", b"mode=2\r> "),
        (b"mode?\r", b"mode?\r1\r> "),
        (b"trig=1\r", b"trig=1\r> "),
        (b"xto?\r", b"xto?\r0\r> "),
        (b"mode=6\r", b"mode=6\rCommand error CMD_ARG_INVALID\r> "),
        (b"blo\r", b"blo\rCommand error CMD_NOT_DEFINED\r> "),
    ],
)
def test_the_emulator_echoes_answers_and_prompts(ask: Callable[[bytes], bytes], question: bytes, answer: bytes) -> None:
    assert ask(question) == answer


def test_the_emulator_toggles_as_the_manual_says(ask: Callable[[bytes], bytes]) -> None:
    ask(b"ens\r")
    assert (ask(b"ens?\r"), ask(b"closed?\r")) == (b"ens?\r1\r> ", b"closed?\r0\r> ")
    ask(b"ens\r")
    assert (ask(b"ens?\r"), ask(b"closed?\r")) == (b"ens?\r0\r> ", b"closed?\r1\r> ")


def test_the_driver_does_what_the_trait_of_a_shutter_says(bench: Bench) -> None:
    report = run_suite("shutter", SUITES["shutter"], bench.open, bench.clock, Terms())
    assert [(finding.sentence, finding.verdict, finding.detail) for finding in report.findings] == [
        (case.sentence, "pass", "") for case in SUITES["shutter"]
    ]
    assert report.measured["closing_s"] < 0.2


def test_it_never_waits_for_the_line(bench: Bench) -> None:
    shutter = bench.open()
    for opened in (True, False):
        shutter.move(opened)
        for _ in range(100):
            before_ns = bench.clock.now_ns()
            shutter.poll()
            assert bench.clock.now_ns() == before_ns
            bench.clock.sleep_until(before_ns + TURN_NS)


def test_an_open_shutter_whose_host_has_died_is_closed_by_the_next_one(bench: Bench) -> None:
    shutter = bench.open()
    shutter.move(True)
    assert bench.state(shutter) == "open"
    assert bench.light
    bench.line.taken = False
    again = bench.open()
    assert not bench.light
    assert again.status is not None
    assert again.status.state == "closed"
    assert again.identity["firmware"] == "THORLABS SC10 VERSION 1.07"


def test_a_toggle_whose_answer_is_lost_is_not_sent_again(bench: Bench) -> None:
    """What was told to close, and has closed, would open."""
    shutter = bench.open()
    shutter.move(True)
    assert bench.state(shutter) == "open"
    bench.line.spoil = lambda reply: b"" if reply.startswith(b"ens\r") else reply
    shutter.move(False)
    with pytest.raises(WireTimeout, match=r"shutter: nothing from .* answers b'ens'"):
        bench.turn(shutter, 1.0)
    assert shutter.status is None
    bench.line.spoil = None
    for _ in range(60):
        assert not bench.light, "it opened again"
        bench.turn(shutter, 0.01)
    assert bench.state(shutter) == "closed"


def test_after_an_error_it_is_closed_until_it_is_told_again(bench: Bench) -> None:
    shutter = bench.open()
    shutter.move(True)
    assert bench.state(shutter) == "open"
    bench.line.deaf = True
    with pytest.raises(WireTimeout):
        bench.turn(shutter, 1.0)
    bench.line.deaf = False
    assert bench.state(shutter) == "closed"
    shutter.move(True)
    assert bench.state(shutter) == "open"


def test_without_power_its_spring_closes_it_and_with_power_it_stays_closed(bench: Bench) -> None:
    shutter = bench.open()
    shutter.move(True)
    assert bench.state(shutter) == "open"
    bench.unit.power(False)
    with pytest.raises(HalError):
        bench.turn(shutter, 1.0)
    assert not bench.light
    bench.unit.power(True)
    assert bench.state(shutter) == "closed"


@pytest.mark.parametrize(
    "happens",
    [
        lambda unit: unit.interlock(True),
        lambda unit: unit.conditions()["wrong"]({}),
    ],
    ids=["interlock", "sensor"],
)
def test_what_is_read_back_against_what_was_told_is_not_known(
    bench: Bench, happens: Callable[[Sc10], None], request: pytest.FixtureRequest
) -> None:
    shutter = bench.open()
    shutter.move(True)
    assert bench.state(shutter) == "open"
    happens(bench.unit)
    assert bench.state(shutter) == "unknown"
    tripped = set()
    for _ in range(20):
        bench.turn(shutter, 0.01)
        assert shutter.status is not None
        tripped.add(shutter.status.interlock_tripped)
    assert (True in tripped) == ("interlock" in request.node.name)


def test_blades_that_stick_are_never_called_closed(bench: Bench) -> None:
    shutter = bench.open()
    shutter.move(True)
    assert bench.state(shutter) == "open"
    bench.unit.conditions()["stuck"]({})
    shutter.move(False)
    assert bench.state(shutter) == "unknown"
    assert bench.light
    shutter.close()
    with pytest.raises(DeviceError, match="its blades do not close"):
        bench.open()


def test_a_button_pressed_by_somebody_is_read_back_and_overruled(bench: Bench) -> None:
    shutter = bench.open()
    bench.unit.press_enable()
    bench.clock.sleep_until(bench.clock.now_ns() + NS // 10)
    assert bench.light
    assert bench.state(shutter) == "closed"
    assert not bench.light


def test_a_cable_that_is_pulled_is_an_error_at_once(bench: Bench) -> None:
    shutter = bench.open()
    bench.line.hang_up()
    with pytest.raises(WireError, match="shutter"):
        bench.turn(shutter, 0.05)
    assert shutter.status is None


def test_a_unit_that_does_not_obey_is_named(bench: Bench) -> None:
    shutter = bench.open()
    bench.unit._toggle = lambda: None  # type: ignore[method-assign]
    shutter.move(True)
    with pytest.raises(DeviceError, match="shutter: it was told to open and does not"):
        bench.turn(shutter, 1.0)
