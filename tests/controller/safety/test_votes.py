"""Each vote: yes when all is well, no when its input is missing, stale, false or not a number."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from controller.bus.topics import HeldLease
from controller.geometry.bodies import Place
from controller.safety.inputs import Inputs, Reading, TimeQuality
from controller.safety.limits import Limits
from controller.safety.opinion import Opinion
from controller.safety.votes import VOTERS, ballot
from hal.rig import load_rig
from hal.traits import LaserStatus, ShutterStatus

DEG = math.pi / 180
NAN = math.nan

#: The input of each vote, and the age up to which it counts.
SOURCES = [
    ("mode", "mode", 0.5),
    ("pointing", "pointing", 0.5),
    ("horizon", "pointing", 0.5),
    ("axis_limits", "pointing", 0.5),
    ("sun", "pointing", 0.5),
    ("moon", "pointing", 0.5),
    ("interlock", "laser", 0.35),
    ("beam_board", "fine", 0.3),
    ("read_back", "laser", 0.35),
    ("power", "laser", 0.35),
    ("time", "time", 5.0),
    ("ephemeris", "mode", 0.5),
    ("lease", "leases", 1.25),
    ("frames", "coarse", 0.49),  # the frame's own 10 ms are counted, too
]


def body_with(reading: Any, **fields: object) -> Reading:
    body = reading.body
    names = getattr(body, "__struct_fields__", None) or body.__dataclass_fields__
    return Reading(
        type(body)(**{name: fields.get(name, getattr(body, name)) for name in names}), reading.age_s, reading.simulated
    )


def spoiled(inputs: Inputs, source: str, **fields: object) -> Inputs:
    return replace(inputs, **{source: body_with(getattr(inputs, source), **fields)})


def vote(name: str, inputs: Inputs, limits: Any) -> Opinion:
    return VOTERS[name](inputs, limits)


def test_all_is_well_is_unanimous(good: Any) -> None:
    assert ballot(good.inputs(), good.limits).against == ""
    assert ballot(good.emitting(), good.limits).against == ""


def test_every_vote_has_a_source_in_these_tests() -> None:
    elsewhere = {"heartbeats", "key", "shutter", "divergence", "clearinghouse", "aircraft", "real_or_emulated"}
    assert {name for name, _, _ in SOURCES} | elsewhere == set(VOTERS)


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ([], "the lease laser-1 that armed is over"),
        ([HeldLease("laser", "bob", "laser-2", 2, 0, "took it")], "the lease laser-1 that armed is over"),
        ([HeldLease("laser", "operator", "laser-1", 2, 0, "came back")], "the lease laser-1 that armed is over"),
    ],
)
def test_a_lease_that_is_gone_or_another_is_a_no_and_a_trip(good: Any, held: list[HeldLease], why: str) -> None:
    opinion = vote("lease", spoiled(good.inputs(), "leases", held=held), good.limits)
    assert (opinion.ok, opinion.orderly, opinion.reason) == (False, False, why)


def test_while_nobody_has_armed_the_lease_is_a_no(good: Any) -> None:
    assert vote("lease", replace(good.inputs(), armed_by=None), good.limits).reason == "nobody has armed"


@pytest.mark.parametrize(("name", "source", "age_max_s"), SOURCES)
def test_what_is_missing_is_a_no_and_a_trip(good: Any, name: str, source: str, age_max_s: float) -> None:
    opinion = vote(name, replace(good.inputs(), **{source: None}), good.limits)
    assert not opinion.ok
    assert not opinion.orderly
    assert opinion.age_s == -1.0


@pytest.mark.parametrize(("name", "source", "age_max_s"), SOURCES)
def test_what_is_stale_is_a_no_and_a_trip(good: Any, name: str, source: str, age_max_s: float) -> None:
    inputs = good.inputs()
    reading = getattr(inputs, source)
    just = replace(inputs, **{source: replace(reading, age_s=age_max_s)})
    late = replace(inputs, **{source: replace(reading, age_s=age_max_s * 1.001)})
    unknown = replace(inputs, **{source: replace(reading, age_s=NAN)})
    assert vote(name, just, good.limits).ok
    for old in (late, unknown):
        opinion = vote(name, old, good.limits)
        assert not opinion.ok
        assert not opinion.orderly


@pytest.mark.parametrize("service", ["station", "pointing", "tracking"])
def test_a_service_without_a_fresh_heartbeat_is_a_no(good: Any, service: str) -> None:
    inputs = good.inputs()
    beats = dict(inputs.heartbeats)
    old = beats.pop(service)
    assert not vote("heartbeats", replace(inputs, heartbeats=beats), good.limits).ok
    stale = replace(inputs, heartbeats={**beats, service: replace(old, age_s=0.51)})
    opinion = vote("heartbeats", stale, good.limits)
    assert not opinion.ok
    assert service in opinion.reason


FALSE = [
    ("mode", "mode", {"mode": "SAFE"}),
    ("mode", "mode", {"mode": "FAULT"}),
    ("mode", "mode", {"mode": "something new"}),
    ("ephemeris", "mode", {"ephemeris_epoch_utc_ns": 0}),
    ("ephemeris", "mode", {"target": "B"}),
    ("ephemeris", "mode", {"target": ""}),
    ("ephemeris", "pointing", {"target": "B"}),
    ("ephemeris", "pointing", {"target": ""}),
    ("ephemeris", "mode", {"ephemeris_epoch_utc_ns": 1_759_700_000_000_000_000}),  # 3.5 days
    ("pointing", "pointing", {"activity": "slew"}),
    ("pointing", "pointing", {"deviation_rad": (0.0, 5.1e-3)}),
    ("pointing", "pointing", {"deviation_rad": (NAN, 0.0)}),
    ("horizon", "pointing", {"elevation_rad": 19.9 * DEG}),
    ("horizon", "pointing", {"elevation_rad": NAN}),
    ("horizon", "pointing", {"target_elevation_rad": NAN}),
    ("axis_limits", "pointing", {"elevation_rad": 91 * DEG}),
    ("axis_limits", "pointing", {"elevation_rad": -1 * DEG}),
    ("axis_limits", "pointing", {"azimuth_rate_rad_s": -3.1 * DEG}),
    ("axis_limits", "pointing", {"elevation_rate_rad_s": NAN}),
    ("sun", "pointing", {"azimuth_rad": -2.0, "elevation_rad": 31 * DEG}),
    ("sun", "pointing", {"target_azimuth_rad": -2.0, "target_elevation_rad": 59 * DEG}),
    ("sun", "pointing", {"target_azimuth_rate_rad_s": NAN}),
    ("moon", "pointing", {"target_azimuth_rad": -1.0, "target_elevation_rad": 11 * DEG}),
    ("beam_board", "fine", {"latched": True}),
    ("interlock", "laser", {"tripped": "key lock", "protecting": "key lock"}),
    ("interlock", "laser", {"tripped": "interlock, over temperature", "protecting": "over temperature"}),
    ("read_back", "laser", {"output_on": True}),
    ("power", "laser", {"measured_power_w": 1.21}),
    ("power", "laser", {"measured_power_w": NAN}),
    ("power", "laser", {"measured_power_w": -3.0}),
    ("power", "laser", {"measured_power_w": -0.013}),  # 1 % of the cap is noise
    ("power", "laser", {"measured_power_w": -math.inf}),
    ("time", "time", {"synchronised": False}),
    ("time", "time", {"error_s": 1.1e-3}),
    ("time", "time", {"error_s": NAN}),
    ("frames", "coarse", {"frame_age_s": 0.5}),
    ("frames", "coarse", {"frame_age_s": NAN}),
]


@pytest.mark.parametrize(("name", "source", "fields"), FALSE)
def test_what_is_false_is_a_no_and_a_trip(good: Any, name: str, source: str, fields: dict[str, object]) -> None:
    opinion = vote(name, spoiled(good.inputs(), source, **fields), good.limits)
    assert not opinion.ok
    assert not opinion.orderly
    assert opinion.reason


ENCLOSED = ("power", "clearinghouse", "aircraft")  # of an enclosed bench: all of them the measured power's
FALSE_WHILE_ON = [
    ("interlock", "laser", {"interlock_closed": False}),
    ("beam_board", "fine", {"enabled": False}),
    ("read_back", "laser", {"output_on": False}),
    ("read_back", "laser", {"current_a": 1.06}),
    ("read_back", "laser", {"current_a": 0.0}),
    ("read_back", "laser", {"current_a": NAN}),
    *((name, "laser", {"measured_power_w": power_w}) for name in ENCLOSED for power_w in (0.0, 0.099, -0.001)),
]


@pytest.mark.parametrize(("name", "source", "fields"), FALSE_WHILE_ON)
def test_a_laser_that_is_not_as_told_is_a_no(good: Any, name: str, source: str, fields: dict[str, object]) -> None:
    assert not vote(name, spoiled(good.emitting(), source, **fields), good.limits).ok


def test_enabling_has_its_time_to_take_effect_and_not_more(good: Any) -> None:
    inputs = spoiled(good.inputs(), "laser", interlock_closed=False)
    for enabled_s, ok in ((0.29, True), (0.31, False)):
        enabling = replace(inputs, enabled_s=enabled_s)
        assert vote("interlock", enabling, good.limits).ok is ok
        assert vote("beam_board", enabling, good.limits).ok is ok
    closed = spoiled(good.inputs(), "laser", interlock_closed=True)
    for commanded_s, ok in ((0.3, True), (0.32, False)):
        switching = replace(closed, enabled_s=1.0, commanded_s=commanded_s)
        assert vote("read_back", switching, good.limits).ok is ok


@pytest.mark.parametrize(
    ("name", "source", "stays"),
    [("interlock", "laser", {"interlock_closed": True}), ("beam_board", "fine", {"enabled": True})],
)
def test_what_stays_closed_or_up_when_emission_is_withdrawn_is_a_no_and_has_its_time_to_fall(
    good: Any, name: str, source: str, stays: dict[str, object]
) -> None:
    inputs = spoiled(good.inputs(), source, **stays)
    for withdrawn_s, ok in ((0.0, True), (0.31, True), (0.32, False), (60.0, False), (math.inf, False), (NAN, False)):
        opinion = vote(name, replace(inputs, withdrawn_s=withdrawn_s), good.limits)
        assert (opinion.ok, opinion.orderly) == (ok, False), withdrawn_s
    assert not vote(name, inputs, good.limits).ok, "emission was never enabled"


@pytest.mark.parametrize("name", ENCLOSED)
def test_a_laser_that_is_off_or_has_just_been_switched_on_may_be_dark(good: Any, name: str) -> None:
    for power_w in (0.0, -0.01):
        assert vote(name, spoiled(good.inputs(), "laser", measured_power_w=power_w), good.limits).ok
    dark = spoiled(good.emitting(), "laser", measured_power_w=0.0)
    for commanded_s, ok in ((0.3, True), (0.32, False)):
        assert vote(name, replace(dark, commanded_s=commanded_s), good.limits).ok is ok
    assert not vote(name, replace(dark, commanded_s=NAN), good.limits).ok


def test_the_floor_of_alignment_is_a_tenth_of_its_own_cap(good: Any) -> None:
    limits = replace(good.limits, alignment_current_a=0.24, alignment_power_max_w=0.3).for_alignment()
    for power_w, ok in ((0.029, False), (0.031, True), (0.301, False)):
        assert vote("power", spoiled(good.emitting(), "laser", measured_power_w=power_w), limits).ok is ok


def test_an_interlock_that_opens_after_the_laser_was_switched_on_has_no_grace(good: Any) -> None:
    inputs = replace(spoiled(good.emitting(), "laser", interlock_closed=False), enabled_s=0.1, commanded_s=0.05)
    assert not vote("interlock", inputs, good.limits).ok


@pytest.mark.parametrize("mode", ["SLEW", "POINT", "STOWED", "HOLD", "OFF"])
def test_a_mode_that_does_not_emit_is_an_orderly_no(good: Any, mode: str) -> None:
    opinion = vote("mode", spoiled(good.inputs(), "mode", mode=mode), good.limits)
    assert (opinion.ok, opinion.orderly) == (False, True)


@pytest.mark.parametrize("mode", ["ACQUIRE", "COARSE", "FINE", "LINK"])
def test_the_emitting_modes_are_yes(good: Any, mode: str) -> None:
    assert vote("mode", spoiled(good.inputs(), "mode", mode=mode), good.limits).ok


def test_a_target_that_sets_is_an_orderly_no_and_a_gimbal_that_sinks_alone_is_not(good: Any) -> None:
    low = 19.99 * DEG
    setting = spoiled(good.inputs(), "pointing", elevation_rad=low, target_elevation_rad=low)
    alone = spoiled(good.inputs(), "pointing", elevation_rad=low)
    assert vote("horizon", setting, good.limits).orderly
    assert not vote("horizon", alone, good.limits).orderly


def test_the_sun_counts_on_the_path_to_come_not_only_now(good: Any) -> None:
    # 31 deg from the Sun and towards it at 0.2 deg/s: the 30 deg cone is reached in 5 s of the 10 looked ahead
    towards = {"target_azimuth_rad": -2.0, "target_elevation_rad": 61 * DEG, "target_azimuth_rate_rad_s": 0.0}
    sinking = spoiled(good.inputs(), "pointing", **towards, target_elevation_rate_rad_s=-0.2 * DEG)
    rising = spoiled(good.inputs(), "pointing", **towards, target_elevation_rate_rad_s=0.2 * DEG)
    assert not vote("sun", sinking, good.limits).ok
    assert vote("sun", rising, good.limits).ok


def test_the_sun_counts_on_the_boresights_own_way_through_a_keyhole(good: Any) -> None:
    # the target goes by 40 deg from the Sun, and the mount, which turns azimuth early, comes within 29 deg in 7 s
    by = {"target_azimuth_rad": -2.0, "target_elevation_rad": 70 * DEG, "target_azimuth_rate_rad_s": 0.0}
    inputs = replace(good.inputs(), sun=Place(-2.0, 30 * DEG))
    way = tuple((-2.0, elevation * DEG) for elevation in (70, 69, 67, 65, 63, 61, 59, 61, 63, 65))
    assert vote("sun", spoiled(inputs, "pointing", **by), good.limits).ok
    early = vote("sun", spoiled(inputs, "pointing", **by, way_ahead_rad=way), good.limits)
    assert not early.ok
    assert "29.0 deg from the Sun" in early.reason
    unknown = (*way[:3], (math.nan, 1.0))
    assert not vote("sun", spoiled(inputs, "pointing", **by, way_ahead_rad=unknown), good.limits).ok


def test_a_body_below_the_horizon_does_not_count_and_one_that_just_sets_does(good: Any) -> None:
    at = spoiled(good.inputs(), "pointing", target_azimuth_rad=-2.0, target_elevation_rad=25 * DEG)
    assert not vote("sun", replace(at, sun=Place(-2.0, -0.9 * DEG)), good.limits).ok
    assert vote("sun", replace(at, sun=Place(-2.0, -1.1 * DEG)), good.limits).ok


@pytest.mark.parametrize("name", ["sun", "moon"])
def test_a_body_whose_place_is_unknown_is_a_no(good: Any, name: str) -> None:
    assert not vote(name, replace(good.inputs(), **{name: None}), good.limits).ok


@pytest.mark.parametrize("name", ["clearinghouse", "aircraft"])
def test_a_real_laser_outdoors_lacks_clearinghouse_and_aircraft_feed(good: Any, name: str) -> None:
    assert vote(name, good.inputs(), good.limits).ok
    real = replace(good.limits, laser_emulated=False, enclosed_bench=False)
    assert not vote(name, good.inputs(simulated=False, realtime=True), real).ok
    assert vote(name, good.inputs(simulated=False, realtime=True), replace(real, enclosed_bench=True)).ok


READINGS = ("mode", "pointing", "coarse", "fine", "laser", "shutter", "time", "leases")
SERVICES = ("station", "pointing", "tracking")


@pytest.mark.parametrize("alignment", [False, True])
@pytest.mark.parametrize("source", [*READINGS, *SERVICES, "clock"])
def test_one_input_that_is_emulated_replayed_or_out_of_real_time_never_arms_a_real_laser(
    good: Any, source: str, alignment: bool
) -> None:
    limits = replace(good.limits, laser_emulated=False, shutter=True, enclosed_bench=True)
    inputs = good.inputs(simulated=False, realtime=True)
    closed = ShutterStatus(0, "closed", False)
    inputs = replace(inputs, shutter=Reading(closed, 0.01, False))
    assert set(inputs.heartbeats) == set(limits.services) == set(SERVICES)
    if alignment:
        inputs = spoiled(inputs, "mode", mode="STOWED")
    assert ballot(inputs, limits, alignment).unanimous
    if source == "clock":
        untrue = replace(inputs, realtime=False)
    elif source in SERVICES:
        beats = {**inputs.heartbeats, source: replace(inputs.heartbeats[source], simulated=True)}
        untrue = replace(inputs, heartbeats=beats)
    else:
        untrue = replace(inputs, **{source: replace(getattr(inputs, source), simulated=True)})
    against = ballot(untrue, limits, alignment)
    assert not against.unanimous
    assert against.against.startswith("real_or_emulated: a real laser with emulated ")


def test_a_ballot_is_orderly_only_when_every_no_is(good: Any) -> None:
    pausing = spoiled(good.emitting(), "mode", mode="POINT")
    assert ballot(pausing, good.limits).orderly
    worse = replace(pausing, time=Reading(TimeQuality(False, 0.0), 0.0, True))
    assert not ballot(worse, good.limits).orderly
    assert ballot(worse, good.limits).against == (
        "mode: the station is in POINT; time: the clock is not synchronised; start chrony or ntpd"
    )


def test_the_limits_of_the_shipped_rig_are_those_of_its_file() -> None:
    path = files("controller") / "data" / "rigs" / "ogs.toml"
    devices = ("gimbal", "camera", "beam_board", "laser", "power_meter")
    limits = Limits.from_rig(load_rig(Path(str(path)), dict.fromkeys(devices, "")), True)
    assert (limits.current_a, limits.current_limit_a, limits.power_cap_w) == (1.0, 1.2, 1.2)
    assert limits.power_floor_w == pytest.approx(0.1)
    assert limits.elevation_mask_rad == pytest.approx(20 * DEG)
    assert (limits.sun_cone_rad, limits.moon_cone_rad) == pytest.approx((30 * DEG, 2 * DEG))
    assert limits.enclosed_bench


def test_a_power_that_is_measured_before_an_amplifier_is_expected_to_be_no_more_than_its_cap() -> None:
    path = files("controller") / "data" / "rigs" / "ogs.toml"
    devices = ("gimbal", "camera", "beam_board", "laser", "power_meter")
    rig = load_rig(Path(str(path)), dict.fromkeys(devices, ""))
    seed = rig.model_copy(update={"safety": rig.safety.model_copy(update={"power_cap_w": 0.024})})
    assert Limits.from_rig(seed, True).power_floor_w == pytest.approx(0.0024)


def test_the_interlock_trip_of_the_last_switch_off_does_not_forbid_the_next_emission(good: Any) -> None:
    good.laser = LaserStatus(0, False, 0.0, 0.0, False, "interlock")
    assert vote("interlock", good.inputs(), good.limits).ok


def test_the_sun_vote_says_when_the_path_to_come_will_reach_the_cone(good: Any) -> None:
    # 45 deg above the Sun and sinking at 0.2 deg/s: 75 s to the cone of 30 deg, of which 10 are looked ahead
    towards = {"target_azimuth_rad": -2.0, "target_elevation_rad": 75 * DEG, "target_azimuth_rate_rad_s": 0.0}
    inputs = spoiled(good.inputs(), "pointing", **towards, target_elevation_rate_rad_s=-0.2 * DEG)
    inputs = replace(inputs, sun=Place(-2.0, 30 * DEG))
    assert vote("sun", inputs, good.limits).changes_in_s == pytest.approx(65.0)
    at_rest = spoiled(inputs, "pointing", target_elevation_rate_rad_s=0.0)
    assert vote("sun", at_rest, good.limits).changes_in_s is None


def test_the_ephemeris_vote_counts_the_age_of_a_live_targets_newest_state(good: Any) -> None:
    inputs = spoiled(good.inputs(), "mode", live=True)
    at = {"state_utc_ns": inputs.t_utc_ns - 10**9, "state_age_max_s": 3.0}
    fed = vote("ephemeris", spoiled(inputs, "pointing", **at), good.limits)
    assert fed.ok
    assert fed.changes_in_s == pytest.approx(2.0)
    for wrong in (
        at | {"state_utc_ns": inputs.t_utc_ns - 31 * 10**8},  # silent for longer than is stated
        at | {"state_utc_ns": inputs.t_utc_ns - 31 * 10**9, "state_age_max_s": 3600.0},  # or than any stream may be
        at | {"state_utc_ns": inputs.t_utc_ns + 2 * 10**9},  # of a clock that is ahead
        at | {"state_utc_ns": 0},  # pointing tells of none
        at | {"state_age_max_s": float("nan")},
    ):
        assert not vote("ephemeris", spoiled(inputs, "pointing", **wrong), good.limits).ok
    assert not vote("ephemeris", replace(inputs, pointing=None), good.limits).ok


def test_elements_of_no_target_or_of_a_silent_pointing_are_a_no(good: Any) -> None:
    inputs = good.inputs()
    nobody = spoiled(spoiled(inputs, "mode", target=""), "pointing", target="")
    assert vote("ephemeris", nobody, good.limits).reason.startswith("the station's target is none")
    assert not vote("ephemeris", replace(inputs, pointing=None), good.limits).ok
    old = replace(inputs, pointing=replace(inputs.pointing, age_s=0.51))
    assert not vote("ephemeris", old, good.limits).ok


def test_mode_and_ephemeris_say_when_pass_and_elements_end(good: Any) -> None:
    inputs = good.inputs()
    assert vote("mode", inputs, good.limits).changes_in_s is None
    passing = spoiled(inputs, "mode", pass_end_utc_ns=inputs.t_utc_ns + 90 * 10**9)
    assert vote("mode", passing, good.limits).changes_in_s == pytest.approx(90.0)
    # elements an hour old, three days allowed
    assert vote("ephemeris", inputs, good.limits).changes_in_s == pytest.approx(71 * 3600.0)


def test_a_trip_that_is_over_is_no_reason_against_switching_on_and_one_since_then_is(good: Any) -> None:
    """A laser remembers what tripped until its output is switched on; if the memory were a no, it never would be."""
    good.laser = LaserStatus(0, False, 0.0, 0.0, False, "over temperature")
    assert vote("interlock", good.inputs(), good.limits).ok, "not commanded on yet"
    on = LaserStatus(0, True, 1.0, 1.0, True, "over temperature")
    inputs = replace(good.inputs(), enabled_s=5.0, commanded_s=5.0)
    since = replace(inputs, laser=replace(inputs.laser, body=on, age_s=0.05))
    assert not vote("interlock", since, good.limits).ok, "it tripped since it was switched on"
    before = replace(since, commanded_s=0.02)
    assert vote("interlock", before, good.limits).ok, "read before it was switched on"


def test_the_stops_of_an_axis_are_held_against_the_axis_and_not_against_elevation(good: Any) -> None:
    """Of a mount whose second axis is declination; elevation 45 degrees is inside of anything."""
    limits = replace(good.limits, elevation_min_rad=math.radians(-92.0), elevation_max_rad=math.radians(92.0))
    for second_deg, ok in ((-40.0, True), (95.0, False)):
        axes = {"axis_rad": (0.1, math.radians(second_deg)), "axis_rate_rad_s": (0.0, 0.0)}
        opinion = vote("axis_limits", spoiled(good.inputs(), "pointing", **axes), limits)
        assert opinion.ok == ok, opinion.reason
    fast = {"axis_rad": (0.1, 0.2), "axis_rate_rad_s": (math.radians(9.0), 0.0)}
    assert not vote("axis_limits", spoiled(good.inputs(), "pointing", **fast), limits).ok
