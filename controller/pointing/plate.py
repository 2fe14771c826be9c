"""Plate solving: which stars a frame of a wide camera shows, found without knowing where it looked.

The search is tetra3rs': centroids, patterns of four stars looked up among those of the Gaia and Hipparcos catalogues,
and a test of every candidate against chance. What a frame shows is believed only when many stars then fit a lens
closely; anything else is refused with a sentence. A wrong answer would turn a mount.

The patterns are made when they are first asked for, in less than a second: there is nothing to download or to keep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.errors import BoresightError
from controller.geometry.earth import EarthOrientation
from controller.geometry.frames import Site, azel_to_enu
from controller.geometry.stars import Star, observed
from controller.geometry.timescales import Floats
from controller.pointing.lens import Lens, LensFit, fit_lens

STARS_MIN = 10  # that fit
NOISE_MAX_PX = 1.0  # of a star that fits
FIELD_TOLERANCE = 0.05  # how far the field may be from what the rig says
CHANCE_MAX = 1e-9  # that a field of the catalogue fits so well by accident
CENTROIDS_MAX = 300
PATTERNS_MAX = 200_000  # that are looked up before a frame is given up: a second or two
CLIPPED_MAX = 0.02  # of the pixels at the frame's largest value: no frame of stars
BLOCK_PX = 32
UNEVEN = 3.0  # background across the frame, in units of a pixel's noise
UNIX_DAY_NS = 86_400 * 1_000_000_000
EPOCH_STEPS = 10  # a year: the patterns are of the nearest tenth


class PlateError(BoresightError):
    """A frame shows no field that could be told; the message says what is the matter with it."""


@dataclass(frozen=True, slots=True)
class Plate:
    """A frame of which the stars are known: pixels (n, 2), ICRS places of its date (n, 2) in radians, and the lens.

    The lens is fitted to those places; `seen` counts all that stood out of the background.
    """

    pixel: Floats
    place_rad: Floats
    fit: LensFit
    seen: int

    @property
    def lens(self) -> Lens:
        """How pixels become ICRS directions."""
        return self.fit.lens

    @property
    def middle_rad(self) -> tuple[float, float]:
        """Right ascension and declination of the middle of the frame, as a star there has them in a catalogue."""
        x, y, z = self.lens.unit(np.array([self.lens.middle_px]))[0]
        return math.atan2(y, x) % math.tau, math.asin(z)

    @property
    def roll_rad(self) -> float:
        """Position angle of the image's upward direction (towards row 0), from north through east."""
        ra, dec = self.middle_rad
        north = np.array([-math.sin(dec) * math.cos(ra), -math.sin(dec) * math.sin(ra), math.cos(dec)])
        east = np.array([-math.sin(ra), math.cos(ra), 0.0])
        up = -self.lens.turn[1]
        return math.atan2(float(up @ east), float(up @ north)) % math.tau


def solve(image: NDArray[np.uint16], field_deg: float, t_utc_ns: int) -> Plate:
    """Find out what a frame (height, width) shows; `field_deg` is its width within five percent.

    Raises PlateError, and ModuleNotFoundError where the solver is not installed.
    """
    import tetra3rs

    _refuse_clipped(image)
    found = tetra3rs.extract_centroids(image, max_centroids=CENTROIDS_MAX, threads=1)
    stars = np.array([(c.x, c.y, c.brightness or 0.0) for c in found.centroids]).reshape(-1, 3)
    if len(stars) < STARS_MIN:
        raise PlateError(
            f"Only {len(stars)} stars stand out in the frame, and {STARS_MIN} are needed: "
            f"{_glare(image) or 'look for cloud, lens cap, focus and exposure'}."
        )
    height, width = image.shape
    database = _patterns(field_deg, round(_year(t_utc_ns) * EPOCH_STEPS))
    answer = database.solve_from_centroids(
        stars,
        fov_estimate_deg=field_deg,
        fov_max_error_deg=FIELD_TOLERANCE * field_deg,
        image_shape=image.shape,
        match_threshold=CHANCE_MAX,
        solve_timeout_ms=None,  # the number of patterns bounds the search, so that every machine gives one answer
        max_patterns_checked=PATTERNS_MAX,
    )
    if not answer:
        raise PlateError(
            f"{len(stars)} stars stand out in the frame, and no field of {field_deg:g} deg of the catalogue looks so: "
            f"{_glare(image) or 'is field_deg right, and are these stars, not a cloud, a tree or a lit roof?'}"
        )
    catalogue = [database.get_star_by_id(int(number)) for number in answer.matched_catalog_ids]
    place_rad = np.radians([(star.ra_deg, star.dec_deg) for star in catalogue])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    pixel = stars[answer.matched_centroids.astype(np.int64), :2] + middle
    focal_px = float(answer.camera_model.focal_length_px)
    fitted = fit_lens(pixel, unit_vectors(place_rad), focal_px, bool(answer.parity_flip), (width, height))
    if fitted.stars < STARS_MIN or fitted.noise_px > NOISE_MAX_PX:
        raise PlateError(
            f"The best field that was found fits {fitted.stars} stars to {fitted.noise_px:.2f} pixels, which is not "
            f"certain ({STARS_MIN} stars to {NOISE_MAX_PX:g} pixels are): expose longer, look at focus and vibration."
        )
    return Plate(pixel, place_rad, fitted, len(stars))


