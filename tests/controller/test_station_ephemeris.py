"""The station tells how old its target is: the epoch of the element set that the track command carried."""

from __future__ import annotations

from typing import Any

import pytest
from hand_clock import HandClock

from controller.bus.port import Reply, Request
from controller.bus.topics import STATION_MODE, Body, ModeState, Topic
from controller.station_service import StationService

# ISS set of skyfield's documentation; epoch 14020.93268519 = 2014-01-20T22:23:04.000416Z
LINE1 = "1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082"
LINE2 = "2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473"


class Port:
    service = "station"
    stopped = False

    def __init__(self, body: dict[str, Any]) -> None:
        self.queue = [Request(b"1", "operator", "station.track", body, False)]
        self.modes: list[ModeState] = []

    def publish(self, topic: Topic, body: Body) -> None:
        if topic is STATION_MODE and isinstance(body, ModeState):
            self.modes.append(body)

    def latest(self, topic: Topic, source: str = "") -> None: ...
    def fresh(self, topic: Topic, source: str = "") -> None: ...

    def drain(self, topic: Topic) -> list[Any]:
        return []

    def requests(self) -> list[Request]:
        asked, self.queue = self.queue, []
        return asked

    def answer(self, request: Request, reply: Reply) -> None:
        assert reply.code == ""

    def call(self, service: str, method: str, body: dict[str, Any], timeout_s: float, lease: Any = None) -> Reply:
        return Reply("", "")


@pytest.mark.parametrize(("elements", "epoch_s"), [({"line1": LINE1, "line2": LINE2}, 1390256584.000416), ({}, 0.0)])
def test_the_mode_carries_the_epoch_of_the_targets_elements(elements: dict[str, str], epoch_s: float) -> None:
    port = Port({"name": "ISS", "start_utc_ns": 1, "end_utc_ns": 2 * 10**18, **elements})
    station = StationService(HandClock(utc_offset_ns=1_390_000_000_000_000_000), port, 20.0, 1e-4)  # type: ignore[arg-type]
    station.cycle()
    assert port.modes[-1].ephemeris_epoch_utc_ns == pytest.approx(epoch_s * 1e9, abs=1e6)
