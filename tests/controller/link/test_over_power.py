"""Too much light on the detectors, told by a mock of the power meter above the driver."""

from __future__ import annotations

from typing import Any

import pytest
from hand_clock import HandClock

from controller.bus.port import Reply
from controller.bus.topics import LINK_STATE, STATION_EVENT
from controller.link.service import LinkService


class MockMeter:
    identity: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.now_w = 1e-6

    def configure(self, wavelength_m: float) -> None: ...
    def close(self) -> None: ...

    def power_w(self) -> float:
        return self.now_w


class MockPort:
    service = "link"
    stopped = False

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []
        self.called: list[tuple[str, str, bool]] = []

    def requests(self) -> list[Any]:
        return []

    def publish(self, topic: Any, body: Any) -> None:
        self.said.append((topic.name, body))

    def call(self, service: str, method: str, body: Any, timeout_s: float, control: bool = False) -> Reply:
        self.called.append((service, method, control))
        return Reply("", "")


@pytest.fixture
def link() -> tuple[LinkService, MockMeter, MockPort]:
    meter, port = MockMeter(), MockPort()
    return LinkService(HandClock(), port, meter, 1550e-9, 1e-7, 1e-3), meter, port  # type: ignore[arg-type]


def test_power_above_the_limit_sends_laser_and_station_to_safe_and_is_told_once(
    link: tuple[LinkService, MockMeter, MockPort],
) -> None:
    service, meter, port = link
    service.cycle()
    assert port.called == []
    meter.now_w = 1.1e-3
    service.cycle()
    service.cycle()
    assert port.called == [("safety", "safe", True), ("station", "safe", True)] * 2  # again, until it is dark
    told = [body for name, body in port.said if name == STATION_EVENT.name]
    assert [event.code for event in told] == ["OVER_POWER"]
    assert "attenuate the beam" in told[0].message
    assert [body.received_power_w for name, body in port.said if name == LINK_STATE.name][-1] == 1.1e-3


def test_a_rig_without_a_limit_is_never_sent_to_safe_by_its_power() -> None:
    meter, port = MockMeter(), MockPort()
    service = LinkService(HandClock(), port, meter, 1550e-9, 1e-7)  # type: ignore[arg-type]
    meter.now_w = 10.0
    service.cycle()
    assert port.called == []
