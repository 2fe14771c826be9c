"""A small process that stops a device which keeps moving, when the process that owns it dies.

A mount like the NexStar keeps its last rate for ever. Its owner starts a guardian, which holds the read end of a pipe
and sleeps. However the owner ends (also by SIGKILL, which nothing can catch) the kernel closes the pipe; the guardian
then takes the port, and sends stop until the device has acknowledged it. It has a session of its own, so that what
kills the owner's process group does not kill it. An owner that has stopped its device itself dismisses the guardian.
A child that the owner forks without exec would hold the pipe open, too: owners start children by spawn.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from hal.clock import NS, Clock, Deadline, RealClock
from hal.drivers import DRIVERS
from hal.errors import HalError, ResourceError
from hal.wires.opening import open_stream

if TYPE_CHECKING:
    from hal.rig import Rig

READY = b"R"
DISMISSED = b"D"
START_TIMEOUT_S = 20.0  # imports on a busy machine
RETRY_S = 0.02
GIVE_UP_S = 60.0
_at_work: list[subprocess.Popen[bytes]] = []  # guardians that wait for a port to come back, and nobody waits for


class Guardian:
    """The owner's handle. Usable as a context manager: leaving it dismisses the guardian."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self._process = process
        self._name = name

    @classmethod
    def start(cls, driver: str, resource: str, baud: int, name: str = "gimbal") -> Self:
        """Start a guardian for the device at `resource`; returns when it watches.

        Raises ResourceError when it does not come up: then nothing may move.
        """
        _at_work[:] = [process for process in _at_work if process.poll() is None]
        arguments = ["--driver", driver, "--resource", resource, "--baud", str(baud), "--name", name]
        process = subprocess.Popen(
            [sys.executable, "-m", "hal.guardian", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        guardian = cls(process, name)
        if not guardian._watches():
            guardian._end()
            raise ResourceError(f"{name}: its guardian process does not start; it may not move without one.")
        return guardian

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while it watches; an owner whose guardian is gone must stop its device."""
        return self._process.poll() is None

    def dismiss(self) -> None:
        """End the guardian without any action on the device."""
        if self._process.stdin is not None and not self._process.stdin.closed and self.alive:
            try:
                self._process.stdin.write(DISMISSED)
                self._process.stdin.flush()
            except BrokenPipeError:
                pass
        self._end()

    def release(self, wait_s: float = 2.0) -> bool:
        """Leave the device to the guardian, as if the owner had died; True when it has finished within `wait_s`.

        The owner's port must be closed.
        """
        self._close_pipes()
        try:
            return self._process.wait(wait_s) == 0
        except subprocess.TimeoutExpired:
            _at_work.append(self._process)
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()

    def _watches(self) -> bool:
        out = self._process.stdout
        if out is None:
            return False
        ready, _, _ = select.select([out], [], [], START_TIMEOUT_S)
        return bool(ready) and os.read(out.fileno(), 1) == READY

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _end(self) -> None:
        self._close_pipes()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def guard(rig: Rig, device: str) -> Guardian | None:
    """Start the guardian of a device of a rig; None for one that stops by itself without a host."""
    section = getattr(rig, device)
    if rig.driver(device).stop_axes is None:
        return None
    return Guardian.start(section.driver, section.resource, section.baud, device)


def watch(owner_fd: int, ready_fd: int, stop: Callable[[], bool]) -> int:
    """Say that the watch begins; wait until the owner dismisses it or is gone, then `stop`. Returns the exit code."""
    os.write(ready_fd, READY)
    if os.read(owner_fd, 1) == DISMISSED:
        return 0
    return 0 if stop() else 1


def stop_device(driver: str, resource: str, baud: int, name: str, clock: Clock, give_up_s: float = GIVE_UP_S) -> bool:
    """Take the port and send stop until it is acknowledged; False when that has not happened after `give_up_s`."""
    stop_axes = DRIVERS[driver].stop_axes
    if stop_axes is None:
        return True
    deadline = Deadline(clock, give_up_s)
    while not deadline.expired:
        try:
            wire = open_stream(resource, clock, name, baud=baud)
            try:
                stop_axes(wire, clock)
                return True
            finally:
                wire.close()
        except HalError:
            clock.sleep_until(clock.now_ns() + round(RETRY_S * NS))
    return False


def main() -> int:
    """Entry point of `python -m hal.guardian`."""
    parser = ArgumentParser(prog="hal.guardian", description="Stops a device when its owner dies.")
    parser.add_argument("--driver", required=True, choices=[d.name for d in DRIVERS.values() if d.stop_axes])
    parser.add_argument("--resource", required=True)
    parser.add_argument("--baud", required=True, type=int)
    parser.add_argument("--name", default="gimbal")
    options = parser.parse_args()
    # What ends the owner must not end its guardian first: whatever happens, the pipe decides.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if (stop_axes := DRIVERS[options.driver].stop_axes) is not None:
        stop_axes.load()  # now, not when it is needed
    return watch(
        sys.stdin.fileno(),
        sys.stdout.fileno(),
        lambda: stop_device(options.driver, options.resource, options.baud, options.name, RealClock()),
    )


if __name__ == "__main__":
    raise SystemExit(main())
