"""An emulated NexStar mount on a pty, in real time: `from mount_on_pty import mount as mount` in a conftest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from ideal_axes import IdealAxes

from hal.clock import RealClock
from sim_hw.devices.nexstar import NexStar
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.reactor import Reactor


class MountOnPty(IdealAxes):
    """Ideal axes behind the emulated hand controller; `rate` and `stopped_ns` may be read from any thread."""

    def __init__(self) -> None:
        super().__init__(Timeline(), azimuth_deg=178, elevation_deg=44)
        self.stopped_ns = 0  # real time at which the axes came to rest, if they have
        self.clock = RealClock()
        self.reactor = Reactor(self.timeline, self.clock)
        self.line = SerialLine(self.timeline, NexStar(self.timeline, self, np.random.default_rng(5)), 9600)
        self.port = PtyPort(self.line, self.reactor)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: self.reactor.run(self._stop.is_set))
        self._thread.start()

    def set_rate(self, axis: int, rate_rad_s: float) -> None:
        super().set_rate(axis, rate_rad_s)
        if self.rate == [0, 0]:
            self.stopped_ns = self.clock.now_ns()

    def wait_until(self, what: Callable[[], bool], seconds: float) -> bool:
        """True once `what()` is; asked every millisecond."""
        deadline_ns = self.clock.now_ns() + round(seconds * NS)
        while self.clock.now_ns() < deadline_ns:
            if what():
                return True
            self.clock.sleep_until(self.clock.now_ns() + NS // 1000)
        return False

    def wait_for(self, moving: bool, seconds: float) -> bool:
        """True once both axes move (or both rest)."""
        return self.wait_until(lambda: [rate != 0 for rate in self.rate] == [moving, moving], seconds)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self.port.close()
        self.reactor.close()


@pytest.fixture
def mount() -> Iterator[MountOnPty]:
    mount = MountOnPty()
    yield mount
    mount.close()
