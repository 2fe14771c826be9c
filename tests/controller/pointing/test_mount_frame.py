"""How a mount stands: its frame against ERFA, its terms against TPOINT's equations, its fit against one of steel."""

from __future__ import annotations

import math

import erfa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.geometry.frames import azel_to_enu
from controller.pointing.mount import MountModel, MountModelError
from controller.pointing.mount_fit import fit
from controller.pointing.mount_frame import ALT_AZ, EQUATORIAL, MountFrame
from controller.pointing.observation import Observation, sky_offset

ARCSEC = math.pi / 648000
NORTH, SOUTH = (MountFrame.equatorial(math.radians(d)) for d in (28.2995, -33.9))
LYING = MountFrame("alt-alt", math.radians(40.0), 0.0)
FRAMES = {
    "alt-az": ALT_AZ,
    "north": NORTH,
    "south": SOUTH,
    "pole": MountFrame.equatorial(math.pi / 2),
    "equator": MountFrame.equatorial(0.0),
    "alt-alt": LYING,
}


def apart(a, b):
    return float(np.linalg.norm(azel_to_enu(*a) - azel_to_enu(*b)))


@pytest.mark.parametrize("latitude_deg", [60.0, 28.2995, 0.5, -0.5, -33.9, -80.0])
def test_the_axes_of_an_equatorial_mount_are_erfas_hour_angle_and_declination(latitude_deg):
    latitude, hemisphere = math.radians(latitude_deg), 1 if latitude_deg > 0 else -1
    frame = MountFrame.equatorial(latitude)
    for azimuth in np.radians(np.arange(5.0, 360.0, 17.0)):
        for elevation in np.radians([-20.0, 3.0, 45.0, 88.0]):
            hour_angle, declination = erfa.ae2hd(azimuth, elevation, latitude)
            primary, secondary = frame.axes(azimuth, elevation)
            assert abs(math.remainder(primary - hemisphere * hour_angle, math.tau)) < 1e-12
            assert secondary == pytest.approx(hemisphere * declination, abs=1e-12)


def test_a_mount_that_leans_by_the_colatitude_is_an_equatorial_one_counted_from_the_lower_meridian():
    """The tilt of the alt-azimuth model is an exact rotation, too: two ways to the same axes."""
    leaning = MountModel(AN=math.pi / 2 - NORTH.axis_elevation_rad)
    for azimuth, elevation in np.radians([(10, 20), (100, 50), (200, 80), (300, 5)]):
        primary, secondary = NORTH.axes(azimuth, elevation)
        wanted = leaning.encoder(azimuth, elevation)
        assert math.remainder(primary + math.pi - wanted[0], math.tau) == pytest.approx(0.0, abs=1e-12)
        assert secondary == pytest.approx(wanted[1], abs=1e-12)


def test_an_alt_alt_mount_has_no_keyhole_overhead_and_one_where_its_axis_points():
    assert LYING.axes(1.0, math.pi / 2) == pytest.approx((0.0, 0.0), abs=1e-12)
    assert LYING.axes(math.radians(40.0), 0.0)[1] == pytest.approx(math.pi / 2)
    assert LYING.axes(math.radians(-50.0), 0.0) == pytest.approx((math.pi / 2, 0.0))


small = st.floats(-3e-3, 3e-3)
models = st.builds(
    MountModel,
    IA=st.floats(-6.0, 6.0), IE=small, CA=st.floats(-1e-3, 1e-3), NPAE=small, AN=small, AW=small,
    TF=small, TX=st.floats(-1e-4, 1e-4), HASA=small, HESE=small, HECE=small, HECA=small,
    frame=st.sampled_from(list(FRAMES.values())),
)  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True)
@given(models, st.floats(-7.0, 7.0), st.floats(0.0, 1.570))
def test_a_direction_comes_back_from_any_mount_however_it_stands(model, azimuth, elevation):
    frame = model.frame
    primary, secondary = frame.axes(azimuth, elevation)
    assert apart(frame.sky(primary, secondary), (azimuth, elevation)) < 1e-12
    if math.pi / 2 - abs(secondary) < 0.02:
        return  # the cap about the axis that collimation hides
    axes = model.encoder(primary, secondary)
    assert apart(frame.sky(*model.direction(*axes)), (azimuth, elevation)) < 1e-9
    over = model.encoder(primary + math.pi, math.pi - secondary)
    assert apart(frame.sky(*model.direction(*over)), (azimuth, elevation)) < 1e-9


