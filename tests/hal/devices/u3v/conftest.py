"""One emulated camera behind both wires: in simulated time inside the process, and in real time over TCP."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from controller.services.lockstep import Lockstep
from hal.clock import Clock, RealClock
from hal.devices.u3v import U3vCamera
from hal.wires.usb import register_backend
from sim_hw.devices.u3v import U3vCamera as EmulatedCamera
from sim_hw.scene.frame import Sensor
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.memory_usb import MemoryUsbBackend
from sim_hw.wires.usbip import UsbipServer


class Loop:
    """Real time for a timeline and sockets, in a thread of its own; bounded by `LIFE_S`."""

    LIFE_S = 60.0

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._clock = RealClock()
        self._selector = selectors.DefaultSelector()
        self._callbacks: dict[int, dict[int, Callable[[], None]]] = {}
        self._wake_r, self._wake_w = os.pipe()
        self._calls: list[Callable[[], None]] = []
        self._stop = False
        self.add_reader(self._wake_r, self._woken)
        self._thread = threading.Thread(target=self._run, name="usbip-loop")

    def _woken(self) -> None:
        os.read(self._wake_r, 64)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.call(lambda: setattr(self, "_stop", True))
        self._thread.join(10)
        self._selector.close()
        os.close(self._wake_r)
        os.close(self._wake_w)

    def call(self, action: Callable[[], None]) -> None:
        """Run `action` in the loop's thread, and wait for it."""
        done = threading.Event()
        self._calls.append(lambda: (action(), done.set())[1])
        os.write(self._wake_w, b"x")
        assert done.wait(10)

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self._set(fd, selectors.EVENT_READ, callback)

    def remove_reader(self, fd: int) -> None:
        self._set(fd, selectors.EVENT_READ, None)

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        self._set(fd, selectors.EVENT_WRITE, callback)

    def remove_writer(self, fd: int) -> None:
        self._set(fd, selectors.EVENT_WRITE, None)

    def _set(self, fd: int, event: int, callback: Callable[[], None] | None) -> None:
        known = self._callbacks.setdefault(fd, {})
        if callback is None:
            known.pop(event, None)
        else:
            known[event] = callback
        if fd in self._selector.get_map():
            self._selector.unregister(fd)
        if known:
            self._selector.register(fd, sum(known))

    def _run(self) -> None:
        begin_ns = self._clock.now_ns()
        while not self._stop and self._clock.now_ns() - begin_ns < self.LIFE_S * NS:
            next_ns = self.timeline.next_event_ns()
            elapsed_ns = self._clock.now_ns() - begin_ns
            wait_s = 0.05 if next_ns is None else min(0.05, max(0.0, (next_ns - elapsed_ns) / NS))
            for key, events in self._selector.select(wait_s):
                for event, callback in list(self._callbacks[key.fd].items()):
                    if event & events:
                        callback()
            self.timeline.advance(self._clock.now_ns() - begin_ns)
            while self._calls:
                self._calls.pop(0)()


@dataclass
class Scene:
    """The physics of these tests: a list of spots that the test sets, and the exposures that were asked for."""

    spots: list[tuple[float, float, float]] = field(default_factory=list)
    exposures_ns: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, t0_ns: int, t1_ns: int) -> list[tuple[float, float, float]]:
        self.exposures_ns.append((t0_ns, t1_ns))
        return self.spots


@dataclass
class Bench:
    """The emulated camera, its scene, and the resource under which the real driver finds it."""

    timeline: Timeline
    clock: Clock
    resource: str
    scene: Scene
    emulated: EmulatedCamera
    unplug: Callable[[], None]
    within: Callable[[Callable[[], None]], None]  # run something where the emulator runs


SEED = 7


def emulated_camera(timeline: Timeline, scene: Scene) -> EmulatedCamera:
    return EmulatedCamera(timeline, scene, np.random.default_rng(SEED), Sensor(width_px=256, height_px=256))


@pytest.fixture
def memory_bench() -> Bench:
    timeline, scene = Timeline(), Scene()
    clock = Lockstep(timeline)
    emulated = emulated_camera(timeline, scene)
    backend = MemoryUsbBackend(clock)
    backend.plug("camera", emulated)
    register_backend("simusb", lambda location, _clock: backend.at(location))
    return Bench(
        timeline, clock, "simusb://camera", scene, emulated, lambda: backend.unplug("camera"), lambda call: call()
    )


@pytest.fixture
def usbip_bench() -> Iterator[Bench]:
    timeline, scene = Timeline(), Scene()
    emulated = emulated_camera(timeline, scene)
    loop = Loop(timeline)
    server = UsbipServer(loop, {"1-1": emulated})
    loop.start()
    resource = f"usbip://127.0.0.1:{server.port}/1-1"
    yield Bench(
        timeline, RealClock(), resource, scene, emulated, lambda: loop.call(lambda: server.unplug("1-1")), loop.call
    )
    loop.call(server.close)
    loop.close()


@pytest.fixture(params=["memory", "usbip"])
def bench(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(f"{request.param}_bench")


@pytest.fixture
def camera(bench: Bench) -> Iterator[U3vCamera]:
    camera = U3vCamera(bench.resource, bench.clock)
    yield camera
    camera.close()
