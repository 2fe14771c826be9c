"""Plate solving, judged by the emulator: other catalogue (Hipparcos), other astronomy (skyfield), other refraction."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import erfa
import numpy as np
import pytest
from star_frames import EXPOSURE_NS, FIELD_DEG, MID_UTC_NS, SITE, UTC_NS, StarFrames, directions

from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import azel_to_enu, enu_to_azel
from controller.pointing.lens import Lens, LensFit, fit_lens
from controller.pointing.plate import Plate, PlateError, over_site, solve, unit_vectors
from sim_hw.scene.mount import MountTerms

ARCSEC = math.pi / 648_000
LEANING = MountTerms(axis_north_rad=0.04, axis_west_rad=-0.03, collimation_rad=1e-3)
# Of our two refractions, at 25 degrees of elevation and above: see tests/truth/test_world_agreement.py.
AIR_RAD = 0.5 * ARCSEC
WAVELENGTH_UM = 0.6


def over(plate: Plate, t_utc_ns: int = MID_UTC_NS) -> LensFit:
    return over_site(plate, t_utc_ns, SITE, load_earth_orientation(), WAVELENGTH_UM)


def missed_rad(frames: StarFrames, fitted: LensFit, azimuth_rad: float, elevation_rad: float) -> float:
    """Between where the telescope looks and where the frame says that the telescope's pixel looks."""
    seen = fitted.lens.unit(np.array([frames.view.boresight_px()]))[0]
    return float(np.linalg.norm(seen - azel_to_enu(azimuth_rad, elevation_rad)))


def agrees(frames: StarFrames, count: int, seed: int, refusals_max: int = 0) -> tuple[int, int]:
    """How many fields were found, and how many refused; those that are found are where the telescope looks."""
    distortions, refused = [], 0
    for azimuth_rad, elevation_rad in directions(count, seed):
        if frames.moon_rad(azimuth_rad, elevation_rad) < math.radians(15.0):
            continue  # that is another test's
        try:
            plate = solve(frames.take(azimuth_rad, elevation_rad), FIELD_DEG, frames.mid_utc_ns)
        except PlateError:
            refused += 1
            assert refused <= refusals_max
            continue
        fitted = over(plate, frames.mid_utc_ns)
        # A star's centre is read to a tenth of a pixel or so; so many stars divide that by their root. Five sigma.
        bound_rad = 5.0 * math.sqrt(2.0) * fitted.middle_sigma_rad + AIR_RAD
        assert bound_rad < 0.3 * frames.view.pixel_scale_rad
        assert missed_rad(frames, fitted, azimuth_rad, elevation_rad) < bound_rad
        distortions.append(fitted.lens.distortion)
    assert np.median(distortions) == pytest.approx(frames.view.distortion, abs=2e-4)
    return len(distortions), refused


def test_fields_all_over_the_sky_are_found_where_the_telescope_looks() -> None:
    agrees(StarFrames(seed=3, mount=LEANING), 5, seed=5)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_of_a_thousand_fields_all_but_one_in_a_hundred_are_found_and_none_elsewhere_than_the_telescope_looks(
    record_property: Callable[[str, object], None],
) -> None:
    found = refused = 0
    for seed in range(10):
        frames = StarFrames(seed=seed, mount=LEANING, utc_ns=UTC_NS + (seed * 30 * 24 + 4) * 3600 * 10**9)
        one = agrees(frames, 100, seed, refusals_max=3)
        found, refused = found + one[0], refused + one[1]
    record_property("fields found", found)
    record_property("fields refused", refused)
    assert refused <= 0.01 * (found + refused)


def test_the_lens_projects_as_erfa_does() -> None:
    frames = StarFrames(seed=4, distortion=0.0)
    plate = solve(frames.take(2.0, 1.1), FIELD_DEG, MID_UTC_NS)
    ra, dec = plate.middle_rad
    # ERFA's tangent plane: xi to the east, eta to the north; turned by the roll, up and to the left of the image.
    places = plate.place_rad[plate.fit.used]
    xi, eta = erfa.tpxes(places[:, 0], places[:, 1], ra, dec)
    c, s = math.cos(plate.roll_rad), math.sin(plate.roll_rad)
    up, east = eta * c + xi * s, xi * c - eta * s
    focal, (x0, y0) = plate.lens.focal_px, plate.lens.middle_px
    sideways = 1.0 if plate.lens.mirrored else -1.0  # unmirrored images of the sky have east to the left
    radius = (xi**2 + eta**2) / math.tan(plate.lens.field_rad / 2) ** 2
    stretch = focal * (1.0 + plate.lens.distortion * radius)
    projected = np.column_stack([x0 + sideways * stretch * east, y0 - stretch * up])
    assert projected == pytest.approx(plate.lens.pixel(unit_vectors(places)), abs=1e-6)
    assert plate.lens.pixel(plate.lens.unit(projected)) == pytest.approx(projected, abs=1e-6)


def test_a_mirrored_image_is_the_same_field() -> None:
    frames = StarFrames(seed=4)
    image = frames.take(2.0, 1.1)
    plain, mirrored = (solve(np.ascontiguousarray(one), FIELD_DEG, MID_UTC_NS) for one in (image, image[:, ::-1]))
    assert plain.lens.mirrored is not mirrored.lens.mirrored
    assert mirrored.middle_rad == pytest.approx(plain.middle_rad, abs=2 * ARCSEC)
    assert mirrored.fit.lens.focal_px == pytest.approx(plain.fit.lens.focal_px, rel=1e-3)


