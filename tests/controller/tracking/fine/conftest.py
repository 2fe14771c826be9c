"""Plant, firmware, line and driver closed into one loop, in simulated time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from hal.devices.beamboard import BeamBoard
from sim_hw.devices import beamboard as emulator
from sim_hw.plant.fine import FineBlock, FineParameters, FinePlant
from sim_hw.timeline import Timeline
from sim_hw.wires import memory_serial
from sim_hw.wires.line import SerialLine

BAUD = 921_600
TICK_NS = 100_000
_number = itertools.count()


def gauss_markov(rng: np.random.Generator, n: int, rms: float, corner_hz: float, poles: int) -> NDArray[np.float64]:
    """(n, 2) noise of `rms`, one or two poles at a corner, after its transient."""
    pole = math.exp(-2 * math.pi * corner_hz * 1e-4)
    columns = []
    for _ in range(2):
        x = rng.standard_normal(n + 20_000).tolist()
        for _ in range(poles):
            x = list(itertools.accumulate(x, lambda before, new: pole * before + new))
        columns.append(x[20_000:])
    out = np.array(columns).T
    variance = 1 / (1 - pole**2) if poles == 1 else (1 + pole**2) / (1 - pole**2) ** 3
    return np.asarray(out * rms / math.sqrt(variance))


class FineBench:
    """Clock and Waiter at once; `record` holds what the plant did since it was last cleared."""

    realtime = False

    def __init__(self, seed: int, seconds: float = 15.0, parameters: FineParameters | None = None) -> None:
        self.timeline = Timeline()
        self.emulator = emulator.BeamBoard()
        self.parameters = parameters or FineParameters.draw(np.random.default_rng([seed, 0]))
        self.plant = FinePlant(self.parameters, np.random.default_rng([seed, 1]))
        self.plant.attach(self.emulator.tick_address, self.emulator.board_address, self.emulator.io)
        rng = np.random.default_rng([seed, 2])
        n = round(seconds * 10_000)
        # SILEX-type jitter and the tilt of a slewing 0.28 m aperture (pat.md 5.6: about 3 urad, 20 Hz).
        self.los = gauss_markov(rng, n, 15.853e-6, 1.0, 1) + gauss_markov(rng, n, 3.1e-6, 20.0, 2)
        self.power = np.ones(n)
        self.ticks = 0
        self.record: list[FineBlock] = []
        line = SerialLine(self.timeline, self.emulator, BAUD)
        self.name = f"fine-{next(_number)}"
        self.board = BeamBoard(memory_serial.register(self.name, line, self), BAUD, self)

    def now_ns(self) -> int:
        return self.timeline.now_ns

    def utc_ns(self) -> int:
        return self.timeline.utc_ns

    def sleep_until(self, t_ns: int) -> None:
        self.timeline.advance(max(t_ns, self.now_ns()), self._run)

    def wait(self, ready: Callable[[], int | None], deadline_ns: int | None) -> bool:
        while True:
            at = ready()
            if at is not None and (deadline_ns is None or at <= deadline_ns):
                self.sleep_until(at)
                return True
            following = self.timeline.next_event_ns()
            if following is None or (deadline_ns is not None and following > deadline_ns):
                assert deadline_ns is not None, "the test waits for ever"
                self.sleep_until(deadline_ns)
                return False
            self.sleep_until(following)

    def beat(self) -> None:
        """A turn of a 50 Hz service: heartbeat, then rest."""
        self.board.heartbeat(False)
        self.sleep_until(self.now_ns() + 18_000_000)

    def residual(self, seconds: float) -> NDArray[np.float64]:
        """True residual (n, 2) over the coming seconds."""
        self.record.clear()
        end_ns = self.now_ns() + round(seconds * 1e9)
        while self.now_ns() < end_ns:
            self.beat()
        return np.concatenate([block.residual for block in self.record])

    def _run(self, to_ns: int) -> None:
        due = to_ns // TICK_NS - self.ticks
        assert self.ticks + due <= len(self.los), "the test outlives its disturbance"
        if due:
            part = slice(self.ticks, self.ticks + due)
            self.record.append(self.plant.run(self.los[part], self.power[part]))
            self.ticks += due


@pytest.fixture
def fine_bench() -> Iterator[Callable[..., FineBench]]:
    made: list[FineBench] = []

    def make(seed: int = 1, **options: object) -> FineBench:
        made.append(FineBench(seed, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for bench in made:
        bench.board.close()
        memory_serial.unregister(bench.name)
