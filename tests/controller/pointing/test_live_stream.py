"""A live stream of states: followed by the gimbal, refused where it is wrong, and over when it is silent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from controller.bus.port import Request
from controller.bus.topics import POINTING_STATE, POINTING_STREAM, STATION_EVENT, STATION_MODE, ModeState
from controller.geometry.frames import azel_to_enu
from controller.geometry.trajectory import fit_between
from controller.pointing.ephemeris.ephemeris import EphemerisError, Frame
from controller.pointing.ephemeris.live import Live, State
from controller.pointing.ephemeris.states import parse_states
from controller.pointing.mount import MountModel
from controller.pointing.mount_frame import ALT_AZ, MountFrame
from controller.pointing.prediction import apparent_enu_m, predict
from controller.pointing.service import PointingService
from controller.pointing.targets import Fixed
from hal.clock import NS

EVENING = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))
AGE_MAX_S = 2.0
TURN_S = 0.3  # of the loop, at most, and what a command needs to be heard


class Ascent:
    """A launch 60 km from the station: thrust that grows from 4 to 22 m/s2, a staging at 15 s with 3 s of coasting.

    East, north, up (m) by summing accelerations in steps of 1 ms: kinematics that know nothing of the stream's.
    """

    def __init__(self, observer):
        self.observer = observer
        t = np.arange(0.0, 30.0, 1e-3)
        thrust = np.where(t < 15, 4 + 0.5 * t, np.where(t < 18, 0.0, 6 + 0.38 * (t - 18)))
        tilt = np.radians(np.minimum(60.0, 1.1 * t))
        heading = np.radians(-70.0)
        pull = np.where((t >= 15) & (t < 18), -9.8, 0.0)
        along = thrust * np.sin(tilt)
        a = np.stack([along * np.sin(heading), along * np.cos(heading), thrust * np.cos(tilt) + pull], axis=1)
        v = np.vstack([[0.0, 0.0, 120.0], [0.0, 0.0, 120.0] + np.cumsum((a[1:] + a[:-1]) / 2, axis=0) * 1e-3])
        r = np.cumsum((v[1:] + v[:-1]) / 2, axis=0) * 1e-3
        start = np.array([40e3, 45e3, 25e3])
        turn = observer.site.itrf_to_enu
        self.position = observer.site.itrf_m + np.vstack([start, start + r]) @ turn
        self.velocity = v @ turn

    def state(self, t_utc_ns):
        row = round((t_utc_ns - EVENING) / 1e6)
        return {
            "t_utc_ns": EVENING + row * 1_000_000,
            "position_m": self.position[row].tolist(),
            "velocity_m_s": self.velocity[row].tolist(),
        }

    def table(self):
        """By the reader of files: a row each 100 ms."""
        rows = range(0, 30_000, 100)
        text = "t_utc,x_m,y_m,z_m,vx_m_s,vy_m_s,vz_m_s\n" + "\n".join(
            ",".join(
                [
                    str(np.datetime64(EVENING + row * 1_000_000, "ns"))[:23],
                    *(f"{x:.6f}" for x in (*self.position[row], *self.velocity[row])),
                ]
            )
            for row in rows
        )
        (table,) = parse_states(text, "ascent.csv")
        return table

    def path(self):
        """Where it is seen, in pieces that are so short that the staging does not ring."""
        table = self.table()
        edges = [EVENING + second * NS for second in range(1, 29)]
        return fit_between(lambda t: apparent_enu_m(table, t, self.observer), edges, 8)


@pytest.fixture(scope="module")
def ascent(observer):
    return Ascent(observer)


@pytest.fixture(scope="module")
def truth(ascent):
    return ascent.path()


class Bench:
    """Pointing on a simulated mount that stands where the ascent is 5 s after its beginning."""

    def __init__(self, clock, mount, port, observer, ascent, frame=ALT_AZ):
        self.clock, self.mount, self.port, self.ascent = clock, mount, port, ascent
        model = MountModel(frame=frame)
        self.service = PointingService(clock, port, lambda: mount, observer, Fixed(0.0, 0.5), model)
        self.service.open()
        self.mode = "SLEW"
        self.turn(0.1)

    def turn(self, seconds, feeds_hz=0.0, until=lambda: False, source="anna"):
        """Run; with `feeds_hz` a state comes so often, each as old as its way takes: 30 ms."""
        end_ns = self.clock.t_ns + round(seconds * NS)
        due_ns = self.clock.t_ns
        while self.clock.t_ns < end_ns and not until():
            self.port.give(STATION_MODE, ModeState(self.mode, 0, "a test says so"))
            if feeds_hz and self.clock.t_ns >= due_ns:
                due_ns += round(NS / feeds_hz)
                self.send([self.ascent.state(self.clock.utc_ns() - 30_000_000)], source=source)
            self.service.cycle()
        return self.port.bodies(POINTING_STATE)[-1]

    def send(self, states, name="ascent", frame="ITRF", source="anna"):
        body = {"name": name, "frame": frame, "states": states}
        self.port.inbox.append(Request(b"", source, "pointing.feed", body, False))

    def feed(self, states, **more):
        self.send(states, **more)
        self.turn(0.05)
        return self.port.answers[-1]

    def follow(self, **more):
        now = self.clock.utc_ns()
        body = {"name": "ascent", "frame": "ITRF", "age_max_s": AGE_MAX_S, "start_utc_ns": now, "end_utc_ns": now + NS}
        body |= {"states": [self.ascent.state(now - NS), self.ascent.state(now - NS // 2)]}
        self.port.ask("pointing.follow", body | more)
        self.turn(0.05)
        return self.port.answers[-1]

    @property
    def events(self):
        return [e for e in self.port.bodies(STATION_EVENT) if e.code == "STREAM"]


@pytest.fixture
def bench(fake_clock, simulated_mount, recording_port, observer, ascent, truth):
    clock = fake_clock(EVENING + 5 * NS)
    look = truth.receive(EVENING + 5 * NS)
    mount = simulated_mount(clock, np.random.default_rng(3), start=(look.azimuth_rad, look.elevation_rad))
    return Bench(clock, mount, recording_port(clock), observer, ascent)


def test_a_file_of_an_ascent_is_predicted_through_its_staging(ascent, truth):
    path = predict(ascent.table(), ascent.observer, EVENING + NS, EVENING + 28 * NS)
    t = EVENING + np.arange(1.01, 27.99, 0.02) * NS
    seen, true = (one.sample(t.astype(np.int64)) for one in (path, truth))
    miss = np.linalg.norm(azel_to_enu(seen[:, 0], seen[:, 1]) - azel_to_enu(true[:, 0], true[:, 1]), axis=1)
    assert miss.max() < 3e-6  # one polynomial missed by 100 µrad around the staging
    assert len(path.segments) < 20


def off_rad(bench, truth):
    """Seconds since the launch, each 10 ms from the 8th, and the angle between boresight and true direction."""
    rows = np.array(bench.mount.history)
    t_utc_ns = rows[:, 0].astype(np.int64) + bench.clock.utc_offset_ns
    rows, t_utc_ns = rows[t_utc_ns > EVENING + 8 * NS], t_utc_ns[t_utc_ns > EVENING + 8 * NS]
    true = truth.sample(t_utc_ns)
    gap = azel_to_enu(rows[:, 1], rows[:, 2]) - azel_to_enu(true[:, 0], true[:, 1])
    return (t_utc_ns - EVENING) / NS, np.linalg.norm(gap, axis=1)


def test_an_ascent_that_is_fed_live_is_followed_as_well_as_one_that_is_known_beforehand(bench, truth, make_known):
    assert bench.follow().code == ""
    state = bench.turn(17, feeds_hz=2)
    assert state.activity == "track"
    assert state.settled
    t, live = off_rad(bench, truth)
    _, known = off_rad(make_known(17), truth)
    steady = (t < 14.0) | (t > 20.0)  # a staging is seen when the next states come
    assert np.sqrt(np.mean(live[steady] ** 2)) < 1.5 * np.sqrt(np.mean(known**2))  # 1.0 and 0.8 µrad
    assert live[~steady].max() * state.range_m < 2 * 0.5 * (11.3 + 9.8) * 0.5**2  # thrust that ended half a second ago
    told = bench.port.bodies(POINTING_STREAM)[-1]
    assert (told.fed_by, told.refused) == ("anna", 0)
    assert told.taken > 32
    assert not bench.events


def test_a_mount_on_a_wedge_follows_an_ascent_that_is_fed_live(
    fake_clock, simulated_mount, recording_port, observer, ascent, truth
):
    clock, frame = fake_clock(EVENING + 5 * NS), MountFrame.equatorial(math.radians(28.2995))
    look = truth.receive(EVENING + 5 * NS)
    start = frame.axes(look.azimuth_rad, look.elevation_rad)
    bench = Bench(
        clock, simulated_mount(clock, np.random.default_rng(3), start=start), recording_port(clock), observer, ascent,
        frame,
    )  # fmt: skip
    assert bench.follow().code == ""
    state = bench.turn(6, feeds_hz=2)
    assert state.activity == "track"
    rows = np.array(bench.mount.history)
    t_utc_ns = rows[:, 0].astype(np.int64) + clock.utc_offset_ns
    late = t_utc_ns > EVENING + 8 * NS
    seen = np.array([frame.sky(*axes) for axes in rows[late, 1:]])
    true = truth.sample(t_utc_ns[late])
    gap = azel_to_enu(seen[:, 0], seen[:, 1]) - azel_to_enu(true[:, 0], true[:, 1])
    assert np.linalg.norm(gap, axis=1).max() < 10e-6, "it was 2.3 µrad"
    there = truth.receive(state.t_utc_ns)
    assert (state.target_azimuth_rad, state.target_elevation_rad) == pytest.approx(
        (math.remainder(there.azimuth_rad, math.tau), there.elevation_rad), abs=5e-6
    )


@pytest.fixture
def make_known(fake_clock, simulated_mount, recording_port, observer, ascent, truth):
    """The same mount with the whole path beforehand."""

    def make(seconds):
        clock = fake_clock(EVENING + 5 * NS)
        look = truth.receive(EVENING + 5 * NS)
        mount = simulated_mount(clock, np.random.default_rng(3), start=(look.azimuth_rad, look.elevation_rad))
        known = Bench(clock, mount, recording_port(clock), observer, ascent)
        known.port.ask("pointing.track", {"name": "ascent", "segments": truth.to_body()})
        known.turn(seconds)
        assert known.port.answers[-1].code == ""
        return known

    return make


def test_a_stream_that_falls_silent_is_followed_to_its_age_and_not_a_turn_longer(bench):
    bench.follow()
    bench.turn(4, feeds_hz=5)
    sigmas = []
    newest = bench.port.bodies(POINTING_STATE)[-1].state_utc_ns

    def silent():
        state = bench.port.bodies(POINTING_STATE)[-1]
        sigmas.append(math.hypot(*state.target_sigma_rad))
        return state.activity == "silent"

    bench.turn(10, until=silent)
    age_s = (bench.clock.utc_ns() - newest) / NS
    assert AGE_MAX_S < age_s < AGE_MAX_S + TURN_S
    assert "is silent: its newest state is more than 2 s old" in bench.events[-1].message
    assert max(sigmas) > 20 * min(s for s in sigmas if s > 0)  # unknown acceleration times age squared, over the range
    bench.turn(0.5)  # of which 75 ms until the stop is felt, and braking
    at_rest = list(bench.mount.angle)
    bench.turn(1.0)
    assert max(abs(a - b) for a, b in zip(at_rest, bench.mount.angle, strict=True)) < 1e-7
    assert bench.feed([bench.ascent.state(bench.clock.utc_ns())]).code == "LIMIT", "it does not resume by itself"


def test_a_position_that_jumps_against_its_velocities_is_left_out_and_told(bench):
    bench.follow()
    bench.turn(3, feeds_hz=5)
    before = bench.port.bodies(POINTING_STATE)[-1].state_utc_ns
    wrong = bench.ascent.state(bench.clock.utc_ns())
    wrong["position_m"][0] += 400.0
    reply = bench.feed([wrong])
    assert reply.code == "LIMIT"
    assert "0.400 km from where the velocities lead" in reply.message
    assert bench.port.bodies(POINTING_STATE)[-1].state_utc_ns == before
    assert "jump" in bench.events[-1].message
    assert bench.feed([bench.ascent.state(bench.clock.utc_ns())]).code == ""


@pytest.mark.parametrize(
    ("off_s", "told"),
    [
        (0.0, "out of order, or sent twice"),
        (-8.0, "s ago: older than the 2 s that are allowed"),
        (8.0, "s from now: the sender's clock is wrong"),
        (37.0, "it seems to be in TAI; send UTC"),
        (18.0, "it seems to be in GPS time; send UTC"),
        (69.0, "it seems to be in TT; send UTC"),
        (3600.0, r"it seems to be in local time (+1 h); send UTC"),
    ],
)
def test_states_of_another_time_are_refused_with_what_is_wrong_with_their_clock(bench, off_s, told):
    bench.follow()
    state = bench.ascent.state(bench.clock.utc_ns())
    assert bench.feed([state]).code == ""
    reply = bench.feed([state | {"t_utc_ns": state["t_utc_ns"] + round(off_s * NS)}])
    assert reply.code == "LIMIT"
    assert told in reply.message


def test_a_second_feeder_is_refused_and_the_first_goes_on(bench):
    bench.follow()
    assert bench.feed([bench.ascent.state(bench.clock.utc_ns())]).code == ""
    reply = bench.feed([bench.ascent.state(bench.clock.utc_ns())], source="bob")
    assert (reply.code, reply.message) == ("AUTH", "ascent is fed by anna, not by bob")
    assert bench.feed([bench.ascent.state(bench.clock.utc_ns())]).code == ""


def test_a_wrong_frame_name_or_field_is_refused_with_the_nearest_that_is_known(bench):
    assert "did you mean ITRF?" in bench.follow(frame="ITFR").message
    assert "age_max is no field of pointing.follow; did you mean age_max_s?" in bench.follow(age_max=3.0).message
    assert "age_max_s is 60, and should be from 0.2 to 30" in bench.follow(age_max_s=60.0).message
    assert bench.follow().code == ""
    assert "did you mean TEME?" in bench.feed([bench.ascent.state(bench.clock.utc_ns())], frame="TEMEE").message
    reply = bench.feed([bench.ascent.state(bench.clock.utc_ns())], frame="GCRF")
    assert reply.message == "ascent is followed in ITRF, and this is GCRF"
    assert bench.feed([bench.ascent.state(bench.clock.utc_ns())], name="other").code == "LIMIT"


def test_what_is_no_state_near_the_earth_is_refused(bench):
    bench.follow()
    good = bench.ascent.state(bench.clock.utc_ns())
    in_km = good | {"position_m": [x / 1e3 for x in good["position_m"]]}
    assert "metres from the geocentre are meant" in bench.feed([in_km]).message
    assert "no finite number" in bench.feed([good | {"velocity_m_s": [math.nan, 0.0, 0.0]}]).message
    assert "metres from the geocentre" in bench.feed([good | {"position_m": [1e308, 1e308, 1e308]}]).message
    assert "m/s are meant" in bench.feed([good | {"velocity_m_s": [1e308, 1e308, 1e308]}]).message
    assert "six rows of six" in bench.feed([good | {"covariance": [[1.0]]}]).message
    skew = np.eye(6)
    skew[0, 1] = 3.0
    assert "not symmetric and positive" in bench.feed([good | {"covariance": skew.tolist()}]).message
    assert "m2 and m2/s2 are meant" in bench.feed([good | {"covariance": (np.eye(6) * 1e308).tolist()}]).message
    below = np.diag([1e8, 1e8, 1e8, 1.0, 1.0, -100.0]).tolist()  # a millionth of the largest, but a variance
    assert "not symmetric and positive" in bench.feed([good | {"covariance": below}] * 2).message
    assert "Expected" in bench.feed([good | {"position_m": "here"}]).message
    assert bench.feed([]).code == "SCHEMA"
    assert bench.feed([good]).code == ""


def test_the_moon_turns_with_the_sky_at_28_km_s_in_a_frame_of_the_earth_and_may_not_among_the_stars():
    """384,400 km at one turn a sidereal day, less its own kilometre a second."""
    state = State(EVENING, np.array([384.4e6, 0.0, 0.0]), np.array([0.0, -27_000.0, 0.0]))
    Live("moon", Frame.ITRF, 3.0, 10.0).take(state, EVENING)
    with pytest.raises(EphemerisError, match="27,000 m/s is more than 20,000"):
        Live("moon", Frame.GCRF, 3.0, 10.0).take(state, EVENING)


def test_a_states_covariance_is_what_the_uncertainty_begins_with(bench, truth):
    bench.follow()
    known = np.diag([30.0**2] * 3 + [0.0] * 3)
    bench.feed([bench.ascent.state(bench.clock.utc_ns() - 10_000_000) | {"covariance": known.tolist()}])
    state = bench.port.bodies(POINTING_STATE)[-1]
    assert state.target_sigma_rad[0] == pytest.approx(30.0 / state.range_m, rel=0.01)
