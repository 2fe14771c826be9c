"""One emulated camera behind both wires: in simulated time inside the process, and in real time over TCP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from reactor_loop import Loop

from controller.services.lockstep import Lockstep
from hal.clock import Clock, RealClock
from hal.devices.u3v import U3vCamera
from hal.wires.usb import register_backend
from sim_hw.devices.u3v import U3vCamera as EmulatedCamera
from sim_hw.scene.frame import Sensor
from sim_hw.timeline import Timeline
from sim_hw.wires.memory_usb import MemoryUsbBackend
from sim_hw.wires.usbip import UsbipServer


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
    server = UsbipServer(loop.reactor, {"1-1": emulated})
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
