"""Dark and flat frames: what the sensor shows without light and under even light, and frames corrected by them.

corrected = (raw - dark) / flat, with the dark frame's median put back, so that a corrected frame keeps its pedestal and
its units (counts). Pixels that are hot (dark) or blind (flat) take the value of a good neighbour. The usual reduction
of CCD frames: Howell, Handbook of CCD Astronomy, 2nd ed. (2006), section 4.5.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controller.errors import BoresightError
from controller.tracking.centroid import centroid
from hal.traits import Camera, Frame, Region

FULL_SCALE = 65_535  # Mono16
FLAT_LEVELS = (0.1, 0.8)  # of full scale: enough light for its shot noise, and far from saturation
HOT_SIGMA = 10.0
BLIND = 0.5  # of the mean response
READ_TIMEOUT_S = 2.0
EXPOSURE_TOLERANCE = 0.01

Image = NDArray[np.float32]


class FramesError(BoresightError):
    """A frame is not what it should be, or does not fit the camera's settings; the message says what to do."""


@dataclass(frozen=True, slots=True)
class MeanFrame:
    """Mean of `count` frames of the whole sensor; `noise_counts` is one pixel's in one frame (median over pixels)."""

    image: Image  # (height, width), counts
    exposure_s: float
    count: int
    noise_counts: float


def average(
    camera: Camera, exposure_s: float, frame_rate_hz: float, count: int, tell: Callable[[int], None]
) -> MeanFrame:
    """Take `count` frames of the whole sensor; `tell` hears how many there are. Raises what the camera raises."""
    sensor = camera.sensor
    camera.configure(exposure_s, frame_rate_hz, sensor)
    camera.start()
    mean = np.zeros((sensor.height, sensor.width))
    squares = np.zeros_like(mean)  # Welford's running sums
    try:
        for number in range(1, count + 1):
            frame = camera.read(READ_TIMEOUT_S)
            off = frame.image - mean
            mean += off / number
            squares += off * (frame.image - mean)
            tell(number)
    finally:
        camera.stop()
    noise = float(np.median(np.sqrt(squares / max(1, count - 1))))
    return MeanFrame(mean.astype(np.float32), frame.exposure_s, count, noise)


def refuse_dark(dark: MeanFrame) -> None:
    """Raises FramesError when there is light in a dark frame."""
    height, width = dark.image.shape
    spot = centroid(np.clip(np.rint(dark.image * 8), 0, FULL_SCALE).astype(np.uint16), Region(0, 0, width, height))
    if spot is not None:
        raise FramesError(
            f"camera: there is a spot at ({spot.x_px:.0f}, {spot.y_px:.0f}) px of the dark frame; cover the telescope."
        )
    level = float(np.median(dark.image)) / FULL_SCALE
    if level > FLAT_LEVELS[0]:
        raise FramesError(f"camera: the dark frame is at {level:.0%} of full scale; cover the telescope.")


def refuse_flat(flat: MeanFrame) -> None:
    """Raises FramesError when a flat frame is too dim, saturated or not even."""
    level = float(np.median(flat.image)) / FULL_SCALE
    if not FLAT_LEVELS[0] <= level <= FLAT_LEVELS[1]:
        more = "more" if level < FLAT_LEVELS[0] else "less"
        raise FramesError(
            f"camera: the flat frame is at {level:.1%} of full scale, {FLAT_LEVELS[0]:.0%} to {FLAT_LEVELS[1]:.0%} is "
            f"wanted; use {more} light, or an exposure of another length (--exposure)."
        )
    corners = [float(np.median(part)) for half in np.array_split(flat.image, 4) for part in np.array_split(half, 4, 1)]
    if min(corners) < BLIND * max(corners):
        raise FramesError("camera: the flat frame's light is not even; point at a screen or the twilight sky.")


class Correction:
    """Corrects frames of any region; `dark` and `flat` are of the whole sensor."""

    def __init__(self, dark: MeanFrame, flat: MeanFrame | None) -> None:
        self.exposure_s = dark.exposure_s
        pedestal = float(np.median(dark.image))
        pattern = dark.image - pedestal
        spread = 1.4826 * float(np.median(np.abs(pattern - np.median(pattern))))  # of a normal distribution
        bad = pattern > HOT_SIGMA * max(spread, dark.noise_counts / math.sqrt(dark.count))
        gain = np.ones_like(dark.image)
        if flat is not None:
            response = flat.image - dark.image
            response = response / np.median(response)
            bad |= response < BLIND
            gain = 1 / np.maximum(response, BLIND)
        self.bad_pixels = int(bad.sum())
        self._pedestal, self._pattern, self._gain, self._bad = pedestal, pattern, gain.astype(np.float32), bad

    def apply(self, frame: Frame) -> NDArray[np.uint16]:
        """The frame's image, corrected. Raises FramesError for another exposure than the dark frame's."""
        if abs(frame.exposure_s / self.exposure_s - 1) > EXPOSURE_TOLERANCE:
            raise FramesError(
                f"camera: the dark frame is of {self.exposure_s:g} s and the exposure {frame.exposure_s:g} s; take it "
                "again with `boresight rig frames dark`."
            )
        r = frame.region
        here = slice(r.y, r.y + r.height), slice(r.x, r.x + r.width)
        net = (frame.image - self._pedestal - self._pattern[here]) * self._gain[here] + self._pedestal
        image: NDArray[np.uint16] = np.clip(np.rint(net), 0, FULL_SCALE).astype(np.uint16)
        for y, x in zip(*np.nonzero(self._bad[here]), strict=True):
            image[y, x] = _neighbour(image, self._bad[here], int(y), int(x))
        return image

    @classmethod
    def load(cls, folder: Path) -> Correction | None:
        """From dark.npz and, where it is there, flat.npz; None without a dark frame. Raises FramesError."""
        dark, flat = (load(folder / f"{kind}.npz") for kind in ("dark", "flat"))
        if dark is None:
            return None
        if flat is not None and flat.image.shape != dark.image.shape:
            raise FramesError(f"{folder}: dark.npz and flat.npz are of different sensors; take both again.")
        return cls(dark, flat)


def save(mean: MeanFrame, path: Path) -> None:
    """Keep a mean frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path, image=mean.image, exposure_s=mean.exposure_s, count=mean.count, noise_counts=mean.noise_counts
    )


def load(path: Path) -> MeanFrame | None:
    """What `save` kept; None when there is none. Raises FramesError when it cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            exposure_s, count, noise = (kept[key].item() for key in ("exposure_s", "count", "noise_counts"))
            return MeanFrame(kept["image"].astype(np.float32), float(exposure_s), int(count), float(noise))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FramesError(f"{path}: is no mean frame ({error}); take it again with `boresight rig frames`.") from None


def _neighbour(image: NDArray[np.uint16], bad: NDArray[np.bool_], y: int, x: int) -> int:
    """The median of the good pixels around one."""
    rows, columns = slice(max(0, y - 1), y + 2), slice(max(0, x - 1), x + 2)
    good = image[rows, columns][~bad[rows, columns]]
    return int(np.median(good)) if good.size else int(np.median(image))
