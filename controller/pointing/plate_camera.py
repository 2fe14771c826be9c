"""How a star camera sits on the tube, kept between alignments: which of its pixels the telescope looks along."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from controller.geometry.frames import azel_to_enu
from controller.geometry.timescales import Floats
from controller.pointing.lens import Lens
from controller.pointing.mount import MountModel
from controller.pointing.observation import Pair
from controller.pointing.plate import PlateError

NUMBERS = ("boresight_x_px", "boresight_y_px", "roll_deg", "field_deg", "distortion")


@dataclass(frozen=True, slots=True)
class CameraOnTube:
    """`roll_rad` is the angle from the image's upward direction (towards row 0) to the tube's, clockwise as shown."""

    boresight_px: Pair
    roll_rad: float
    field_rad: float
    distortion: float

    def save(self, path: Path, note: str) -> None:
        """Write it as TOML."""
        numbers = (*self.boresight_px, math.degrees(self.roll_rad), math.degrees(self.field_rad), self.distortion)
        rows = [f"{name} = {float(value)!r}" for name, value in zip(NUMBERS, numbers, strict=True)]
        path.write_text("\n".join([f"# Star camera on the tube: {note}", *rows]) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> CameraOnTube:
        """Read what `save` wrote. Raises PlateError naming file and key."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise PlateError(f"{path}: cannot be read ({error}); remove it and align again.") from None
        wrong = [name for name in NUMBERS if not isinstance(table.get(name), float) or not math.isfinite(table[name])]
        if wrong:
            raise PlateError(f"{path}: {', '.join(wrong)} should be a number; remove the file and align again.")
        x, y, roll_deg, field_deg, distortion = (float(table[name]) for name in NUMBERS)
        return cls((x, y), math.radians(roll_deg), math.radians(field_deg), distortion)


def roll_rad(lens: Lens, model: MountModel, encoder: Pair) -> float:
    """From the image's upward direction to the one in which the second axis moves the telescope."""
    step_rad = 1e-3
    here, above = (model.frame.sky(*model.direction(encoder[0], encoder[1] + up)) for up in (0.0, step_rad))
    x, y = np.diff(lens.pixel(np.array([azel_to_enu(*here), azel_to_enu(*above)])), axis=0)[0]
    return math.atan2(x, -y)


def looked_at(lens: Lens, pixel: Pair) -> Floats:
    """Unit vector, east-north-up, that a pixel of a lens over a site looks along."""
    result: Floats = lens.unit(np.array([pixel]))[0]
    return result
