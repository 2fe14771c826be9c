"""The shutter behind the laser: open while emission is enabled, closed at every other time, and read back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from controller.bus.port import Port
from controller.bus.topics import STATION_EVENT, StationEvent
from hal.clock import NS, Clock
from hal.errors import HalError, WireError, WireTimeout
from hal.traits import Identity, Shutter, ShutterStatus

LOST_NS = NS  # how often a lost shutter is tried again


class Gate:
    """Opens it and closes it; `lost` is called with a sentence when it does not answer. None: the rig has none."""

    def __init__(
        self, clock: Clock, port: Port, opened: Callable[[], Shutter] | None, lost: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._port = port
        self._open_device = opened
        self._lost = lost
        self._shutter: Shutter | None = None
        self._well = False
        self._due_ns = 0
        self.identity: Identity = {}

    def prepare(self) -> None:
        """Open the device, which closes its blades. Raises HalError."""
        if self._open_device is not None and self._shutter is None:
            self._shutter = self._open_device()
            self._well, self.identity = True, self._shutter.identity

    @property
    def status(self) -> ShutterStatus | None:
        """The newest that it has read back."""
        return self._shutter.status if self._shutter is not None else None

    @property
    def lets_through(self) -> bool:
        """Whether there is no shutter, or it has been seen open."""
        return self._open_device is None or (self.status is not None and self.status.state == "open")

    def allow(self, allowed: bool) -> None:
        """Be open, or closed, from now on; never waits."""
        if self._shutter is not None:
            self._shutter.move(allowed)

    def poll(self) -> None:
        """Carry the conversation on; what was lost is tried again once a second, and is closed then."""
        if self._open_device is None or self._clock.now_ns() < self._due_ns:
            return
        try:
            self.prepare()
            if self._shutter is not None:
                self._shutter.poll()
                self._well = self._well or self._shutter.status is not None
        except HalError as error:
            self._lose(error)

    def close(self) -> None:
        """Closed on every way out."""
        if self._shutter is not None:
            with suppress(HalError):
                self._shutter.close()

    def _lose(self, error: HalError) -> None:
        self._due_ns = self._clock.now_ns() + LOST_NS
        if self._well:
            self._port.publish(STATION_EVENT, StationEvent("error", "DEVICE", str(error)))
        self._well = False
        if isinstance(error, WireError) and not isinstance(error, WireTimeout):
            self.close()  # its port has gone, and will be another
            self._shutter = None
        self._lost(str(error))
