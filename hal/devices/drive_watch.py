"""No axis is told to move whose drive says that it will not: asked before it begins, and now and then on its way.

A device that refuses by itself is not asked before; when it has refused, its drives say why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hal.clock import NS, Clock
from hal.errors import DeviceError
from hal.traits import DriveState, DriveStatus

AGAIN_NS: Final = NS // 2  # on its way; a drive that is not ready is asked each time until it is
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
        self._moves = self._ready = False
        self._due_ns = 0

    def moves(self, read: Read) -> None:
        """It is about to be told to move. Raises DeviceError, with what to do, when it would not."""
        if not (self._refuses or (self._moves and self._ready)):
            self.explain(read)
        self._moves = True

    def rests(self) -> None:
        """It was told to stop."""
        self._moves = False

    def look(self, read: Read, at_once: bool = False) -> None:
        """On its way. Raises DeviceError, with what to do, when a drive has gone."""
        if self._refuses or not self._moves:
            return
        if at_once or not self._ready or self._clock.now_ns() >= self._due_ns:
            self.explain(read)

    def explain(self, read: Read) -> None:
        """Raises DeviceError, with what to do, when the drives are why it does not move."""
        self._ready = False  # until it has said so
        status = read()
        for axis in ("azimuth", "elevation"):
            if (todo := TO_DO.get(getattr(status, axis))) is not None:
                raise DeviceError(f"{self._name}: its {axis} {todo}.")
        self._ready, self._due_ns = True, self._clock.now_ns() + AGAIN_NS
