"""What the station remembers of a pass across its own end: nothing in good order, everything when it was cut off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hand_clock import HandClock

from controller.bus.port import Reply, Request
from controller.bus.topics import (
    SERVICE_HEARTBEAT,
    STATION_MODE,
    STATION_PASS,
    Body,
    Heartbeat,
    ModeState,
    PassOrder,
    Topic,
)
from controller.station_service import StationService

PASS = {"name": "ISS", "line1": "1 25544U", "line2": "2 25544", "start_utc_ns": 1, "end_utc_ns": 2 * 10**18}


class Port:
    """Everybody is alive, and says yes."""

    service = "station"
    stopped = False

    def __init__(self) -> None:
        self.queue: list[Request] = []
        self.modes: list[ModeState] = []
        self.orders: list[PassOrder] = []
        self.replies: list[Reply] = []
        self.alive = True

    def publish(self, topic: Topic, body: Body) -> None:
        if topic is STATION_MODE and isinstance(body, ModeState):
            self.modes.append(body)
        if topic is STATION_PASS and isinstance(body, PassOrder):
            self.orders.append(body)

    def fresh(self, topic: Topic, source: str = "") -> Any:
        return Heartbeat(1, 1, 0) if topic is SERVICE_HEARTBEAT and self.alive else None

    def drain(self, topic: Topic) -> list[Any]:
        return []

    def requests(self) -> list[Request]:
        asked, self.queue = self.queue, []
        return asked

    def answer(self, request: Request, reply: Reply) -> None:
        self.replies.append(reply)

    def call(self, service: str, method: str, body: dict[str, Any], timeout_s: float, lease: Any = None) -> Reply:
        return Reply("", "")


class Run:
    """One start of the station."""

    def __init__(self, memory: Path) -> None:
        self.port = Port()
        self.clock = HandClock()
        self.station = StationService(self.clock, self.port, 20.0, 1e-4, memory)  # type: ignore[arg-type]
        self.station.open()
        self.station.cycle()

    def tell(self, method: str, body: dict[str, Any] | None = None) -> Reply:
        self.port.queue.append(Request(b"1", "operator", method, body or {}, False))
        self.station.cycle()
        return self.port.replies[-1]

    @property
    def mode(self) -> ModeState:
        return self.port.modes[-1]


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "pass.json"


@pytest.mark.parametrize("ending", ["killed", "ended", "faulted, then ended"])
def test_a_station_that_ends_in_a_pass_comes_back_in_safe_with_the_pass(memory: Path, ending: str) -> None:
    first = Run(memory)
    assert first.tell("station.track", PASS).code == ""
    assert first.mode.mode == "SLEW"
    if ending.startswith("faulted"):
        first.port.alive = False
        first.station.cycle()
        assert first.mode.mode == "FAULT"
    if ending.endswith("ended"):
        first.station.close()

    again = Run(memory)
    assert (again.mode.mode, again.mode.target) == ("SAFE", "ISS")
    assert (again.mode.pass_start_utc_ns, again.mode.pass_end_utc_ns) == (1, 2 * 10**18)
    assert "restarted during the pass of ISS" in again.mode.reason
    assert again.tell("station.track", PASS).code == "INTERLOCK", "nothing resumes by itself"
    assert again.tell("station.reset").code == ""
    assert again.tell("station.track", PASS).code == ""


def test_the_elements_of_the_pass_are_said_at_once_and_again_and_after_a_restart(memory: Path) -> None:
    first = Run(memory)
    assert first.port.orders == []
    first.tell("station.track", PASS)
    said, later = (PassOrder(t, "ISS", "1 25544U", "2 25544", 1, 2 * 10**18) for t in (10**12, 10**12 + 50 * 10**9))
    assert first.port.orders == [said]
    first.station.cycle()
    assert first.port.orders == [said]
    first.clock.t_ns += 50 * 10**9  # each file of a recording has it
    first.station.cycle()
    assert first.port.orders == [said, later]
    assert Run(memory).port.orders == [said]
    first.tell("station.park")
    first.clock.t_ns += 50 * 10**9
    first.station.cycle()
    assert len(first.port.orders) == 2, "and no more when it is over"


def test_a_path_without_elements_is_said_with_its_file_so_that_a_recording_keeps_what_was_flown(memory: Path) -> None:
    path = [{"start_utc_ns": 1, "end_utc_ns": 2, "receive": [[1.0]] * 3, "transmit": [[1.0]] * 3}]
    flown = {
        "name": "ISS",
        "start_utc_ns": 1,
        "end_utc_ns": 2 * 10**18,
        "segments": path,
        "source": "iss.oem, CCSDS OEM",
    }
    first = Run(memory)
    first.tell("station.track", flown)
    (said,) = first.port.orders
    assert (said.line1, said.source, said.segments) == ("", "iss.oem, CCSDS OEM", path)


@pytest.mark.parametrize("method", ["station.park", "stop", "station.reset"])
def test_a_station_that_ends_at_rest_has_forgotten_the_pass(memory: Path, method: str) -> None:
    first = Run(memory)
    first.tell("station.track", PASS)
    if method == "station.reset":
        first.tell("stop")
    first.tell(method)
    first.station.close()
    assert not memory.exists()
    assert Run(memory).mode.mode == "STOWED"


def test_a_station_that_ends_in_safe_at_rest_comes_back_in_safe_with_the_reason(memory: Path) -> None:
    first = Run(memory)
    first.tell("safe")
    again = Run(memory)
    assert (again.mode.mode, again.mode.target) == ("SAFE", "")
    assert again.mode.reason == "in SAFE before this start: the operator said safe"
    assert again.tell("station.track", PASS).code == "INTERLOCK", "nothing resumes by itself"
    assert again.tell("station.reset").code == ""
    assert Run(memory).mode.mode == "STOWED"


@pytest.mark.parametrize("mode", ["SAFE", "FAULT"])
def test_a_stop_is_obeyed_by_everybody_and_leaves_neither_safe_nor_fault(memory: Path, mode: str) -> None:
    run = Run(memory)
    run.tell("station.track", PASS)
    if mode == "SAFE":
        run.tell("safe")
    else:
        run.port.alive = False
        run.station.cycle()
        run.port.alive = True
    assert run.mode.mode == mode
    assert run.tell("stop").code == ""
    assert run.mode.mode == mode
    assert run.tell("station.track", PASS).code == "INTERLOCK"
    assert memory.exists()


@pytest.mark.parametrize("start_utc_ns", [float("inf"), float("nan"), "now", None])
def test_a_time_that_is_none_is_refused_and_the_station_lives(memory: Path, start_utc_ns: object) -> None:
    run = Run(memory)
    assert run.tell("station.track", PASS | {"start_utc_ns": start_utc_ns}).code == "SCHEMA"
    assert run.tell("station.track", PASS).code == ""


def test_a_memory_that_cannot_be_read_is_told_and_forgotten(memory: Path) -> None:
    memory.write_text(json.dumps({"name": "ISS"}))
    assert Run(memory).mode.mode == "STOWED"
