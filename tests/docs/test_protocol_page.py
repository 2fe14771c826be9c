"""docs/protocol.md says what the code does, and the example client works with that page alone."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from controller.bus.endpoints import STATION_SERVICES, static_table
from controller.bus.envelope import DoneBody, Envelope, Lease, body_as, decode, encode, frame, unframe
from controller.bus.lease import Acquire, Granted
from controller.bus.port import Reply
from controller.bus.socket_port import SocketPort
from controller.bus.tables import ENVELOPE_KEYS, SECTIONS, fill
from controller.bus.topics import STATION_MODE, ModeState
from hal.clock import NS, RealClock

ROOT = Path(__file__).parents[2]
PORTS = 1 + 3 * len(STATION_SERVICES)
PAGE = ROOT / "docs" / "protocol.md"


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    page = PAGE.read_text()
    assert all(f"<!-- {name} -->" in page for name in SECTIONS)
    assert fill(page) == page, "run: python -m controller.bus.tables docs/protocol.md"


def test_every_key_of_the_envelope_is_explained() -> None:
    assert tuple(ENVELOPE_KEYS) == Envelope.__struct_fields__


def test_the_worked_bytes_are_read_and_written_by_the_codec() -> None:
    page = PAGE.read_text()
    blocks = re.findall(r"\((\d+) bytes\):\n\n((?:    .*\n?)+)", page)
    messages = []
    for length, block in blocks:
        data = bytes.fromhex("".join(line[4:51] for line in block.splitlines()))
        assert len(data) == int(length)
        messages.append(data)
    command, refusal, telemetry, acquire, grant, slew = messages
    assert encode(decode(command)) == command
    assert (decode(command).k, decode(command).m) == ("req", "stop")
    assert decode(refusal).re == decode(command).id
    assert frame(unframe(telemetry)) == telemetry
    assert body_as(decode(acquire), Acquire).scope == "gimbal"
    granted = msgspec.convert(body_as(decode(grant), DoneBody).data, Granted)
    assert decode(slew).ls == Lease(granted.id, granted.gen)
    assert all(encode(decode(data)) == data for data in (acquire, grant, slew))


def run_example(base_port: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / "bus_client.py"), str(base_port), "3"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_the_example_client_sees_telemetry_and_stops_a_station(free_base_port: Callable[[int], int]) -> None:
    base_port, stop, told = free_base_port(PORTS), threading.Event(), []
    ready = threading.Event()

    def station() -> None:
        clock = RealClock()
        port = SocketPort("station", clock, static_table(base_port=base_port), simulated=True)
        ready.set()
        while not stop.is_set():
            for request in port.requests():
                told.append((request.source, request.method, request.control))
                port.answer(request, Reply("", "the station is in HOLD"))
            port.publish(STATION_MODE, ModeState("FINE", clock.utc_ns(), "toy"))
            clock.sleep_until(clock.now_ns() + NS // 50)
        port.close()

    thread = threading.Thread(target=station)
    thread.start()
    try:
        assert ready.wait(5)
        result = run_example(base_port)
    finally:
        stop.set()
        thread.join()
    assert result.returncode == 0, result.stderr
    assert "station/mode" in result.stdout
    assert "sim {'mode': 'FINE'" in result.stdout
    assert result.stdout.splitlines()[-1] == "rep the station is in HOLD"
    assert told == [("example", "stop", True)]


def test_the_example_client_says_when_no_station_answers(free_base_port: Callable[[int], int]) -> None:
    result = run_example(free_base_port(PORTS))
    assert result.returncode == 1
    assert "no station answers" in result.stderr
