"""A mount whose cable is pulled while it moves: its guardian stops it when the port is back, and it is opened again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hand_clock import HandClock
from mount_on_pty import MountOnPty

from controller.pointing.reopening import REOPEN_NS, ReopeningGimbal
from hal import guardian
from hal.clock import Deadline, RealClock
from hal.devices.nexstar import NexStar
from hal.errors import HalError, ResourceError, WireError, WireTimeout
from hal.guarded import GuardedGimbal
from hal.guardian import Guardian
from hal.traits import AxisPosition

CLOCK = RealClock()


class Fake:
    """A gimbal that fails as it is told to."""

    capabilities = identity = None

    def __init__(self) -> None:
        self.error: HalError | None = None
        self.done: list[str] = []

    def _do(self, what: str) -> None:
        self.done.append(what)
        if self.error is not None:
            raise self.error

    def position(self) -> AxisPosition:
        self._do("position")
        return AxisPosition(0, 0.0, 0.0)

    def stop(self) -> None:
        self._do("stop")

    def close(self) -> None:
        self._do("close")


def test_a_hung_up_port_is_let_go_of_and_opened_again_once_a_second_and_a_late_answer_is_waited_for() -> None:
    clock, made, waits = HandClock(), [Fake(), Fake()], []
    opened: Iterator[Any] = iter(made)
    absent = [True]

    def open_it() -> Any:
        if made[0].done and absent.pop():
            absent.append(False)
            raise ResourceError("gimbal: no such port")
        return next(opened)

    gimbal = ReopeningGimbal(clock, open_it, lambda: waits.append(clock.t_ns))
    made[0].error = WireTimeout("gimbal: nothing came")
    with pytest.raises(WireTimeout):
        gimbal.position()
    made[0].error = WireError("gimbal: the port hung up")
    for _ in range(3):
        with pytest.raises(WireError, match="hung up"):
            gimbal.position()
    assert made[0].done == ["position", "position", "close"]
    clock.t_ns += REOPEN_NS
    with pytest.raises(ResourceError, match="no such port"):
        gimbal.stop()
    clock.t_ns += REOPEN_NS
    assert gimbal.position() == AxisPosition(0, 0.0, 0.0)
    assert made[1].done == ["stop", "position"], "what comes back is stopped first"
    assert len(waits) == 2, "before each time that it is opened"


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[tuple[MountOnPty, str, Callable[[Callable[[], object]], None]]]:
    """A mount behind a link that stays, as udev makes one; and what runs something on its reactor."""
    mount, link = MountOnPty(), tmp_path / "gimbal"
    mount.port._link = link
    link.symlink_to(mount.port.path)

    ours, theirs = os.pipe()
    done = threading.Event()
    wanted: list[Callable[[], object]] = []

    def run() -> None:
        os.read(ours, 1)
        wanted.pop()()
        done.set()

    def there(do: Callable[[], object]) -> None:
        done.clear()
        wanted.append(do)
        os.write(theirs, b"x")
        assert done.wait(5)

    mount.reactor.add_reader(ours, run)
    yield mount, f"serial://{link}", there
    mount.close()
    os.close(ours)
    os.close(theirs)


def test_a_mount_whose_adapter_dropped_off_while_it_moved_stands_still_when_it_is_back(mount: Any) -> None:
    emulated, resource, there = mount

    def opened() -> GuardedGimbal:
        driver = NexStar(
            resource, 9600, CLOCK, rate_max_rad_s=0.05, acceleration_max_rad_s2=0.03, command_latency_s=0.075
        )
        try:
            return GuardedGimbal(driver, Guardian.start("nexstar", resource, 9600))
        except HalError:
            driver.close()
            raise

    gimbal = ReopeningGimbal(CLOCK, opened, lambda: None)  # type: ignore[arg-type]
    gimbal.set_rate(0.02, -0.01)
    assert emulated.wait_for(moving=True, seconds=5)
    there(emulated.line.hang_up)

    def lose() -> None:
        while True:
            gimbal.position()

    with pytest.raises(WireError):
        lose()
    assert gimbal._gimbal is None
    first = guardian._at_work[-1]  # nobody waits for it to be done
    assert first.poll() is None
    assert emulated.rate != [0, 0], "nothing reaches it while the cable is out"
    there(emulated.port.replug)
    assert emulated.wait_for(moving=False, seconds=20), "the guardian takes the port that came back"
    deadline = Deadline(CLOCK, 20.0)
    while not deadline.expired:
        try:
            gimbal.position()
            break
        except HalError:
            CLOCK.sleep_until(CLOCK.now_ns() + REOPEN_NS // 10)
    assert not deadline.expired, "it is opened again"
    gimbal.close()
    assert first.wait(20) == 0, "the first guardian has done its work"
