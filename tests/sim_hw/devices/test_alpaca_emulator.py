"""The emulated Alpaca server: requests as alpyca 3.1.3 sends them, answers and refusals as ITelescopeV3 has them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ideal_axes import IdealAxes
from rotators import LIMITS

from sim_hw.devices import alpaca as emulated
from sim_hw.timeline import NS, Timeline

BY_ALPYCA = (
    b"Host: 127.0.0.1:44797\r\nUser-Agent: python-requests/2.34.2\r\nAccept-Encoding: gzip, deflate\r\n"
    b"Accept: */*\r\nConnection: keep-alive\r\n"
)


def asked_of(server: emulated.Alpaca, timeline: Timeline, data: bytes) -> tuple[bytes, dict[str, Any]]:
    said = bytearray()
    server.attach(said.extend)
    server.receive(data)
    timeline.advance(timeline.now_ns + NS // 10)
    head, _, body = bytes(said).partition(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n"
    return head.partition(b"\r\n")[0], json.loads(body) if body.startswith(b"{") else {"text": body.decode()}


@pytest.mark.parametrize(
    ("question", "answer"),
    [  # alpyca 3.1.3, caught on a socket; values and numbers as ITelescopeV3 has them
        (b"GET /api/v1/telescope/0/azimuth?ClientTransactionID=1&ClientID=9 HTTP/1.1\r\n", {"Value": 180.0}),
        (b"GET /api/v1/telescope/0/canmoveaxis?ClientTransactionID=1&ClientID=9&Axis=1 HTTP/1.1\r\n", {"Value": True}),
        (b"GET /api/v1/telescope/0/canmoveaxis?clienttransactionid=1&AXIS=2 HTTP/1.1\r\n", {"Value": False}),
        (b"GET /api/v1/telescope/0/utcdate?ClientTransactionID=1&ClientID=9 HTTP/1.1\r\n", {"ErrorNumber": 0x400}),
        (b"ClientTransactionID=1&ClientID=9&Axis=0&Rate=0.75", {"put": "moveaxis", "ErrorNumber": 0}),
        (b"ClientTransactionID=1&ClientID=9&Axis=0&Rate=99", {"put": "moveaxis", "ErrorNumber": 0x401}),
        (b"ClientTransactionID=1&ClientID=9&Azimuth=200.0&Altitude=45.0", {"put": "slewtoaltazasync"}),
        (
            b"ClientTransactionID=1&ClientID=9&Azimuth=400.0&Altitude=4",
            {"put": "slewtoaltazasync", "ErrorNumber": 0x401},
        ),
        (b"ClientTransactionID=1&ClientID=9", {"put": "abortslew"}),
        (b"ClientTransactionID=1&ClientID=9", {"put": "findhome", "ErrorNumber": 0x400}),
    ],
)
def test_a_request_of_alpyca_is_answered_as_the_api_says(question: bytes, answer: dict[str, Any]) -> None:
    timeline = Timeline()
    server = emulated.Alpaca(timeline, IdealAxes(timeline, 180.0, 45.0), **LIMITS)
    server.telescope.connected = True
    if member := answer.pop("put", ""):
        head = b"PUT /api/v1/telescope/0/%s HTTP/1.1\r\n" % member.encode() + BY_ALPYCA
        data = head + b"Content-Length: %d\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n" % len(question)
        data += question
    else:
        data = question + BY_ALPYCA + b"\r\n"
    status, told = asked_of(server, timeline, data)
    assert status == b"HTTP/1.1 200 OK"
    assert told["ClientTransactionID"] == 1
    assert {"ErrorNumber": 0, **answer}.items() <= told.items()
    assert bool(told["ErrorMessage"]) == bool(told["ErrorNumber"])


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /api/v1/telescope/1/azimuth HTTP/1.1",
        b"GET /api/v1/Telescope/0/azimuth HTTP/1.1",
        b"PUT /api/v1/telescope/0/moveaxis HTTP/1.1",  # without its form
        b"DELETE /api/v1/telescope/0/azimuth HTTP/1.1",
        b"GET /api/v1/telescope/0/azimuth",
        b"hello",
        b"W180 0GET /api/v1/telescope/0/azimuth HTTP/1.1",
    ],
)
def test_what_the_api_does_not_know_is_turned_away_with_400(request_line: bytes) -> None:
    timeline = Timeline()
    server = emulated.Alpaca(timeline, IdealAxes(timeline, 180.0, 45.0), **LIMITS)
    server.telescope.connected = True
    status, told = asked_of(server, timeline, request_line + b"\r\nHost: x\r\n\r\n")
    assert status == b"HTTP/1.1 400 Bad Request"
    assert told["text"]


def test_a_telescope_that_is_not_connected_says_so_and_one_that_parks_is_parked_when_it_stands() -> None:
    timeline = Timeline()
    server = emulated.Alpaca(timeline, IdealAxes(timeline, 3.0, 2.0), **LIMITS)
    azimuth = b"GET /api/v1/telescope/0/azimuth HTTP/1.1\r\n\r\n"
    assert asked_of(server, timeline, azimuth)[1]["ErrorNumber"] == 0x407
    server.telescope.connected = True
    server.telescope.park()
    assert (server.telescope.slewing, server.telescope.parked) == (True, False)
    timeline.advance(20 * NS)
    assert (server.telescope.slewing, server.telescope.parked) == (False, True)
    put = b"PUT /api/v1/telescope/0/abortslew HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    assert asked_of(server, timeline, put)[1]["ErrorNumber"] == 0x408
