"""Alpaca: what the driver sends, every form of answer that HTTP and the API allow, and what is none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from alpaca_bench import Bench
from rotators import LIMITS

from hal.devices.alpaca import Alpaca, stop_axes
from hal.devices.alpaca.rates import as_told, at_most, gaps_of, in_both, ranges_of
from hal.errors import DeviceError, HalError, ProtocolError, ResourceError, WireError, WireTimeout
from hal.wires import wirelog
from hal.wires.opening import open_stream
from sim_hw.devices import alpaca as emulated

DEG = math.radians(1.0)


def test_these_bytes_go_to_the_server(bench: Bench) -> None:
    telescope = bench.open()
    sent: list[bytes] = []
    write = telescope._wire.write
    telescope._wire.write = lambda data: (sent.append(data), write(data))[1]  # type: ignore[method-assign]
    telescope._server._transaction = 6
    telescope.position()
    telescope.set_rate(1.5 * DEG, -0.25 * DEG)
    get = b"GET /api/v1/telescope/0/%s?ClientID=1&ClientTransactionID=%d HTTP/1.1\r\nHost: telescope\r\n\r\n"
    put = (
        b"PUT /api/v1/telescope/0/moveaxis HTTP/1.1\r\nHost: telescope\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s"
    )
    assert sent[:2] == [get % (b"azimuth", 7), get % (b"altitude", 8)]
    forms = [
        b"Axis=0&Rate=1.5&ClientID=1&ClientTransactionID=9",
        b"Axis=1&Rate=-0.25&ClientID=1&ClientTransactionID=10",
    ]
    assert sent[2:] == [put % (len(form), form) for form in forms]


def test_a_telescope_of_the_fourth_interface_is_asked_once_for_both_angles(make: Callable[..., Bench]) -> None:
    bench = make(interface=4)
    telescope = bench.open()
    bench.asked.clear()
    before_ns = bench.timeline.now_ns
    here = telescope.position()
    assert bench.asked == ["GET devicestate"]
    assert (here.azimuth_rad, here.elevation_rad) == pytest.approx((180 * DEG, 45 * DEG))
    assert here.t_ns == (before_ns + bench.timeline.now_ns) // 2
    for wrong in (
        b'{"Value": {}}',
        b'{"Value": [{"Name": "Altitude", "Value": 1.0}, 7]}',
        b'{"Value": [{"Name": [], "Value": 1}]}',
    ):
        bench.answering(wrong)
        with pytest.raises(ProtocolError, match="instead of its angles"):
            telescope.position()


def test_opening_connects_unparks_ends_tracking_and_stops(bench: Bench) -> None:
    bench.telescope.parked = bench.telescope.tracking = True
    telescope = bench.open()
    assert bench.orders() == [
        "PUT connected Connected=true",
        "PUT unpark",
        "PUT tracking Tracking=false",
        "PUT abortslew",
        "PUT moveaxis Axis=0&Rate=0",
        "PUT moveaxis Axis=1&Rate=0",
    ]
    assert (bench.telescope.connected, bench.telescope.parked, bench.telescope.tracking) == (True, False, False)
    assert telescope.identity["name"] == "Boresight's emulated telescope"
    assert telescope.identity["interface"] == 3


def test_rates_and_slews_give_way_to_each_other(bench: Bench) -> None:
    telescope = bench.open()
    bench.orders()
    telescope.set_rate(1.0 * DEG, 0.5 * DEG)
    telescope.go_to(-170 * DEG, 60 * DEG)
    assert bench.orders()[2:] == [
        "PUT moveaxis Axis=0&Rate=0.0",
        "PUT moveaxis Axis=1&Rate=0.0",
        "PUT slewtoaltazasync Azimuth=190.000000&Altitude=60.000000",
    ]
    bench.wait(0.5)
    telescope.set_rate(0.0, -0.5 * DEG)
    assert bench.orders() == ["PUT abortslew", "PUT moveaxis Axis=0&Rate=0.0", "PUT moveaxis Axis=1&Rate=-0.5"]
    bench.wait(0.5)
    assert bench.rates_deg_s == pytest.approx([0.0, -0.5], abs=1e-9)


def test_azimuth_goes_round_for_ever_unless_the_limits_are_less_than_a_turn(bench: Bench) -> None:
    telescope = bench.open()
    assert telescope.capabilities.travel_rad is None
    telescope.go_to(359 * DEG, 45 * DEG)
    bench.wait(60)
    telescope.set_rate(2 * DEG, 0.0)
    bench.wait(2)
    assert telescope.position().azimuth_rad == pytest.approx(3 * DEG, abs=0.2 * DEG)
    telescope.stop()
    telescope.close()
    limited = bench.open(travel_deg=((-90.0, 90.0), (0.0, 80.0)))
    assert [[round(math.degrees(end)) for end in ends] for ends in limited.capabilities.travel_rad or ()] == [
        [-90, 90],
        [0, 80],
    ]
    limited.go_to(-20 * DEG, 45 * DEG)
    bench.wait(30)
    assert limited.position().azimuth_rad == pytest.approx(-20 * DEG, abs=0.01 * DEG)
    assert bench.server.telescope.angles_deg[0] == pytest.approx(340.0, abs=0.01)


RANGES = [
    ([(0.0, 3.0)], (), ()),
    ([(0.01, 0.5), (1.0, 3.0)], (), ((0.0, 0.01), (0.5, 1.0))),
    ([(0.25, 0.25), (1.0, 3.0)], (), ((0.0, 0.25), (0.25, 1.0))),
    ([(0.25, 0.25), (1.0, 1.0), (3.0, 3.0)], (0.25, 1.0, 3.0), ()),
    ([(0.0, 1.0), (0.5, 3.0)], (), ()),
]


@pytest.mark.parametrize(("ranges", "speeds", "gaps"), RANGES)
def test_the_rates_that_it_names_are_its_capabilities(
    make: Callable[..., Bench], ranges: list[tuple[float, float]], speeds: tuple[float, ...], gaps: tuple[Any, ...]
) -> None:
    able = make(rates_deg_s=ranges).open().capabilities
    assert math.degrees(able.rate_max_rad_s) == pytest.approx(3.0)
    assert [math.degrees(rate) for rate in able.rates_rad_s] == pytest.approx(list(speeds))
    assert [math.degrees(edge) for gap in able.rate_gaps_rad_s for edge in gap] == pytest.approx(
        [edge for gap in gaps for edge in gap]
    )
    assert able.best == ("position" if speeds else "rate")
    assert able.keeps_moving_when_silent


def test_only_rates_that_it_names_are_sent_and_the_nearest_ones(make: Callable[..., Bench]) -> None:
    bench = make(rates_deg_s=[(0.01, 1 / 15), (1.0, 7 / 3)])
    telescope = bench.open(rate_max_rad_s=1.0)
    bench.orders()
    for wanted, sent in ((5.0, 7 / 3), (0.02, 0.02), (0.5, 1 / 15), (0.7, 1.0), (0.001, 0.0), (-0.009, -0.01)):
        telescope.set_rate(wanted * DEG, 0.0)
        digits = bench.orders()[0].rpartition("=")[2]
        assert float(digits) == pytest.approx(sent, abs=1e-9)
        assert "e" not in digits
        assert not 1 / 15 < abs(float(digits)) < 1.0  # not even by the last digit


def test_near_the_end_of_travel_it_takes_the_next_lower_rate_that_it_has(make: Callable[..., Bench]) -> None:
    bench = make(rates_deg_s=[(0.2, 0.2), (1.0, 3.0)])
    telescope = bench.open(travel_deg=((100.0, 190.0), (0.0, 90.0)))
    bench.orders()
    told = []
    for _ in range(200):
        telescope.set_rate(3 * DEG, 0.0)
        told.append(float(bench.orders()[0].rpartition("=")[2]))
        bench.wait(0.1)
    assert sorted(set(told)) == pytest.approx([0.0, 0.2, *sorted(rate for rate in set(told) if rate >= 1.0)])
    assert told[-1] == 0.0
    assert bench.deg[0] <= 190.0 + 3.0 * 0.05  # what it coasts at its fastest within its latency


@pytest.mark.parametrize("alignment", [1, 2])
def test_a_mount_that_is_not_alt_azimuth_is_sent_to_directions_only(make: Callable[..., Bench], alignment: int) -> None:
    bench = make(alignment=alignment)
    telescope = bench.open()
    assert telescope.capabilities.best == "position"
    telescope.set_rate(1 * DEG, 1 * DEG)
    assert [order for order in bench.orders() if "moveaxis" in order] == []
    bench.wait(2)
    assert bench.deg[0] > 185.0
    telescope.stop()
    assert not bench.telescope._turning


def test_one_that_cannot_be_sent_takes_rates_and_one_that_can_do_neither_is_refused(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(emulated.ABILITIES, "canslewaltazasync", False)
    telescope = (bench := make()).open()
    assert telescope.capabilities.takes == {"rate"}
    with pytest.raises(DeviceError, match="takes rates only"):
        telescope.go_to(1.0, 0.5)
    telescope.close()
    bench.telescope.alignment = 2
    with pytest.raises(DeviceError, match=r"can neither be sent .* nor turned by rates up to 5\.72958 deg/s"):
        bench.open()


@pytest.mark.parametrize(
    ("error", "shown", "why"),
    [
        (0x400, "0x400", "cannot do that"),
        (0x401, "0x401", "takes no such value"),
        (0x402, "0x402", "never told a value"),
        (0x407, "0x407", "lost its telescope"),
        (0x408, "0x408", "is parked; say `boresight rig drives --power on`"),
        (0x409, "0x409", "follows another device"),
        (0x40B, "0x40B", "may not do that now"),
        (0x40C, "0x40C", "no such action"),
        (0x40E, "0x40E", "cancelled"),
        (0x4FE, "0x4FE", "see the server's log"),
        (0x500, "0x500", "its own driver failed"),
        (-0x7FFBFC00, "0x80040400", "see the server's log"),
    ],
)
def test_each_error_is_a_sentence_that_says_what_to_do(bench: Bench, error: int, shown: str, why: str) -> None:
    telescope = bench.open()
    bench.refusing(error, words="in its\n own words")
    for call in (telescope.position, lambda: telescope.go_to(1.0, 0.5)):
        with pytest.raises(
            DeviceError, match=rf"gimbal: .* refuses \w+ with error {shown} \(in its own words\): .*{why}"
        ) as e:
            call()
        assert e.value.code == error
    bench.line.spoil = None
    assert telescope.position().azimuth_rad == pytest.approx(180 * DEG)


def test_a_stop_goes_on_whatever_is_refused_and_a_parked_telescope_stands(bench: Bench) -> None:
    telescope = bench.open()
    bench.orders()
    bench.refusing(0x500, "abortslew")
    with pytest.raises(DeviceError, match="refuses abortslew with error 0x500"):
        telescope.stop()
    assert bench.orders() == ["PUT abortslew", "PUT moveaxis Axis=0&Rate=0", "PUT moveaxis Axis=1&Rate=0"]
    bench.line.spoil = None
    bench.telescope.parked = True
    telescope.stop()
    bench.telescope.parked = False
    telescope.close()
    bench.refusing(0x400)
    wire = open_stream("simhw://telescope", bench.clock, "gimbal")
    with pytest.raises(DeviceError, match="stops nothing of its telescope; use the motion cut-off"):
        stop_axes(wire, bench.clock)
    wire.close()


@pytest.mark.parametrize(
    "body",
    [
        b'{"Value": "12.5"}',
        b'{"Value": true}',
        b'{"Value": null}',
        b'{"Value": NaN}',
        b'{"Value": 1e999}',
        b'{"Value": 1' + b"0" * 400 + b"}",
        b'{"Value": 400.0}',
        b'{"ErrorNumber": "none"}',
        b'{"Value": 1.0, "ClientTransactionID": 4000000000}',
        b'{"Value": 1.0, "ClientTransactionID": "mine"}',
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 50_000,
        b" " * 70_000 + b"{}",
    ],
)
def test_what_is_no_answer_of_the_api_is_nonsense_and_the_next_one_is_read(bench: Bench, body: bytes) -> None:
    telescope = bench.open()
    bench.answering(body)
    with pytest.raises(ProtocolError, match=r"gimbal: sent .* instead of its angles"):
        telescope.position()
    bench.line.spoil = None
    assert telescope.position().azimuth_rad == pytest.approx(180 * DEG)


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8;x=y\r\n{"Value"\r\n6\r\n: 12.5\r\n1\r\n}\r\n0\r\n\r\n',
        b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Fine\r\ncontent-length:15\r\n\r\n{"Value": 12.5}',
        b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{"Value": 12.5}',
        b'HTTP/1.0 200 OK\nContent-Length: 15\n\n{"Value": 12.5}',
    ],
)
def test_an_answer_may_have_any_form_that_http_allows(bench: Bench, answer: bytes) -> None:
    telescope = bench.open()
    bench.line.spoil = lambda data: answer
    for _ in range(3):
        position = telescope.position()
        assert (position.azimuth_rad, position.elevation_rad) == pytest.approx((12.5 * DEG, 12.5 * DEG))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",  # a TLS alert
    ],
)
def test_what_is_no_http_is_nonsense_at_once(bench: Bench, answer: bytes) -> None:
    telescope = bench.open()
    bench.line.spoil = lambda data: answer
    with pytest.raises(ProtocolError, match="instead of its angles; check that simhw://telescope is the right server"):
        telescope.position()
    bench.line.spoil = None
    assert telescope.position().azimuth_rad == pytest.approx(180 * DEG)


def test_a_status_of_the_server_itself_is_told(bench: Bench) -> None:
    telescope = bench.open()
    bench.answering(b"no such device", b"400 Bad Request")
    with pytest.raises(DeviceError, match=r"HTTP 400 \(no such device\): check that the rig file names the right"):
        telescope.position()
    bench.answering(b"", b"500 Internal Server Error")
    with pytest.raises(DeviceError, match="turns azimuth away with HTTP 500: see the server's log"):
        telescope.position()


def test_an_answer_to_an_earlier_question_is_never_that_of_the_next(bench: Bench) -> None:
    telescope = bench.open()
    held: list[bytes] = []
    bench.line.fault = lambda data, put: held.append(data) if not held else put(held[0] + data)
    with pytest.raises(WireTimeout):
        telescope.position()
    bench.axes.angle[0] = 200 * DEG
    assert telescope.position().azimuth_rad == pytest.approx(200 * DEG)
    assert b"180.0" in held[0]


def test_an_order_that_is_not_answered_is_not_sent_twice_and_one_on_a_dead_connection_is(bench: Bench) -> None:
    telescope = bench.open()
    bench.orders()
    bench.line.fault = lambda data, put: None
    with pytest.raises(WireTimeout):
        telescope.go_to(190 * DEG, 50 * DEG)
    bench.line.fault = None
    assert bench.orders() == ["PUT slewtoaltazasync Azimuth=190.000000&Altitude=50.000000"]
    telescope.stop()
    bench.orders()
    bench.line.hang_up()  # as a server ends a connection that was idle
    bench.line.plug_in()
    telescope.go_to(190 * DEG, 50 * DEG)
    assert bench.orders() == ["PUT slewtoaltazasync Azimuth=190.000000&Altitude=50.000000"]


def test_every_order_of_a_stop_is_sent_when_no_answer_comes_and_a_host_that_is_gone_is_tried_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    telescope = bench.open()
    bench.orders()
    bench.line.fault = lambda data, put: None
    with pytest.raises(WireTimeout):
        telescope.stop()
    assert bench.orders() == ["PUT abortslew", "PUT moveaxis Axis=0&Rate=0", "PUT moveaxis Axis=1&Rate=0"]
    tried: list[int] = []

    def unreachable(*_: object, **__: object) -> Any:
        tried.append(bench.timeline.now_ns)
        bench.wait(2.0)  # as long as the kernel knocks
        raise ResourceError("gimbal: nobody answers there.")

    monkeypatch.setattr("hal.devices.alpaca.telescope.open_stream", unreachable)
    with pytest.raises(WireError, match="nobody answers there"):
        telescope.stop()
    assert len(tried) == 1


def test_a_server_that_is_gone_is_an_error_of_the_wire(bench: Bench) -> None:
    telescope = bench.open()
    bench.line.hang_up()
    for _ in range(3):
        with pytest.raises(WireError, match="gimbal: "):
            telescope.position()
    bench.line.plug_in()
    assert telescope.position().azimuth_rad == pytest.approx(180 * DEG)


@pytest.mark.parametrize("path", ["/", "/api/v1/camera/0", "/api/v1/telescope/x", "/api/v1/telescope/0/azimuth", "/0"])
def test_a_resource_that_names_no_telescope_is_refused_with_the_right_form(
    bench: Bench, path: str, tmp_path: Any
) -> None:
    log = tmp_path / "gimbal.wire.jsonl"
    entry = {"t_ns": 0, "is": "open", "resource": f"http://10.0.0.9:11111{path}", "kind": "stream", "baud": 0}
    log.write_text(json.dumps(entry) + "\n")
    with pytest.raises(
        (ResourceError, HalError), match=r"write http://HOST:PORT/api/v1/telescope/0|ends at line 1"
    ) as e:
        Alpaca(f"replay://{log}", 0, bench.clock, command_latency_s=0.05, **LIMITS)
    assert ("ends at line" in str(e.value)) == (path == "/")  # which is the first telescope


def test_the_log_of_the_second_telescope_is_played_back_as_that_of_the_second(
    bench: Bench, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wirelog.logging_to(tmp_path):
        telescope = bench.open()
        first = telescope.position()
        telescope.close()
    log = tmp_path / "gimbal.wire.jsonl"
    log.write_text(log.read_text().replace("simhw://telescope", "http://host:1/api/v1/telescope/1")
                   .replace("telescope/0/", "telescope/1/").replace("Host: telescope", "Host: host:1"))  # fmt: skip
    again = Alpaca(f"replay://{log}", 0, bench.clock, command_latency_s=0.05, **LIMITS).position()
    assert again.azimuth_rad == first.azimuth_rad


def test_rates_are_ranges_in_order_that_both_axes_have() -> None:
    told = [{"Minimum": 2, "Maximum": 3.0}, {"Maximum": 0.5, "Minimum": 0.5}, {"Minimum": 1, "Maximum": 2}]
    assert ranges_of(told) == [(0.5, 0.5), (1.0, 3.0)]
    for wrong in (None, {}, [1], [{}], [{"Minimum": 2, "Maximum": 1}], [{"Minimum": -1, "Maximum": 1}], told * 30):
        assert ranges_of(wrong) is None
    assert in_both([(0.5, 0.5), (1.0, 3.0)], [(0.0, 1.5), (2.0, 9.0)], 2.5) == [(0.5, 0.5), (1.0, 1.5), (2.0, 2.5)]
    assert in_both([(0.0, 0.0)], [(0.0, 1.0)], 1.0) == []
    assert gaps_of([(0.5, 0.5), (1.0, 3.0)]) == [(0.0, 0.5), (0.5, 1.0)]
    assert gaps_of([(0.0, 3.0)]) == []
    assert [at_most([(0.5, 0.5), (1.0, 3.0)], speed) for speed in (0.4, 0.7, 2.0, 9.0)] == [0.0, 0.5, 2.0, 3.0]
    assert as_told([(1e-5, 2 / 3)], -math.degrees(math.radians(2 / 3))) == f"-{2 / 3!r}"  # not 0.666666667
    assert as_told([(1e-5, 2 / 3)], math.degrees(math.radians(0.6))) == "0.6"
    assert as_told([(1e-5, 1 / 3)], 1e-5) == "0.00001"
    assert as_told([(0.0, 1.0)], -0.0) == "0.0"
