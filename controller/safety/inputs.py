"""What the votes may know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from controller.bus.envelope import Lease
from controller.bus.topics import CoarseState, FineState, Heartbeat, LeaseState, ModeState, PointingState
from controller.geometry.bodies import Place
from controller.safety.clearance.live import Cleared
from controller.safety.traffic.live import TrafficWord
from hal.traits import LaserStatus, ShutterStatus

T = TypeVar("T", covariant=True)


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A value with its age and whether it comes from an emulator, a replay or any clock but real time."""

    body: T
    age_s: float
    simulated: bool


@dataclass(frozen=True, slots=True)
class TimeQuality:
    """How well this computer knows UTC."""

    synchronised: bool
    error_s: float  # estimated maximum
    stepped_s: float = 0.0  # what UTC was set by while we looked, a leap second among it


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that the votes are a function of; what is missing is None.

    `armed_by` is the lease under which emission was armed; `enabled_s` and `commanded_s` say for how long emission has
    been enabled and the laser's output commanded on, `withdrawn_s` for how long it has been enabled no more (for ever
    where it never was).
    """

    t_utc_ns: int
    realtime: bool
    mode: Reading[ModeState] | None = None
    pointing: Reading[PointingState] | None = None
    coarse: Reading[CoarseState] | None = None
    fine: Reading[FineState] | None = None
    laser: Reading[LaserStatus] | None = None
    shutter: Reading[ShutterStatus] | None = None
    time: Reading[TimeQuality] | None = None
    sun: Place | None = None
    moon: Place | None = None
    heartbeats: Mapping[str, Reading[Heartbeat]] = field(default_factory=dict)
    cleared: Cleared | None = None
    traffic: Reading[TrafficWord] | None = None
    leases: Reading[LeaseState] | None = None
    armed_by: Lease | None = None
    enabled_s: float | None = None
    withdrawn_s: float = math.inf
    commanded_s: float | None = None
