"""Alpaca over real sockets: the standard library's server, which ends a connection with each answer; a guardian."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop
from rotators import LIMITS

from hal.clock import RealClock
from hal.devices.alpaca import Alpaca, telescope
from hal.devices.alpaca.server import Server
from hal.guardian import stop_device
from hal.wires import wirelog
from sim_hw.devices import alpaca as emulated
from sim_hw.devices.http_device import Request
from sim_hw.timeline import Timeline
from sim_hw.wires.tcp import TcpSessions

DEG = math.radians(1.0)
CLOCK = RealClock()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is not what is tested."""
    monkeypatch.setattr(Server, "reply_timeout_s", 30.0)
    monkeypatch.setattr(telescope, "OPENING_TIMEOUT_S", 30.0)


class EndsEach(HTTPServer):
    """Answers as the emulator does, in HTTP/1.0 and without a length: an answer ends with its connection."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        timeline = Timeline()
        self.device = emulated.Alpaca(timeline, IdealAxes(timeline, 180.0, 45.0), **LIMITS)
        self.connections = 0


class Handler(BaseHTTPRequestHandler):
    server: EndsEach

    def do_GET(self) -> None:
        self.server.connections += 1
        parts = urlsplit(self.path)
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), dict(parse_qsl(form)))
        response = self.server.device.respond(request)
        self.send_response(response.status)
        self.end_headers()
        self.wfile.write(response.body)

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name)
        pass


@pytest.fixture
def ends_each() -> Iterator[EndsEach]:
    server = EndsEach()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def opened(resource: str) -> Alpaca:
    return Alpaca(resource, 0, CLOCK, command_latency_s=0.05, **LIMITS)


def test_a_server_that_ends_each_connection_is_asked_over_a_new_one_each_time_and_so_is_its_replay(
    ends_each: EndsEach, tmp_path: Path
) -> None:
    resource = f"http://127.0.0.1:{ends_each.server_port}/api/v1/telescope/0"
    with wirelog.logging_to(tmp_path):
        telescope = opened(resource)
        before = ends_each.connections
        positions = [telescope.position() for _ in range(3)]
        assert ends_each.connections == before + 2 * 3
        telescope.close()
    assert positions[-1].azimuth_rad == pytest.approx(180 * DEG)
    log = tmp_path / "gimbal.wire.jsonl"
    assert log.read_text().count('"is": "open"') == ends_each.connections
    again = opened(f"replay://{log}")
    assert [again.position().azimuth_rad for _ in range(3)] == [here.azimuth_rad for here in positions]
    again.close()


def test_a_guardian_stops_the_telescope_of_a_server_that_somebody_else_uses_too() -> None:
    timeline = Timeline()
    axes = IdealAxes(timeline, 180.0, 45.0)
    server = emulated.Alpaca(timeline, axes, **LIMITS)
    with Loop(timeline) as loop:
        sessions = loop.call(lambda: TcpSessions(loop.reactor, server.another))
        resource = f"http://127.0.0.1:{sessions.port}/api/v1/telescope/0"
        owner = opened(resource)
        owner.set_rate(2 * DEG, -1 * DEG)
        assert loop.call(lambda: server.telescope.slewing)
        assert stop_device("alpaca", resource, 0, "gimbal", CLOCK)
        assert loop.call(lambda: [drive.turning for drive in server.telescope.drives]) == [False, False]
        assert loop.call(lambda: axes.rate) == [0.0, 0.0]
        owner.close()
        loop.call(sessions.close)
