"""Gathers what the votes may know: the bus, the sky, the time, and what others say."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from controller.bus.envelope import Lease
from controller.bus.port import Port
from controller.bus.topics import (
    POINTING_STATE,
    SERVICE_HEARTBEAT,
    STATION_LEASE,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_FINE,
    Topic,
)
from controller.geometry.bodies import Place
from controller.safety.clearance.live import Clearance, Cleared
from controller.safety.failures import Failures
from controller.safety.inputs import Inputs, Reading, TimeQuality
from controller.safety.limits import Limits
from controller.safety.traffic.live import Traffic, TrafficWord
from hal.clock import NS, Clock
from hal.traits import LaserStatus, ShutterStatus
from hal.utc_watch import UtcWatch

BODIES_NS = 10 * NS  # the sky turns 0.04 deg
STEPPED_NS = NS  # for so long it is all that is known of the time
GLANCE_NS = NS // 125  # how often what sends no message is looked at while it emits
HEARD = (STATION_MODE, STATION_LEASE, POINTING_STATE, TRACKING_COARSE, TRACKING_FINE)
LASER_STATUS, SHUTTER_STATUS = "laser status", "shutter status"
ASKED = ("kernel", "the message", "the feed", "all of them")  # whoever rests on these is told of nothing

Status = TypeVar("Status", LaserStatus, ShutterStatus)
Bodies = Callable[[int], tuple[Place, Place]]
TimeSource = Callable[[], TimeQuality | None]


class Lookout:
    """Everything but laser and shutter, which the service itself holds."""

    def __init__(
        self,
        clock: Clock,
        port: Port,
        limits: Limits,
        bodies: Bodies,
        time_source: TimeSource,
        time_simulated: bool,
        clearance: Clearance | None,
        traffic: Traffic | None,
        failures: Failures,
    ) -> None:
        self._clock = clock
        self._port = port
        self._limits = limits
        self._bodies = bodies
        self._time_source = time_source
        self._time_simulated = time_simulated
        self._clearance = clearance
        self._traffic = traffic
        self._failures = failures
        self._seen: dict[str, object] = {}
        self.glance_ns = 0  # when what sends no message is looked at next
        self._places: tuple[Place, Place] | None = None
        self._places_due_ns = 0
        self._time: tuple[int, TimeQuality] | None = None
        self._stepped_until_ns = 0
        self._utc_watch = UtcWatch(clock)

    def inputs(
        self,
        laser: LaserStatus | None,
        shutter: ShutterStatus | None,
        enabled_ns: int | None,
        withdrawn_ns: int | None,
        commanded_ns: int | None,
        armed_by: Lease | None,
    ) -> Inputs:
        """What is known now; the times are those since which emission is enabled, is no more, and the laser is on."""
        now_ns = self._clock.now_ns()
        self._look_around(now_ns)
        sun, moon = self._places if self._places is not None else (None, None)
        heartbeats = {name: self._reading(SERVICE_HEARTBEAT, name) for name in self._limits.services}
        pointing = self._reading(POINTING_STATE)
        return Inputs(
            t_utc_ns=self._clock.utc_ns(),
            realtime=self._clock.realtime,
            mode=self._reading(STATION_MODE),
            pointing=pointing,
            coarse=self._reading(TRACKING_COARSE),
            fine=self._reading(TRACKING_FINE),
            laser=_read(laser, now_ns, self._limits.laser_emulated),
            shutter=_read(shutter, now_ns, self._limits.shutter_emulated),
            time=self._time_reading(now_ns),
            sun=sun,
            moon=moon,
            heartbeats={name: beat for name, beat in heartbeats.items() if beat is not None},
            cleared=self._cleared(pointing, now_ns),
            traffic=self._traffic_reading(pointing, now_ns),
            leases=self._reading(STATION_LEASE),
            armed_by=armed_by,
            enabled_s=_since(enabled_ns, now_ns),
            withdrawn_s=math.inf if withdrawn_ns is None else (now_ns - withdrawn_ns) * 1e-9,
            commanded_s=_since(commanded_ns, now_ns),
        )

    def utc_stepped(self) -> bool:
        """UTC was set since the previous look: for a second that is what is known of the time."""
        stepped_ns = self._utc_watch.stepped_ns()
        if stepped_ns:
            now_ns = self._clock.now_ns()
            self._stepped_until_ns = now_ns + STEPPED_NS
            self._time = (now_ns, TimeQuality(False, math.inf, stepped_ns / NS))
            self._places_due_ns = 0  # Sun and Moon are somewhere else
        return stepped_ns != 0

    def news(self, laser: LaserStatus | None, shutter: ShutterStatus | None) -> tuple[str, ...]:
        """What votes rest on and has come since the previous call: topics, `laser status` and `shutter status`.

        What nobody sends is new at every glance.
        """
        now: dict[str, object] = {topic.name: self._port.latest(topic) for topic in HEARD}
        now |= {LASER_STATUS: laser, SHUTTER_STATUS: shutter}
        before, self._seen = self._seen, now
        news = tuple(name for name, what in now.items() if what is not before.get(name))
        if self._clock.now_ns() < self.glance_ns:
            return news
        self.glance_ns = self._clock.now_ns() + GLANCE_NS
        return news + ASKED

    def close(self) -> None:
        """Let go of the aircraft feed."""
        if self._traffic is not None:
            self._traffic.close()

    def _look_around(self, now_ns: int) -> None:
        self.utc_stepped()
        if now_ns >= self._places_due_ns:
            self._places_due_ns = now_ns + BODIES_NS
            self._places = self._failures.of(
                "the place of Sun and Moon", lambda: self._bodies(self._clock.utc_ns()), lambda _: None
            )
        if now_ns >= self._stepped_until_ns:
            quality = self._failures.of("the quality of UTC", self._time_source, lambda _: None)
            self._time = None if quality is None else (now_ns, quality)

    def _reading(self, topic: Topic, source: str = "") -> Reading[Any] | None:
        sample = self._port.latest(topic, source)
        if sample is None:
            return None
        return Reading(sample.body, sample.age_s(self._clock.now_ns()), sample.simulated)

    def _time_reading(self, now_ns: int) -> Reading[TimeQuality] | None:
        if self._time is None:
            return None
        t_ns, quality = self._time
        return Reading(quality, (now_ns - t_ns) * 1e-9, self._time_simulated)

    def _cleared(self, pointing: Reading[Any] | None, now_ns: int) -> Cleared | None:
        if self._clearance is None or pointing is None:
            return None
        look = partial(self._clearance.look, self._clock.utc_ns(), now_ns, pointing.body)
        return self._failures.of("the clearinghouse's message", look, lambda why: Cleared(False, why))

    def _traffic_reading(self, pointing: Reading[Any] | None, now_ns: int) -> Reading[TrafficWord] | None:
        if self._traffic is None or pointing is None:
            return None
        look = partial(self._traffic.look, now_ns, pointing.body)
        word = self._failures.of("the aircraft feed", look, lambda why: TrafficWord(False, why, None))
        age_s = math.inf if word.heard_ns is None else (now_ns - word.heard_ns) * 1e-9
        return Reading(word, age_s, False)


def _read(status: Status | None, now_ns: int, simulated: bool) -> Reading[Status] | None:
    return None if status is None else Reading(status, (now_ns - status.t_ns) * 1e-9, simulated)


def _since(t_ns: int | None, now_ns: int) -> float | None:
    return None if t_ns is None else (now_ns - t_ns) * 1e-9
