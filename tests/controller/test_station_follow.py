"""A live stream through a whole station in lockstep: the bus with keys and leases, the mode machine, the vote."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from idle_bench import Idle

from controller.bus.holder import acquire, leased
from controller.bus.local import LocalBus, LocalPort
from controller.bus.port import Reply
from controller.bus.roles import Principal
from controller.bus.topics import POINTING_STATE, STATION_MODE, STATION_PASS
from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site
from controller.pointing.prediction import Observer
from controller.pointing.service import PointingService
from controller.pointing.targets import Fixed
from controller.safety.inputs import Inputs, Reading
from controller.safety.limits import Limits
from controller.safety.votes_station import ephemeris
from controller.services.lockstep import Lockstep
from controller.station_service import StationService
from hal.clock import NS
from hal.traits import AxisPosition, GimbalCapabilities

UTC0_NS = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))
SITE = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
AGE_MAX_S = 1.0
STOPPED_S = 0.5  # after that age: a turn of pointing, and one of the station
LIMITS = Limits(True, 0.1, 0.2, 1.0, 0.0, 0.0, 0.0, 0.0)
KEYS = {
    "anna": Principal("anna", "operator"),
    "bob": Principal("bob", "operator"),
    "eve": Principal("eve", "observer"),
    "station": Principal("station", "station"),
    "pointing": Principal("pointing", "station"),
}


class Axes:
    """A gimbal that takes a rate at once; a call takes 20 ms."""

    capabilities = GimbalCapabilities(math.radians(6), math.radians(6), 1e-6, 1e-7, 0.0, True)
    identity: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, clock: Lockstep, azimuth_rad: float, elevation_rad: float) -> None:
        self._clock, self._since_ns = clock, clock.now_ns()
        self._angle, self.rate = [azimuth_rad, elevation_rad], (0.0, 0.0)

    def position(self) -> AxisPosition:
        self._clock.sleep_until(self._clock.now_ns() + NS // 50)
        now_ns = self._clock.now_ns()
        passed_s, self._since_ns = (now_ns - self._since_ns) / NS, now_ns
        self._angle = [angle + rate * passed_s for angle, rate in zip(self._angle, self.rate, strict=True)]
        return AxisPosition(now_ns, self._angle[0] % math.tau, self._angle[1])

    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        self.position()
        self.rate = azimuth_rad_s, elevation_rad_s

    def stop(self) -> None:
        self.set_rate(0.0, 0.0)

    def close(self) -> None: ...


def state(t_utc_ns: int) -> dict[str, Any]:
    """Level flight northwards at 250 m/s, 30 km east and 12 km up: a straight line in the station's axes."""
    t_s = (t_utc_ns - UTC0_NS) / NS
    turn = SITE.itrf_to_enu
    place = SITE.itrf_m + np.array([30e3, 250.0 * t_s, 12e3]) @ turn
    return {
        "t_utc_ns": t_utc_ns,
        "position_m": place.tolist(),
        "velocity_m_s": (np.array([0.0, 250.0, 0.0]) @ turn).tolist(),
    }


class Play:
    """Station and pointing in threads of their own; `work` is what clients do, in one more."""

    def __init__(self) -> None:
        self.clock = Lockstep(Idle(), UTC0_NS)
        self.bus = LocalBus(self.clock)
        self.bus.principals.update(KEYS)
        self.axes = Axes(self.clock, math.pi / 2, 0.38)
        self.fed_utc_ns = 0

    def run(self, work: Any) -> None:
        observer = Observer(SITE, load_earth_orientation())
        pointing = PointingService(self.clock, self.bus.port("pointing"), lambda: self.axes, observer, Fixed(0.0, 0.5))
        station = StationService(self.clock, self.bus.port("station"), 10.0, None)

        def clients() -> None:
            try:
                self.sleep(0.5)
                work()
            finally:
                self.bus.stop()

        for name, body in (("station", station.run), ("pointing", pointing.run), ("clients", clients)):
            self.clock.spawn(name, body)
        self.clock.run()
        if self.clock.failures:
            raise next(iter(self.clock.failures.values()))

    def sleep(self, seconds: float) -> None:
        self.clock.sleep_until(self.clock.now_ns() + round(seconds * NS))

    def follow(self, port: LocalPort, lease: Any) -> Reply:
        now = self.clock.utc_ns()
        body = {"name": "plane", "frame": "ITRF", "age_max_s": AGE_MAX_S, "states": [state(now)]}
        body |= {"start_utc_ns": now, "end_utc_ns": now + 600 * NS}
        return port.call("station", "station.follow", body, 2.0, lease=lease)

    def feed(self, port: LocalPort, lease: Any) -> Reply:
        self.fed_utc_ns = self.clock.utc_ns()
        body = {"name": "plane", "frame": "ITRF", "states": [state(self.fed_utc_ns)]}
        return port.call("pointing", "pointing.feed", body, 1.0, lease=lease)

    def vote(self, port: LocalPort) -> Any:
        readings = [port.latest(topic) for topic in (STATION_MODE, POINTING_STATE)]
        mode, pointing = (Reading(s.body, s.age_s(self.clock.now_ns()), True) for s in readings if s is not None)
        return ephemeris(Inputs(self.clock.utc_ns(), False, mode=mode, pointing=pointing), LIMITS)


@pytest.fixture
def play() -> Play:
    return Play()