def test_every_direction_of_the_sky_comes_back_to_a_nanoradian():
    """With the pole itself, where hour angle means nothing, and the seam of hour angle."""
    places = [(a, e) for a in np.radians(np.arange(0, 360, 7.5)) for e in np.radians(np.arange(0.0, 90.1, 7.5))]
    for frame in FRAMES.values():
        pole = (frame.axis_azimuth_rad, frame.axis_elevation_rad)
        for place in [*places, pole, (pole[0], pole[1] - 1e-9)]:
            assert apart(frame.sky(*frame.axes(*place)), place) < 1e-12


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_pair_along_the_axes_is_the_same_small_way_on_the_sky(frame):
    """Against two directions that are so far apart."""
    for azimuth, elevation in np.radians([(10.0, 20.0), (130.0, 70.0), (250.0, 45.0)]):
        primary, secondary = frame.axes(azimuth, elevation)
        other = frame.sky(primary + 3e-6 / math.cos(secondary), secondary - 2e-6)
        told = frame.on_sky(azimuth, elevation, (3e-6, -2e-6))
        assert told == pytest.approx(sky_offset((azimuth, elevation), other), abs=1e-10)


# TPOINT's equations (P. T. Wallace): what is added to the hour angle and declination that the encoders show, for the
# place where the telescope looks. As RTS2, which applies TPOINT's models with code of its own, has them in
# src/teld/model/modelterm.cpp (FO, and HHSH2 ... by TPOINT's rule for harmonics, which RTS2 has for HDCH and so on).
def tpoint(term, h, d, latitude):
    sf, cf = math.sin(latitude), math.cos(latitude)
    down = (cf * math.sin(h) / math.cos(d), cf * math.cos(h) * math.sin(d) - sf * math.cos(d))
    sine = math.sin(d) * sf + math.cos(d) * math.cos(h) * cf
    return {
        "IH": (1, 0),
        "ID": (0, 1),
        "CH": (1 / math.cos(d), 0),
        "NP": (math.tan(d), 0),
        "ME": (math.sin(h) * math.tan(d), math.cos(h)),
        "MA": (-math.cos(h) * math.tan(d), math.sin(h)),
        "TF": down,
        "TX": (down[0] / sine, down[1] / sine),
        "PDD": (0, -d),
        "HCES": (math.sin(h), 0),
        "HCEC": (math.cos(h), 0),
        "DCES": (0, math.sin(d)),
        "DCEC": (0, math.cos(d)),
        "FO": (0, math.cos(h)),
        "HHSH2": (math.sin(2 * h), 0),
        "HHCH2": (math.cos(2 * h), 0),
        "HDSH2": (0, math.sin(2 * h)),
        "HDCH2": (0, math.cos(2 * h)),
    }[term]


@pytest.mark.parametrize("latitude_deg", [28.3, 55.0, -33.9])
@pytest.mark.parametrize("term", [name for name, _, _ in EQUATORIAL.values() if name not in ("BH", "BD")])
def test_an_equatorial_term_moves_the_telescope_as_tpoint_says(term, latitude_deg):
    latitude, hemisphere = math.radians(latitude_deg), 1 if latitude_deg > 0 else -1
    frame = MountFrame.equatorial(latitude)
    value = 1e-8
    model = MountModel.from_body({term: value}, frame=frame)
    for h, d in [(0.3, 0.4), (-1.1, 0.2), (0.8, -0.3), (-0.4, -0.2)]:
        shown = (hemisphere * h, hemisphere * d)
        looks = model.direction(*shown)
        moved = [hemisphere * (b - a) / value for a, b in zip(shown, looks, strict=True)]
        assert moved == pytest.approx(tpoint(term, h, d, latitude), abs=2e-5)


def test_a_pole_too_low_and_too_far_east_has_positive_me_and_ma():
    """Software Bisque's list of TPoint's terms: ME positive, the mount's pole is below the true one (north)."""
    true_pole = (0.0, NORTH.axis_elevation_rad)
    low = MountModel.from_body({"ME": 1e-3}, frame=NORTH)
    at_pole = NORTH.sky(*low.direction(0.0, math.pi / 2))
    assert at_pole[1] == pytest.approx(true_pole[1] - 1e-3, abs=1e-6)
    east = MountModel.from_body({"MA": 1e-3}, frame=NORTH)
    azimuth, elevation = NORTH.sky(*east.direction(0.0, math.pi / 2))
    assert azimuth * math.cos(elevation) == pytest.approx(1e-3, abs=1e-6)


