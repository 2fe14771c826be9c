"""`boresight plate FILE`: where a picture of stars was taken to, found from the stars alone."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.errors import BoresightError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from controller.pointing.plate import Plate

ARCSEC_PER_RAD = 180 * 3600 / math.pi
SUFFIXES = (".npy", ".npz", ".png")


def plate(
    file: Annotated[
        Path, typer.Argument(help="Frame: NumPy's .npy or .npz (array `image`), or .png; grey, rows and columns.")
    ],
    field: Annotated[float, typer.Option("--field", help="Width of the frame, degrees, to within 5 %.", min=3, max=40)],
    at: Annotated[str, typer.Option("--at", help="When, UTC, ISO 8601; default: now. Stars move.")] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Recognise the stars of a frame, without knowing where it looked: place of its middle, roll, scale.

    Places are those of a catalogue (ICRS). A frame that shows no certain field is refused with a sentence, exit code 1.
    """
    from controller.pointing.plate import solve
    from hal.clock import RealClock

    t_utc_ns = _when(at) if at else RealClock().utc_ns()
    told = {"file": str(file)} | described(solve(read(file), field, t_utc_ns))
    if json_output:
        typer.echo(json.dumps(told, indent=2))
        return
    mirrored = ", mirrored" if told["mirrored"] else ""
    typer.echo(
        f"right ascension {told['right_ascension_deg']:.4f} deg, declination {told['declination_deg']:+.4f} deg, roll "
        f"{told['roll_deg']:.2f} deg{mirrored}; field {told['field_deg']:.3f} deg, {told['pixel_arcsec']:.2f} arcsec a "
        f"pixel; {told['stars']} of {told['seen']} stars to {told['noise_px']:.2f} px"
    )


def described(plate: Plate) -> dict[str, Any]:
    """A plate as plain data; angles in degrees, the middle's sigma in arc seconds."""
    ra, dec = plate.middle_rad
    return {
        "right_ascension_deg": round(math.degrees(ra), 6),
        "declination_deg": round(math.degrees(dec), 6),
        "roll_deg": round(math.degrees(plate.roll_rad), 4),
        "mirrored": plate.lens.mirrored,
        "field_deg": round(math.degrees(plate.lens.field_rad), 4),
        "pixel_arcsec": round(ARCSEC_PER_RAD / plate.lens.focal_px, 4),
        "distortion": round(plate.lens.distortion, 6),
        "stars": plate.fit.stars,
        "seen": plate.seen,
        "noise_px": round(plate.fit.noise_px, 3),
        "middle_sigma_arcsec": round(plate.fit.middle_sigma_rad * ARCSEC_PER_RAD, 3),
    }


def read(file: Path) -> NDArray[np.uint16]:
    """A frame from a file. Raises BoresightError naming it."""
    import numpy as np

    if file.suffix not in SUFFIXES:
        raise BoresightError(f"{file}: a frame is read from {', '.join(SUFFIXES)}; save it as one of them.")
    try:
        found = _load(file)
    except (OSError, ValueError, KeyError, SyntaxError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BoresightError(f"{file}: cannot be read as a frame ({why}).") from None
    if found.ndim == 3:
        found = found[..., : min(3, found.shape[2])].mean(axis=2)  # colours, without transparency
    if found.ndim != 2 or not np.issubdtype(found.dtype, np.number) or not np.isfinite(found).all():
        raise BoresightError(f"{file}: a frame has rows and columns of finite numbers; this is {found.shape}.")
    return _counts(found.astype(np.float64))


def _load(file: Path) -> NDArray[Any]:
    import numpy as np

    if file.suffix == ".png":
        from matplotlib.image import imread

        return np.asarray(imread(file))
    loaded = np.load(file, allow_pickle=False)
    return np.asarray(loaded["image"] if file.suffix == ".npz" else loaded)


def _counts(image: NDArray[np.float64]) -> NDArray[np.uint16]:
    """As 16 bits: counts as they are where they fit, anything else over the whole range."""
    import numpy as np

    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 65_535 or high <= 1.0:
        image = (image - low) * (65_535 / max(high - low, 1e-12))
    return np.round(image).astype(np.uint16)


def _when(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BoresightError(f"--at {text}: is no time; write it as 2026-03-01T21:00:07 (UTC).") from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1e9)