def test_a_stream_is_fed_under_the_lease_and_its_silence_takes_the_vote_away_and_stops_the_axes(play: Play) -> None:
    told: dict[str, Any] = {}

    def work() -> None:
        anna = play.bus.port("anna")
        lease = acquire(anna, "station", "follows a plane", 30.0)
        assert play.follow(anna, lease).code == ""
        for _ in range(20):
            play.sleep(0.2)
            assert play.feed(anna, lease).code == ""
        assert play.vote(anna).ok
        assert anna.fresh(STATION_MODE).live
        assert anna.fresh(STATION_MODE).mode == "POINT"
        assert max(map(abs, play.axes.rate)) > 1e-3
        newest = play.fed_utc_ns
        assert anna.fresh(STATION_PASS).target == "plane"
        while play.clock.utc_ns() - newest < 3 * NS and len(told) < 3:
            play.sleep(0.01)
            age_s = (play.clock.utc_ns() - newest) / NS
            if not play.vote(anna).ok:
                told.setdefault("vote", (age_s, play.vote(anna).reason))
            if play.axes.rate == (0.0, 0.0):
                told.setdefault("axes", (age_s, ""))
            if anna.fresh(STATION_MODE).mode == "HOLD":
                told.setdefault("mode", (age_s, anna.fresh(STATION_MODE).reason))
        play.sleep(1.0)
        assert play.axes.rate == (0.0, 0.0)
        assert play.feed(anna, lease).code == "LIMIT"

    play.run(work)
    assert AGE_MAX_S < told["vote"][0] < AGE_MAX_S + 0.1, "safety counts for itself, whatever pointing does"
    assert AGE_MAX_S < told["axes"][0] < AGE_MAX_S + STOPPED_S
    assert AGE_MAX_S < told["mode"][0] < AGE_MAX_S + STOPPED_S
    assert told["mode"][1] == "the stream of plane is silent: the axes are held"


def test_nobody_feeds_without_the_lease_with_anothers_or_as_an_observer(play: Play) -> None:
    def work() -> None:
        anna, bob, eve = (play.bus.port(name) for name in ("anna", "bob", "eve"))
        lease = acquire(anna, "station", "follows a plane", 30.0)
        assert play.follow(bob, None).code == "NO_LEASE"
        assert play.follow(anna, lease).code == ""
        assert play.feed(anna, lease).code == ""
        assert play.feed(bob, None).code == "NO_LEASE"
        stolen = play.feed(bob, lease)
        assert (stolen.code, "is anna's, not bob's" in stolen.message) == ("AUTH", True)
        watching = play.feed(eve, lease)
        assert (watching.code, "eve is an observer" in watching.message) == ("AUTH", True)
        play.sleep(0.1)
        assert play.feed(anna, lease).code == ""

    play.run(work)


def test_a_stream_whose_lease_has_passed_to_somebody_else_is_not_fed_on_and_ends(play: Play) -> None:
    def work() -> None:
        play.bus.principals["bob"] = Principal("bob", "supervisor")
        anna, bob = play.bus.port("anna"), play.bus.port("bob")
        lease = acquire(anna, "station", "follows a plane", 30.0)
        assert play.follow(anna, lease).code == ""
        assert play.feed(anna, lease).code == ""
        taken = acquire(bob, "station", "a storm", 30.0, preempt=True)
        play.sleep(0.1)
        assert play.feed(anna, lease).code == "LEASE_STALE"
        other = play.feed(bob, taken)
        assert (other.code, other.message) == ("AUTH", "plane is fed by anna, not by bob")
        play.sleep(AGE_MAX_S + STOPPED_S)
        assert bob.fresh(STATION_MODE).mode == "HOLD"

    play.run(work)


def test_a_follow_without_states_or_with_a_wrong_frame_moves_nothing(play: Play) -> None:
    def work() -> None:
        anna = play.bus.port("anna")
        lease = acquire(anna, "station", "follows a plane", 30.0)
        now = play.clock.utc_ns()
        body = {"name": "plane", "frame": "ITFR", "states": [state(now)], "start_utc_ns": now, "end_utc_ns": now + NS}
        assert "did you mean ITRF?" in anna.call("station", "station.follow", body, 2.0, lease=lease).message
        nothing = anna.call("station", "station.follow", {"name": "plane"}, 2.0, lease=lease)
        assert "follow needs name, start_utc_ns, end_utc_ns, and frame and states" in nothing.message
        assert anna.fresh(STATION_MODE).mode == "STOWED"

    play.run(work)


def test_a_target_that_somebody_gave_the_gimbal_past_the_station_is_a_no_whatever_it_calls_it(play: Play) -> None:
    def work() -> None:
        anna, bob = play.bus.port("anna"), play.bus.port("bob")
        with leased(anna, "station", "follows a plane") as lease:
            assert play.follow(anna, lease).code == ""
        play.sleep(0.3)
        assert play.vote(anna).ok
        with leased(bob, "gimbal", "looks at something") as other:
            body = {"star": "Vega", "name": "plane"}
            assert bob.call("pointing", "pointing.track", body, 2.0, lease=other).code == ""
            play.sleep(0.3)
        sentence = "the station's target is plane, the gimbal follows what the station did not tell it to"
        assert play.vote(anna).reason == sentence, "though bob has let go"
        assert play.vote(anna).orderly is False
        with leased(anna, "station", "follows it again") as lease:
            assert play.follow(anna, lease).code == ""
        play.sleep(0.3)
        assert play.vote(anna).ok
        assert anna.fresh(POINTING_STATE).target == "plane"

    play.run(work)
