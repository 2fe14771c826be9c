"""The mount model: there and back, recovery of terms, robustness."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site, azel_to_enu
from controller.pointing.calibration import choose_stars, visits
from controller.pointing.mount import MountModel, MountModelError
from controller.pointing.mount_fit import fit
from controller.pointing.observation import Observation, sky_offset

SITE = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
EVENING = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))
ARCSEC = math.pi / 648000
# pypogs (Riesing et al.), table III: zero points 0.98 and 0 deg, non-perpendicularity 0.1641 deg, the azimuth axis
# 1.3836 deg from the local vertical towards azimuth 109 deg.
PYPOGS = MountModel(
    IA=math.radians(-6.02),
    IE=math.radians(0.9843),
    NPAE=math.radians(0.1641),
    AN=math.radians(1.3836) * math.cos(math.radians(109.0)),
    AW=-math.radians(1.3836) * math.sin(math.radians(109.0)),
)


def drawn(rng):
    return MountModel(
        *rng.normal(0, [5e-3, 3e-3, 5e-4, 3e-4, 1e-3, 1e-3]).tolist(), *rng.uniform(5e-5, 1e-4, 2).tolist()
    )


def observe(model, rng, noise_rad, model_knows=None):
    """A calibration run: each star approached from both sides, the mount standing a little beside it."""
    stars = choose_stars(EVENING, SITE, load_earth_orientation(), 0.7)
    knows = model_knows or MountModel()
    seen = []
    for visit in visits(stars):
        encoder = knows.encoder(visit.azimuth_rad, visit.elevation_rad)
        boresight = model.direction(*encoder, visit.approach)
        x, y = sky_offset(boresight, (visit.azimuth_rad, visit.elevation_rad))
        nx, ny = rng.normal(0, noise_rad, 2)
        seen.append(
            Observation(
                visit.star.name, visit.azimuth_rad, visit.elevation_rad, *encoder, visit.approach, (x + nx, y + ny)
            )
        )
    return seen


@pytest.mark.parametrize("seed", range(5))
def test_a_direction_comes_back_from_the_encoders_to_a_nanoradian(seed):
    rng = np.random.default_rng(seed)
    model = drawn(rng)
    for azimuth, elevation in rng.uniform([-6.0, 0.1], [6.0, 1.5], (200, 2)):
        motion = tuple(rng.choice([-1.0, 1.0], 2).tolist())
        there = model.encoder(azimuth, elevation, motion)
        back = model.direction(*there, motion)
        assert back == pytest.approx((azimuth, elevation), abs=1e-9)


def test_a_mount_without_terms_reads_the_sky_itself():
    assert MountModel().encoder(1.0, 0.7) == pytest.approx((1.0, 0.7), abs=1e-15)


@pytest.mark.parametrize(
    ("term", "azimuth", "elevation", "shift"),
    [  # boresight minus encoder direction to first order, (cross-elevation, elevation), for a term of 1
        ("IA", 0.3, 0.7, (-math.cos(0.7), 0.0)),
        ("IE", 0.3, 0.7, (0.0, -1.0)),
        ("CA", 0.3, 0.7, (1.0, 0.0)),
        ("NPAE", 0.3, 0.7, (-math.sin(0.7), 0.0)),
        # An axis that leans north carries a telescope that looks north down, one that looks east to the left.
        ("AN", 0.0, 0.7, (0.0, -1.0)),
        ("AN", math.pi / 2, 0.7, (-math.sin(0.7), 0.0)),
        ("AW", -math.pi / 2, 0.7, (0.0, -1.0)),
        ("AW", 0.0, 0.7, (-math.sin(0.7), 0.0)),
    ],
)
def test_each_term_has_the_sign_that_its_definition_says(term, azimuth, elevation, shift):
    small = 1e-6
    boresight = MountModel(**{term: small}).direction(azimuth, elevation)
    moved = sky_offset((azimuth, elevation), boresight)
    assert np.array(moved) / small == pytest.approx(np.array(shift), abs=1e-5)


def test_a_tilt_moves_the_axis_and_not_the_length_of_the_circle():
    model = MountModel(AN=0.01, AW=-0.02)
    axis = azel_to_enu(*model.direction(0.0, math.pi / 2))
    assert axis == pytest.approx([0.02, 0.01, 1.0], abs=3e-4)


@pytest.mark.parametrize("seed", range(6))
def test_a_drawn_misalignment_is_recovered_within_its_own_uncertainty(seed):
    rng = np.random.default_rng(seed)
    truth = drawn(rng)
    noise = 5 * ARCSEC
    result = fit(observe(truth, rng, noise))
    assert max(result.residual_rms_rad) < 2 * noise
    for term in result.terms:
        assert abs(getattr(result.model, term) - getattr(truth, term)) < 5 * result.sigma_rad(term), term
    errors = [
        sky_offset(truth.direction(*result.model.encoder(az, el, (1, 1)), (1, 1)), (az, el))
        for az in np.arange(0, 6.2, 0.5)
        for el in np.radians([25, 40, 55, 70])
    ]
    assert np.sqrt(np.mean(np.square(errors))) < 30e-6


def test_the_large_angles_of_pypogs_are_recovered():
    rng = np.random.default_rng(3)
    result = fit(observe(PYPOGS, rng, 2 * ARCSEC, MountModel(IA=PYPOGS.IA, IE=PYPOGS.IE)))
    for term in ("IA", "IE", "NPAE", "AN", "AW"):
        assert getattr(result.model, term) == pytest.approx(getattr(PYPOGS, term), abs=30 * ARCSEC), term


def test_one_star_mistaken_for_another_does_not_spoil_the_fit():
    rng = np.random.default_rng(5)
    truth = drawn(rng)
    seen = observe(truth, rng, 5 * ARCSEC)
    clean = fit(seen).model
    bad = seen[7]
    seen[7] = Observation(
        bad.star,
        bad.azimuth_rad,
        bad.elevation_rad,
        bad.azimuth_encoder_rad,
        bad.elevation_encoder_rad,
        bad.motion,
        (bad.offset_rad[0] + 3e-3, bad.offset_rad[1] - 2e-3),
    )
    spoilt = fit(seen)
    assert spoilt.rejected >= 1
    moved = sky_offset(clean.direction(1.0, 0.8), spoilt.model.direction(1.0, 0.8))
    assert math.hypot(*moved) < 5 * ARCSEC * 2


def test_the_predicted_pointing_uncertainty_covers_what_happens():
    outcomes, predicted = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        truth = drawn(rng)
        result = fit(observe(truth, rng, 5 * ARCSEC))
        outcomes.append(sky_offset(truth.direction(*result.model.encoder(2.0, 0.9)), (2.0, 0.9)))
        predicted.append(result.pointing_sigma_rad(2.0, 0.9))
    ratio = np.std(outcomes, axis=0) / np.mean(predicted, axis=0)
    assert np.all((ratio > 0.6) & (ratio < 1.5)), ratio


def test_too_few_stars_are_refused():
    rng = np.random.default_rng(0)
    seen = [o for o in observe(MountModel(), rng, 1e-5) if o.star < "F"]
    with pytest.raises(MountModelError, match="needs 8"):
        fit(seen)


def test_stars_that_crowd_together_are_refused():
    stars = [Observation(str(i), 1.0, 0.8, 1.0, 0.8, (1.0 if i % 2 else -1.0,) * 2, (0.0, 0.0)) for i in range(10)]
    with pytest.raises(MountModelError, match="spread"):
        fit(stars)


def test_a_model_survives_its_file(tmp_path):
    path = tmp_path / "mount.toml"
    PYPOGS.save(path, "made by a test")
    assert MountModel.load(path) == PYPOGS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mount]\nIX = 0.1\n", "unknown term IX"),
        ("[mount]\nIA = '3'\n", "term IA"),
        ("[mount]\nIA = true\n", "term IA"),
        ("[mount\n", "not a mount model"),
        ("IA = 0.1\n", "not a mount model"),
    ],
)
def test_a_wrong_file_is_named_with_its_term(tmp_path, text, message):
    path = tmp_path / "mount.toml"
    path.write_text(text)
    with pytest.raises(MountModelError, match=message) as caught:
        MountModel.load(path)
    assert str(path) in str(caught.value)


def test_collimation_hides_the_zenith_and_says_so():
    with pytest.raises(MountModelError, match="zenith"):
        MountModel(CA=0.01).encoder(0.0, math.pi / 2 - 1e-4)


def test_calibration_stars_are_many_high_and_far_apart():
    stars = choose_stars(EVENING, SITE, load_earth_orientation(), 0.7)
    assert len(stars) == 12
    assert all(math.radians(25) < el < math.radians(80) for _, _, el in stars)
    units = azel_to_enu(np.array([az for _, az, _ in stars]), np.array([el for _, _, el in stars]))
    angles = np.degrees(np.arccos(np.clip(units @ units.T, -1, 1)))
    assert angles[~np.eye(12, dtype=bool)].min() > 10
    azimuths = np.sort([az for _, az, _ in stars])
    assert np.diff(np.append(azimuths, azimuths[0] + math.tau)).max() < math.radians(120)


def test_a_tour_of_the_stars_is_shorter_than_the_order_of_the_catalogue():
    stars = choose_stars(EVENING, SITE, load_earth_orientation(), 0.7)

    def length(tour):
        units = azel_to_enu(np.array([az for _, az, _ in tour]), np.array([el for _, _, el in tour]))
        return np.arccos(np.clip((units[1:] * units[:-1]).sum(axis=1), -1, 1)).sum()

    assert length(stars) < 0.6 * length(sorted(stars, key=lambda s: s[0].magnitude))
    plan = visits(stars)
    assert [v.approach for v in plan] == [(1.0, 1.0), (-1.0, -1.0)] * 12
    assert [v.star.name for v in plan[::2]] == [v.star.name for v in plan[1::2]] == [s.name for s, _, _ in stars]


def test_too_few_stars_in_the_sky_are_named():
    with pytest.raises(MountModelError, match="of 90 calibration stars"):
        choose_stars(EVENING, SITE, load_earth_orientation(), 0.7, count=90)


def test_the_model_of_an_emulated_mount_is_none_of_a_real_one(tmp_path: Path) -> None:
    path = tmp_path / "mount.toml"
    PYPOGS.save(path, simulated=True)
    assert MountModel.load(path) == PYPOGS
    with pytest.raises(MountModelError, match="was calibrated on emulated devices, and the gimbal is real"):
        MountModel.load(path, real=True)
    PYPOGS.save(path)
    assert MountModel.load(path, real=True) == PYPOGS