def over_site(plate: Plate, t_utc_ns: int, site: Site, earth: EarthOrientation, wavelength_um: float) -> LensFit:
    """The lens fitted to where each star was observed over a site: its frame is east-north-up.

    Aberration and refraction are those of every single star, so that a field that the air has flattened fits.
    """
    ra_deg, dec_deg = np.degrees(plate.place_rad).T
    stars = [Star("", float(ra), float(dec), 0.0, 0.0, 0.0) for ra, dec in zip(ra_deg, dec_deg, strict=True)]
    enu = azel_to_enu(*observed(stars, t_utc_ns, site, earth, wavelength_um))
    lens = plate.lens
    return fit_lens(plate.pixel, enu, lens.focal_px, lens.mirrored, lens.size_px)


def unit_vectors(place_rad: Floats) -> Floats:
    """Unit vectors (n, 3) of right ascensions and declinations (n, 2)."""
    ra, dec = place_rad.T
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


@lru_cache(maxsize=2)
def _patterns(field_deg: float, tenths_of_year: int) -> Any:
    """The catalogue's stars at a date, and their patterns in fields of about that size."""
    import tetra3rs

    return tetra3rs.SolverDatabase.generate_from_gaia(
        max_fov_deg=(1.0 + FIELD_TOLERANCE) * field_deg,
        min_fov_deg=(1.0 - FIELD_TOLERANCE) * field_deg,
        # Fewer than it makes by default, in half the time; with a quarter of these, one field in fifty is missed.
        lattice_field_oversampling=30,
        patterns_per_lattice_field=50,
        verification_stars_per_fov=60,
        epoch_proper_motion_year=tenths_of_year / EPOCH_STEPS,
    )


def _year(t_utc_ns: int) -> float:
    return 1970.0 + t_utc_ns / UNIX_DAY_NS / 365.25


def _refuse_clipped(image: NDArray[np.uint16]) -> None:
    if image.ndim != 2 or min(image.shape) < 2 * BLOCK_PX:
        raise PlateError(f"A frame of stars has rows and columns, {2 * BLOCK_PX} at least; this one is {image.shape}.")
    largest = image.max()
    share = float(np.mean(image == largest))
    if share > CLIPPED_MAX:
        raise PlateError(
            f"{share:.0%} of the frame's pixels are at its largest value, {largest}: it is saturated or empty; "
            "expose shorter, wait for the dark, or turn away from the Moon."
        )


def _glare(image: NDArray[np.uint16]) -> str:
    """What an uneven background is a sign of, or nothing."""
    height, width = (n - n % BLOCK_PX for n in image.shape)
    blocks = image[:height, :width].reshape(height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    medians = np.median(blocks, axis=(1, 3))
    noise = float(np.median(np.abs(np.diff(image[:height:4, :width].astype(np.float64), axis=1)))) / 0.954
    spread = float(np.percentile(medians, 95) - np.percentile(medians, 5))
    uneven = spread > UNEVEN * max(noise, 1.0)
    return "the background is uneven, as near the Moon, a lamp or at dusk; turn away from it" if uneven else ""