class Steel:
    """An equatorial mount of steel, of axes and vectors; TPOINT's signs as described in words, not as in equations."""

    def __init__(self, latitude, *, low, east, zero, squint, skew, sag):
        self.zero, self.squint, self.skew, self.sag = zero, squint, skew, sag
        pole_azimuth = 0.0 if latitude > 0 else math.pi
        lift = abs(latitude) - (low if latitude > 0 else -low)
        self.pole = azel_to_enu(pole_azimuth + east / math.cos(latitude), lift)  # to the right of the true one

    def looks(self, primary_encoder, secondary_encoder):
        primary, secondary = primary_encoder - self.zero[0], secondary_encoder - self.zero[1]
        top = np.array([0.0, 0.0, 1.0])
        meridian = top - (top @ self.pole) * self.pole
        meridian /= np.linalg.norm(meridian)
        right = np.cross(meridian, self.pole)
        turned = math.cos(primary) * meridian + math.sin(primary) * right
        axis = math.cos(primary) * right - math.sin(primary) * meridian  # the second, its right end
        axis = math.cos(self.skew) * axis + math.sin(self.skew) * self.pole
        forward = np.cross(self.pole, axis)
        forward /= np.linalg.norm(forward)
        tube = math.cos(self.squint) * forward + math.sin(self.squint) * axis
        tube = spun(tube, axis, secondary)
        assert turned @ forward > 0.99
        ground = np.array([0.0, 0.0, -1.0])
        tube = tube + self.sag * (ground - (ground @ tube) * tube)
        tube /= np.linalg.norm(tube)
        return math.atan2(tube[0], tube[1]), math.asin(tube[2])


def spun(vector, axis, angle):
    c, s = math.cos(angle), math.sin(angle)
    return c * vector + s * np.cross(axis, vector) + (1 - c) * (axis @ vector) * axis


def sky(count):
    golden = math.pi * (3 - math.sqrt(5))
    return [(i * golden, math.asin(0.3 + 0.68 * i / (count - 1))) for i in range(count)]


def away(a, b):
    return 2 * math.asin(min(1.0, apart(a, b) / 2))


@pytest.mark.parametrize(("latitude_deg", "seed"), [(28.2995, 0), (-33.9, 1)])
def test_the_fit_recovers_an_equatorial_mount_from_sightings_with_outliers(latitude_deg, seed):
    rng = np.random.default_rng(seed)
    latitude, noise = math.radians(latitude_deg), 5 * ARCSEC
    wrong = {3, 17}
    truth = {"ME": 2.1e-3, "MA": -3.4e-3, "CH": 6e-4, "NP": 3e-4, "TF": 4e-4}
    hemisphere = 1 if latitude > 0 else -1
    mount = Steel(
        latitude, low=truth["ME"], east=truth["MA"], zero=(5e-3, -3e-3), squint=hemisphere * truth["CH"],
        skew=-truth["NP"], sag=truth["TF"],
    )  # fmt: skip
    frame = MountFrame.equatorial(latitude)
    seen = []
    for i, star in enumerate(sky(24)):
        shown = frame.axes(*star)
        if abs(shown[1]) > math.radians(82):
            continue  # no astronomer aligns on the pole
        x, y = sky_offset(frame.axes(*mount.looks(*shown)), shown) + rng.normal(0, noise, 2)
        x += 4e-3 if i in wrong else 0.0
        seen.append(Observation(f"star {i}", *star, *shown, (1.0, 1.0), (x, y)))
    found = fit(seen, frame=frame)
    assert found.rejected >= len(wrong)
    told = dict(found.model.published(term) for term in found.terms)
    for term in ("ME", "MA", "CH", "NP"):
        internal = next(t for t, row in EQUATORIAL.items() if row[0] == term)
        assert abs(told[term] - truth[term]) < 5 * found.sigma_rad(internal) + 3e-6, term
    # TPOINT's MA turns the mount about a horizontal axis of the meridian's equator, steel by azimuth: MA tan(latitude).
    index = hemisphere * (truth["MA"] * math.tan(abs(latitude)) - 5e-3)
    assert told["IH"] == pytest.approx(index, abs=3e-5)
    left = []
    for star in sky(500):
        primary, secondary = frame.axes(*star)
        if math.pi / 2 - abs(secondary) < 0.01:
            continue
        left.append(away(mount.looks(*found.model.encoder(primary, secondary)), star))
    assert len(left) > 490
    assert math.sqrt(np.mean(np.square(left)) / 2) < 2 * noise


def test_a_saved_model_has_the_names_of_its_mount_and_is_refused_by_another(tmp_path):
    path = tmp_path / "mount.toml"
    model = MountModel.from_body({"IH": 1e-3, "ME": -2e-3, "HCES": 1e-4}, frame=NORTH)
    model.save(path)
    assert "ME = -0.002" in path.read_text(encoding="utf-8")
    assert MountModel.load(path, NORTH) == model
    with pytest.raises(MountModelError, match=r"equatorial.* and not alt-az"):
        MountModel.load(path)
    with pytest.raises(MountModelError, match="stands otherwise"):
        MountModel.load(path, SOUTH)
    with pytest.raises(MountModelError, match=r"unknown term AN; .*\bME\b"):
        MountModel.from_body({"AN": 1e-3}, frame=NORTH)
