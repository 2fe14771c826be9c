"""The BaseStation text stream: lines, and a connection on loopback that comes, stalls, lies and goes."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from hal.devices.sbs import SbsFeed, parse_sbs
from hal.errors import ProtocolError, ResourceError, WireError
from hal.traits import AircraftReport

POSITION = "MSG,3,1,1,4CA2D6,1,2026/03/01,20:00:00.000,2026/03/01,20:00:00.000,,36000,,,28.5,-16.25,,,0,0,0,0"
VELOCITY = "MSG,4,1,1,4ca2d6,1,2026/03/01,20:00:00.000,2026/03/01,20:00:00.000,,,450.5,271.2,,,-64,,0,0,0,0"
S = 10**9


class ManualClock:
    realtime = True

    def __init__(self) -> None:
        self.t_ns = 10**12

    def now_ns(self) -> int:
        return self.t_ns

    def utc_ns(self) -> int:
        return self.t_ns

    def sleep_until(self, t_ns: int) -> None:
        raise AssertionError("a feed never waits")


def test_a_position_message_is_read_in_metres_and_degrees() -> None:
    report = parse_sbs(POSITION, 7)
    assert report == AircraftReport(7, "4CA2D6", 28.5, -16.25, pytest.approx(10_972.8), None, False)


def test_a_velocity_message_is_read_in_metres_a_second_and_its_address_in_capitals() -> None:
    report = parse_sbs(VELOCITY, 7)
    assert report is not None
    assert (report.address, report.latitude_deg, report.altitude_m) == ("4CA2D6", None, None)
    assert report.speed_m_s == pytest.approx(231.757, abs=1e-3)  # 450.5 knots


@pytest.mark.parametrize(("flag", "on_ground"), [("0", False), ("-1", True), ("1", True), ("", None)])
def test_the_ground_flag_is_minus_one_or_one(flag: str, on_ground: bool | None) -> None:
    report = parse_sbs(POSITION[:-1] + flag, 7)
    assert report is not None
    assert report.on_ground is on_ground


@pytest.mark.parametrize("line", ["", "AIR,,1,1,4CA2D6,1,2026/03/01,20:00:00.000,2026/03/01,20:00:00.000", "STA,,1"])
def test_lines_that_are_of_no_aircraft_in_the_sky_are_passed_over(line: str) -> None:
    assert parse_sbs(line, 7) is None


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1",
        POSITION[:-2],
        POSITION + ",0",
        POSITION.replace("4CA2D6", "4CA2"),
        POSITION.replace("4CA2D6", "XYZXYZ"),
        POSITION.replace("28.5", "91"),
        POSITION.replace("28.5", "nan"),
        POSITION.replace("-16.25", "west"),
        POSITION.replace("36000", "1e9"),
    ],
)
def test_a_line_that_is_malformed_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"MSG of 22|no ICAO|out of range|could not convert"):
        parse_sbs(line, 7)


class Receiver:
    """A receiver on loopback and a feed that listens to it."""

    def __init__(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.clock = ManualClock()
        self.resource = f"tcp://127.0.0.1:{self.server.getsockname()[1]}"
        self.feed = SbsFeed(self.resource, self.clock)
        stack.callback(self.feed.close)
        self.peer = stack.enter_context(self.server.accept()[0])

    def sends(self, text: str) -> None:
        self.peer.sendall(text.encode())

    def hears(self, count: int) -> list[AircraftReport]:
        """Polls until so many reports have come; the kernel hands loopback bytes over at once, or nearly."""
        heard: list[AircraftReport] = []
        for _ in range(100_000):
            heard += self.feed.poll()
            if len(heard) >= count:
                return heard
        raise AssertionError(f"only {len(heard)} reports came")

    def fails(self) -> Exception:
        for _ in range(100_000):
            try:
                self.feed.poll()
            except (WireError, ProtocolError) as error:
                return error
        raise AssertionError("nothing was raised")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with ExitStack() as stack:
        yield Receiver(stack)


def test_lines_come_whole_however_they_were_cut(receiver: Receiver) -> None:
    assert receiver.feed.poll() == []
    assert receiver.feed.heard_ns is None
    receiver.sends(POSITION + "\r\n" + VELOCITY[:30])
    assert [r.altitude_m for r in receiver.hears(1)] == [pytest.approx(10_972.8)]
    receiver.clock.t_ns += S
    receiver.sends(VELOCITY[30:] + "\n")
    (report,) = receiver.hears(1)
    assert report.t_ns == receiver.feed.heard_ns == 10**12 + S


def test_lines_without_an_aircraft_do_not_say_that_the_receiver_hears(receiver: Receiver) -> None:
    receiver.sends("STA,,1\n" + POSITION + "\n")
    receiver.hears(1)
    heard_ns = receiver.feed.heard_ns
    receiver.clock.t_ns += S
    receiver.sends("STA,,1\nSTA,,1\n")
    for _ in range(1000):
        receiver.feed.poll()
    assert receiver.feed.heard_ns == heard_ns


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("HTTP/1.1 200 OK\n", "no MSG of 22 fields"),
        ("x" * 600, "sends no lines"),
        ("MSG,3,1,1,4CA2D6\n", "no MSG of 22 fields"),
        ("MSG\xff\n", "ascii"),
    ],
)
def test_what_is_no_such_stream_is_an_error_that_says_so(receiver: Receiver, sent: str, told: str) -> None:
    receiver.sends(sent)
    error = receiver.fails()
    assert isinstance(error, ProtocolError)
    assert told in str(error)


def test_a_receiver_that_hangs_up_is_lost(receiver: Receiver) -> None:
    receiver.peer.close()
    assert "is lost (" in str(receiver.fails())


def test_a_receiver_that_refuses_is_an_error_and_never_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises((WireError, ResourceError), match="Connection refused"):  # noqa: PT012 (loopback may say so at once)
        feed = SbsFeed(f"tcp://127.0.0.1:{port}", ManualClock())
        try:
            for _ in range(100_000):
                feed.poll()
        finally:
            feed.close()


def test_a_receiver_is_named_by_its_number() -> None:
    with pytest.raises(ResourceError, match="write its address in numbers"):
        SbsFeed("tcp://receiver.example:30003", ManualClock())


def test_a_number_is_finite_or_the_line_is_refused() -> None:
    assert math.isfinite(parse_sbs(POSITION, 0).altitude_m)  # type: ignore[union-attr,arg-type]
    with pytest.raises(ValueError, match="out of range"):
        parse_sbs(POSITION.replace("36000", "inf"), 0)
