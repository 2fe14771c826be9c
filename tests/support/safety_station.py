"""A safety service with a recording port and a mock laser, in a station where all is well, turned by hand."""

from __future__ import annotations

from typing import Any

from hand_clock import HandClock

from controller.bus.envelope import Lease
from controller.bus.port import Reply, Request, Sample
from controller.bus.topics import (
    POINTING_STATE,
    SAFETY_ENABLE,
    SAFETY_STATE,
    SAFETY_TRIP,
    SERVICE_HEARTBEAT,
    STATION_EVENT,
    STATION_LEASE,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_FINE,
    Body,
    SafetyState,
    StationEvent,
    Topic,
    TripRecord,
)
from controller.safety.inputs import TimeQuality
from controller.safety.service import SafetyService
from controller.safety.trips import TripLog
from hal.traits import LaserStatus, ShutterState, ShutterStatus

STEP_NS = 20_000_000
DEG = 3.141592653589793 / 180


class RecordingPort:
    service = "safety"
    stopped = False

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.samples: dict[tuple[str, str], Sample[Any]] = {}
        self.log: list[tuple[str, Any]] = []
        self.queue: list[Request] = []
        self.events: list[Sample[Any]] = []
        self.replies: list[Reply] = []

    def put(self, topic: Topic, body: Body, source: str = "") -> None:
        sample = Sample(topic.name, source, 0, 0, self.clock.now_ns(), True, body)
        self.samples[topic.name, source] = sample

    def publish(self, topic: Topic, body: Body) -> None:
        self.log.append((topic.name, body))

    def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
        return self.samples.get((topic.name, source))

    def fresh(self, topic: Topic, source: str = "") -> Any | None:
        sample = self.latest(topic, source)
        old = sample is None or sample.age_s(self.clock.now_ns()) > topic.stale_after_s
        return None if old or sample is None else sample.body

    def drain(self, topic: Topic) -> list[Sample[Any]]:
        heard, self.events = self.events, []
        return heard if topic is STATION_EVENT else []

    def requests(self) -> list[Request]:
        asked, self.queue = self.queue, []
        return asked

    def answer(self, request: Request, reply: Reply) -> None:
        self.replies.append(reply)


class MockLaser:
    """Records calls into the port's log, so that their order with messages shows."""

    identity = {"model": "mock"}  # noqa: RUF012

    def __init__(self, log: list[tuple[str, Any]], clock: HandClock) -> None:
        self.log = log
        self.clock = clock
        self.on = False
        self.closed = True
        self.watts_per_amp = 1.0
        self.tripped = ""
        self.broken: Exception | None = None

    def configure(self, current_a: float, current_limit_a: float) -> None:
        self.log.append(("configure", (current_a, current_limit_a)))
        self.current_a = current_a

    def output(self, on: bool) -> None:
        self.log.append(("output", on))
        if self.broken:
            raise self.broken
        self.on = on

    def status(self) -> LaserStatus:
        if self.broken:
            raise self.broken
        amps = self.current_a if self.on else 0.0
        watts = amps * self.watts_per_amp
        return LaserStatus(self.clock.now_ns(), self.on, amps, watts, self.closed, self.tripped, self.tripped)

    def close(self) -> None:
        self.log.append(("close", None))


class MockShutter:
    """Blades that need a turn; the calls are in the port's log."""

    identity = {"model": "mock"}  # noqa: RUF012

    def __init__(self, log: list[tuple[str, Any]], clock: HandClock) -> None:
        self.log = log
        self.clock = clock
        self.wanted = False
        self.stuck = False
        self.broken: Exception | None = None
        self.status: ShutterStatus | None = ShutterStatus(clock.now_ns(), "closed", False)

    def move(self, opened: bool) -> None:
        if opened != self.wanted:
            self.log.append(("blades", opened))
        self.wanted = opened

    def poll(self) -> None:
        if self.broken:
            self.status, self.wanted = None, False
            raise self.broken
        wanted: ShutterState = "open" if self.wanted else "closed"
        was = self.status.state if self.status is not None else "unknown"
        state = was if self.stuck or was == wanted else wanted if was == "unknown" else "unknown"
        self.status = ShutterStatus(self.clock.now_ns(), state, False)

    def close(self) -> None:
        self.log.append(("let go of blades", None))


class Station:
    """A station in which all is well, turned by hand."""

    def __init__(
        self, good: Any, locks: tuple[str, ...] = (), trips: TripLog | None = None, shuttered: bool = False
    ) -> None:
        self.good = good
        self.clock = HandClock(utc_offset_ns=1_759_999_000_000_000_000)
        self.port = RecordingPort(self.clock)
        self.laser = MockLaser(self.port.log, self.clock)
        self.shutter = MockShutter(self.port.log, self.clock)
        self.quality: TimeQuality | None = good.time
        self.silent: set[str] = set()
        self.service = SafetyService(
            self.clock,
            self.port,  # type: ignore[arg-type]
            self.laser,
            good.limits,
            lambda t: (good.sun, good.moon),
            lambda: self.quality,
            True,
            locks,
            trips=trips,
            shutter=(lambda: self.shutter) if shuttered else None,
        )
        self.service.open()

    def turn(self, cycles: int = 1) -> None:
        for _ in range(cycles):
            self.clock.t_ns += STEP_NS
            self._speak()
            self.service.cycle()

    def _speak(self) -> None:
        enabled = self.enable
        self.good.fine = self.good.changed(self.good.fine, enabled=enabled)
        self.laser.closed = enabled
        spoken = {
            "mode": (STATION_MODE, self.good.mode, ""),
            "pointing": (POINTING_STATE, self.good.pointing, ""),
            "coarse": (TRACKING_COARSE, self.good.coarse, ""),
            "fine": (TRACKING_FINE, self.good.fine, ""),
            "leases": (STATION_LEASE, self.good.leases, ""),
            **{f"beat of {name}": (SERVICE_HEARTBEAT, self.good.beat, name) for name in self.good.limits.services},
        }
        for name, (topic, body, source) in spoken.items():
            if name not in self.silent:
                self.port.put(topic, body, source)

    @property
    def enable(self) -> bool:
        # From the newest backwards: turned for minutes, a log is long, and this is asked every turn.
        said = (body.enable for name, body in reversed(self.port.log) if name == SAFETY_ENABLE.name)
        return bool(next(said, False))

    @property
    def state(self) -> SafetyState:
        state: SafetyState = next(body for name, body in reversed(self.port.log) if name == SAFETY_STATE.name)
        return state

    @property
    def trips(self) -> list[TripRecord]:
        """Every record of a trip that was said since the log was cleared."""
        return [body for name, body in self.port.log if name == SAFETY_TRIP.name]

    def dies(self, *sentences: str) -> None:
        """The supervisor says that processes have died."""
        for sentence in sentences:
            event = StationEvent("error", "DIED", sentence)
            self.port.events.append(Sample(STATION_EVENT.name, "supervisor", 0, 0, self.clock.now_ns(), True, event))

    def ask(self, method: str, source: str = "operator", **body: Any) -> Reply:
        control = method in ("stop", "safe", "ping")
        self.port.queue.append(Request(b"1", source, method, body, control, Lease("laser-1", 1)))
        self.turn()
        return self.port.replies[-1]

    def emit(self) -> None:
        self.turn(5)
        assert self.ask("safety.arm").code == ""
        assert self.ask("safety.confirm").code == ""
        self.turn(10)
        assert self.laser.on
        assert self.enable
        self.port.log.clear()
