"""What the clearinghouse's message allows at this moment for this beam."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.bus.topics import PointingState
from controller.geometry.bodies import Place, separation_rad
from controller.safety.clearance.gates import Expected, mismatches
from controller.safety.clearance.message import Celestial, FieldOfView, FixedDirection, Message, Target, Window, padded
from controller.safety.clearance.message import at as open_at
from controller.safety.clearance.pam import PamError, load_pam

NS = 1_000_000_000
RELOAD_NS = 10 * NS  # a new message is in force so soon after it was put in place
TURN_NS = NS  # how long a place among the stars is kept: the sky turns 73 µrad

PlaceOf = Callable[[Celestial, int], Place]


@dataclass(frozen=True, slots=True)
class Cleared:
    """The clearinghouse's word; `scheduled` when a no is nothing but the time outside of a window."""

    ok: bool
    reason: str
    scheduled: bool = False
    changes_in_s: float | None = None


class Clearance:
    """The message in a file, read again when the file changes.

    `place_of(celestial, t_utc_ns)` is where something among the stars stands; a beam matches a direction within
    `match_rad`, the half angle of the cone that was cleared.
    """

    def __init__(self, path: Path, expected: Expected, place_of: PlaceOf, match_rad: float, pad_ns: int) -> None:
        self._path = path
        self._expected = expected
        self._place_of = place_of
        self._match_rad = match_rad
        self._pad_ns = pad_ns
        self._due_ns = -1
        self._stamp: tuple[int, int] | None = None
        self._message: Message | None = None
        self._windows: dict[int, tuple[Window, ...]] = {}
        self._refusal = ""
        self._places: dict[Celestial, tuple[int, Place]] = {}

    def look(self, t_utc_ns: int, now_ns: int, pointing: PointingState) -> Cleared:
        """What is allowed at `t_utc_ns` in the directions of gimbal and target."""
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + RELOAD_NS
            self._reload()
        if self._message is None:
            return Cleared(False, self._refusal)
        beam = Place(pointing.azimuth_rad, pointing.elevation_rad)
        aim = Place(pointing.target_azimuth_rad, pointing.target_elevation_rad)
        fits = [t for t in self._message.targets if all(self._holds(t, p, t_utc_ns) for p in (beam, aim))]
        if not fits:
            azimuth_deg, elevation_deg = math.degrees(beam.azimuth_rad) % 360.0, math.degrees(beam.elevation_rad)
            return Cleared(False, f"no target of {self._path.name} is at {azimuth_deg:.2f}, {elevation_deg:.2f} deg")
        words = [open_at(self._windows[target.number], t_utc_ns) for target in fits]
        still_s = [left_s for is_open, left_s in words if is_open and left_s is not None]
        if still_s:
            return Cleared(True, f"a window is open for {max(still_s):.0f} s", changes_in_s=max(still_s))
        next_s = min((left_s for _, left_s in words if left_s is not None), default=None)
        told = "no window is left" if next_s is None else f"the next window opens in {next_s:.0f} s"
        return Cleared(False, told, scheduled=True, changes_in_s=next_s)

    def _reload(self) -> None:
        try:
            status = self._path.stat()
            stamp = status.st_mtime_ns, status.st_size
            if stamp == self._stamp:
                return
            self._message, self._stamp = None, stamp
            message = load_pam(self._path)
        except OSError as error:
            self._message, self._stamp = None, None
            self._refusal = f"{self._path.name} cannot be read ({error.strerror}); put the message beside the rig file"
            return
        except PamError as error:
            self._refusal = str(error)
            return
        if wrong := mismatches(message, self._expected):
            self._refusal = f"{self._path.name}: {'; '.join(wrong)}"
            return
        mission = Window(message.start_utc_ns, message.stop_utc_ns)
        self._windows = {t.number: padded(t.windows, mission, self._pad_ns) for t in message.targets}
        self._message = message

    def _holds(self, target: Target, place: Place, t_utc_ns: int) -> bool:
        match target.geometry:
            case FieldOfView() as field:
                return field.holds(place)
            case FixedDirection(azimuth_deg, elevation_deg):
                there = Place(math.radians(azimuth_deg), math.radians(elevation_deg))
            case Celestial() as celestial:
                there = self._among_the_stars(celestial, t_utc_ns)
        return separation_rad(place, there) <= self._match_rad

    def _among_the_stars(self, celestial: Celestial, t_utc_ns: int) -> Place:
        known = self._places.get(celestial)
        if known is None or abs(t_utc_ns - known[0]) > TURN_NS:
            known = t_utc_ns, self._place_of(celestial, t_utc_ns)
            self._places[celestial] = known
        return known[1]
