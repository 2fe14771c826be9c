"""Whole stations of toys with the names of real services: whatever happens before, a station ends dark and parked."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.bus.client import Client
from controller.bus.endpoints import STATION_SERVICES, static_table
from controller.bus.topics import POINTING_STATE, STATION_MODE
from controller.services import host
from controller.services.realtime import run_station
from controller.services.rules import Rules

HEARD = (STATION_MODE, POINTING_STATE)
NAMED = """
from controller.bus.port import Reply
from controller.bus.topics import (
    POINTING_STATE, SAFETY_LASER, SAFETY_STATE, STATION_EVENT, STATION_MODE,
    LaserState, ModeState, PointingState, SafetyState, StationEvent,
)
from controller.services.service import Service
from hal.errors import DeviceError, ResourceError


def rig(path, addresses):
    return {}


class Named(Service):
    period_s = 0.02

    def __init__(self, clock, port, rig, run_dir):
        super().__init__(clock, port)
        self.run_dir = run_dir

    def note(self, what):
        with open(self.run_dir / "noted", "a") as file:
            print(self.port.service, what, file=file)

    def cycle(self):
        for request in self.port.requests():
            self.note(request.method)
            self.obey(request.method)
            self.port.answer(request, Reply("", "done"))
        self.say()

    def obey(self, method):
        pass

    def say(self):
        pass

    def close(self):
        self.note("closed")


class safety(Named):
    def say(self):
        t_ns = self.clock.utc_ns()
        self.port.publish(SAFETY_STATE, SafetyState(t_ns, False, False, False, "", []))
        self.port.publish(SAFETY_LASER, LaserState(t_ns, False, 1.0, 1.0, True, ""))


class station(Named):
    mode = "POINT"

    def obey(self, method):
        if method == "station.park":
            self.mode = "STOWED"

    def say(self):
        self.port.publish(STATION_MODE, ModeState(self.mode, 0, ""))


class pointing(Named):
    def say(self):
        mode = self.port.fresh(STATION_MODE)
        kinds = PointingState.__annotations__
        zero = {"Pair": (0.0, 0.0), "float": 0.0}
        rest = {name: zero[kind] for name, kind in kinds.items() if kind in zero}
        activity = "hold" if mode is not None and mode.mode == "STOWED" else "track"
        fields = {**rest, "t_utc_ns": self.clock.utc_ns(), "activity": activity, "settled": False}
        self.port.publish(POINTING_STATE, PointingState(**fields))


class plain(Named):
    pass


class closes_badly(Named):
    def close(self):
        words = "gimbal: does not acknowledge the stop; use the emergency stop."
        self.port.publish(STATION_EVENT, StationEvent("error", "GIMBAL", words))
        raise DeviceError("gimbal: the board did not take the rate; check the cables of the mount.")


class refuses(Named):
    def open(self):
        raise ResourceError("gimbal: /dev/ttyUSB7 does not exist; plug the mount in")


class refuses_late(Named):
    def open(self):
        while self.port.latest(POINTING_STATE) is None or self.port.latest(STATION_MODE) is None:
            self.clock.sleep_until(self.clock.now_ns() + 100_000_000)
        self.clock.sleep_until(self.clock.now_ns() + 500_000_000)
        raise ResourceError("the disk is not there; mount it")


class crashes(Named):
    def open(self):
        raise ZeroDivisionError("at its start")
