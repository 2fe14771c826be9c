"""What drivers of linear stages share: soft limits inside the controller's own, and what is asked before it moves.

A protocol says how the stage is read, sent, homed, stopped and powered. Every path to a position goes through `go_to`,
which cuts it to the soft limits; the way home is the controller's, which ends at its own reference.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from hal.clock import Clock
from hal.errors import DeviceError, HalError
from hal.traits import Identity, Pair, StageCapabilities, StageStatus
from hal.wires.opening import open_stream


class LinearStage(ABC):
    """Implements Stage. Opening it stops it, and gives it its speed.

    `travel_mm` is how far the station lets it go (soft limits), `resolution_mm` its smallest step and, where the
    protocol counts steps, the size of one, `axis` which of the controller's axes it is, as the protocol calls it.
    Raises ResourceError, HalError when it is deaf, DeviceError for soft limits that leave nothing.
    """

    axis = "1"  # unless the rig file says another

    def __init__(
        self, resource: str, baud: int, clock: Clock, name: str = "stage", *, travel_mm: Pair, resolution_mm: float,
        speed_max_mm_s: float, axis: str = "",
    ) -> None:  # fmt: skip
        self._clock, self._name, self._resolution_mm = clock, name, resolution_mm
        self.axis = axis or self.axis
        self.identity: Identity = {}
        self._wire = open_stream(resource, clock, name, baud=baud)
        try:
            self.identity = self._begin()
            self.stop()
            self._set_speed(speed_max_mm_s)
            travel = self._soft(travel_mm, self._limits_mm())
            self.capabilities = StageCapabilities(travel, resolution_mm, speed_max_mm_s)
        except HalError:
            self.close()
            raise

    @abstractmethod
    def status(self) -> StageStatus:
        """Where it is now and whether it moves. Raises WireError, ProtocolError."""

    def go_to(self, position_mm: float) -> None:
        """Be on the way there; beyond its travel it is cut. Raises ValueError, HalError."""
        if not math.isfinite(position_mm):
            raise ValueError(f"{self._name}: the position {position_mm} is not finite.")
        now = self.status()
        if not now.referenced:
            raise DeviceError(f"{self._name}: it does not know where it is; home it first.")
        if not now.powered:
            raise DeviceError(f"{self._name}: its motor is switched off; switch it on first.")
        low, high = self.capabilities.travel_mm
        self._go(min(high, max(low, position_mm)))

    @abstractmethod
    def home(self) -> None:
        """Be on the way to its reference. Raises DeviceError when it has no power, or refuses."""

    @abstractmethod
    def stop(self) -> None:
        """At rest: says so, and sees that it was heard."""

    @abstractmethod
    def power(self, on: bool) -> None:
        """Its motor holds it, or lets go of it."""

    def close(self) -> None:
        """Close the port. Does not stop the stage: `stop` does."""
        self._wire.close()

    @abstractmethod
    def _begin(self) -> Identity:
        """Make what the wire needs, and learn what the stage says of itself."""

    @abstractmethod
    def _limits_mm(self) -> Pair:
        """What the controller itself keeps to."""

    @abstractmethod
    def _set_speed(self, speed_mm_s: float) -> None:
        """The speed of every motion to come."""

    @abstractmethod
    def _go(self, position_mm: float) -> None:
        """Send it there, which is inside its travel."""

    def _soft(self, soft_mm: Pair, hard_mm: Pair) -> Pair:
        low, high = max(soft_mm[0], hard_mm[0]), min(soft_mm[1], hard_mm[1])
        if high - low < self._resolution_mm:
            raise DeviceError(
                f"{self._name}: the limits of the rig file leave nothing of the {hard_mm[0]:g} to {hard_mm[1]:g} mm "
                "that its controller allows; correct travel_min_mm and travel_max_mm."
            )
        return low, high
