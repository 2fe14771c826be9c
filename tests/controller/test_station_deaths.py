"""The station acts on a death that the supervisor saw, not on the silence that follows."""

from __future__ import annotations

from typing import Any

import pytest
from hand_clock import HandClock

from controller.bus.port import Reply, Request, Sample
from controller.bus.topics import (
    POINTING_STATE,
    SERVICE_HEARTBEAT,
    STATION_EVENT,
    STATION_MODE,
    Body,
    Heartbeat,
    ModeState,
    PointingState,
    StationEvent,
    Topic,
)
from controller.station_service import StationService

PASS = {"name": "ISS", "line1": "", "line2": "", "start_utc_ns": 1, "end_utc_ns": 2 * 10**18}


class Port:
    """Everybody's heartbeat is fresh, as it is for half a second after a death."""

    service = "station"
    stopped = False

    def __init__(self) -> None:
        self.queue = [Request(b"1", "operator", "station.track", PASS, False)]
        self.modes: list[ModeState] = []
        self.events: list[Sample[Any]] = []
        self.beat_ns = 10**12
        self.called: list[str] = []
        self.reply = Reply("", "")
        self.told: list[str] = []

    def publish(self, topic: Topic, body: Body) -> None:
        if topic is STATION_MODE and isinstance(body, ModeState):
            self.modes.append(body)
        if isinstance(body, StationEvent) and body.code == "PARK":
            self.told.append(body.message)

    def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
        return Sample(topic.name, source, 1, 1, self.beat_ns, True, Heartbeat(1, 1, 0))

    def fresh(self, topic: Topic, source: str = "") -> Any:
        return Heartbeat(1, 1, 0) if topic is SERVICE_HEARTBEAT else None

    def drain(self, topic: Topic) -> list[Sample[Any]]:
        taken, self.events = self.events, []
        return taken if topic is STATION_EVENT else []

    def requests(self) -> list[Request]:
        asked, self.queue = self.queue, []
        return asked

    def answer(self, request: Request, reply: Reply) -> None:
        assert reply.code == ""

    def call(self, service: str, method: str, body: dict[str, Any], timeout_s: float, lease: Any = None) -> Reply:
        self.called.append(method)
        return self.reply


def died(name: str) -> Sample[Any]:
    event = StationEvent("error", "DIED", f"{name} was killed by SIGKILL and is not started again by itself")
    return Sample(STATION_EVENT.name, "supervisor", 1, 1, 10**12, True, event)


@pytest.mark.parametrize(("name", "mode"), [("safety", "SAFE"), ("tracking", "FAULT"), ("recorder", "SLEW")])
def test_a_death_is_acted_on_in_the_same_cycle(name: str, mode: str) -> None:
    clock, port = HandClock(), Port()
    station = StationService(clock, port, 20.0, 1e-4)  # type: ignore[arg-type]
    station.cycle()
    assert port.modes[-1].mode == "SLEW"
    port.events.append(died(name))
    clock.t_ns += 10**7
    station.cycle()
    assert port.modes[-1].mode == mode


def test_whose_heart_beats_again_after_a_death_is_alive() -> None:
    clock, port = HandClock(), Port()
    station = StationService(clock, port, 20.0, 1e-4)  # type: ignore[arg-type]
    port.events.append(died("safety"))
    port.queue, asked = [], port.queue
    station.cycle()
    port.beat_ns = clock.t_ns = 2 * 10**12
    station.cycle()
    port.queue = asked
    station.cycle()
    assert port.modes[-1].mode == "SLEW"


def test_a_parking_that_pointing_died_before_is_not_begun_by_its_restart() -> None:
    clock, port = HandClock(), Port()
    station = StationService(clock, port, 20.0, 1e-4)  # type: ignore[arg-type]
    port.queue = [Request(b"2", "operator", "station.park", {}, False)]
    port.reply = Reply("TRANSPORT", "no pointing answers")
    station.cycle()
    port.events.append(died("pointing"))
    station.cycle()
    port.called.clear()
    port.reply = Reply("", "")
    clock.t_ns = port.beat_ns = 2 * 10**12  # it is back
    station.cycle()
    assert port.called == []


