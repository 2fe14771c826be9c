"""What an operator adds to a prediction: a time bias, and angles along and across the track. Kept for each object.

Element sets are wrong along the track first: the satellite comes a second early or late, every pass until the next set.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controller.errors import BoresightError
from controller.geometry.trajectory import Look
from controller.pointing.targets import Target

NS = 1_000_000_000
TIME_MAX_S = 120.0
ANGLE_MAX_RAD = math.radians(5.0)
STILL_RAD_S = 1e-9  # slower than this a target has no track; its track is taken to run along azimuth


class OffsetError(BoresightError, ValueError):
    """An offset is no number, too large, or cannot be read back."""


@dataclass(frozen=True, slots=True)
class Offsets:
    """The target is where it is predicted `time_s` later, then `in_track_rad` onwards, `cross_track_rad` to the right.

    Right is seen from the telescope, with the target going up.
    """

    time_s: float = 0.0
    in_track_rad: float = 0.0
    cross_track_rad: float = 0.0

    def look(self, target: Target, t_utc_ns: int) -> Look:
        """Where to look for a target at a time."""
        look = target.receive(t_utc_ns + round(self.time_s * NS))
        if not (self.in_track_rad or self.cross_track_rad):
            return look
        level = max(0.01, math.cos(look.elevation_rad))
        x, y = look.azimuth_rate_rad_s * level, look.elevation_rate_rad_s
        pace = math.hypot(x, y)
        x, y = (x / pace, y / pace) if pace > STILL_RAD_S else (1.0, 0.0)
        turn = self.in_track_rad * x + self.cross_track_rad * y
        rise = self.in_track_rad * y - self.cross_track_rad * x
        return look._replace(azimuth_rad=look.azimuth_rad + turn / level, elevation_rad=look.elevation_rad + rise)

    @classmethod
    def from_body(cls, body: dict[str, Any], before: Offsets) -> Offsets:
        """The same with what a body names replaced. Raises OffsetError naming the field."""
        changed = asdict(before)
        for name, most, unit in (
            ("time_s", TIME_MAX_S, "s"),
            ("in_track_rad", ANGLE_MAX_RAD, "rad"),
            ("cross_track_rad", ANGLE_MAX_RAD, "rad"),
        ):
            value = body.get(name, changed[name])
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if not number or abs(value) > most:
                raise OffsetError(f"{name} is {value!r} and should be a number from {-most:.3g} to {most:.3g} {unit}.")
            changed[name] = float(value)
        return cls(**changed)


NONE = Offsets()


class OffsetBook:
    """The offsets of each object by its name, in a file; without one only until the service ends."""

    def __init__(self, path: Path | None = None) -> None:
        """Read what was kept. Raises OffsetError when the file is damaged."""
        self._path = path
        self._of: dict[str, Offsets] = {}
        if path is None or not path.exists():
            return
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            self._of = {name: Offsets.from_body(row, NONE) for name, row in rows.items()}
        except (OSError, ValueError, AttributeError) as error:
            raise OffsetError(f"{path} holds no offsets ({error}); mend or delete it.") from None

    def of(self, name: str) -> Offsets:
        """Those of an object; none when nobody gave any."""
        return self._of.get(name, NONE)

    def keep(self, name: str, offsets: Offsets) -> None:
        """Keep those of an object; no offsets at all are forgotten. Raises OSError when they cannot be written."""
        if offsets == NONE:
            self._of.pop(name, None)
        else:
            self._of[name] = offsets
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".part")
        partial.write_text(json.dumps({n: asdict(o) for n, o in self._of.items()}, indent=2) + "\n", encoding="utf-8")
        os.replace(partial, self._path)
