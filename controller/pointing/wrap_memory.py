"""How often azimuth is wound up, across restarts: a mount without stops shows the angle and forgets the turns.

Its cables do not forget. The whole angle is kept in a file and written again whenever it has changed by WRITE_RAD; the
next start takes the turn nearest to it. That is right as long as nobody turned the mount by half a turn meanwhile.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from controller.errors import BoresightError

WRITE_RAD = math.radians(20.0)
TURNS_MAX = 20


class WrapMemory:
    """The file of one mount; without one nothing is remembered. `axis` is what an operator calls its first one."""

    def __init__(self, path: Path | None = None, axis: str = "azimuth") -> None:
        self._path = path
        self._axis = axis
        self._written_rad: float | None = None

    def recall(self) -> float | None:
        """Azimuth with its turns, radians, as it was written last; None when this is the first start.

        Raises BoresightError when the file is damaged: the cables may be wound up, and nobody knows how far.
        """
        if self._path is None or not self._path.exists():
            return None
        try:
            azimuth_rad = float(json.loads(self._path.read_text(encoding="utf-8"))["azimuth_rad"])
            if not abs(azimuth_rad) < TURNS_MAX * math.tau:
                raise ValueError(f"{azimuth_rad} rad")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BoresightError(
                f"{self._path} does not say how far {self._axis} is wound up ({error}); look at the cables, unwind the "
                "mount by hand and delete the file."
            ) from None
        self._written_rad = azimuth_rad
        return azimuth_rad

    def note(self, azimuth_rad: float) -> None:
        """Azimuth with its turns, now. Written whole or not at all, so that a cut of power leaves one or the other.

        Raises OSError.
        """
        if self._path is None:
            return
        if self._written_rad is not None and abs(azimuth_rad - self._written_rad) < WRITE_RAD:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".part")
        partial.write_text(json.dumps({"azimuth_rad": azimuth_rad}) + "\n", encoding="utf-8")
        os.replace(partial, self._path)
        self._written_rad = azimuth_rad
