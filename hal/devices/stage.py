"""What drivers of linear stages share: soft limits inside the controller's own, and what is asked before it moves.

A protocol says how the stage is read, sent, homed, stopped and powered. Every path to a position goes through `go_to`,
which cuts it to the soft limits; the way home is the controller's, which ends at its own reference.

A screw has play: what hangs on it stands elsewhere after it came from above than from below. With `approach_mm` every
way ends upwards, over at least so much; a way down goes so much further, and `status`, which whoever waits for it asks,
turns it round there. Who asks no more finds it below, inside its travel.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace

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
        speed_max_mm_s: float, axis: str = "", approach_mm: float = 0.0,
    ) -> None:  # fmt: skip
        self._clock, self._name, self._resolution_mm = clock, name, resolution_mm
        self._approach_mm = approach_mm
        self._then_mm: float | None = None  # where it goes from where it turns round
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

    def status(self) -> StageStatus:
        """Where it is now and whether it moves, or has to turn round. Raises WireError, ProtocolError, DeviceError."""
        now = self._status()
        if self._then_mm is None or now.moving:
            return now
        goal_mm, self._then_mm = self._then_mm, None
        if not (now.powered and now.referenced) or now.position_mm > goal_mm:
            return now  # it was switched off, or never got there
        self._go(goal_mm)
        return replace(now, moving=True)

    def go_to(self, position_mm: float) -> None:
        """Be on the way there; beyond its travel it is cut. Raises ValueError, HalError."""
        if not math.isfinite(position_mm):
            raise ValueError(f"{self._name}: the position {position_mm} is not finite.")
        self._then_mm = None
        now = self._status()
        if not now.referenced:
            raise DeviceError(f"{self._name}: it does not know where it is; home it first.")
        if not now.powered:
            raise DeviceError(f"{self._name}: its motor is switched off; switch it on first.")
        low, high = self.capabilities.travel_mm
        goal_mm = min(high, max(low, position_mm))
        below_mm = max(low, goal_mm - self._approach_mm)
        if below_mm < goal_mm and now.position_mm > below_mm:
            self._then_mm = goal_mm
            goal_mm = below_mm
        self._go(goal_mm)

    def home(self) -> None:
        """Be on the way to its reference. Raises DeviceError when it has no power, or refuses."""
        self._then_mm = None
        self._home()

    def stop(self) -> None:
        """At rest: says so, and sees that it was heard."""
        self._then_mm = None
        self._stop()

    def power(self, on: bool) -> None:
        """Its motor holds it, or lets go of it."""
        self._then_mm = None
        self._power(on)

    def close(self) -> None:
        """Close the port. Does not stop the stage: `stop` does."""
        self._wire.close()

    @abstractmethod
    def _status(self) -> StageStatus:
        """Where it is now and whether it moves. Raises WireError, ProtocolError."""

    @abstractmethod
    def _home(self) -> None:
        """Send it to its reference. Raises DeviceError when it refuses."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop it along its ramp, and see that it was heard."""

    @abstractmethod
    def _power(self, on: bool) -> None:
        """Switch its motor."""

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
