"""The order in which a station ends: no motion before darkness, none from where an operator has to lead out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controller.bus.port import Reply, Sample
from controller.bus.topics import (
    POINTING_STATE,
    SAFETY_LASER,
    SAFETY_STATE,
    SERVICE_HEARTBEAT,
    STATION_MODE,
    Heartbeat,
    LaserState,
    ModeState,
    PointingState,
    SafetyState,
    StationEvent,
    Topic,
)
from controller.services.ending import Ending
from hal.clock import NS

TURN_NS = NS // 50


class World:
    """Clock and port of a station in which the test decides what is so."""

    realtime = False

    def __init__(self) -> None:
        self.t_ns = 10**12
        self.mode = "LINK"
        self.activity = "track"
        self.emitting = True
        self.laser_obeys = True
        self.laser_tells = True
        self.safety_alive = True
        self.reply: Reply | None = Reply("", "the station is in STOWED")
        self.sent: list[tuple[str, str, bool]] = []
        self.told: list[str] = []

    # Clock

    def now_ns(self) -> int:
        return self.t_ns

    utc_ns = now_ns

    def sleep_until(self, t_ns: int) -> None:
        self.t_ns = t_ns

    # Port

    def send(
        self, service: str, method: str, body: object, timeout_s: float, control: bool = False, lease: object = None
    ) -> bytes:
        self.sent.append((service, method, control))
        if service == "safety" and self.laser_obeys:
            self.emitting = False
        if method == "station.park" and self.reply is not None and not self.reply.code:
            self.mode, self.activity = "STOWED", "slew"
        return method.encode()

    def result(self, request_id: bytes) -> Reply | None:
        return self.reply if request_id == b"station.park" else None

    def publish(self, topic: Topic, body: StationEvent) -> None:
        self.told.append(f"{body.level}: {body.message}")

    def body(self, topic: Topic) -> Any:
        if topic is SERVICE_HEARTBEAT:
            return Heartbeat(self.t_ns, 1, 0) if self.safety_alive else None
        if topic is SAFETY_STATE:
            return SafetyState(self.t_ns, self.emitting, self.emitting, False, "", [])
        if topic is SAFETY_LASER:
            return LaserState(self.t_ns, self.emitting, 1.0, 1.0, True, "") if self.laser_tells else None
        if topic is STATION_MODE:
            return ModeState(self.mode, 0, "") if self.mode else None
        assert topic is POINTING_STATE
        zero = {name: 0.0 for name in PointingState.__struct_fields__ if name.endswith(("_rad", "_rad_s", "_m", "_s"))}
        pairs = {name: (0.0, 0.0) for name in zero if name.startswith(("deviation", "point_ahead", "correction"))}
        fields: Any = {**zero, **pairs, "t_utc_ns": self.t_ns, "activity": self.activity, "settled": False}
        return PointingState(**fields)

    def fresh(self, topic: Topic, source: str = "") -> Any:
        return self.body(topic)

    def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
        body = self.body(topic)
        return None if body is None else Sample(topic.name, source, 1, self.t_ns, self.t_ns, True, body)


def play(
    world: World, seconds: float, happens: dict[float, Callable[[], None]] | None = None, emits: bool = True
) -> float | None:
    """Turn for a while; the seconds after which the processes may end, or None."""
    ending = Ending(world, world, 60.0, emits)  # type: ignore[arg-type]
    waiting = sorted((happens or {}).items())
    for turn in range(round(seconds * 50)):
        while waiting and turn / 50 >= waiting[0][0]:
            waiting.pop(0)[1]()
        if ending.turn():
            return turn / 50
        world.t_ns += TURN_NS
    return None


def test_emission_goes_off_before_the_gimbal_is_sent_to_park_and_the_end_waits_for_it() -> None:
    world = World()
    over_s = play(world, 60.0, {12.0: lambda: setattr(world, "activity", "hold")})
    assert world.sent == [("safety", "stop", True), ("station", "station.park", False)]
    assert over_s is not None
    assert 13.5 <= over_s < 13.6, "at rest at its goal for 1.5 s"
    assert world.told[-1] == "info: the gimbal is parked"


def test_a_station_without_a_laser_is_parked_and_no_light_is_waited_for() -> None:
    world = World()
    world.safety_alive = world.laser_tells = False
    over_s = play(world, 60.0, {12.0: lambda: setattr(world, "activity", "hold")}, emits=False)
    assert world.sent == [("station", "station.park", False)]
    assert over_s is not None
    assert 13.5 <= over_s < 13.6
    assert world.told[-1] == "info: the gimbal is parked"


def test_nothing_is_moved_while_the_laser_does_not_say_that_it_is_off() -> None:
    mute, stuck = World(), World()
    mute.laser_tells, stuck.laser_obeys = False, False
    for world in (mute, stuck):
        over_s = play(world, 5.0)
        assert over_s is not None
        assert 0.5 < over_s < 0.6
        assert world.sent == [("safety", "stop", True)]
        assert "the laser has not said that it is off: nothing is moved" in world.told[-1]


@pytest.mark.parametrize("mode", ["HOLD", "SAFE", "FAULT", "OFF"])
def test_from_where_an_operator_has_to_lead_out_nothing_moves(mode: str) -> None:
    world = World()
    world.mode = mode
    assert play(world, 5.0) is not None
    assert world.sent == [("safety", "stop", True)]
    assert world.told == [f"warning: the station ends in {mode}: the axes stay where they are"]


def test_a_station_that_never_moved_is_not_moved_by_its_end() -> None:
    world = World()
    world.mode, world.activity = "STOWED", "idle"
    assert play(world, 5.0) is not None
    assert world.sent == [("safety", "stop", True)]
    assert world.told == []


def test_a_calibration_is_parked_too() -> None:
    world = World()
    world.mode, world.activity = "STOWED", "track"
    play(world, 5.0)
    assert ("station", "station.park", False) in world.sent


def test_a_mount_that_does_not_arrive_is_given_up_after_the_stated_time() -> None:
    world = World()
    over_s = play(world, 70.0)
    assert over_s is not None
    assert 60.0 < over_s < 60.2
    assert "not parked within 60 s: the axes are stopped where they are" in world.told[-1]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mode", "FAULT", "the station is in FAULT"),
        ("activity", "fault", "pointing is in fault"),
        ("mode", "", "silent"),
    ],
)
def test_a_fault_on_the_way_ends_the_wait(name: str, value: str, words: str) -> None:
    world = World()
    over_s = play(world, 60.0, {5.0: lambda: setattr(world, name, value)})
    assert over_s is not None
    assert over_s < 5.1
    assert "the axes are stopped" in world.told[-1]
    assert words in world.told[-1]


def test_a_second_word_ends_it_at_once_but_never_before_the_light_is_off() -> None:
    world = World()
    ending = Ending(world, world, 60.0)  # type: ignore[arg-type]
    assert not ending.turn(urgent=True)
    assert world.sent == [("safety", "stop", True)]
    assert ending.turn(urgent=True)
    assert "the axes are stopped where they are" in world.told[-1]


def test_a_station_that_refuses_to_park_ends_all_the_same() -> None:
    world = World()
    world.reply = Reply("BUSY", "not now")
    over_s = play(world, 5.0)
    assert over_s is not None
    assert "does not park (not now)" in world.told[-1]


def test_without_a_safety_service_the_light_is_off_already() -> None:
    world = World()
    world.safety_alive, world.mode = False, "SAFE"
    over_s = play(world, 5.0)
    assert over_s is not None
    assert over_s < 0.1
