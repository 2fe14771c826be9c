"""What a service is: a pure step inside a thin shell that reads devices and bus, calls it, and writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from controller.bus.port import Port
from controller.bus.topics import (
    SERVICE_DEVICES,
    SERVICE_HEARTBEAT,
    SERVICE_WAITING,
    DeviceIdentities,
    Heartbeat,
    Waiting,
)
from hal.clock import NS, Clock
from hal.traits import Identity

HEARTBEAT_NS = NS // 10
IDENTITIES_NS = 50 * NS  # each file of a recording has them


class Service(ABC):
    """One of the station's loops. `cycle` is one turn of the shell; a subclass keeps its logic in a pure step.

    `period_s` paces the loop with absolute sleeps; None means that a blocking device read paces it.
    """

    name: str
    period_s: float | None = None

    def __init__(self, clock: Clock, port: Port) -> None:
        self.clock = clock
        self.port = port
        self.cycles = 0
        self.late_steps = 0
        self._heartbeat_due_ns = 0
        self._identities_due_ns = 0

    def open(self) -> None:  # noqa: B027  (a service without devices opens nothing)
        """Open devices. Raises HalError."""

    def identities(self) -> dict[str, Identity]:
        """What the devices that are open say of themselves, by section of the rig file."""
        return {}

    @abstractmethod
    def cycle(self) -> None:
        """One turn: read, step, write."""

    def rest(self, until_ns: int) -> None:
        """What is done between two cycles: nothing, unless a subclass has somebody to listen to."""
        self.clock.sleep_until(until_ns)

    def close(self) -> None:  # noqa: B027
        """Leave the devices safe and close them; called on every way out."""

    def run(self, opened: Callable[[], None] = lambda: None) -> None:
        """Open, tell `opened`, cycle until the port says stop, close."""
        try:
            self.open()
            opened()
            due_ns = self.clock.now_ns()
            while not self.port.stopped:
                self.cycle()
                self.cycles += 1
                self._beat()
                if self.period_s is not None:
                    due_ns = self._pace(due_ns + round(self.period_s * NS))
        finally:
            self.close()

    def waits_for(self, device: str) -> None:
        """Say, instead of a heartbeat, that this is no hang: a device is lost and is opened again."""
        self.port.publish(SERVICE_WAITING, Waiting(self.clock.utc_ns(), device))

    def _pace(self, due_ns: int) -> int:
        now_ns = self.clock.now_ns()
        if now_ns > due_ns:
            self.late_steps += 1
            return now_ns
        self.rest(due_ns)
        return due_ns

    def _beat(self) -> None:
        now_ns = self.clock.now_ns()
        if now_ns >= self._heartbeat_due_ns:
            self._heartbeat_due_ns = now_ns + HEARTBEAT_NS
            self.port.publish(SERVICE_HEARTBEAT, Heartbeat(self.clock.utc_ns(), self.cycles, self.late_steps))
        if now_ns >= self._identities_due_ns and (devices := self.identities()):
            self._identities_due_ns = now_ns + IDENTITIES_NS
            self.port.publish(SERVICE_DEVICES, DeviceIdentities(self.clock.utc_ns(), devices))