def test_stars_that_are_another_do_not_bend_the_lens() -> None:
    rng = np.random.default_rng(8)
    lens = Lens(np.linalg.qr(rng.standard_normal((3, 3)))[0], 5800.0, -4e-4, False, (1024, 768))
    lens = Lens(lens.turn * np.sign(np.linalg.det(lens.turn)), 5800.0, -4e-4, False, (1024, 768))
    pixel = rng.uniform((0, 0), (1023, 767), (40, 2))
    unit = lens.unit(pixel)
    seen = pixel + 0.1 * rng.standard_normal(pixel.shape)
    seen[:5] += 6.0
    fitted = fit_lens(seen, unit, 6000.0, False, (1024, 768))
    assert not fitted.used[:5].any()
    assert fitted.lens.unit(np.array([lens.middle_px])) == pytest.approx(
        lens.unit(np.array([lens.middle_px])), abs=5 * fitted.middle_sigma_rad
    )


def test_a_cloud_is_no_field() -> None:
    frames = StarFrames(seed=3)
    with pytest.raises(PlateError, match="stand out in the frame, and 10 are needed: look for cloud, lens cap"):
        solve(frames.take(1.0, 1.0, t_s=150.0), FIELD_DEG, MID_UTC_NS)


def test_a_saturated_frame_and_an_empty_one_are_no_fields() -> None:
    for level in (65_535, 0):
        frame = np.full((1024, 1024), level, dtype=np.uint16)
        with pytest.raises(PlateError, match=f"100% of the frame's pixels are at its largest value, {level}"):
            solve(frame, FIELD_DEG, MID_UTC_NS)


def test_stars_that_are_in_no_catalogue_are_no_field() -> None:
    frames, rng = StarFrames(seed=3), np.random.default_rng(6)
    for count in (12, 60, 200):
        places = rng.uniform(-0.087, 0.087, (count, 2))
        spots = [
            (float(x), float(y), float(f)) for (x, y), f in zip(places, 10 ** rng.uniform(4, 6, count), strict=True)
        ]
        with pytest.raises(PlateError, match="no field of 10 deg of the catalogue looks so"):
            solve(frames.expose(spots), FIELD_DEG, MID_UTC_NS)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_a_thousand_fields_of_invented_stars_are_refused() -> None:
    frames, rng = StarFrames(seed=3), np.random.default_rng(7)
    for _ in range(1000):
        count = int(rng.integers(10, 250))
        places = rng.uniform(-0.087, 0.087, (count, 2))
        spots = [
            (float(x), float(y), float(f)) for (x, y), f in zip(places, 10 ** rng.uniform(4, 6, count), strict=True)
        ]
        with pytest.raises(PlateError):
            solve(frames.expose(spots), FIELD_DEG, MID_UTC_NS)


def test_another_lens_than_the_rig_says_is_told() -> None:
    with pytest.raises(PlateError, match="is field_deg right"):
        solve(StarFrames(seed=3).take(1.0, 1.0), 14.0, MID_UTC_NS)


def test_the_moon_in_the_field_ends_in_the_truth_or_in_a_sentence() -> None:
    frames = StarFrames(seed=3)
    vector, magnitude = frames.view._sky.moon(EXPOSURE_NS * 0.5e-9)
    assert magnitude < -11.0  # nearly full
    azimuth, elevation = (float(v[0]) for v in enu_to_azel(vector[[1, 0, 2]][None]))
    frames.tape.stand(azimuth, elevation)
    outcomes = [
        outcome(frames, azimuth, elevation - math.radians(away_deg), "uneven|saturated") for away_deg in (0, 6, 12)
    ]
    assert outcomes[-1] == "found"
    assert set(outcomes) <= {"found", "refused"}


def outcome(frames: StarFrames, azimuth_rad: float, elevation_rad: float, refusal: str) -> str:
    try:
        fitted = over(solve(frames.take(azimuth_rad, elevation_rad), FIELD_DEG, MID_UTC_NS))
    except PlateError as error:
        return "refused" if re.search(refusal, str(error)) else str(error)
    missed = missed_rad(frames, fitted, azimuth_rad, elevation_rad)
    return "found" if missed < frames.view.pixel_scale_rad else f"{missed} rad away"


def test_a_blinding_glare_is_refused_by_name() -> None:
    frames = StarFrames(seed=3, glare=5.0)
    vector, _ = frames.view._sky.moon(EXPOSURE_NS * 0.5e-9)
    azimuth, elevation = (float(v[0]) for v in enu_to_azel(vector[[1, 0, 2]][None]))
    with pytest.raises(PlateError, match=r"Moon"):
        solve(frames.take(azimuth, elevation - math.radians(7.0)), FIELD_DEG, MID_UTC_NS)


def test_stars_that_are_drawn_out_to_lines_are_refused() -> None:
    """The mount moved during the exposure."""
    frames = StarFrames(seed=3)
    frames.tape.stand(1.0, 1.0)
    spots = frames.view.spots(0, EXPOSURE_NS, 20_000)
    drawn = [(x + 4e-4 * i, y, light / 40) for x, y, light, *_ in spots for i in range(40)]
    with pytest.raises(PlateError):
        solve(frames.expose(drawn), FIELD_DEG, MID_UTC_NS)
