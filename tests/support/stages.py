"""Every family of linear stages: its emulator, its driver and its line, for tests that hold for all of them alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hal.clock import Clock
from hal.devices import apt, gcs2, xps, zaber
from sim_hw.devices.stages import STAGES
from sim_hw.devices.zaber import MICROSTEP_MM
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine


@dataclass(frozen=True)
class Family:
    """How a driver and its emulator are made, and the baud rate of the line between them."""

    emulator: Callable[[Timeline], Any]
    driver: Callable[..., Any]
    baud: int
    resolution_mm: float
    travel_mm: tuple[float, float] = (1.0, 24.0)

    def line(self, timeline: Timeline, emulator: Any) -> SerialLine:
        """Its line, with a second connection where the unit takes several."""
        line = SerialLine(timeline, emulator, self.baud)
        if hasattr(emulator, "another"):
            line.add(emulator.another())
        return line

    def open(self, resource: str, clock: Clock, **more: Any) -> Any:
        given = {"travel_mm": self.travel_mm, "resolution_mm": self.resolution_mm, "speed_max_mm_s": 8.0} | more
        return self.driver(resource, self.baud, clock, **given)


FAMILIES = {
    "gcs2": Family(STAGES["gcs2"], gcs2.Gcs2, 115_200, 1e-4),
    "apt": Family(STAGES["apt"], apt.Apt, 115_200, 1 / 34304),
    "xps": Family(STAGES["xps"], xps.Xps, 115_200, 1e-5),
    "zaber": Family(STAGES["zaber"], zaber.Zaber, 115_200, MICROSTEP_MM),
}
