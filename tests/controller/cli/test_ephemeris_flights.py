"""`--ephemeris` of the verbs that fly in real time: the emulated sky and whoever flies there have one file."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from starlink_oem import starlink_oem

from controller.cli.bench import in_the_sky
from controller.cli.connect import DEFAULT_RIG
from controller.cli.demo import choose_pass
from controller.cli.emulate import EPHEMERIS_FILE, Source, _announced, _today
from controller.cli.feed import states
from controller.cli.fly import _plan
from controller.cli.rig import emulated_devices
from controller.cli.sources import open_ephemeris
from controller.errors import BoresightError
from controller.geometry.earth import load_earth_orientation
from controller.geometry.frames import apply, teme_to_itrf
from controller.pointing.ephemeris.ephemeris import EphemerisError, Frame
from controller.pointing.ephemeris.live import Live, State
from hal.clock import NS
from hal.rig import load_rig

BENCH = SimpleNamespace(addresses={"gimbal": "/dev/pts/7"}, utc_offset_ns=5)


@pytest.fixture
def rig():
    path = DEFAULT_RIG.parent / "rf-station.toml"
    return load_rig(path, dict.fromkeys(emulated_devices(path), ""))


def test_who_flies_under_an_emulated_sky_flies_the_file_that_is_in_it(tmp_path, rig, monkeypatch):
    file = starlink_oem(tmp_path / "star.oem")
    monkeypatch.chdir(tmp_path)
    coming = choose_pass(rig, None, "", True, "star.oem").target
    before_ns = coming.rise_utc_ns - 300 * NS
    with _announced(tmp_path, BENCH, coming, Source("", None, "star.oem")):
        assert json.loads((tmp_path / EPHEMERIS_FILE).read_text()) == {"ephemeris": str(file), "target": "STAR"}
        plan = _plan(rig, tmp_path, "", None, None, before_ns)
    assert not (tmp_path / EPHEMERIS_FILE).exists()
    assert plan.target.elements.source == str(file)
    assert plan.target.rise_utc_ns == pytest.approx(coming.rise_utc_ns, abs=1e6)
    sky = in_the_sky(coming.elements, before_ns)
    assert sky.t_utc_ns[0] < plan.target.rise_utc_ns < plan.target.set_utc_ns < sky.t_utc_ns[-1]
    assert np.array_equal(sky.position_m, plan.target.elements.position_m(sky.t_utc_ns))


def test_who_names_an_ephemeris_of_its_own_flies_that(tmp_path, rig):
    starlink_oem(tmp_path / "sky.oem")
    own = starlink_oem(tmp_path / "own.oem")
    coming = choose_pass(rig, None, "", True, str(tmp_path / "sky.oem")).target
    with _announced(tmp_path, BENCH, coming, Source("", None, str(tmp_path / "sky.oem"))):
        plan = _plan(rig, tmp_path, "", None, str(own), coming.rise_utc_ns - 300 * NS)
    assert plan.target.elements.source == str(own)


def test_beside_a_real_device_the_file_must_cover_today(tmp_path, rig):
    file = starlink_oem(tmp_path / "star.oem")
    rise_ns = choose_pass(rig, None, "", True, str(file)).target.rise_utc_ns
    assert _today(rig, Source("", None, str(file)), rise_ns - 60 * NS).elements.name == "STAR"
    with pytest.raises(BoresightError, match="STAR never rises"):
        _today(rig, Source("", None, str(file)), rise_ns + 86_400 * NS)
    with pytest.raises(BoresightError, match="give one of them"):
        _today(rig, Source("STAR", tmp_path / "x.tle", str(file)), rise_ns)


@pytest.mark.parametrize("shift_s", [0, 3600])
def test_a_file_is_fed_as_the_states_that_its_target_has_over_the_turning_earth(tmp_path, shift_s):
    (flown,) = open_ephemeris(str(starlink_oem(tmp_path / "star.oem")), "")
    earth = load_earth_orientation()
    at = states(flown, earth, shift_s * NS)
    t = np.array([flown.start_utc_ns + 600 * NS, flown.start_utc_ns + 601 * NS])
    first, later = (at(int(moment) + shift_s * NS) for moment in t)
    truth = apply(teme_to_itrf(t, earth), flown.position_m(t))
    assert np.abs(np.array([first["position_m"], later["position_m"]]) - truth).max() < 1e-3
    mean = (np.array(first["velocity_m_s"]) + later["velocity_m_s"]) / 2
    assert np.abs(truth[1] - truth[0] - mean).max() < 0.01
    stream = Live("STAR", Frame.ITRF, 3.0, 10.0)  # and pointing takes them
    for state in (first, later):
        told = State(state["t_utc_ns"], np.array(state["position_m"]), np.array(state["velocity_m_s"]))
        stream.take(told, state["t_utc_ns"])
    with pytest.raises(EphemerisError, match="after its last position"):
        at(flown.end_utc_ns + shift_s * NS)


def test_a_file_that_is_over_is_not_flown(tmp_path, rig):
    file = starlink_oem(tmp_path / "star.oem")
    with pytest.raises(BoresightError, match="STAR never rises"):
        _plan(rig, tmp_path, "", None, str(file), int(np.datetime64("2025-10-05T12:00:00", "ns").astype(np.int64)))
