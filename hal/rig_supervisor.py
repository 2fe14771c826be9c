"""The section of a rig file for the station's processes: what becomes of one that dies, hangs or grows; priorities."""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from hal.rig_sections import Section

SERVICES = ("supervisor", "safety", "station", "pointing", "tracking", "link", "recorder")
RESTARTABLE = ("recorder", "link", "tracking", "pointing", "station")
NEVER = {
    "safety": "safety alone may switch the laser on: what ended it is understood by a person before anybody arms again",
    "supervisor": "the supervisor's end is the station's; its service manager starts it again",
}


def _one_of(allowed: Collection[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name in allowed:
            return name
        if name in NEVER and name in SERVICES and allowed is RESTARTABLE:
            raise ValueError(f'"{name}" is never started again by itself: {NEVER[name]}')
        near = get_close_matches(name, allowed, n=1)
        meant = f"; did you mean {near[0]}?" if near else "."
        raise ValueError(f'there is no service "{name}" to name here{meant} Allowed: {", ".join(allowed)}')

    return check


ServiceName = Annotated[str, AfterValidator(_one_of(SERVICES))]
RestartableName = Annotated[str, AfterValidator(_one_of(RESTARTABLE))]
Priority = Annotated[int, Field(ge=0, le=99)]
Cpu = Annotated[int, Field(ge=0, le=4095)]


class SupervisorSection(Section):
    """How the processes of the station are kept. A restart brings back word and status, never motion or emission."""

    restart: list[RestartableName] = Field(default=list(RESTARTABLE))
    restart_delay_s: Annotated[float, Field(ge=0.1, le=600)] = 2.0  # doubles with every death in the window
    restart_delay_max_s: Annotated[float, Field(ge=0.1, le=3600)] = 60.0
    restarts_max: Annotated[int, Field(ge=1, le=1000)] = 5
    restart_window_min: Annotated[float, Field(ge=0.1, le=1440)] = 10.0
    start_timeout_s: Annotated[float, Field(ge=10, le=3600)] = 180.0  # a first start compiles
    hung_after_s: Annotated[float, Field(ge=1, le=60)] = 10.0  # without a heartbeat; above the drivers' own time-outs
    hung_moving_after_s: Annotated[float, Field(ge=0.5, le=60)] = 2.5  # of pointing: its guardian waits for its death
    memory_told_mb: Annotated[float, Field(ge=50, le=1_000_000)] = 750.0  # of one service, resident, in 10^6 bytes
    memory_max_mb: Annotated[float, Field(ge=50, le=1_000_000)] = 1500.0
    memory_growth_told_mb_h: Annotated[float, Field(gt=0, le=1_000_000)] = 50.0
    open_files_told: Annotated[int, Field(ge=20, le=1_000_000)] = 700  # of 1024 that a process usually may have
    park_timeout_s: Annotated[float, Field(ge=0, le=600)] = 150.0  # half a turn at the slowest rate, and more
    priority: dict[ServiceName, Priority] = Field(default={})
    cpus: dict[ServiceName, Annotated[list[Cpu], Field(min_length=1)]] = Field(default={})

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.restart_delay_s > self.restart_delay_max_s:
            raise ValueError(
                f"restart_delay_s = {self.restart_delay_s:g} is above restart_delay_max_s = "
                f"{self.restart_delay_max_s:g}"
            )
        if self.memory_told_mb > self.memory_max_mb:
            raise ValueError(
                f"memory_told_mb = {self.memory_told_mb:g} is above memory_max_mb = {self.memory_max_mb:g}: "
                "the service would be ended before anybody is told"
            )
        return self
