"""The guardian: however its owner dies, the mount stops within the design's 500 ms."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hal.clock import NS, RealClock
from hal.devices.nexstar import NexStar
from hal.drivers import DRIVERS
from hal.errors import ResourceError
from hal.guardian import DISMISSED, READY, Guardian, guard, stop_device, watch
from hal.rig import DEVICES, load_rig

OWNER = """
import sys
from hal.clock import RealClock
from hal.devices.nexstar import NexStar
from hal.guardian import Guardian
clock = RealClock()
resource = sys.argv[1]
gimbal = NexStar(resource, 9600, clock, rate_max_rad_s=0.05, acceleration_max_rad_s2=0.03, command_latency_s=0.075)
guardian = Guardian.start("nexstar", resource, 9600)
gimbal.set_rate(0.02, -0.01)
print(guardian.pid, flush=True)
while True:
    gimbal.position()
"""


class Owner:
    """A process in a group of its own that moves the mount and would go on for ever."""

    def __init__(self, mount: Any, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, mount.port.resource],
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd=root,
        )
        assert self.process.stdout is not None
        self.guardian_pid = int(self.process.stdout.readline() or 0)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def guardian_ended(self, seconds: float) -> bool:
        """True once the guardian's work is done (it is nobody's child here, so nobody can wait for it)."""
        clock = RealClock()
        deadline_ns = clock.now_ns() + round(seconds * NS)
        while clock.now_ns() < deadline_ns:
            try:
                if Path(f"/proc/{self.guardian_pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    return True
            except OSError:
                return True
            clock.sleep_until(clock.now_ns() + NS // 100)
        return False


@pytest.fixture
def owner(mount: Any, pytestconfig: pytest.Config) -> Iterator[Owner]:
    owner = Owner(mount, pytestconfig.rootpath)
    yield owner
    owner.close()


@pytest.mark.parametrize("end", [os.kill, os.killpg], ids=["process", "process group"])
def test_a_killed_owner_s_mount_stands_still_within_500_milliseconds(
    mount: Any, owner: Owner, end: Callable[[int, int], None]
) -> None:
    assert owner.guardian_pid
    assert mount.wait_for(moving=True, seconds=2)
    killed_ns = RealClock().now_ns()
    end(owner.process.pid, signal.SIGKILL)

    assert mount.wait_for(moving=False, seconds=3)
    assert (mount.stopped_ns - killed_ns) / NS < 0.5
    assert owner.guardian_ended(5)


def test_a_dismissed_guardian_leaves_the_mount_alone(mount: Any) -> None:
    clock = RealClock()
    gimbal = NexStar(
        mount.port.resource, 9600, clock, rate_max_rad_s=0.05, acceleration_max_rad_s2=0.03, command_latency_s=0.075
    )
    with Guardian.start("nexstar", mount.port.resource, 9600) as guardian:
        assert guardian.alive
        gimbal.set_rate(0.02, -0.01)
        assert mount.wait_for(moving=True, seconds=2)
    gimbal.close()

    assert not guardian.alive
    assert not mount.wait_for(moving=False, seconds=0.3)
    assert mount.rate == [pytest.approx(0.02, abs=1e-6), pytest.approx(-0.01, abs=1e-6)]
    guardian.dismiss()  # twice is no error


@pytest.mark.parametrize(("last_words", "stopped", "code"), [(DISMISSED, [], 0), (b"", [True], 0), (b"", [False], 1)])
def test_only_an_owner_that_goes_without_a_word_is_stood_in_for(
    last_words: bytes, stopped: list[bool], code: int
) -> None:
    owner_end, watch_end = os.pipe()[::-1]
    ready, say_ready = os.pipe()
    os.write(owner_end, last_words)
    os.close(owner_end)
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(stopped[0])
        return stopped[0]

    assert watch(watch_end, say_ready, stop) == code
    assert asked == stopped
    assert os.read(ready, 10) == READY
    for fd in (watch_end, ready, say_ready):
        os.close(fd)


def test_a_rig_s_mount_gets_a_guardian_and_its_beam_board_needs_none(mount: Any, pytestconfig: pytest.Config) -> None:
    addresses = {device: f"none://{device}" for device in DEVICES} | {"gimbal": mount.port.resource}
    rig = load_rig(pytestconfig.rootpath / "controller/data/rigs/ogs.toml", addresses)

    assert guard(rig, "beam_board") is None
    guardian = guard(rig, "gimbal")
    assert guardian is not None
    assert guardian.pid > 0
    guardian.dismiss()


def test_a_guardian_that_ended_by_itself_is_noticed_and_can_be_dismissed(mount: Any) -> None:
    guardian = Guardian.start("nexstar", mount.port.resource, 9600)
    os.kill(guardian.pid, signal.SIGKILL)
    while guardian.alive:
        pass

    guardian.dismiss()
    assert not guardian.alive


@pytest.mark.parametrize("driver", [name for name, row in DRIVERS.items() if row.stop_axes is not None])
def test_every_driver_names_a_function_that_stops_its_axes(driver: str) -> None:
    stop_axes = DRIVERS[driver].stop_axes
    assert stop_axes is not None
    assert callable(stop_axes.load())


def test_a_guardian_watches_a_device_whose_module_has_another_name_than_its_driver() -> None:
    with Guardian.start("rot2prog", "serial:///dev/null", 600) as guardian:
        assert guardian.alive


def test_a_guardian_that_does_not_come_up_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hal.guardian.sys.executable", "/bin/false")
    with pytest.raises(ResourceError, match="its guardian process does not start; it may not move without one"):
        Guardian.start("nexstar", "serial:///dev/nothing", 9600)


def test_stop_is_repeated_while_the_port_is_busy_and_given_up_in_the_end(mount: Any) -> None:
    clock = RealClock()
    gimbal = NexStar(
        mount.port.resource, 9600, clock, rate_max_rad_s=0.05, acceleration_max_rad_s2=0.03, command_latency_s=0.075
    )
    gimbal.set_rate(0.02, -0.01)
    assert not stop_device("nexstar", mount.port.resource, 9600, "gimbal", clock, give_up_s=0.1)

    gimbal.close()
    assert stop_device("nexstar", mount.port.resource, 9600, "gimbal", clock, give_up_s=5)
    assert mount.wait_for(moving=False, seconds=1)


def test_a_device_that_stops_by_itself_needs_no_guardian() -> None:
    assert stop_device("beamboard", "serial:///dev/nothing", 9600, "beam_board", RealClock(), give_up_s=0)
