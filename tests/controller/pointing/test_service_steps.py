"""The pointing service with a rotator that is sent to whole degrees."""

from __future__ import annotations

import math

import numpy as np
import pytest
from simulated_rotator import DEG, SimulatedRotator

from controller.bus.topics import POINTING_STATE, STATION_EVENT, STATION_MODE, ModeState
from controller.pointing.service import PointingService
from controller.pointing.targets import Fixed
from hal.clock import NS

EVENING = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))


class Bench:
    def __init__(self, clock, port, observer, rotator):
        self.clock, self.port, self.rotator = clock, port, rotator
        self.service = PointingService(clock, port, lambda: rotator, observer, Fixed(0.0, math.radians(30)))
        self.service.open()

    def turn(self, seconds, mode="SLEW"):
        end_ns = self.clock.t_ns + round(seconds * NS)
        while self.clock.t_ns < end_ns:
            if mode:
                self.port.give(STATION_MODE, ModeState(mode, 0, "a test says so"))
            self.service.cycle()
        return self.port.bodies(POINTING_STATE)[-1]

    def ask(self, method, body):
        self.port.ask(method, body)
        self.turn(0.05)
        return self.port.answers[-1]

    @property
    def told(self):
        return [event.message for event in self.port.bodies(STATION_EVENT)]


@pytest.fixture
def bench(fake_clock, recording_port, observer):
    clock = fake_clock(EVENING)
    return Bench(clock, recording_port(clock), observer, SimulatedRotator(clock, (100.0, 20.0)))


def test_what_whole_degrees_imply_is_told_before_it_starts(pass_70, fake_clock, recording_port, observer):
    clock = fake_clock(pass_70.trajectory.start_utc_ns)
    bench = Bench(clock, recording_port(clock), observer, SimulatedRotator(clock, (100.0, 20.0)))
    reply = bench.ask("pointing.track", {"segments": pass_70.trajectory.to_body()})
    sentence = "it is sent to steps of 1 deg: expect 0.35 deg rms and up to 0.67 deg off the target"
    assert reply.code == ""
    assert reply.message.endswith(sentence)
    assert bench.told == [f"gimbal: {sentence}"]


def test_a_slew_ends_on_the_nearest_degree_and_is_settled(bench):
    bench.ask("pointing.slew", {"azimuth_rad": 130.4 * DEG, "elevation_rad": 40.6 * DEG})
    state = bench.turn(12)
    assert [angle / DEG for angle in bench.rotator.angle] == pytest.approx([130, 41])
    assert (state.activity, state.settled) == ("hold", True)


@pytest.mark.parametrize("mode", ["HOLD", "SAFE", None])
def test_it_is_stopped_on_its_way_when_the_station_says_so_or_nothing(bench, mode):
    bench.ask("pointing.slew", {"azimuth_rad": 300 * DEG, "elevation_rad": 40 * DEG})
    bench.turn(3)
    stops = bench.rotator.stops
    bench.turn(1.0, mode)
    rested = list(bench.rotator.angle)
    bench.turn(1.0, mode)
    assert bench.rotator.stops == stops + 1
    assert bench.rotator.angle == rested
    assert rested[0] < 200 * DEG


def test_a_service_that_closes_stops_it(bench):
    bench.ask("pointing.slew", {"azimuth_rad": 300 * DEG, "elevation_rad": 40 * DEG})
    stops = bench.rotator.stops
    bench.service.close()
    assert bench.rotator.stops == stops + 1
