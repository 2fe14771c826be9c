"""The families of gimbals that are measured, and the emulator of one of them as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from hal.clock import Clock, RealClock
from sim_hw.devices.encoders import Mount
from sim_hw.devices.nexstar import NexStar
from sim_hw.devices.rotators import ROTATORS
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.reactor import Reactor
from sim_hw.wires.tcp import TcpServer

RATE_RAD_S, ACCELERATION_RAD_S2 = 0.1, 0.2
ON_TCP = frozenset({"rotctld", "indi", "alpaca"})
UNPACED_BAUD = 100_000_000


@dataclass(frozen=True, slots=True)
class Family:
    """`driver` is "module:class" of hal.devices, `model` Hamlib's number, where Debian's Hamlib 4.5.4 can drive it."""

    driver: str
    baud: int = 9600
    model: int | None = None
    latency_s: float = 0.0  # from the last byte of a command to motion; the emulator's own
    elevation: bool = True

    def open(self, resource: str, clock: Clock) -> Any:
        """Our driver on a resource."""
        module, _, name = self.driver.partition(":")
        driver: Callable[..., Any] = getattr(import_module(f"hal.devices.{module}"), name)
        return driver(
            resource, self.baud, clock, rate_max_rad_s=RATE_RAD_S, acceleration_max_rad_s2=ACCELERATION_RAD_S2,
            command_latency_s=self.latency_s,
        )  # fmt: skip


#: By the name that a rig file calls the driver. ioptron, flir_ptu and skywatcher have backends in Hamlib 4.7 alone.
FAMILIES = {
    "nexstar": Family("nexstar:NexStar", model=1401, latency_s=0.075),
    "skywatcher": Family("skywatcher:SkyWatcher"),
    "lx200": Family("lx200:Lx200", model=1801),
    "ioptron": Family("ioptron:IOptron"),
    "flir_ptu": Family("flir_ptu:FlirPtu"),
    "easycomm": Family("easycomm:EasyComm", 19_200, model=202),
    "easycomm3": Family("easycomm_standard:EasyComm3", model=204),
    "pelco_d": Family("pelco_d:PelcoD", 2400),
    "easycomm2": Family("easycomm_standard:EasyComm2", model=202),
    "md01": Family("spid:Md01", model=903),
    "rot2prog": Family("spid:Rot2Prog", 600, model=901),
    "rot1prog": Family("spid:Rot1Prog", 1200, model=902, elevation=False),
    "gs232a": Family("gs232:Gs232a", model=601),
    "gs232b": Family("gs232:Gs232b", 1200, model=603),
    "rotctld": Family("rotctld:Rotctld", 115_200, model=2),
    "indi": Family("indi:Indi"),
    "alpaca": Family("alpaca:Alpaca"),
}


class Still:
    """Axes that follow every rate at once, from azimuth 180, elevation 45 degrees."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline, self._since_ns = timeline, 0
        self._angle, self._rate = [np.pi, np.pi / 4], [0.0, 0.0]

    def encoder_rad(self) -> tuple[float, float]:
        """Where both axes are."""
        passed_s = (self._timeline.now_ns - self._since_ns) / NS
        self._since_ns = self._timeline.now_ns
        self._angle = [angle + rate * passed_s for angle, rate in zip(self._angle, self._rate, strict=True)]
        return self._angle[0], self._angle[1]

    def set_rate(self, axis: int, rate_rad_s: float) -> None:
        """Turn an axis."""
        self.encoder_rad()
        self._rate[axis] = rate_rad_s


def emulator(name: str, timeline: Timeline, mount: Mount) -> Any:
    """The emulator of a family around a mount."""
    limits = {"rate_max_rad_s": RATE_RAD_S, "acceleration_max_rad_s2": ACCELERATION_RAD_S2}
    if name == "nexstar":
        return NexStar(timeline, mount, np.random.default_rng(5), **limits)
    return ROTATORS[name](timeline, mount, **limits)


@contextmanager
def served(name: str) -> Iterator[str]:
    """The pty, or on a network HOST:PORT, where a process of its own serves the emulator, without pacing."""
    words = [sys.executable, "-m", "benchmarks.devices.families", name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _serve(name: str) -> None:
    timeline = Timeline()
    reactor = Reactor(timeline, RealClock())
    device = emulator(name, timeline, Still(timeline))
    if name in ON_TCP:
        print(f"127.0.0.1:{TcpServer(reactor, device).port}", flush=True)
    else:
        print(PtyPort(SerialLine(timeline, device, UNPACED_BAUD), reactor).path, flush=True)
    reactor.run(lambda: False)


if __name__ == "__main__":
    _serve(sys.argv[1])
