"""Mistakes of setting up are named by the stars: real places of real stars, computed for the wrong clock or place."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site
from controller.geometry.stars import observed
from controller.pointing.calibration import choose_stars
from controller.pointing.mount import MountModel
from controller.pointing.mount_fit import fit
from controller.pointing.mount_place import placed
from controller.pointing.observation import Observation, sky_offset
from controller.pointing.setting_up import mistake

SITE = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
EVENING = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))
MOUNT = MountModel(IA=1e-4, IE=-3e-4, AN=5e-5, AW=-5e-5, CA=2e-4)
NS = 1_000_000_000


def sightings(believed_site=SITE, clock_ahead_s=0.0, counted=lambda a, e: (a, e), mount=MOUNT):
    """Stars centred by hand under the true sky, noted with the places that the believed clock and site give."""
    earth = load_earth_orientation()
    rng = np.random.default_rng(1)
    chosen = choose_stars(EVENING, SITE, earth, 0.7)
    stars = [star for star, _, _ in chosen]
    places = np.transpose(observed(stars, EVENING + round(clock_ahead_s * NS), believed_site, earth, 0.7))
    seen = []
    for (star, *true), place in zip(chosen, places.tolist(), strict=True):
        encoder = counted(*mount.encoder(*true))
        seen.append(Observation(star.name, *place, *encoder, (0.0, 0.0), tuple(rng.normal(0, 25e-6, 2))))
    return seen


def test_a_mount_that_is_set_up_well_is_not_suspected():
    assert mistake(sightings(), SITE, EVENING) == ""
    leaning = MountModel(IA=1.0, AN=math.radians(0.5), AW=math.radians(-0.3), NPAE=1e-3, CA=1e-3)
    assert mistake(sightings(mount=leaning), SITE, EVENING) == ""


@pytest.mark.parametrize(
    ("ahead_s", "name"),
    [
        (69.184, "TT for UTC"),  # TAI - UTC has been 37 s since 2017 (IERS Bulletin C 52), TT - TAI 32.184 s
        (37.0, "TAI for UTC"),
        (18.0, "GPS time for UTC"),
        (3600.0, r"local time for UTC \(\+1 h\)"),
        (-18000.0, r"local time for UTC \(-5 h\)"),
    ],
)
def test_a_clock_on_the_wrong_time_scale_is_named_with_the_scale(ahead_s, name):
    sentence = mistake(sightings(clock_ahead_s=ahead_s), SITE, EVENING)
    assert re.search(name, sentence), sentence


def test_a_longitude_of_the_wrong_sign_is_named():
    wrong = replace(SITE, longitude_deg=-SITE.longitude_deg)
    sentence = mistake(sightings(believed_site=wrong), wrong, EVENING)
    assert "longitude of the wrong sign" in sentence
    assert "16.5118 should be -16.5118" in sentence


def test_a_latitude_of_the_wrong_sign_is_named():
    wrong = replace(SITE, latitude_deg=-SITE.latitude_deg)
    assert "latitude of the wrong sign" in mistake(sightings(believed_site=wrong), wrong, EVENING)


@pytest.mark.parametrize(
    ("counted", "name"),
    [
        (lambda a, e: (e, a), "swapped"),
        (lambda a, e: (-a, e), "westwards"),
        (lambda a, e: (a, math.pi / 2 - e), "from the zenith"),
        (lambda a, e: (a, -e), "downwards"),
    ],
)
def test_axes_that_are_swapped_or_count_the_wrong_way_are_named(counted, name):
    assert name in mistake(sightings(counted=counted), SITE, EVENING)


def test_a_clock_on_the_wrong_scale_would_otherwise_pass_for_a_mount_that_leans():
    found = fit(sightings(clock_ahead_s=69.184))
    assert max(found.residual_rms_rad) < 60e-6  # the stars come out right, satellites would not
    assert math.hypot(found.model.AN, found.model.AW) > math.radians(0.2)


@pytest.mark.parametrize("turn_deg", [0.0, 77.0, -178.0])
def test_a_mount_put_down_any_way_round_is_fitted(turn_deg):
    truth = MountModel(IA=math.radians(turn_deg), IE=2e-3, AN=0.1, AW=-0.05, CA=3e-4, NPAE=2e-4)
    seen = sightings(mount=truth)
    start = placed(seen)
    assert math.remainder(start.IA - truth.IA, math.tau) == pytest.approx(0.0, abs=2e-3)
    found = fit(seen)
    for azimuth, elevation in [(0.2, 0.5), (3.0, 1.0), (-1.5, 0.7)]:
        off = sky_offset(truth.direction(*found.model.encoder(azimuth, elevation)), (azimuth, elevation))
        assert max(map(abs, off)) < 1e-4
