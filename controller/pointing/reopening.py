"""A gimbal whose port may hang up and come back: let go of at once, which lets its guardian stop it, and opened again.

The descriptor of a port that has hung up stays dead when its cable is plugged in again: no stop would ever reach the
mount through it, while the guardian waits for the port to be let go of.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar, cast

from hal.clock import NS, Clock
from hal.errors import HalError, WireError, WireTimeout
from hal.guarded import GuardedGimbal
from hal.traits import AxisPosition, Gimbal, PositionGimbal, RateGimbal

T = TypeVar("T")

REOPEN_NS: Final = NS  # how often a lost gimbal is tried again


class ReopeningGimbal:
    """A Gimbal; what is lost raises WireError until it is back, and stands then.

    `waits` is called before whatever may take longer than a service may be silent.
    """

    def __init__(self, clock: Clock, opened: Callable[[], Gimbal], waits: Callable[[], None]) -> None:
        self._clock = clock
        self._open = opened
        self._waits = waits
        self._due_ns = 0
        self._lost = ""
        self._gimbal: Gimbal | None = opened()
        self.capabilities, self.identity = self._gimbal.capabilities, self._gimbal.identity

    def position(self) -> AxisPosition:
        """Encoder angles of both axes."""
        return self._ask(lambda gimbal: gimbal.position())

    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Give both axes a rate."""
        self._ask(lambda gimbal: cast("RateGimbal", gimbal).set_rate(azimuth_rad_s, elevation_rad_s))

    def go_to(self, azimuth_rad: float, elevation_rad: float) -> None:
        """Send both axes somewhere."""
        self._ask(lambda gimbal: cast("PositionGimbal", gimbal).go_to(azimuth_rad, elevation_rad))

    def stop(self) -> None:
        """Bring both axes to rest."""
        self._ask(lambda gimbal: gimbal.stop())

    def close(self) -> None:
        """Stop and close; a lost one is with its guardian already."""
        gimbal, self._gimbal = self._gimbal, None
        if gimbal is not None:
            gimbal.close()

    def _ask(self, do: Callable[[Gimbal], T]) -> T:
        gimbal = self._back()
        try:
            return do(gimbal)
        except WireTimeout:
            raise  # it is there, and says nothing
        except WireError as error:
            self._let_go(str(error))
            raise

    def _back(self) -> Gimbal:
        """The open gimbal; a lost one is tried again once a second, and stopped."""
        if self._gimbal is not None:
            return self._gimbal
        if self._clock.now_ns() < self._due_ns:
            raise WireError(self._lost)
        self._waits()
        try:
            gimbal = self._gimbal = self._open()
            gimbal.stop()
        except HalError as error:
            self._let_go(str(error))
            raise
        self.identity = gimbal.identity
        return gimbal

    def _let_go(self, why: str) -> None:
        gimbal, self._gimbal = self._gimbal, None
        with suppress(HalError):
            if isinstance(gimbal, GuardedGimbal):
                gimbal.abandon()  # emission waits for our next word
            elif gimbal is not None:
                gimbal.close()
        self._lost, self._due_ns = why, self._clock.now_ns() + REOPEN_NS
