"""The emulated star camera: real stars where ERFA puts them, on a tube that turns as its mount does."""

from __future__ import annotations

import math

import erfa
import numpy as np
import pytest
from star_frames import EXPOSURE_NS, FIELD_DEG, PLACE, UTC_NS, StarFrames

from sim_hw.plant.coarse_block import boresight
from sim_hw.scene.earth import NS, Site, times, timescale
from sim_hw.scene.mount import MountTerms
from sim_hw.scene.refraction import bending
from sim_hw.scene.star_camera import Catalogue, WideSky

VEGA = (279.23473479, 38.78368896, 200.94, 286.23)  # Hipparcos, ICRS, J2000.0: ESA SP-1200


def erfa_place(utc_ns: int) -> tuple[float, float]:
    """Vega's azimuth and elevation in vacuum, by another library with the same orientation of the Earth."""
    t = times(utc_ns)
    utc1, utc2 = 2440587.5 + utc_ns // (86400 * NS), (utc_ns % (86400 * NS)) / (86400 * NS)
    table = timescale().polar_motion_table
    assert table is not None
    x_rad, y_rad = (math.radians(float(np.interp(t.tt, table[0], v)) / 3600) for v in table[1:])
    ra, dec = math.radians(VEGA[0]), math.radians(VEGA[1])
    rates = math.radians(VEGA[2] / 3.6e6) / math.cos(dec), math.radians(VEGA[3] / 3.6e6)
    latitude, longitude, height_m, *_ = PLACE
    azimuth, zenith, *_ = erfa.atco13(
        ra, dec, *rates, 0.0, 0.0, utc1, utc2, float(t.dut1), math.radians(longitude), math.radians(latitude),
        height_m, x_rad, y_rad, 0.0, 0.0, 0.0, 1.0,
    )  # fmt: skip
    return float(azimuth), math.pi / 2 - float(zenith)


def test_a_star_of_the_catalogue_stands_where_erfa_puts_it() -> None:
    utc_ns = UTC_NS + 9 * 3600 * NS  # Vega is high
    site = Site(*PLACE)
    sky = WideSky(Catalogue.hipparcos(1.0), site, utc_ns, 600e-9)
    azimuth, elevation = erfa_place(utc_ns)
    towards = np.array(
        [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    )
    vectors, magnitude = sky.near(towards, math.radians(1.0), 0.0)
    assert magnitude == pytest.approx([0.09], abs=0.02)  # Hp
    seen = math.asin(vectors[2, 0])
    turn = math.remainder(math.atan2(vectors[1, 0], vectors[0, 0]) - azimuth, math.tau) * math.cos(seen)
    assert turn == pytest.approx(0.0, abs=5e-7)  # 0.1 arcsec: Vega's parallax is 0.13, the package's motions shorter
    bent = float(bending(site.air, 600e-9, np.array(seen)))
    assert seen - bent == pytest.approx(elevation, abs=7e-7)


def test_the_tube_stays_square_to_the_leaning_azimuth_axis() -> None:
    mount = MountTerms(collimation_rad=2e-3, axis_north_rad=0.05, axis_west_rad=-0.04)
    frames = StarFrames(rotation_deg=0.0, offset_deg=0.0, mount=mount)
    for azimuth, elevation in ((0.3, 0.6), (2.0, 1.2), (-2.5, 0.9)):
        place = boresight(azimuth, elevation, mount.array)
        ahead, right, up = frames.view.axes(*place)
        assert ahead @ np.cross(right, up) == pytest.approx(1.0)
        # Turning the elevation axis moves the telescope upwards in the camera, and by nothing sideways.
        step = 1e-4
        higher = frames.view.axes(*boresight(azimuth, elevation + step, mount.array))[0]
        assert (higher @ up) / step == pytest.approx(math.cos(mount.collimation_rad), abs=1e-4)
        assert (higher @ right) / step == pytest.approx(0.0, abs=1e-4)


def test_a_star_is_where_the_lens_puts_it() -> None:
    frames = StarFrames(seed=2)
    image = frames.take(1.0, 1.0).astype(float)
    spots = frames.view.spots(0, EXPOSURE_NS, 20_000)
    x_rad, y_rad, _ = max(spots, key=lambda spot: spot[2])
    x, y = frames.sensor.pixel(x_rad, y_rad)
    row, column = np.unravel_index(int(np.argmax(image)), image.shape)
    assert (column, row) == pytest.approx((x, y), abs=3.0)  # it is saturated: the top is flat
    assert max(abs(spot[0]) for spot in spots) <= 1.06 * math.tan(math.radians(FIELD_DEG / 2))


def test_a_cloud_takes_the_stars_and_the_moon_brightens_its_sky() -> None:
    frames = StarFrames(seed=2)
    clear, clouded = frames.take(1.0, 1.0), frames.take(1.0, 1.0, t_s=150.0)
    assert np.count_nonzero(clear > 300) > 10 * np.count_nonzero(clouded > 300)
    vector, _ = frames.view._sky.moon(0.25)
    azimuth, elevation = math.atan2(vector[1], vector[0]), math.asin(vector[2])
    near, far = (np.median(frames.take(azimuth, elevation - math.radians(away))) for away in (5.0, 25.0))
    assert near > far + 100
    assert frames.take(azimuth, elevation).max() > 50_000


def test_the_sky_grows_bright_towards_the_day() -> None:
    levels = []
    for hours in (0, 9.5, 10, 13):  # night, two moments of dawn, day over Tenerife
        image = StarFrames(seed=2, utc_ns=UTC_NS + round(hours * 3600 * NS)).take(1.0, 1.0)
        levels.append(float(np.median(image)))
        assert np.ptp(np.median(image, axis=0)) < max(20.0, 0.01 * levels[-1])  # the same all over
    assert levels == sorted(levels)
    assert levels[0] < 200 < levels[1]
    assert levels[-1] == 60_100  # full