@pytest.mark.parametrize(
    ("code", "message"),
    [("DEVICE", "the gimbal does not answer"), ("INTERLOCK", "pointing.park was overtaken by stop")],
)
def test_a_park_that_is_refused_is_told_and_does_not_move_the_mount_when_nobody_expects_it(
    code: str, message: str
) -> None:
    clock, port = HandClock(), Port()
    station = StationService(clock, port, 20.0, 1e-4)  # type: ignore[arg-type]
    port.queue = [Request(b"2", "operator", "station.park", {}, False)]
    port.reply = Reply(code, message)  # type: ignore[arg-type]
    station.cycle()
    assert port.told == [f"the gimbal is not parked: {message}; send park again"]
    port.reply = Reply("", "")
    clock.t_ns = port.beat_ns = 2 * 10**12
    station.cycle()
    assert port.called == ["pointing.park"]


@pytest.mark.parametrize(("method", "control"), [("stop", True), ("safe", True), ("station.track", False)])
def test_a_park_that_was_not_heard_yet_is_forgotten_with_the_next_word(method: str, control: bool) -> None:
    clock, port = HandClock(), Port()
    station = StationService(clock, port, 20.0, 1e-4)  # type: ignore[arg-type]
    port.queue = [Request(b"2", "operator", "station.park", {}, False)]
    port.reply = Reply("TIMEOUT_UNKNOWN", "no answer")
    station.cycle()
    port.reply = Reply("", "")
    port.queue = [Request(b"3", "operator", method, PASS, control)]
    station.cycle()
    port.called.clear()
    clock.t_ns = port.beat_ns = 2 * 10**12
    station.cycle()
    assert port.called == []


def test_park_parks_again_where_the_station_is_stowed_already() -> None:
    clock, port = HandClock(), Port()
    station = StationService(clock, port, 20.0, 1e-4)  # type: ignore[arg-type]
    port.queue = [Request(b"2", "operator", "station.park", {}, False)]
    station.cycle()
    assert port.called == ["pointing.park"]
    station.cycle()
    assert port.called == ["pointing.park"]


@pytest.mark.parametrize(("said_after_ns", "mode"), [(-1, "SLEW"), (1, "FAULT")])
def test_a_lost_gimbal_faults_the_pass_and_one_that_was_lost_before_it_does_not(said_after_ns: int, mode: str) -> None:
    clock = HandClock()
    zero = (0.0, 0.0)
    lost = PointingState(1, "fault", *[0.0] * 8, 1e6, zero, zero, zero, zero, 0.1, settled=False)

    class Faulty(Port):
        def fresh(self, topic: Topic, source: str = "") -> Any:
            return lost if topic is POINTING_STATE else super().fresh(topic, source)

        def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
            if topic is not POINTING_STATE:
                return super().latest(topic, source)
            return Sample(topic.name, "pointing", 1, clock.utc_ns(), clock.now_ns() + said_after_ns, True, lost)

    port = Faulty()
    station = StationService(clock, port, 20.0, 1e-4)  # type: ignore[arg-type]
    station.cycle()
    assert port.modes[-1].mode == mode


@pytest.mark.parametrize(("silent_s", "mode"), [(0.6, "SLEW"), (2.1, "SLEW"), (2.3, "FAULT")])
def test_pointing_on_a_slow_line_may_be_silent_for_as_long_as_its_line_takes(silent_s: float, mode: str) -> None:
    """Half a second and 100 bytes at 600 baud; a station of a terminal waits for half a second alone."""
    clock = HandClock()

    class Silent(Port):
        def fresh(self, topic: Topic, source: str = "") -> Any:
            return super().fresh(topic, source) if clock.t_ns == self.beat_ns else None

        def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
            return None if topic is POINTING_STATE else super().latest(topic, source)

    def after_the_silence(half_field_rad: float | None, slow_line_s: float) -> str:
        port = Silent()
        clock.t_ns = port.beat_ns
        station = StationService(clock, port, 5.0, half_field_rad, None, slow_line_s)  # type: ignore[arg-type]
        station.cycle()
        clock.t_ns = port.beat_ns + round(silent_s * 1e9)
        station.cycle()
        return port.modes[-1].mode

    assert after_the_silence(None, 10 * 100 / 600) == mode
    assert after_the_silence(1e-4, 0.0) == "FAULT"


def test_a_station_without_a_laser_needs_no_safety_service() -> None:
    clock, port = HandClock(), Port()
    station = StationService(clock, port, 5.0, None)  # type: ignore[arg-type]
    station.cycle()
    port.events.append(died("safety"))
    clock.t_ns += 10**7
    station.cycle()
    assert port.modes[-1].mode == "SLEW"
    port.events.append(died("pointing"))
    clock.t_ns += 10**7
    station.cycle()
    assert port.modes[-1].mode == "FAULT"
