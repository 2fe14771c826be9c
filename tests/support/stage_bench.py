"""A bench for one stage: its emulator on a line in memory, its driver, and what the driver has said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stages import FAMILIES

from controller.services.lockstep import Lockstep
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.memory_serial import serving

TURN_NS = NS // 20


class StageBench:
    """`heard` are the bytes that have reached the unit."""

    def __init__(self, family: str) -> None:
        self._family = FAMILIES[family]
        self.timeline = Timeline()
        self.unit = self._family.emulator(self.timeline)
        self.heard = bytearray()
        receive = self.unit.receive

        def listen(data: bytes) -> None:
            self.heard += data
            receive(data)

        self.unit.receive = listen
        self.line = self._family.line(self.timeline, self.unit)
        self.clock = Lockstep(self.timeline)

    def open(self, **more: object) -> Any:
        """The driver on it."""
        return self._family.open("simhw://stage", self.clock, **more)

    def at_rest(self, stage: Any) -> None:
        """Wait until it does not move any more."""
        while stage.status().moving:
            self.clock.sleep_until(self.clock.now_ns() + TURN_NS)

    def homed(self) -> Any:
        """The driver of a unit that has been home."""
        stage = self.open()
        stage.home()
        self.at_rest(stage)
        return stage


@contextmanager
def stage_bench(family: str) -> Iterator[StageBench]:
    """A bench that is served in memory."""
    bench = StageBench(family)
    with serving({"stage": bench.line}, bench.clock):
        yield bench


def asked(family: str, seconds: float) -> Callable[[bytes], bytes]:
    """What a unit of its own answers to bytes within some time."""
    timeline, said = Timeline(), bytearray()
    unit = FAMILIES[family].emulator(timeline)
    unit.attach(said.extend)

    def ask(data: bytes) -> bytes:
        said.clear()
        unit.receive(data)
        timeline.advance(timeline.now_ns + round(seconds * NS))
        return bytes(said)

    return ask
