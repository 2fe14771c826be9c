"""The laser, the enable line that it hangs on and the shutter behind it: on and off in their order, and read back.

Off is always the same steps: the enable heartbeat says no (the beam board drops its line when it hears so, and by its
watchdog when it hears nothing), the shutter is told to close, then the laser's output is switched off; only the last
waits for an answer. On: enable line and shutter, and the laser when it has seen both.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from controller.bus.port import Port
from controller.bus.topics import SAFETY_ENABLE, SAFETY_LASER, STATION_EVENT, EnableState, LaserState, StationEvent
from controller.safety.shutter import Gate
from hal.clock import NS, Clock
from hal.errors import HalError
from hal.traits import Identity, Laser, LaserStatus, Shutter

LASER_NS = NS // 10
LOST_LASER_NS = NS  # how often a lost laser is tried again


class Emitter:
    """Switches what it is told to; `lost` is called with a sentence when the laser does not obey."""

    def __init__(
        self,
        clock: Clock,
        port: Port,
        laser: Laser,
        current_a: float,
        current_limit_a: float,
        lost: Callable[[str], None],
        shutter: Callable[[], Shutter] | None = None,
    ) -> None:
        self._clock = clock
        self._port = port
        self._laser = laser
        self.gate = Gate(clock, port, shutter, lost)
        self._current_a = current_a
        self._current_limit_a = current_limit_a
        self._lost = lost
        self._ready = False
        self._set = False  # limits were set since emission was enabled: who else reaches the laser may have set others
        self._due_ns = 0
        self.status: LaserStatus | None = None
        self.enabled_ns: int | None = None  # since when emission is enabled
        self.withdrawn_ns: int | None = None  # when it was so last; None: never yet
        self.commanded_ns: int | None = None  # since when the output is commanded on

    def open(self) -> None:
        """Close the shutter, switch the laser off, whatever they were doing, and set its limits. Raises HalError."""
        self.gate.prepare()
        self.prepare()

    def prepare(self) -> None:
        """Switch the laser off, whatever it was doing, and set its limits. Raises HalError."""
        self._laser.output(False)
        self._laser.configure(self._current_a, self._current_limit_a)
        self._ready = True

    def use(self, current_a: float) -> None:
        """Take another drive current; the enable line falls first, then the output. Raises HalError."""
        if current_a == self._current_a:
            return
        self._current_a, self._ready = current_a, False
        self._forbid()  # while the laser is talked to, however long it takes to answer
        self.prepare()

    def allow(self, allowed: bool) -> None:
        """Say yes or no to the beam board first, then to the laser."""
        now_ns = self._clock.now_ns()
        self._port.publish(SAFETY_ENABLE, EnableState(self._clock.utc_ns(), allowed))
        self.gate.allow(allowed)
        if allowed:
            if self.enabled_ns is None:
                self.enabled_ns = now_ns
                self._due_ns = now_ns
            if self.commanded_ns is None and self._may_switch_on:
                if self._set:
                    self._switch(True)
                else:
                    self._set_limits()
        else:
            self._withdraw()
            if self.commanded_ns is not None or (self.status is not None and self.status.output_on):
                self._switch(False)

    @property
    def _may_switch_on(self) -> bool:
        return self._ready and self.status is not None and self.status.interlock_closed and self.gate.lets_through

    def poll(self) -> None:
        """Read the laser back ten times a second, every cycle while its interlock is about to close."""
        self.gate.poll()
        now_ns = self._clock.now_ns()
        closing = self.enabled_ns is not None and self.commanded_ns is None
        if now_ns < self._due_ns and not (closing and self._ready):
            return
        self._due_ns = now_ns + LASER_NS
        try:
            if not self._ready:
                self.prepare()
            self.status = status = self._laser.status()
        except HalError as error:
            self._lose(error)
            return
        self._port.publish(
            SAFETY_LASER,
            LaserState(
                self._clock.utc_ns(),
                status.output_on,
                status.current_a,
                status.measured_power_w,
                status.interlock_closed,
                status.tripped,
            ),
        )

    def close(self) -> None:
        """Off on every way out."""
        with suppress(HalError):
            self.allow(False)
            self._laser.output(False)
        self._laser.close()
        self.gate.close()

    def _set_limits(self) -> None:
        """Once more, before it is switched on in the next turn: until then the votes are asked again."""
        try:
            self._laser.configure(self._current_a, self._current_limit_a)
        except HalError as error:
            self._lose(error)
            return
        self._set = True

    def _switch(self, on: bool) -> None:
        try:
            self._laser.output(on)
        except HalError as error:
            self._lose(error)
            return
        self.commanded_ns = self._clock.now_ns() if on else None
        if self.status is not None and not on:
            self.status = replace(self.status, output_on=False, t_ns=self._clock.now_ns())
        self._due_ns = self._clock.now_ns()

    def identities(self) -> dict[str, Identity]:
        """What laser and shutter say of themselves."""
        return {"laser": self._laser.identity} | ({"shutter": told} if (told := self.gate.identity) else {})

    def _forbid(self) -> None:
        """A no to beam board and shutter, whatever the laser does."""
        self._port.publish(SAFETY_ENABLE, EnableState(self._clock.utc_ns(), False))
        self.gate.allow(False)
        self._withdraw()

    def _withdraw(self) -> None:
        self._set = False
        if self.enabled_ns is not None:
            self.enabled_ns, self.withdrawn_ns = None, self._clock.now_ns()

    def _lose(self, error: HalError) -> None:
        """A laser that does not obey: emission off by the enable line, and tried again later, never resumed."""
        first, self._ready = self._ready, False
        if first:
            self._port.publish(STATION_EVENT, StationEvent("error", "DEVICE", str(error)))
        self.status = None
        self.commanded_ns = None
        self._due_ns = self._clock.now_ns() + LOST_LASER_NS
        self._lost(str(error))
        self._forbid()
        self.gate.poll()
        if first:
            with suppress(HalError):  # one lost answer does not mean that it hears nothing
                self._laser.output(False)
