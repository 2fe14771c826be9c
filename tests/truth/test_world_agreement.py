"""The emulated world's truth against what the controller predicts: two codes, one sky.

The world's chain is skyfield's SGP4 and Earth with a refraction of its own (exponential air); ours is in
controller/geometry. What is left between them is listed here by size, so that a pointing bug is a miss.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from controller.cli.bench import in_the_sky
from controller.geometry.frames import Site
from controller.pointing.elements import built_in_elements, find
from controller.pointing.ephemeris.files import load_ephemerides
from controller.pointing.passes import find_passes
from controller.pointing.prediction import Observer, predict
from sim_hw.scene.earth import Site as WorldSite
from sim_hw.scene.target import Target, TargetTruth, Wavelengths


@pytest.fixture(scope="module", params=["STARLINK-1598", "STARLINK-1048"])
def compared(request, earth):
    """(times, elevations, differences on the sky (n, 2), range and point-ahead differences) over a pass."""
    site = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
    one = find(built_in_elements(), request.param)
    day_ns = 86_400_000_000_000
    found = find_passes(one, site, earth, one.epoch_utc_ns, one.epoch_utc_ns + day_ns, math.radians(20))
    best = max(found, key=lambda p: p.elevation_max_rad)
    path = predict(one, Observer(site, earth, 1.55, 1.59), best.rise_utc_ns, best.set_utc_ns)
    place = WorldSite(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3)
    wavelengths = Wavelengths(0.976e-6, 1.55e-6, 1.59e-6)
    truth = TargetTruth(Target(one.name, one.line1, one.line2), place, best.rise_utc_ns, wavelengths)
    seconds = np.arange(0.0, best.duration_s, 5.0)
    theirs = truth.at(seconds)
    times = best.rise_utc_ns + np.round(seconds * 1e9).astype(np.int64)
    ours = path.sample(times)
    turn = np.remainder(theirs.azimuth_rad - ours[:, 0] + np.pi, 2 * np.pi) - np.pi
    ahead = np.array([path.point_ahead(int(t)) for t in times])
    return {
        "cross": turn * np.cos(ours[:, 1]),
        "elevation": theirs.elevation_rad - ours[:, 1],
        "range": theirs.range_m - ours[:, 2],
        "ahead": theirs.point_ahead_rad - ahead,
    }


def test_across_the_vertical_world_and_controller_agree_to_ten_nanoradians(compared):
    assert np.abs(compared["cross"]).max() < 10e-9


def test_in_elevation_only_the_two_models_of_the_air_differ(compared):
    assert np.abs(compared["elevation"]).max() < 0.5e-6  # 0.37: ERFA's refco against exponential air


def test_the_point_ahead_angle_is_the_same(compared):
    assert np.abs(compared["ahead"]).max() < 10e-9


def test_the_light_path_is_the_same_to_a_decimetre(compared):
    assert np.abs(compared["range"]).max() < 0.1


@pytest.mark.parametrize(
    ("file", "start"),
    [  # a CPF in ITRF, and an OEM in EME2000 on its way to the Moon
        ("cpf_crd/jason3_cpf_180613_16401.cne", "2018-06-13T13:59:00"),
        ("oem/Artemis_II_OEM_2026_04_10_Post-ICPS-Sep-to-EI.asc", "2026-04-03T02:00:00"),
    ],
)
def test_a_table_of_positions_is_flown_in_the_world_where_the_controller_expects_it(shared_data, earth, file, start):
    (target,) = load_ephemerides(shared_data / "orbits" / file)
    t0 = int(np.datetime64(start, "ns").astype(np.int64))
    site = Site(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3, "ogs")
    path = predict(target, Observer(site, earth, 1.55, 1.59), t0, t0 + 300 * 10**9)
    place = WorldSite(28.2995, -16.5118, 2393.0, 770.0, 12.0, 0.3)
    told = in_the_sky(target, t0)
    truth = TargetTruth(told, place, t0, Wavelengths(0.976e-6, 1.55e-6, 1.59e-6))
    seconds = np.arange(0.0, 300.0, 5.0)
    theirs = truth.at(seconds)
    times = t0 + np.round(seconds * 1e9).astype(np.int64)
    ours = path.sample(times)
    assert ours[:, 1].min() > np.radians(20)
    turn = np.remainder(theirs.azimuth_rad - ours[:, 0] + np.pi, 2 * np.pi) - np.pi
    assert np.abs(turn * np.cos(ours[:, 1])).max() < 10e-9
    assert np.abs(theirs.elevation_rad - ours[:, 1]).max() < 0.5e-6  # two models of the air, as above
    assert np.abs(theirs.range_m - ours[:, 2]).max() < 0.5
    ahead = np.array([path.point_ahead(int(t)) for t in times])
    assert np.abs(theirs.point_ahead_rad - ahead).max() < 10e-9
