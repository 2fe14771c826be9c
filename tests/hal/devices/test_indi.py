"""INDI: our client on telescopes of both kinds, beside other clients, and on servers that tell nonsense.

What every rotator must do is in test_rotators.py; it runs on a telescope that is sent to azimuth and altitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ideal_axes import IdealAxes
from rotators import FAMILIES, LIMITS

from controller.services.lockstep import Lockstep
from hal.conformance import SUITES, Terms, run_suite
from hal.devices import indi
from hal.devices.indi.telescope import POLLING_MS
from hal.errors import DeviceError, HalError, ProtocolError, WireTimeout
from hal.wires.opening import open_stream
from sim_hw.devices.indi import Indi
from sim_hw.devices.indi_property import Property
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import UNPACED_BAUD, SerialLine
from sim_hw.wires.memory_serial import serving

DEG = math.radians(1.0)
UTC0_NS = 1_795_711_504 * NS  # 2026-11-26T16:45:04
SITE = 48.0, 11.0, 500.0
TURNED_DEG = 15.041 / 3600 * (POLLING_MS / 1000 + 0.01)  # the sky, while an angle is as old as it may be
# Telescope Simulator of libindi 1.9.9, heard on the socket of its indiserver.
GOLDEN = """<setNumberVector device="Telescope Simulator" name="EQUATORIAL_EOD_COORD" state="Idle" timeout="60" \
timestamp="2026-11-26T16:45:04">
    <oneNumber name="RA">
15.126568978692182199
    </oneNumber>
    <oneNumber name="DEC">
90
    </oneNumber>
</setNumberVector>
"""
DEFINED = """<defSwitchVector device="Telescope Simulator" name="CONNECTION" label="Connection" group="Main Control" \
state="Idle" perm="rw" rule="OneOfMany" timeout="60" timestamp="2026-11-26T16:45:04">
    <defSwitch name="CONNECT" label="Connect">
Off
    </defSwitch>
    <defSwitch name="DISCONNECT" label="Disconnect">
On
    </defSwitch>
