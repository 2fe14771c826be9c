from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest
from skyfield.api import EarthSatellite, wgs84

from sim_hw.scene.earth import NS, Site, times, timescale
from sim_hw.scene.refraction import refract
from sim_hw.scene.target import Target, TargetTruth, Wavelengths

WAVELENGTHS = Wavelengths(976e-9, 1550e-9, 1590e-9)
MIDNIGHT_NS = int(dt.datetime(2025, 10, 4, tzinfo=dt.UTC).timestamp()) * NS
CULMINATION_S = 45_838.0  # near it; `culmination_s` finds the second


@pytest.fixture
def truth(site: Site, target: Target) -> TargetTruth:
    return TargetTruth(target, site, MIDNIGHT_NS, WAVELENGTHS)


def culmination_s(truth: TargetTruth) -> float:
    t_s = np.arange(CULMINATION_S - 120, CULMINATION_S + 120, 0.25)
    return float(t_s[np.argmax(truth.at(t_s).elevation_rad)])


def test_direction_is_skyfields_own_up_to_light_time_aberration_and_refraction(
    truth: TargetTruth, site: Site, target: Target
) -> None:
    t_s = CULMINATION_S + np.arange(-200.0, 200.0, 13.0)
    t = times(MIDNIGHT_NS + (t_s * NS).astype(np.int64))
    place = wgs84.latlon(site.latitude_deg, site.longitude_deg, site.height_m)
    satellite = EarthSatellite(target.line1, target.line2, target.name, timescale())
    altitude, azimuth, distance = (satellite - place).at(t).altaz()
    ours = truth.at(t_s)
    across = np.angle(np.exp(1j * (ours.azimuth_rad - azimuth.radians))) * np.cos(altitude.radians)
    bent = refract(site.air, 1550e-9, altitude.radians, distance.m)
    # Light time moves a satellite by v/c, at most 7.6 km/s / c = 25 urad.
    assert np.hypot(across, ours.elevation_rad - bent).max() < 26e-6
    assert np.hypot(across, ours.elevation_rad - bent).min() > 5e-6
    assert np.abs(ours.range_m - distance.m).max() < 40.0  # 6.5 km/s in 5 ms


def test_receive_direction_is_half_the_point_ahead_behind_the_instantaneous_place(
    truth: TargetTruth, site: Site, target: Target
) -> None:
    peak_s = culmination_s(truth)
    t = times(np.array([MIDNIGHT_NS + round(peak_s * NS)]))
    place = wgs84.latlon(site.latitude_deg, site.longitude_deg, site.height_m)
    satellite = EarthSatellite(target.line1, target.line2, target.name, timescale())
    altitude, azimuth, distance = (satellite - place).at(t).altaz()
    ours = truth.at(np.array([peak_s]))
    behind = np.array(
        [
            (ours.azimuth_rad[0] - azimuth.radians[0]) * math.cos(altitude.radians[0]),
            (ours.elevation_rad - refract(site.air, 1550e-9, altitude.radians, distance.m))[0],
        ]
    )
    # The stated relation is first order in v/c; the second order is the Earth's turn in the light time, 1e-8 rad.
    assert behind == pytest.approx(-0.5 * ours.point_ahead_rad[0], abs=5e-8)


def test_point_ahead_at_culmination_is_the_published_figure(truth: TargetTruth) -> None:
    peak = truth.at(np.array([culmination_s(truth)]))
    # ephemeris.md 6: STARLINK-1008 on 2025-10-04 over this site: 603.788 km, 48.882 urad; the element set is another.
    assert peak.range_m[0] == pytest.approx(603_788.0, rel=2e-3)
    assert 1e6 * math.hypot(*peak.point_ahead_rad[0]) == pytest.approx(48.882, abs=0.05)


def test_segments_join_and_reproduce_what_they_were_fitted_to(truth: TargetTruth) -> None:
    edge_s = 20.0 * round(CULMINATION_S / 20.0)
    before, after = truth.at(np.array([edge_s - 1e-9])), truth.at(np.array([edge_s]))
    assert before.azimuth_rad == pytest.approx(after.azimuth_rad, abs=1e-10)
    assert before.elevation_rad == pytest.approx(after.elevation_rad, abs=1e-10)
    t_s = edge_s + np.linspace(0.1, 19.9, 7)
    exact = truth._compute(t_s)
    range_m = np.linalg.norm(exact[0:3], axis=0)
    fitted = truth.at(t_s)
    assert fitted.elevation_rad == pytest.approx(np.arcsin(exact[2] / range_m), abs=1e-10)
    assert fitted.azimuth_rad == pytest.approx(np.arctan2(exact[1], exact[0]) % (2 * np.pi), abs=1e-10)


def test_an_along_track_error_is_seen_as_its_angle_at_the_range(site: Site, target: Target) -> None:
    shifted = TargetTruth(target, site, MIDNIGHT_NS, WAVELENGTHS, along_track_m=300.0)
    t_s = np.array([culmination_s(shifted)])
    d = shifted.at(t_s)
    # At culmination the track is across the line of sight.
    assert math.hypot(*d.nominal_offset_rad[0]) == pytest.approx(300.0 / d.range_m[0], rel=0.02)
    exact = TargetTruth(target, site, MIDNIGHT_NS, WAVELENGTHS).at(t_s)
    # Up to the sphere's curvature over 0.5 mrad, 2.5e-7 rad.
    assert d.nominal_offset_rad[0, 1] == pytest.approx(exact.elevation_rad[0] - d.elevation_rad[0], abs=3e-7)


def test_the_beacon_is_bent_more_than_the_downlink(truth: TargetTruth) -> None:
    d = truth.at(CULMINATION_S + np.array([-250.0, 0.0]))
    assert np.all(d.beacon_offset_rad > 0.0)
    assert d.beacon_offset_rad[0] > d.beacon_offset_rad[1]
