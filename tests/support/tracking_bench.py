"""The tracking service on the bus of lockstep, with a camera and a beam board that are made up."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hand_clock import HandClock

from controller.bus.local import LocalBus
from controller.bus.topics import (
    POINTING_STATE,
    SAFETY_ENABLE,
    STATION_EVENT,
    STATION_MODE,
    EnableState,
    ModeState,
    PointingState,
)
from controller.tracking.commission import Commission
from controller.tracking.fine_poke import Poke
from controller.tracking.service import TrackingService
from hal.errors import DeviceError, WireError, WireTimeout
from hal.traits import FineStatus, Frame, Region

NS = 1_000_000_000
UTC0_NS = 1_760_000_000 * NS
SCALE = 17e-6
URAD = 1e-6


@dataclass
class FakeCamera:
    """Renders one spot at `error_rad`, or none; time passes in `read`."""

    clock: HandClock
    error_rad: tuple[float, float] | None = None
    fail: Exception | None = None
    views: list[tuple[Region, float]] = field(default_factory=list)
    sensor: Region = field(default_factory=lambda: Region(0, 0, 1024, 1024))
    closed: int = 0
    taken_ns: int = 0
    identity: dict = field(default_factory=lambda: {"serial": "C1"})

    def configure(self, exposure_s: float, frame_rate_hz: float, region: Region) -> None:
        self.views.append((region, frame_rate_hz))

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def close(self) -> None:
        self.closed += 1

    def read(self, timeout_s: float) -> Frame:
        region, rate_hz = self.views[-1]
        self.clock.t_ns = self.taken_ns = max(self.clock.t_ns, self.taken_ns + round(NS / rate_hz))
        if self.fail is not None:
            raise self.fail
        rng = np.random.default_rng(self.clock.t_ns)
        image = rng.normal(100, 5, (region.height, region.width))
        if self.error_rad is not None:
            x = 511.5 + self.error_rad[0] / SCALE - region.x
            y = 511.5 + self.error_rad[1] / SCALE - region.y
            v, u = np.mgrid[: region.height, : region.width]
            image += 2000 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * 1.5**2))
        return Frame(self.clock.t_ns - NS // 100, 0.005, region, image.astype(np.uint16), 1)


@dataclass
class FakeBoard:
    """Records what it is told; a heartbeat that enables raises the line."""

    clock: HandClock
    mode: str = "idle"
    enables: list[bool] = field(default_factory=list)
    beat_ns: list[int] = field(default_factory=list)
    points: list[tuple[int, float, float]] = field(default_factory=list)
    ahead: list[tuple[float, float]] = field(default_factory=list)
    resets: int = 0
    closed: int = 0
    mirror: tuple[float, float] = (0.0, 0.0)
    lost_ticks: int = 0
    dictionary: dict = field(default_factory=dict)
    identity: dict = field(default_factory=lambda: {"serial": "B1"})
    quad_scale_rad: float = 1e-4

    def heartbeat(self, enable: bool) -> FineStatus:
        self.enables.append(enable)
        self.beat_ns.append(self.clock.t_ns)
        return FineStatus(
            self.clock.t_ns, 0, self.mode, enable, True, (0, 0), (1e-6, 1e-6), 1.0, self.mirror, 0, 200, self.lost_ticks
        )

    def set_mode(self, mode: str) -> None:
        self.mode = mode

    def setpoints(self, points: list[tuple[int, float, float]]) -> int:
        times = [t_ns for t_ns, _, _ in self.points[-1:] + points]
        assert all(a < b for a, b in itertools.pairwise(times)), "the board wants set-points that go forward"
        self.points += points
        return 10

    def point_ahead(self, x_rad: float, y_rad: float) -> None:
        self.ahead.append((x_rad, y_rad))

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakePath:
    duration_s: float = 1.0
    half_extent_rad: float = 1e-3
    predicted_mean_s: float = 0.5
    predicted_success: float = 0.99
    radius_sigma: float = 3.0

    def position(self, t_s: float) -> tuple[float, float]:
        return 1e-3 * t_s, 0.0


class Bench:
    """The service on a real in-process bus, with everybody else played by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = HandClock(0, UTC0_NS)
        self.bus = LocalBus(self.clock, 1)
        self.camera, self.board = FakeCamera(self.clock), FakeBoard(self.clock)
        self.plans: list[tuple] = []
        self.enable = True
        self.mode = "STOWED"
        self.ahead = (30 * URAD, -10 * URAD)
        self.commissioned = 0
        self.refuse: list[DeviceError] = []
        monkeypatch.setattr(Commission, "dark", lambda commission, board: self._dark(commission, board))
        monkeypatch.setattr(Commission, "light", lambda commission, board: self._light(commission, board))
        self.service = TrackingService(
            self.clock, self.bus.port("tracking"), self._camera, lambda: self.board, self._plan
        )
        self.ear = self.bus.port("ear")
        self.ear.drain(STATION_EVENT)
        self.service.open()

    def _camera(self) -> FakeCamera:
        if isinstance(self.camera.fail, WireError) and not isinstance(self.camera.fail, WireTimeout):
            raise self.camera.fail
        return self.camera

    def _plan(self, pointing, coasted, sweep, known):
        self.plans.append((coasted, sweep, known))
        return FakePath()

    def _dark(self, commission, board):
        board.set_mode("setpoint")
        yield
        commission.designs = (object(), object())

    def _light(self, commission, board):
        self.commissioned += 1
        yield
        if self.refuse:
            raise self.refuse.pop()
        matrix = np.array([[0.0, -1.0], [1.0, 0.0]])  # the mirror sits turned by 90 degrees
        commission.poke = Poke(-matrix / 1e-4, 1e-4, (1.0, 1.0))

    def run(self, seconds: float, mode: str | None = None) -> None:
        self.mode = mode or self.mode
        end_ns = self.clock.t_ns + round(seconds * NS)
        while self.clock.t_ns < end_ns:
            utc_ns = self.clock.utc_ns()
            self.bus.port("station").publish(STATION_MODE, ModeState(self.mode, utc_ns, ""))
            if self.enable:
                self.bus.port("safety").publish(SAFETY_ENABLE, EnableState(utc_ns, True))
            self.bus.port("pointing").publish(POINTING_STATE, self.pointing(utc_ns))
            self.service.cycle()

    def pointing(self, utc_ns: int) -> PointingState:
        el = math.radians(45)
        return PointingState(
            utc_ns, "track", 1.0, el, 0.005, 0.004, 1.0, el, 0.005, 0.004, 700e3, (0, 0), (0, 0), self.ahead, (0, 0),
            0.1, True,
        )  # fmt: skip

    def last(self, topic):
        return self.ear.latest(topic).body

    def events(self) -> list[str]:
        return [sample.body.code for sample in self.ear.drain(STATION_EVENT)]
