"""From target to axes and back closes to a nanoradian: any mount, any site, any motion, any moment."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import Site, azel_to_enu, enu_to_azel, gcrf_to_itrf
from controller.pointing.ephemeris.ephemeris import Frame
from controller.pointing.mount import MountModel
from controller.pointing.prediction import Observer, apparent_enu_m, predict

NS = 1_000_000_000
EARTH_RAD_S = 7.292115e-5
LEAP_NS = int(np.datetime64("2017-01-01", "ns").astype(np.int64))  # the last leap second came before (Bulletin C 52)
EARTH_M, MU = 6378137.0, 3.986004418e14

small = st.floats(-5e-3, 5e-3)
models = st.builds(
    MountModel,
    IA=st.floats(-7.0, 7.0),
    IE=small,
    CA=st.floats(-1e-3, 1e-3),
    NPAE=small,
    AN=st.floats(-0.3, 0.3),
    AW=st.floats(-0.3, 0.3),
    TF=st.floats(-2e-3, 2e-3),
    HASA=small,
    HECA2=small,
)
motions = st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.sampled_from([-1.0, 0.0, 1.0]))
# Every direction, and more often than chance the seam of azimuth, the horizon and the neighbourhood of the zenith.
azimuths = st.one_of(st.floats(-20.0, 20.0), st.sampled_from([0.0, math.pi, -math.pi, math.tau, 1e-12, -1e-12]))
elevations = st.one_of(st.floats(0.0, 1.56), st.sampled_from([0.0, 1.5, 1.55, 1.56]))


def apart(a, b):
    return float(np.linalg.norm(azel_to_enu(*a) - azel_to_enu(*b)))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(models, azimuths, elevations, motions)
def test_a_direction_comes_back_from_any_mount(model, azimuth, elevation, motion):
    zenith_of_mount = math.pi / 2 - math.acos(max(-1.0, min(1.0, float(azel_to_enu(azimuth, elevation) @ lean(model)))))
    if zenith_of_mount > math.pi / 2 - 2e-3 - abs(model.CA) - abs(model.NPAE):
        return  # the cap that collimation hides
    axes = model.encoder(azimuth, elevation, motion)
    assert apart(model.direction(*axes, motion), (azimuth, elevation)) < 1e-9
    assert abs(axes[0] - model.IA - azimuth) < math.pi + 0.02, "azimuth took a turn of its own"


def lean(model):
    angle = math.hypot(model.AN, model.AW)
    if angle == 0.0:
        return np.array([0.0, 0.0, 1.0])
    return np.array([-model.AW / angle * math.sin(angle), model.AN / angle * math.sin(angle), math.cos(angle)])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.sampled_from([-90.0, 90.0, 0.0, 51.5]), st.floats(-180, 180), azimuths, elevations)
def test_a_site_at_a_pole_or_on_the_date_line_has_a_sky_like_any_other(latitude, longitude, azimuth, elevation):
    site = Site(latitude, longitude, 0.0, 1013.25, 15.0, 0.5, "anywhere")
    assert site.itrf_to_enu @ site.itrf_to_enu.T == pytest.approx(np.eye(3), abs=1e-14)
    back = enu_to_azel(site.itrf_to_enu @ (site.itrf_to_enu.T @ azel_to_enu(azimuth, elevation)))
    assert apart(back, (azimuth, elevation)) < 1e-14


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 3 * NS), st.integers(1, 3 * NS))
def test_the_earth_turns_through_a_leap_second_as_through_any_other(before_ns, after_ns):
    earth = load_earth_orientation()
    first, last = gcrf_to_itrf(np.array([LEAP_NS - before_ns, LEAP_NS + after_ns]), earth)
    angle = math.acos(min(1.0, (float(np.trace(last @ first.T)) - 1) / 2))
    passed_s = (before_ns + after_ns) / NS + 1.0  # the leap second has no name of its own
    assert angle == pytest.approx(EARTH_RAD_S * passed_s, rel=2e-5, abs=2e-8)


class Moves:
    """A target whose place is a formula; nothing of it is the project's."""

    name, source, format, frame = "moves", "a test", "formula", Frame.GCRF
    notes, solar_system, age_max_days = (), None, math.inf

    def __init__(self, place, middle_ns):
        self._place, self._middle_ns = place, middle_ns
        self.epoch_utc_ns, self.start_utc_ns, self.end_utc_ns = middle_ns, middle_ns - 10**13, middle_ns + 10**13

    def position_m(self, t_utc_ns):
        return self._place((np.asarray(t_utc_ns, dtype=np.int64) - self._middle_ns) / NS)

    def known(self, t_utc_ns):
        return np.ones(len(t_utc_ns), dtype=bool)

    def covariance_m2(self, t_utc_ns):
        return None


def through(over, along, fast, height_m):
    """Motions that pass over a place (unit vector) in a direction: round the Earth, or past it on a hyperbola."""
    radius = EARTH_M + height_m
    if fast:  # so fast that the hyperbola is a straight line: an asteroid at 20 km/s, a few Earth radii away
        return lambda s: (EARTH_M + 50 * height_m) * over + 20e3 * np.multiply.outer(s, along)
    pace = math.sqrt(MU / radius**3)
    return lambda s: radius * (np.multiply.outer(np.cos(pace * s), over) + np.multiply.outer(np.sin(pace * s), along))


@settings(max_examples=10, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(
    st.sampled_from(["prograde", "retrograde", "polar", "hyperbolic"]),
    st.sampled_from([-89.999, -30.0, 0.0, 28.3, 89.999]),
    st.floats(450e3, 1200e3),
    st.floats(-0.03, 0.03),
    models,
    st.integers(-100, 100),
)
def test_every_motion_closes_from_target_to_axes_to_target(kind, latitude, height_m, aside, model, second):
    earth = load_earth_orientation()
    site = Site(latitude, 40.0, 100.0, 1013.25, 15.0, 0.5, "anywhere")
    middle_ns = LEAP_NS + 112 * NS  # just after a leap second
    turn = gcrf_to_itrf(np.array([middle_ns]), earth)[0]
    up, east, north = (turn.T @ site.itrf_to_enu[row] for row in (2, 0, 1))
    along = {"prograde": east, "retrograde": -east, "polar": north, "hyperbolic": (east + north) / math.sqrt(2)}[kind]
    over = up + aside * np.cross(up, along)
    over = over / np.linalg.norm(over)
    along = along - (along @ over) * over
    target = Moves(through(over, along / np.linalg.norm(along), kind == "hyperbolic", height_m), middle_ns)
    observer = Observer(site, earth)
    path = predict(target, observer, middle_ns - 110 * NS, middle_ns + 110 * NS)
    t = middle_ns + second * NS
    look = path.receive(t)
    sees = apparent_enu_m(target, np.array([t]), observer)[0][0]
    assert apart(look[:2], enu_to_azel(sees)) < 1e-9
    if float(azel_to_enu(*look[:2]) @ lean(model)) > math.cos(2e-2):
        return
    axes = model.encoder(*look[:2])
    assert apart(model.direction(*axes), enu_to_azel(sees)) < 2e-9
