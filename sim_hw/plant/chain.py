"""The plants in the order of the light path, run in compiled blocks on the 10 kHz grid, and their log.

Gimbal and line of sight, then mirror, quad cell and firmware, then the transmitted beam, the satellite and what is
received. Nothing depends on where a block ends.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sim_hw.plant.coarse_block import ERROR_AFTER, coarse_block, point
from sim_hw.plant.gimbal import Gimbal
from sim_hw.plant.light_block import light_block
from sim_hw.scenarios import Scenario
from sim_hw.scene.disturbances import TICK_S, TICKS, Disturbances
from sim_hw.scene.mount import Standing
from sim_hw.scene.noise import Floats
from sim_hw.scene.optics import reference_power_w
from sim_hw.scene.satellite import Terminal
from sim_hw.scene.tape import RING, TICK_NS, TICKS_A_STEP, Tape
from sim_hw.scene.target import Directions
from sim_hw.scene.truth_log import MS_NS, TruthLog

GRID_TICKS = 100  # 10 ms: the longest block, shorter than anything that the far end can decide
_SATURATED = 0.99  # of the mirror's range


class FineModel(Protocol):
    """Mirror, quad cell and firmware as the chain sees them; sim_hw.plant.fine.FinePlant."""

    def attach(self, tick_address: int, board_address: int, io: Any) -> None:
        """Connect the firmware."""
        ...

    def advance(self, los_error: Floats, power: Floats, out: Floats, enable: NDArray[np.bool_]) -> None:
        """Run n = len(power) ticks into `out` (n, 6) = residual, mirror, point-ahead, and `enable` (n,)."""
        ...


class Chain:
    """`ticks` of 0.1 ms have been run; `laser_w` is what leaves laser and shutter when the enable line lets it."""

    def __init__(
        self,
        scenario: Scenario,
        tape: Tape,
        outside: Disturbances,
        gimbal: Gimbal,
        mount_terms: Floats,
        fine: FineModel,
        mirror_range_rad: float,
        terminal: Terminal,
        standing: Standing | None = None,
    ) -> None:
        self._standing = standing or Standing()
        self.ticks = 0
        self.laser_w = 0.0
        self._tape = tape
        self._outside = outside
        self._gimbal = gimbal
        self._terms = mount_terms
        self._fine = fine
        self._attached = False
        self._terminal = terminal
        self._errors = np.zeros(4)
        self._counted = 0  # ticks that the light block has done
        self._log = TruthLog()
        self._light = np.array(
            [
                reference_power_w(scenario.link),
                2.0 / (1e-6 * scenario.link.coupling_radius_urad) ** 2,
                _SATURATED * mirror_range_rad,
                scenario.laser.nominal_w,
                TICK_S,
            ]
        )

    def start(self, directions: Directions) -> None:
        """Let the first step start from where the axes and the target (first of `directions`) are."""
        first, second = self._standing.axes(directions.azimuth_rad[:1], directions.elevation_rad[:1])
        target = np.array([first[0], second[0]])
        point(self._gimbal.state, self._terms, np.zeros(2), target, np.zeros(2), self._errors, ERROR_AFTER)

    def attach(self, tick_address: int, board_address: int, io: Any) -> None:
        """Connect the firmware; until then the mirror rests and the enable line is down."""
        self._fine.attach(tick_address, board_address, io)
        self._attached = True

    @property
    def enable_line(self) -> bool:
        """The emission enable line, as of the last tick."""
        return bool(self._tape.enable[(self.ticks - 1) % RING])

    def enable_changed_ns(self) -> int:
        """When the line changed last, to a tick, of the last two grids; now when it did not."""
        count = min(2 * GRID_TICKS, self.ticks)
        line = np.take(self._tape.enable, np.arange(self.ticks - count, self.ticks), mode="wrap")
        edges = np.flatnonzero(line[1:] != line[:-1])
        return (self.ticks - (len(line) - 1 - int(edges[-1])) if len(edges) else self.ticks) * TICK_NS

    @property
    def received_w(self) -> float:
        """Power at the meter, as of the last tick."""
        self._count_light()
        return float(self._tape.received_w[(self.ticks - 1) % RING])

    @property
    def log(self) -> TruthLog:
        """Complete up to the last tick."""
        self._count_light()
        return self._log

    def run_to(self, t_ns: int) -> None:
        """Run every tick up to a time."""
        end = t_ns // TICK_NS
        while self.ticks < end:
            first = self.ticks
            inside = first % GRID_TICKS
            if inside == 0:
                self._count_light()
                if first % TICKS == 0:
                    self._tape.load(first // TICKS, self._outside.next())
            self._block(first, min(end - first, GRID_TICKS - inside))

    def _block(self, first: int, count: int) -> None:
        tape, gimbal = self._tape, self._gimbal
        coarse_block(
            first, count, RING, gimbal.state, gimbal.rows, self._terms, self._errors,
            tape.target_rad, tape.wind_rad, tape.boresight_rad, tape.shake_rad, tape.gain, self._terminal.light,
            tape.coarse_rad, tape.line_of_sight_rad, tape.power,
        )  # fmt: skip
        place = first % RING
        now = slice(place, place + count)
        if self._attached:
            self._fine.advance(tape.line_of_sight_rad[now], tape.power[now], tape.fine_rad[now], tape.enable[now])
        else:
            tape.fine_rad[now, 0:2] = tape.line_of_sight_rad[now]
            tape.fine_rad[now, 2:6] = 0.0
            tape.enable[now] = False
        tape.emitted_w[now] = self.laser_w
        self.ticks = first + count
        gimbal.stepped_ns = -(-self.ticks // TICKS_A_STEP) * MS_NS

    def _count_light(self) -> None:
        """Bring the satellite, the received power and the log up to the last tick."""
        tape = self._tape
        if self._counted == self.ticks:
            return
        rows, row = self._log.room()
        after = light_block(
            self._counted, self.ticks - self._counted, RING, tape.coarse_rad, tape.line_of_sight_rad, tape.fine_rad,
            tape.enable, tape.emitted_w, tape.power, tape.apart_rad, tape.ahead_rad, tape.nominal_rad, tape.range_m,
            self._terminal.state, self._terminal.parameters, self._light,
            tape.transmit_rad, tape.received_w, rows, row,
        )  # fmt: skip
        self._log.count += after - row
        self._counted = self.ticks