"""


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "boresight_named.py").write_text(NAMED)
    paths = [str(tmp_path), str(Path(host.__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return "boresight_named"


class Running:
    """A station in this process; `happens` is called once it runs, and the station ends when that says so."""

    def __init__(self, folder: Path, module: str, base_port: int, rules: Rules) -> None:
        self.run_dir, self._module, self._base_port, self._rules = folder / "run", module, base_port, rules
        self.told: list[str] = []
        self.client: Any = None
        self.cpus: dict[str, list[int]] = {}

    def run(self, happens: Callable[[], bool], *services: str, **other: Any) -> int:
        """The exit code; a service is its name, or its name and class: `recorder=crashes`."""
        parts = (service.partition("=") for service in services)
        factories = {name: f"{self._module}:{of or name}" for name, _, of in parts}
        rules = replace(self._rules, **other)
        with Client(static_table(base_port=self._base_port)) as self.client:
            self.client.subscribe(*HEARD)
            return run_station(
                factories,
                Path("toy.toml"),
                {},
                self.run_dir,
                loader=f"{self._module}:rig",
                base_port=self._base_port,
                services=STATION_SERVICES,
                rules=rules,
                cpus=self.cpus,
                tell=self.told.append,
                stop_wanted=lambda: self._heard() and happens(),
            )

    def _heard(self) -> bool:
        self.client.pause(0.001)
        return None not in (self.client.store.latest(topic) for topic in HEARD)

    def noted(self) -> list[str]:
        return (self.run_dir / "noted").read_text().splitlines()


@pytest.fixture
def running(tmp_path: Path, named: str, free_base_port: Callable[[int], int], rules: Rules) -> Running:
    return Running(tmp_path, named, free_base_port(1 + 3 * len(STATION_SERVICES)), rules)


def test_a_station_without_a_laser_is_parked_at_its_end(running: Running) -> None:
    assert running.run(lambda: True, "station", "pointing") == 0
    assert running.noted() == ["station station.park", "pointing closed", "station closed"]
    assert running.told[-1] == "info: the gimbal is parked"


@pytest.mark.parametrize("last", [True, False])
def test_what_a_service_says_while_it_closes_is_told_and_its_exit_code_counts(running: Running, last: bool) -> None:
    services = ["recorder=closes_badly", "station", "pointing"]
    assert running.run(lambda: True, *(services if last else reversed(services))) == 1
    said, ended = running.told[-2:]
    assert said == "error: gimbal: does not acknowledge the stop; use the emergency stop."
    assert ended.startswith("error: recorder did not end in good order (it died with exit code 3): gimbal: the board")


def test_a_recorder_that_never_came_up_does_not_keep_the_station_from_being_parked(running: Running) -> None:
    services = ("recorder=crashes", "safety", "station", "pointing")
    down = "recorder died with exit code 4 and is not started again"
    assert running.run(lambda: any(down in said for said in running.told), *services, restart=frozenset()) == 1
    assert running.noted()[-5:-3] == ["safety stop", "station station.park"]


def test_a_station_that_runs_is_parked_when_a_late_service_refuses_to_start(running: Running) -> None:
    assert running.run(lambda: False, "recorder=refuses_late", "safety", "station", "pointing") == 1
    assert "safety stop" in running.noted()
    assert "station station.park" in running.noted()


def test_a_station_whose_start_is_refused_waits_for_no_darkness(running: Running) -> None:
    assert running.run(lambda: False, "safety", "station=refuses", "pointing") == 1
    assert not {"safety stop", "station station.park"} & set(running.noted())


def test_a_service_that_names_no_processors_has_all_of_them_again_after_a_restart(running: Running) -> None:
    all_of_them = os.sched_getaffinity(0)
    pids: list[int] = []

    def happens() -> bool:
        pid = service_pid("recorder")
        if pid and pid not in pids:
            pids.append(pid)
            if len(pids) == 1:
                os.kill(pid, signal.SIGKILL)
        return len(pids) == 2 and os.sched_getaffinity(pids[1]) == all_of_them

    try:
        running.cpus = {"supervisor": [min(all_of_them)]}
        code = running.run(happens, "recorder=plain", "station", "pointing", restart_delay_s=0.05)
    finally:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), all_of_them)
    assert code == 0
    assert len(pids) == 2


def service_pid(name: str) -> int:
    """Of a service that this process has started; 0 while there is none."""
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with suppress(OSError):
            if f'"service":"{name}"' in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
    return 0
