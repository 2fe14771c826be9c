"""Every rotator family: its emulator, its driver and its line, for tests that hold for all of them alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ideal_axes import IdealAxes

from hal.clock import Clock
from hal.devices import gs232
from sim_hw.devices.gs232 import Gs232
from sim_hw.timeline import Timeline

LIMITS = {"rate_max_rad_s": 0.1, "acceleration_max_rad_s2": 0.2}


@dataclass(frozen=True)
class Family:
    """How a driver and its emulator are made, and the baud rate of the line between them."""

    emulator: Callable[[Timeline, IdealAxes], Any]
    driver: Callable[..., Any]
    baud: int
    module: Any

    def open(self, resource: str, clock: Clock, **more: Any) -> Any:
        return self.driver(resource, self.baud, clock, command_latency_s=0.05, **LIMITS, **more)


FAMILIES = {
    "gs232a": Family(lambda t, axes: Gs232(t, axes, "A", **LIMITS), gs232.Gs232a, 9600, gs232),
    "gs232b": Family(lambda t, axes: Gs232(t, axes, "B", **LIMITS), gs232.Gs232b, 9600, gs232),
}
