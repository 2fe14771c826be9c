"""The safety service in lockstep: real bus, real laser driver over USBTMC, emulated laser, a toy beam board."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from leases import grant

from controller.bus.envelope import Envelope
from controller.bus.lease_desk import LeaseDesk
from controller.bus.local import LocalBus
from controller.bus.topics import (
    POINTING_STATE,
    SAFETY_ENABLE,
    SERVICE_HEARTBEAT,
    STATION_LEASE,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_FINE,
    Topic,
)
from controller.geometry.bodies import sun_and_moon
from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site
from controller.safety.service import SafetyService
from controller.safety.timesync import bench_time
from controller.services.lockstep import Lockstep
from hal.devices.itc4000 import Itc4000
from sim_hw.devices import itc4000
from sim_hw.timeline import Timeline
from sim_hw.wires.memory_usb import MemoryUsbBackend

UTC0_NS = 1_760_000_000_000_000_000
NS = 10**9
RESOURCE = "visa://USB0::0x1313::0x804a::M00404162::INSTR"


class SafetyBench:
    """The emulated laser, and a board that follows safety/enable while it is fresh."""

    def __init__(self, good: Any, simulated: bool = True) -> None:
        self.good = good
        self.timeline = Timeline(UTC0_NS)
        self.clock = Lockstep(self.timeline, UTC0_NS)
        self.bus = LocalBus(self.clock, seed=1, simulated=simulated)
        self.enable_line = False
        self.on_enable_change: list[Callable[[bool], None]] = []
        self.changes: list[tuple[int, float]] = []  # (t_ns, current in the diode)
        self.backend = MemoryUsbBackend(self.clock)
        self.emulator = itc4000.Itc4000(self.timeline, self)
        self.backend.plug("laser", self.emulator.usb())
        self.silent_from: dict[Topic, int] = {}
        self.lease_ttl_s = 10.0
        self.replies: list[str] = []
        self.heard: dict[str, list[bytes]] = {}
        self.bus.tap(self._hear)
        self.laser: Callable[[Any], Any] = lambda driver: driver  # what stands between it and the service
        self.more: dict[str, Any] = {}  # arguments of the service

    def _hear(self, topic: str, envelope: Envelope) -> None:
        self.heard.setdefault(topic, []).append(bytes(envelope.b))

    def set_laser(self, output_on: bool, current_a: float) -> None:
        self.changes.append((self.timeline.now_ns, current_a if output_on else 0.0))

    def laser_power_w(self) -> float:
        return self.changes[-1][1] if self.changes else 0.0

    def say(self, port: Any, topic: Topic, body: Any) -> None:
        if self.clock.now_ns() < self.silent_from.get(topic, 10**18):
            port.publish(topic, body)

    def station(self) -> None:
        """Station, pointing and operator in one: all is well, arm after a second."""
        ports = {name: self.bus.port(name) for name in ("station", "pointing", "tracking", "operator")}
        desk = LeaseDesk(self.clock, ports["station"])
        due_ns = 0
        while not self.bus.stopped:
            for name in ("station", "pointing", "tracking"):
                self.say(ports[name], SERVICE_HEARTBEAT, self.good.beat)
            self.say(ports["station"], STATION_MODE, self.good.mode)
            self.say(ports["pointing"], POINTING_STATE, self.good.pointing)
            self.say(ports["tracking"], TRACKING_COARSE, self.good.coarse)
            if self.clock.now_ns() < self.silent_from.get(STATION_LEASE, 10**18):
                desk.turn()
            if self.clock.now_ns() == NS:
                lease = grant(desk, "operator", "laser", self.lease_ttl_s)
                for method in ("safety.arm", "safety.confirm"):
                    self.replies.append(ports["operator"].call("safety", method, {}, 1.0, lease=lease).code)
            due_ns += NS // 20
            self.clock.sleep_until(due_ns)

    def board(self) -> None:
        """Raises the line while safety/enable is fresh and says so, and reports fifty times a second."""
        port = self.bus.port("board")
        due_ns = 0
        while not self.bus.stopped:
            said = port.fresh(SAFETY_ENABLE)
            line = said is not None and said.enable
            if line is not self.enable_line:
                self.enable_line = line
                for tell in self.on_enable_change:
                    tell(line)
            fine = self.good.changed(self.good.fine, enabled=line)
            self.say(port, TRACKING_FINE, fine)
            due_ns += NS // 50
            self.clock.sleep_until(due_ns)

    def end(self, t_ns: int) -> None:
        self.clock.sleep_until(t_ns)
        self.bus.stop()

    def run(self, seconds: int = 4, safety_dies_at_ns: int | None = None) -> None:
        site, earth = Site(28.2995, -16.5118, 2393.0), load_earth_orientation()

        def safety() -> None:
            service = SafetyService(
                self.clock,
                self.bus.port("safety"),
                self.laser(Itc4000.open(RESOURCE, self.clock)),
                self.good.limits,
                **{
                    "bodies": lambda t_utc_ns: sun_and_moon(t_utc_ns, site, earth),
                    "time_source": bench_time,
                    "time_simulated": True,
                    **self.more,
                },
            )
            if safety_dies_at_ns is None:
                service.run()
                return
            service.open()
            while self.clock.now_ns() < safety_dies_at_ns:  # killed: nothing is closed
                service.cycle()
                self.clock.sleep_until(self.clock.now_ns() + 20_000_000)

        self.clock.spawn("safety", safety)
        self.clock.spawn("station", self.station)
        self.clock.spawn("board", self.board)
        self.clock.spawn("end", lambda: self.end(seconds * NS))
        self.clock.run()
        assert self.clock.failures == {}

    def on_ns(self) -> int:
        """When the diode first had current."""
        return next(t for t, amps in self.changes if amps > 0)

    def off_ns(self) -> int:
        """When it had none any more."""
        return next(t for t, amps in self.changes if amps == 0 and t > self.on_ns())
