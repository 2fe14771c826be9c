"""Every example runs; examples/bus_client.py is tried against a station in tests/docs."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from controller.bus.endpoints import STATION_SERVICES, static_table
from controller.bus.port import Reply
from controller.bus.socket_port import SocketPort
from controller.bus.topics import (
    SERVICE_HEARTBEAT,
    STATION_EVENT,
    STATION_MODE,
    Heartbeat,
    ModeState,
    StationEvent,
)
from controller.cli.connect import DEFAULT_RIG
from hal.clock import NS, RealClock

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_planned_pass_rises_peaks_and_sets() -> None:
    told = run("plan_a_pass.py")
    assert told.returncode == 0, told.stderr
    head, *times, rate = told.stdout.splitlines()
    assert "peaks at" in head
    assert [line.split()[0] for line in times] == ["rise", "peak", "set"]
    ranges_km = [float(line.split()[-2]) for line in times]
    assert ranges_km[1] < min(ranges_km[0], ranges_km[2])
    assert float(rate.split()[2]) <= 0.8 * 3.0  # what a plan may use of the mount


def test_it_takes_a_rig_file(tmp_path: Path) -> None:
    file = tmp_path / "slow.toml"
    file.write_text(DEFAULT_RIG.read_text().replace("rate_max_deg_s = 3.0", "rate_max_deg_s = 1.0"))
    told = run("plan_a_pass.py", str(file))
    assert told.returncode == 0, told.stderr
    assert "of 1 deg/s" in told.stdout
    assert float(told.stdout.split()[-4]) <= 0.8


def test_the_asyncio_client_hears_asks_for_the_past_and_stops(free_base_port: Callable[[int], int]) -> None:
    base_port, stop, told = free_base_port(1 + 3 * len(STATION_SERVICES)), threading.Event(), []
    ready = threading.Event()

    def station() -> None:
        clock = RealClock()
        port = SocketPort("station", clock, static_table(base_port=base_port), simulated=True)
        for number in range(70):  # more than a new subscriber is told by itself
            port.publish(STATION_EVENT, StationEvent("info", "TOY", f"number {number}"))
        ready.set()
        while not stop.is_set():
            for request in port.requests():
                told.append((request.source, request.method))
                port.answer(request, Reply("", "the station is in HOLD"))
            port.publish(STATION_MODE, ModeState("FINE", clock.utc_ns(), "toy"))
            port.publish(SERVICE_HEARTBEAT, Heartbeat(clock.utc_ns(), 0, 0))
            clock.sleep_until(clock.now_ns() + NS // 100)
        port.close()

    thread = threading.Thread(target=station)
    thread.start()
    try:
        assert ready.wait(5)
        result = run("async_client.py", str(base_port), "0.5")
    finally:
        stop.set()
        thread.join()
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert "mode FINE simulated" in lines
    assert [line for line in lines if line.startswith("event")] == [f"event {n + 1} number {n}" for n in range(70)]
    assert "stop: the station is in HOLD" in lines
    assert told == [("example", "stop")]


def test_the_asyncio_client_says_when_no_station_answers(free_base_port: Callable[[int], int]) -> None:
    result = run("async_client.py", str(free_base_port(1 + 3 * len(STATION_SERVICES))), "0.1")
    assert result.returncode == 1
    assert "no station answers" in result.stderr


def test_no_example_is_untested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"async_client.py", "bus_client.py", "plan_a_pass.py"}
