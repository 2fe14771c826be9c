"""No axis is told to move whose drive says that it will not: asked before it begins, and on its way.

A device that refuses by itself is not asked before; when it has refused, its drives say why. One that turns at a rate
is not asked on its way either, unless something is odd, and at rest rather than when it begins: on a slow line a
question delays the rate that comes after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hal.clock import NS, Clock
from hal.errors import DeviceError
from hal.traits import DriveState, DriveStatus

AGAIN_NS: Final = NS // 2  # on its way to a direction; a drive that is not ready is asked each time until it is
AT_REST_NS: Final = 5 * NS
KNOWN_NS: Final = 2 * AT_REST_NS  # so long what it said holds for the next beginning
Read = Callable[[], DriveStatus]
_ON: Final = "`boresight rig drives --power on`"
TO_DO: Final[dict[DriveState, str]] = {
    "off": f"has no power; see what took it, say {_ON}, and check its zero with `boresight rig home --check`",
    "parked": f"is parked; say {_ON} when nobody works on it any more",
    "blocked": f"is blocked and has stopped itself; clear what holds it, then say {_ON}",
}


class DriveWatch:
    """Of one gimbal, whose drives are asked by `read`. One that `refuses` by itself is never asked before."""

    def __init__(self, name: str, clock: Clock, refuses: bool) -> None:
        self._name, self._clock, self._refuses = name, clock, refuses
        self._moves = self._ready = self._by_rate = False
        self._said_ns = 0

    def moves(self, read: Read, by_rate: bool = False) -> None:
        """It is about to be told to move. Raises DeviceError, with what to do, when it would not."""
        known = self._ready and (self._moves or self._clock.now_ns() < self._said_ns + KNOWN_NS)
        if not (self._refuses or known):
            self.explain(read)
        self._moves, self._by_rate = True, by_rate

    def rests(self) -> None:
        """It was told to stop."""
        self._moves = False

    def look(self, read: Read, odd: bool = False) -> None:
        """On its way, with something `odd` or not. Raises DeviceError, with what to do, when a drive has gone."""
        if self._refuses:
            return
        if not self._moves:
            if self._clock.now_ns() >= self._said_ns + AT_REST_NS:
                self._hear(read())
            return
        due = not self._by_rate and self._clock.now_ns() >= self._said_ns + AGAIN_NS
        if odd or due or not self._ready:
            self.explain(read)

    def explain(self, read: Read) -> None:
        """Raises DeviceError, with what to do, when the drives are why it does not move."""
        self._ready = False  # until it has said so
        status = read()
        self._hear(status)
        for axis in ("azimuth", "elevation"):
            if (todo := TO_DO.get(getattr(status, axis))) is not None:
                raise DeviceError(f"{self._name}: its {axis} {todo}.")

    def _hear(self, status: DriveStatus) -> None:
        self._ready = status.azimuth not in TO_DO and status.elevation not in TO_DO
        self._said_ns = self._clock.now_ns()