</defSwitchVector>
"""


class Bench:
    """A server whose telescope stands at 180, 45 degrees, our driver on it, and whatever client comes beside it."""

    def __init__(self, equatorial: bool, follows: bool = False) -> None:
        self.timeline = Timeline(UTC0_NS)
        self.axes = IdealAxes(self.timeline, azimuth_deg=180.0, elevation_deg=45.0)
        self.server = Indi(self.timeline, self.axes, equatorial=equatorial, follows=follows, **LIMITS)
        self.line = SerialLine(self.timeline, self.server, UNPACED_BAUD)
        self.clock = Lockstep(self.timeline, UTC0_NS)
        self.other = self.server.another()
        self.sent = bytearray()
        receive = self.server.receive
        self.server.receive = lambda data: (self.sent.extend(data), receive(data))[1]  # type: ignore[method-assign]

    def open(self, **more: Any) -> indi.Indi:
        telescope: indi.Indi = FAMILIES["indi"].open("simhw://rotator", self.clock, site=SITE, **more)
        return telescope

    def wait(self, seconds: float) -> None:
        self.clock.sleep_until(self.timeline.now_ns + round(seconds * NS))

    def beside(self, kind: str, name: str, **values: str) -> None:
        """Another client sets a property."""
        ones = "".join(f"<one{kind} name='{key}'>{value}</one{kind}>" for key, value in values.items())
        device = self.server._server.device
        self.other.receive(f"<new{kind}Vector device='{device}' name='{name}'>{ones}</new{kind}Vector>".encode())
        self.wait(0.1)

    @property
    def deg(self) -> tuple[float, float]:
        azimuth, elevation = self.axes.encoder_rad()
        return math.degrees(azimuth), math.degrees(elevation)


def bench_of(equatorial: bool, follows: bool = False) -> Iterator[Bench]:
    bench = Bench(equatorial, follows)
    with serving({"rotator": bench.line}, bench.clock):
        yield bench


@pytest.fixture(params=[False, True], ids=["horizontal", "equatorial"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from bench_of(request.param)


@pytest.fixture
def equatorial() -> Iterator[Bench]:
    yield from bench_of(True)


@pytest.fixture
def horizontal() -> Iterator[Bench]:
    yield from bench_of(False)


@pytest.fixture(params=[False, True], ids=["horizontal", "equatorial"])
def follower(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """One that follows the stars once it is there, whatever it was told."""
    yield from bench_of(request.param, follows=True)


def test_the_emulator_writes_as_libindi_does() -> None:
    values = {"RA": "15.126568978692182199", "DEC": "90"}
    each = Property("Number", "EQUATORIAL_EOD_COORD", "Main Control", values)
    assert each.update("Telescope Simulator", UTC0_NS) == GOLDEN
    connection = Property("Switch", "CONNECTION", "Main Control", {"CONNECT": "Off", "DISCONNECT": "On"})
    assert connection.defined("Telescope Simulator", UTC0_NS) == DEFINED


def test_the_telescope_is_connected_named_and_read(bench: Bench) -> None:
    telescope = bench.open()
    assert telescope.identity["model"] == "Telescope Emulator"
    here = telescope.position()
    assert math.degrees(here.azimuth_rad) == pytest.approx(180, abs=2 * TURNED_DEG)
    assert math.degrees(here.elevation_rad) == pytest.approx(45, abs=TURNED_DEG)


def test_a_telescope_of_right_ascension_does_what_the_trait_of_a_gimbal_says(equatorial: Bench) -> None:
    report = run_suite("gimbal", SUITES["gimbal"], equatorial.open, equatorial.clock, Terms(speed=1.0))
    assert [f"{f.sentence}: {f.detail}" for f in report.findings if f.verdict == "fail"] == []
    assert {f.detail for f in report.findings if f.verdict == "skipped"} == {"it takes directions only"}


def test_it_stands_still_where_it_was_sent_while_the_sky_turns(bench: Bench) -> None:
    telescope = bench.open()
    telescope.go_to(200 * DEG, 60 * DEG)
    bench.wait(10)
    there = bench.deg
    assert there == pytest.approx((200, 60), abs=0.05)  # 5 s of way
    telescope.go_to(200 * DEG, 60 * DEG)
    bench.wait(3)
    there = bench.deg
    assert there == pytest.approx((200, 60), abs=0.01)
    bench.wait(60)
    assert bench.deg == pytest.approx(there, abs=1e-6)


def test_one_that_follows_the_stars_from_there_stands_still_once_it_is_read(follower: Bench) -> None:
    telescope = follower.open()
    telescope.go_to(200 * DEG, 60 * DEG)
    follower.wait(10)
    there = follower.deg
    follower.wait(20)
    assert follower.deg[0] - there[0] > 0.05, "it follows"
    telescope.position()
    follower.wait(1)
    there = follower.deg
    follower.wait(60)
    assert follower.deg == pytest.approx(there, abs=1e-6)


def test_the_server_is_told_where_the_station_stands(equatorial: Bench) -> None:
    equatorial.open()
    assert equatorial.server._server._mount.site_deg == pytest.approx(SITE[:2])
    equatorial.sent.clear()
    equatorial.open()
    assert b"GEOGRAPHIC_COORD" in equatorial.sent
    assert b'"Telescope Emulator" name="GEOGRAPHIC_COORD"><oneNumber' not in equatorial.sent


def test_it_turns_freely_through_north_unless_its_limits_say_otherwise(horizontal: Bench) -> None:
    telescope = horizontal.open()
    assert telescope.capabilities.travel_rad[0] == pytest.approx((0, math.tau))
    telescope.go_to(380 * DEG, 45 * DEG)
    horizontal.wait(35)
    assert horizontal.deg[0] % 360 == pytest.approx(20, abs=0.01)
    telescope.set_rate(-0.1, 0.0)
    horizontal.wait(6)
    telescope.stop()
    assert 330 < math.degrees(telescope.position().azimuth_rad) < 355
    telescope.close()
    telescope = horizontal.open(travel_deg=((-100.0, 100.0), (0.0, 90.0)))
    assert telescope.capabilities.travel_rad[0] == pytest.approx((-100 * DEG, 100 * DEG))
    assert -30 < math.degrees(telescope.position().azimuth_rad) < -5
    telescope.go_to(-120 * DEG, 45 * DEG)
    horizontal.wait(20)
    assert horizontal.deg[0] % 360 == pytest.approx(260, abs=0.01)


def test_where_it_was_sent_at_the_end_of_its_travel_it_is_shown_beside_it(horizontal: Bench) -> None:
    telescope = horizontal.open()
    telescope.go_to(0.0, 45 * DEG)
    horizontal.wait(35)
    horizontal.axes.angle[0] = -1e-4
    horizontal.wait(0.1)
    assert telescope.position().azimuth_rad == pytest.approx(-1e-4, abs=1e-9)
    telescope.go_to(math.tau, 45 * DEG)
    horizontal.wait(1)
    horizontal.axes.angle[0] = math.tau + 1e-4
    horizontal.wait(0.1)
    assert telescope.position().azimuth_rad == pytest.approx(math.tau + 1e-4, abs=1e-9)


@pytest.mark.parametrize("stopped_by", ["opening", "stop", "stop_axes"])
def test_a_star_that_another_client_follows_is_followed_no_more(bench: Bench, stopped_by: str) -> None:
    telescope = bench.open()
    bench.beside("Switch", "TELESCOPE_TRACK_STATE", TRACK_ON="On")
    bench.wait(5)
    assert any(bench.axes.rate)
    if stopped_by == "stop":
        telescope.stop()
    elif stopped_by == "opening":
        telescope.close()
        bench.open()
    else:
        telescope.close()
        indi.stop_axes(open_stream("simhw://rotator", bench.clock, "gimbal"), bench.clock)
    bench.wait(0.1)
    there = bench.deg
    bench.wait(5)
    assert bench.deg == there


def test_a_telescope_that_is_parked_is_unparked_when_it_is_opened(bench: Bench) -> None:
    bench.open().close()
    bench.beside("Switch", "TELESCOPE_PARK", PARK="On")
    bench.wait(60)
    telescope = bench.open()
    telescope.go_to(10 * DEG, 20 * DEG)
    bench.wait(10)
    assert bench.deg[1] == pytest.approx(20, abs=0.01)


def test_a_refused_direction_is_a_sentence_with_the_telescopes_own_words(bench: Bench) -> None:
    telescope = bench.open()
    bench.beside("Switch", "TELESCOPE_PARK", PARK="On")
    told = telescope._drives
    telescope._drives = lambda: ("on", "on")  # what refuses is not the parking, as far as it says
    with pytest.raises(DeviceError, match=r"gimbal: Telescope Emulator refuses \w+_COORD: Please unpark the mount"):
        telescope.go_to(1.0, 0.5)
    telescope._drives = told
    with pytest.raises(DeviceError, match=r"gimbal: its azimuth is parked; say `boresight rig drives --power on`"):
        telescope.go_to(1.0, 0.5)


@pytest.mark.parametrize("state", ["Alert", "Idle"])
def test_a_refusal_without_a_word_is_a_refusal(bench: Bench, state: str) -> None:
    telescope = bench.open()
    bench.line.spoil = lambda data: data.replace(b'state="Busy"', f'state="{state}"'.encode())
    with pytest.raises(DeviceError, match="does not say why"):
        telescope.go_to(1.0, 0.5)


def test_angles_of_before_a_disconnection_are_never_told_as_present(bench: Bench) -> None:
    telescope = bench.open()
    bench.beside("Switch", "CONNECTION", DISCONNECT="On")
    for _ in range(3):
        with pytest.raises(DeviceError, match="was disconnected at the server"):
            telescope.position()
    telescope.close()
    bench.open().position()


def test_an_answer_that_is_taken_back_in_the_same_breath_is_none(horizontal: Bench) -> None:
    """Found by fuzzing: a property may be deleted right behind its last value."""
    telescope = horizontal.open()
    gone = f"<delProperty device='{horizontal.server._server.device}' name='HORIZONTAL_COORD'/>".encode()
    horizontal.line.spoil = lambda data: data + gone if b"HORIZONTAL_COORD" in data else data
    with pytest.raises(WireTimeout):
        telescope.position()
    horizontal.line.spoil = None
    assert math.degrees(telescope.position().azimuth_rad) == pytest.approx(180)


def test_angles_that_the_servers_driver_could_not_read_are_an_error(bench: Bench) -> None:
    telescope = bench.open()
    bench.line.spoil = lambda data: data.replace(b'_COORD" label', b'_COORD" was').replace(
        b'state="Idle"', b'state="Alert"'
    )
    with pytest.raises(DeviceError, match="has lost its angles"):
        telescope.position()


def test_what_a_driver_tells_by_itself_is_no_answer_and_does_no_harm(bench: Bench) -> None:
    telescope = bench.open()
    of_another, half = GOLDEN.encode(), GOLDEN.encode()[:100]
    bench.line.spoil = lambda data: of_another + data + half
    for _ in range(3):
        assert math.degrees(telescope.position().elevation_rad) == pytest.approx(45, abs=TURNED_DEG)


@pytest.mark.parametrize("text", [b"", b"nan", b"inf", b"12:30:70", b"1:2:3:4", b"400", b"1e300", b"--1"])
def test_an_angle_that_is_none_is_nonsense(horizontal: Bench, text: bytes) -> None:
    telescope = horizontal.open()
    horizontal.line.spoil = lambda data: data.replace(b"\n180", b"\n" + text, 1)
    with pytest.raises(ProtocolError, match=r"HORIZONTAL_COORD\.AZ, which is no angle"):
        telescope.position()
    horizontal.line.spoil = None
    assert math.degrees(telescope.position().azimuth_rad) == pytest.approx(180)


@pytest.mark.parametrize(("text", "degrees"), [(b"45:30:00", 45.5), (b"-0 30", -0.5), (b"45;30:36", 45.51)])
def test_sexagesimal_angles_are_read_as_the_protocol_allows(horizontal: Bench, text: bytes, degrees: float) -> None:
    telescope = horizontal.open()
    horizontal.line.spoil = lambda data: data.replace(b"\n45\n", b"\n" + text + b"\n")
    assert math.degrees(telescope.position().elevation_rad) == pytest.approx(degrees)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            lambda data: data + data.replace(b"Emulator", b"Twin"),
            "has the telescopes Telescope Emulator, Telescope Twin",
        ),
        (lambda data: data.replace(b"_EOD_", b"_X_").replace(b"HORIZONTAL", b"X"), "neither HORIZONTAL_COORD nor EQUA"),
        (lambda data: data.replace(b"ABORT_MOTION", b"X"), "has no TELESCOPE_ABORT_MOTION"),
        (lambda data: data.replace(b'"SLEW"', b'"X"'), "has no ON_COORD_SET with SLEW"),
        (lambda data: data.replace(b"\nOn", b"\nOff"), "refuses CONNECTION: it does not say why"),
        (lambda data: data.replace(b"\n5\n", b"\n2\n"), "no telescope introduces itself"),
    ],
    ids=["two", "neither", "unstoppable", "no slew", "unconnected", "no telescope"],
)
def test_what_cannot_be_used_is_refused_with_its_reason(
    bench: Bench, spoil: Callable[[bytes], bytes], why: str
) -> None:
    bench.line.spoil = spoil
    with pytest.raises(HalError, match=why):
        bench.open()


def test_right_ascension_without_a_site_is_refused(equatorial: Bench) -> None:
    equatorial.line.spoil = lambda data: data.replace(b"GEOGRAPHIC", b"X")
    with pytest.raises(DeviceError, match="has no GEOGRAPHIC_COORD"):
        equatorial.open()


def test_a_server_that_never_comes_to_the_point_is_a_time_out(bench: Bench) -> None:
    telescope = bench.open()
    put: list[Callable[[bytes], None]] = []
    bench.line.fault = lambda data, way: put.append(way)

    def babble() -> None:
        for way in put[:1]:
            way(GOLDEN.encode())
        bench.timeline.after(0.001, babble)

    babble()
    began_ns = bench.timeline.now_ns
    with pytest.raises(WireTimeout):
        telescope.position()
    assert bench.timeline.now_ns - began_ns < 2 * NS


def test_what_came_while_nobody_listened_is_never_an_answer(horizontal: Bench) -> None:
    """INDI's server keeps for whoever does not listen: more than its socket takes comes once we have begun to."""
    telescope = horizontal.open()
    answers: list[bytes] = []
    horizontal.line.fault = lambda data, put: (answers.append(data), put(data))[1]
    telescope.position()
    old = answers[-1].replace(b"\n180\n", b"\n10\n")
    assert b"\n10\n" in old

    def later(data: bytes, put: Callable[[bytes], None]) -> None:
        horizontal.line.fault = None
        for n in range(100):
            horizontal.timeline.after(n * 0.001, lambda: put(old * 10))

    horizontal.line.fault = later
    horizontal.server.say("")
    horizontal.wait(0.05)
    assert math.degrees(telescope.position().azimuth_rad) == pytest.approx(180)


def test_whoever_takes_over_connects_a_telescope_that_was_lost_on_its_way_and_stops_it(bench: Bench) -> None:
    telescope = bench.open()
    telescope.go_to(270 * DEG, 80 * DEG)
    bench.wait(1)
    telescope.close()
    bench.beside("Switch", "CONNECTION", DISCONNECT="On")
    assert all(bench.axes.rate)
    indi.stop_axes(open_stream("simhw://rotator", bench.clock, "gimbal"), bench.clock)
    assert bench.axes.rate == [0, 0]
