"""A bright star as the target of `pointing.track`."""

from __future__ import annotations

import numpy as np
import pytest

from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site
from controller.geometry.refraction import Refraction
from controller.geometry.stars import bright_stars, observed
from controller.pointing.commands import CAMERA_WAVELENGTH_UM, CommandError, trajectory_of
from controller.pointing.prediction import Observer

NS = 1_000_000_000
SITE = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
AIRLESS = Site(28.2995, -16.5118, 2393.0, 0.0)
EVENING = int(np.datetime64("2025-10-04T21:00:00", "ns").astype(np.int64))


def star(name):
    return next(s for s in bright_stars() if s.name == name)


@pytest.fixture(scope="module")
def observer():
    return Observer(SITE, load_earth_orientation())


def test_a_star_moves_along_its_trajectory(observer, limits):
    path = trajectory_of({"star": "vega"}, observer, limits, EVENING)
    for later in (0, 123, 599):
        t = EVENING + later * NS
        azimuth, elevation = observed([star("Vega")], t, SITE, observer.earth, CAMERA_WAVELENGTH_UM)
        look = path.receive(t)
        assert look.azimuth_rad % (2 * np.pi) == pytest.approx(azimuth[0], abs=5e-8)  # deflections of 0.01 urad
        assert look.elevation_rad == pytest.approx(elevation[0], abs=5e-8)
    speed = np.hypot(look.azimuth_rate_rad_s * np.cos(look.elevation_rad), look.elevation_rate_rad_s)
    assert speed == pytest.approx(7.292e-5 * np.cos(np.radians(star("Vega").declination_deg)), rel=2e-3)
    assert path.point_ahead(EVENING) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_a_low_star_is_followed_through_the_traced_air(observer, limits):
    # ERFA's formula is 3 urad off at 10 degrees and 113 at 5 (ephemeris.md, finding 6).
    midnight = int(np.datetime64("2025-10-05T00:00:00", "ns").astype(np.int64))
    low = [s.name for s in bright_stars() if 0.09 < observed([s], midnight, AIRLESS, observer.earth, 1.0)[1][0] < 0.17]
    assert low
    air = Refraction.of(SITE, CAMERA_WAVELENGTH_UM)
    for name in low:
        path = trajectory_of({"star": name}, observer, limits, midnight)
        for later in range(0, 600, 50):
            t = midnight + later * NS
            _, bare = observed([star(name)], t, AIRLESS, observer.earth, CAMERA_WAVELENGTH_UM)
            expected = float(air.apparent_rad(bare, np.full(1, np.inf))[0])
            assert path.receive(t).elevation_rad == pytest.approx(expected, abs=5e-8), name


def test_a_star_that_is_not_carried_is_named(observer, limits):
    with pytest.raises(CommandError, match="no star named 'Nemesis'"):
        trajectory_of({"star": "Nemesis"}, observer, limits, EVENING)
