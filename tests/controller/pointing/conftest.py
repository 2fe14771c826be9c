"""A simulated mount with the timing of a NexStar, driven by a clock that it advances itself."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
from hand_clock import HandClock
from pointing_bench import Bench

from controller.bus.port import Reply, Request, Sample
from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site
from controller.pointing.elements import built_in_elements
from controller.pointing.ground import OPEN
from controller.pointing.passes import find_passes
from controller.pointing.plan import AxisLimits, plan
from controller.pointing.prediction import Observer
from hal.clock import NS
from hal.traits import AxisPosition, GimbalCapabilities, Identity

MS = NS // 1000
EVENING = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))
EXCHANGE_S = {"query": 0.035, "command": 0.0245}


class SimulatedMount:
    """Two axes: rates take effect 75 ± 15 ms after the command, with an acceleration limit and a noisy encoder.

    Backlash: the load follows the encoder with play; `load` is where the axes really are.
    """

    def __init__(self, clock, rng, *, backlash_rad=(0.0, 0.0), jitter_s=0.015, encoder_rad=1.2e-6, start=(0.0, 0.5)):
        self.capabilities = GimbalCapabilities(
            rate_max_rad_s=math.radians(3),
            acceleration_max_rad_s2=math.radians(2),
            resolution_rad=math.tau / (1 << 24),
            rate_resolution_rad_s=math.pi / 648000 / 4,
            command_latency_s=0.075,
            keeps_moving_when_silent=True,
        )
        self.clock, self.rng = clock, rng
        self.jitter_s, self.noise_rad = jitter_s, encoder_rad
        self.half = [b / 2 for b in backlash_rad]
        self.angle, self.load, self.rate, self.wanted = list(start), list(start), [0.0, 0.0], [0.0, 0.0]
        self.commands = (deque(), deque())
        self.t_ns = clock.now_ns()
        self.identity: Identity = {"maker": "Boresight", "model": "simulated mount"}
        self.fail: list[Exception] = []
        self.history: list[tuple[int, float, float]] = []
        self.stops = 0
        self.closed = False

    def _advance(self, to_ns):
        while self.t_ns < to_ns:
            step_ns = min(MS - self.t_ns % MS, to_ns - self.t_ns)
            self.t_ns += step_ns
            dt = step_ns / NS
            for i in (0, 1):
                while self.commands[i] and self.commands[i][0][0] <= self.t_ns:
                    self.wanted[i] = self.commands[i].popleft()[1]
                change = self.capabilities.acceleration_max_rad_s2 * dt
                self.rate[i] += min(change, max(-change, self.wanted[i] - self.rate[i]))
                self.angle[i] += self.rate[i] * dt
                self.load[i] = min(self.angle[i] + self.half[i], max(self.angle[i] - self.half[i], self.load[i]))
            if self.t_ns % (10 * MS) == 0:
                self.history.append((self.t_ns, *self.load))

    def _exchange(self, seconds):
        self.clock.t_ns += round(seconds * NS)
        self._advance(self.clock.t_ns)
        if self.fail:
            raise self.fail.pop(0)

    def position(self):
        asked = self.clock.t_ns + MS
        self._advance(asked)
        angles = [a + self.rng.normal(0, self.noise_rad) for a in self.angle]
        self._exchange(EXCHANGE_S["query"])
        return AxisPosition(asked, angles[0] % math.tau, angles[1])

    def set_rate(self, azimuth_rad_s, elevation_rad_s):
        for i, rate in enumerate((azimuth_rad_s, elevation_rad_s)):
            delay = 0.0083 + 0.075 + self.jitter_s * float(np.clip(self.rng.normal(), -3, 3))
            unit = self.capabilities.rate_resolution_rad_s
            self.commands[i].append((self.clock.t_ns + round(delay * NS), round(rate / unit) * unit))
            self._exchange(EXCHANGE_S["command"])

    def stop(self):
        self.stops += 1
        self.set_rate(0.0, 0.0)

    def close(self):
        self.closed = True


class RecordingPort:
    """A port without a bus: what a test gives is received, what the service sends is kept."""

    service = "pointing"

    def __init__(self, clock) -> None:
        self.clock = clock
        self.stopped = False
        self.inbox: list[Request] = []
        self.answers: list[Reply] = []
        self.published: list[tuple[str, object]] = []
        self.given: dict[str, Sample] = {}
        self.events: list[Sample] = []

    def give(self, topic, body, sent_utc_ns=None):
        sent = self.clock.utc_ns() if sent_utc_ns is None else sent_utc_ns
        self.given[topic.name] = Sample(topic.name, "test", 0, sent, self.clock.now_ns(), True, body)

    def ask(self, method, body=None, control=False):
        self.inbox.append(Request(b"", "test", method, body or {}, control))

    def publish(self, topic, body):
        self.published.append((topic.name, body))

    def bodies(self, topic):
        return [b for name, b in self.published if name == topic.name]

    def latest(self, topic, source=""):
        return self.given.get(topic.name)

    def fresh(self, topic, source=""):
        sample = self.given.get(topic.name)
        return sample.body if sample and sample.age_s(self.clock.now_ns()) <= topic.stale_after_s else None

    def drain(self, topic):
        taken, self.events = self.events, []
        return taken

    def requests(self):
        taken, self.inbox = self.inbox, []
        return taken

    def answer(self, request, reply):
        self.answers.append(reply)


@pytest.fixture(scope="session")
def fake_clock():
    def clock(utc0_ns=0):
        return HandClock(NS, utc0_ns - NS)

    return clock


@pytest.fixture(scope="session")
def simulated_mount():
    return SimulatedMount


@pytest.fixture(scope="session")
def recording_port():
    return RecordingPort


@pytest.fixture(scope="session")
def observer():
    site = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
    return Observer(site, load_earth_orientation())


@pytest.fixture(scope="session")
def limits():
    return AxisLimits(math.radians(3), math.radians(2))


@pytest.fixture(scope="session")
def pass_70(observer, limits):
    """A real pass that peaks at 70 degrees, planned."""
    for elements in built_in_elements():
        found = find_passes(
            elements,
            observer.site,
            observer.earth,
            elements.epoch_utc_ns,
            elements.epoch_utc_ns + 86_400 * NS,
            math.radians(20),
        )
        for one in found:
            if abs(math.degrees(one.elevation_max_rad) - 70.2) < 0.3:
                return plan(one, observer, limits)
    raise AssertionError("no pass near 70 degrees among the built-in elements")


@pytest.fixture
def make_bench(fake_clock, simulated_mount, recording_port, observer):
    def make(utc_ns=EVENING, start=(0.0, 0.5), wrap=None, ground=OPEN):
        clock = fake_clock(utc_ns)
        mount = simulated_mount(clock, np.random.default_rng(7), start=start)
        return Bench(clock, mount, recording_port(clock), observer, wrap, ground)

    return make
