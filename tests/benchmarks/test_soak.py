"""The soak in miniature, and the proof that what it looks for it would find: records that were tampered with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.soak.chance import MORTALS, Happening, Odds, draw
from benchmarks.soak.human import Human
from benchmarks.soak.lockstep import Soak
from benchmarks.soak.memory import PERIOD_S, Use
from benchmarks.soak.page import lines
from benchmarks.soak.passes import Cause, Change, judge, missed_allowed
from benchmarks.soak.program import Flight, Outcome, Program
from benchmarks.soak.realtime import Desk
from benchmarks.soak.recordings import examine, look_at
from benchmarks.soak.sky import passes, rig_of
from benchmarks.soak.watch import STALL, Bounds, Watch
from controller.bus.envelope import Envelope
from controller.bus.local import LocalBus
from controller.bus.topics import SERVICE_HEARTBEAT, Heartbeat
from controller.record import Recorded, Recorder, read_run
from controller.record.rotate import PLACE
from hal.clock import RealClock
from hal.rig import DEVICES
from sim_hw.faults.table import TABLE

NS = 1_000_000_000
Messages = list[Recorded]


@dataclass(frozen=True)
class Flown:
    outcome: Outcome
    messages: Messages


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Flown:
    """Two short arcs of a pass with three things that go wrong, one of them between the two."""
    folder = tmp_path_factory.mktemp("soak")
    plan = passes(rig_of(), 1)[0]
    rise_ns = plan.target.rise_utc_ns
    start_ns = rise_ns - 45 * NS
    first, second = (
        Flight(plan, start_ns + 5 * NS, rise_ns + 25 * NS),
        Flight(plan, rise_ns + 32 * NS, rise_ns + 60 * NS),
    )
    happenings = [
        Happening(rise_ns + 10 * NS, "laser", "hang_up", 1.0),
        Happening(rise_ns + 27 * NS, "camera", "garbage", 0.5),
        Happening(rise_ns + 38 * NS, kill="tracking"),
    ]
    program = Program([first, second], happenings, start_ns, rise_ns + 64 * NS, 20.0)
    outcome = Soak(program, folder, tell=lambda sentence: None).run()
    return Flown(outcome, list(read_run(folder / "soak.mcap")))


def watched(flown: Flown, messages: Messages, consents: bool = True) -> Watch:
    """A watch that heard these messages, with the consents that were given."""
    original = flown.outcome.watch
    watch = Watch(original.bounds, causes=list(original.causes))
    if consents:
        watch._no_consent_ns = 2**62  # who armed is not in a recording: that is asked for in tests of its own
    last: dict[tuple[str, str], int] = {}
    start = 0
    for m in messages:
        start += m.seq < last.get((m.topic, m.source), 0)
        last[m.topic, m.source] = m.seq
        watch.hear(m.topic, m.source, bytes([start]), m.seq, m.log_time_ns, m.body)
    return watch


def test_a_soak_in_miniature_is_safe_and_every_loss_in_it_is_explained(flown: Flown) -> None:
    outcome = flown.outcome
    assert outcome.failures() == []
    row = outcome.as_row()
    assert (row["passes"], row["happenings"], row["deaths"], row["station_starts_again"]) == (2, 3, 1, 1)
    assert row["resets"] >= 1
    assert row["arms"] >= 3, "nothing is armed again by itself"
    assert row["explained"] >= 1
    assert row["recorded"] == row["messages"] > 10_000
    assert row["emitting_s"] > 5


def test_the_page_says_how_much_of_what_was_planned_was_flown_and_every_failure(flown: Flown) -> None:
    row = flown.outcome.as_row()
    result = {"kind": "lockstep", "seed": 1, "commit": "0", **row, "simulated_h": 7.5, "planned_h": 24.0}
    result["refusals"] = {"station.track: # deg from the Sun": 12}
    said = " ".join(lines({**result, "failures": ["it leaks"]}))
    assert "- 12 times station.track: # deg from the Sun" in said
    assert "7.5 of 24.0 planned hours" in said
    assert said.endswith("Failures: - it leaks")
    assert row["planned_h"] == pytest.approx(109 / 3600, abs=0.005)


def test_the_recording_alone_shows_no_unsafe_second_either(flown: Flown) -> None:
    watch = watched(flown, flown.messages)
    assert not watch.unsafe
    assert watch.emitting_s == pytest.approx(flown.outcome.watch.emitting_s)


def _doctored(
    messages: Messages, which: Callable[[Recorded], bool], change: Callable[[dict[str, Any]], Any]
) -> Messages:
    return [replace(m, body={**m.body, **change(m.body)}) if which(m) else m for m in messages]


def test_emission_that_goes_on_after_a_trip_is_an_unsafe_second(flown: Flown) -> None:
    trip_ns = next(m.log_time_ns for m in flown.messages if m.topic == "safety/trip")

    def during(m: Recorded) -> bool:
        return m.topic.startswith("sim/") and trip_ns < m.log_time_ns < trip_ns + NS // 2

    watch = watched(flown, _doctored(flown.messages, during, lambda body: {"emitting": True}))
    assert any("after a no" in why for why in watch.unsafe.values())


def test_motion_that_goes_on_after_a_stop_is_an_unsafe_second(flown: Flown) -> None:
    safe = next(c for c in flown.outcome.watch.changes if c.after in {"SAFE", "FAULT"})

    def during(m: Recorded) -> bool:
        return m.topic.startswith("sim/") and safe.t_ns + NS < m.log_time_ns < safe.t_ns + 2 * NS

    moving = {"axis_command_rad_s": (0.01, 0.0)}
    watch = watched(flown, _doctored(flown.messages, during, lambda body: moving))
    assert any(f"after {safe.after}" in why for why in watch.unsafe.values())


def test_emission_without_an_arm_and_a_confirmation_is_an_unsafe_second(flown: Flown) -> None:
    watch = watched(flown, flown.messages, consents=False)
    assert any("nobody has armed" in why for why in watch.unsafe.values())


def test_silence_of_the_safety_service_under_emission_is_an_unsafe_second(flown: Flown) -> None:
    lit_ns = next(m.log_time_ns for m in flown.messages if m.topic.startswith("sim/") and m.body["emitting"])
    kept = [m for m in flown.messages if m.topic != "safety/state" or not lit_ns < m.log_time_ns < lit_ns + NS]
    assert any("last word" in why for why in watched(flown, kept).unsafe.values())


def test_a_message_that_nobody_counted_as_missing_is_a_problem(flown: Flown) -> None:
    at = next(i for i, m in enumerate(flown.messages) if m.topic == "tracking/fine" and m.seq > 100)
    watch = watched(flown, flown.messages[:at] + flown.messages[at + 1 :])
    watch.counted(1, {})
    assert watch.problems == ["1: tracking/fine: 1 messages are missing, 0 were counted"]
    counted = watched(flown, flown.messages[:at] + flown.messages[at + 1 :])
    counted.counted(1, {"tracking/fine": 1})
    assert not counted.problems


def test_a_loss_that_no_fault_explains_is_unexplained(flown: Flown) -> None:
    outcome = flown.outcome
    flight, watch = outcome.program.flights[1], outcome.watch
    assert not outcome.verdicts[1].unexplained
    alone = judge("", flight.begin_ns, flight.end_ns, watch.changes, [], "STOWED")
    assert alone.unexplained


SUN_SOUTH = Bounds(0.05, (0.0, math.pi / 2), math.radians(30.0), lambda t_ns: (-0.5, 0.0, math.sqrt(0.75)))


def truth(t_ns: int, **change: Any) -> dict[str, Any]:
    return {
        "t_utc_ns": t_ns,
        "emitting": False,
        "axis_command_rad_s": (0.0, 0.0),
        "axis_rate_rad_s": (0.0, 0.0),
        **change,
    }


def _tell_truth(watch: Watch, t_ns: int, **change: Any) -> None:
    watch.hear("sim/truth/line_of_sight", "bench", b"", t_ns, t_ns, truth(t_ns, **change))


def test_motion_towards_the_sun_inside_its_cone_is_an_unsafe_second() -> None:
    watch = Watch(SUN_SOUTH)
    for step, azimuth_deg in enumerate((150.0, 155.0, 160.0)):
        watch.boresight(step * NS, math.radians(azimuth_deg), math.radians(60.0))
    watch.hear("station/mode", "station", b"", 1, 2 * NS, {"mode": "SLEW", "reason": ""})
    _tell_truth(watch, 2 * NS + 1, axis_command_rad_s=(0.01, 0.0))
    assert any("towards the Sun" in why for why in watch.unsafe.values())


def test_an_axis_faster_than_it_may_be_is_an_unsafe_second() -> None:
    watch = Watch(SUN_SOUTH)
    _tell_truth(watch, NS, axis_rate_rad_s=(0.06, 0.0))
    assert any("turns at" in why for why in watch.unsafe.values())


def test_a_mount_whose_wire_is_broken_is_counted_and_no_excuse_for_another_device() -> None:
    for what, unsafe in (("gimbal hang_up for 5.0 s", False), ("camera hang_up for 5.0 s", True)):
        watch = Watch(SUN_SOUTH)
        watch.cause(what, NS, 6 * NS)
        watch.hear("station/mode", "station", b"", 1, NS, {"mode": "FAULT", "reason": ""})
        for step in (30, 31):
            _tell_truth(watch, step * NS // 10, axis_command_rad_s=(0.01, 0.0))
        assert bool(watch.unsafe) is unsafe
        assert (watch.runaway_s > 0) is not unsafe


def test_a_cable_that_was_cut_excuses_motion_for_no_longer_than_a_fault_lasts_and_another_word_for_a_moment() -> None:
    for what, after_s, unsafe in (
        ("gimbal off for 20.0 s", 10.0, False),
        ("gimbal off for 90.0 s", 40.0, True),
        ("gimbal delayed for 20.0 s", 10.0, True),
        ("gimbal slow for 20.0 s", 1.5, False),
    ):
        watch = Watch(SUN_SOUTH)
        watch.cause(what, NS, NS + round(float(what.split()[-2]) * NS))
        watch.hear("station/mode", "station", b"", 1, NS, {"mode": "SAFE", "reason": ""})
        for tenth in range(11, 11 + round(10 * after_s)):
            at_ns = tenth * NS // 10
            watch.hear("station/mode", "station", b"", tenth, at_ns, {"mode": "SAFE", "reason": ""})
            _tell_truth(watch, at_ns, axis_command_rad_s=(0.01, 0.0))
        assert bool(watch.unsafe) is unsafe, what
        assert watch.runaway_s > 0


def test_truth_that_is_missing_for_over_a_second_is_an_unsafe_second_and_hours_of_it_are_a_failure() -> None:
    watch = Watch(SUN_SOUTH)
    for at_ns in (NS, 2 * NS, 3602 * NS):
        _tell_truth(watch, at_ns)
    assert list(watch.unsafe.values()) == ["nothing was seen of what truly happened for 3600.0 s"]
    blank = Watch(SUN_SOUTH)
    outcome = Outcome(Program([], [], 0, 86400 * NS, 0.0), blank, Human(None, blank.consent))  # type: ignore[arg-type]
    outcome.simulated_s = 86400.0
    assert outcome.failures() == ["0 seconds of 86400 were looked at"]


def test_a_bench_that_stood_still_excuses_what_is_late_and_no_emission_without_a_consent() -> None:
    for allowed, unsafe in ((False, False), (True, True)):
        watch = Watch(SUN_SOUTH)
        watch.cause(f"{STALL} for 0.11 s", 10 * NS, 10 * NS + NS // 9)
        if not allowed:
            watch.consent(NS)
        state = {"votes": [], "latched": False, "emission_allowed": allowed, "locked_reason": "key"}
        watch.hear("safety/state", "safety", b"", 1, 103 * NS // 10, state)
        _tell_truth(watch, 105 * NS // 10, emitting=True)
        assert (bool(watch.unsafe), bool(watch.blind)) == (unsafe, not unsafe)


@pytest.mark.parametrize(
    ("what", "step", "explained"),
    [
        ("power_meter delayed for 0.5 s", Change(60 * NS, "LINK", "SAFE", "safety tripped: sun"), False),
        ("laser split for 0.5 s", Change(60 * NS, "LINK", "FINE", "below"), False),
        ("power_meter hang_up for 0.5 s", Change(60 * NS, "LINK", "SAFE", "safety tripped: sun"), False),
        ("power_meter hang_up for 0.5 s", Change(60 * NS, "LINK", "FINE", "below"), True),
        ("camera off for 2.0 s", Change(60 * NS, "LINK", "SAFE", "safety tripped: frames"), True),
        ("death of link", Change(60 * NS, "LINK", "SAFE", "safety tripped: sun"), False),
        ("death of tracking", Change(60 * NS, "LINK", "SAFE", "tracking is lost"), True),
        ("the operator says stop", Change(60 * NS, "LINK", "HOLD", "stop"), True),
    ],
)
def test_a_fault_explains_a_loss_that_the_table_lets_it_have_and_no_other(
    what: str, step: Change, explained: bool
) -> None:
    changes = [Change(NS, "STOWED", "LINK", ""), step, Change(75 * NS, step.after, "LINK", "")]
    verdict = judge("", 0, 200 * NS, changes, [Cause(what, 55 * NS, 56 * NS)])
    assert (verdict.unexplained == []) is explained


def test_messages_that_are_lost_between_two_files_of_one_recorder_are_missing(tmp_path: Path) -> None:
    bus = LocalBus(RealClock())
    heard: list[tuple[str, Envelope]] = []
    bus.tap(lambda topic, envelope: heard.append((topic, envelope)))
    port = bus.port("station")
    for number in range(300):
        port.publish(SERVICE_HEARTBEAT, Heartbeat(number, number, 0))
    for name, part, messages in (("1.mcap", 1, heard[:100]), ("1-0002.mcap", 2, heard[200:])):
        with Recorder(tmp_path / name, {PLACE: {"run": "1", "part": str(part)}}) as recorder:
            for topic, envelope in messages:
                recorder.write(topic, envelope)
    parts, problems = look_at(tmp_path)
    assert len(parts) == 2
    assert problems == ["1.mcap and what follows lack {'service/heartbeat': 100}, 0 were counted"]
    (tmp_path / "1-0002.mcap").unlink()
    assert look_at(tmp_path)[1] == []


def test_a_kill_that_finds_nobody_is_no_death(tmp_path: Path) -> None:
    watch, said = Watch(SUN_SOUTH), list[str]()
    bench = SimpleNamespace(children=dict)
    desk = Desk(bench, Program([], [], 0, NS, 0.0), watch, said.append)  # type: ignore[arg-type]
    desk._do(Happening(NS, kill="link"), NS)
    assert watch.causes == []
    assert said[-1] == "  link was not there to be killed"


def test_a_pass_that_never_reaches_link_is_unexplained_and_with_a_late_fault_is_not() -> None:
    changes = [Change(NS, "STOWED", "SLEW", ""), Change(2 * NS, "SLEW", "POINT", "")]
    assert judge("", 0, 100 * NS, changes, []).unexplained == ["in POINT at the end"]
    assert judge("", 0, 100 * NS, changes, [Cause("camera off", 50 * NS, 60 * NS)]).unexplained == []


def test_a_fade_is_no_loss_unless_it_lasts() -> None:
    fade = [Change(NS, "FINE", "LINK", ""), Change(5 * NS, "LINK", "FINE", "below"), Change(8 * NS, "FINE", "LINK", "")]
    short = judge("", 0, 20 * NS, fade, [])
    assert (short.fades, short.unexplained, short.held) == (1, [], True)
    assert short.link_s == pytest.approx(16.0)
    long = [*fade[:2], Change(18 * NS, "FINE", "LINK", "")]
    assert judge("", 0, 20 * NS, long, []).unexplained == ["LINK -> FINE (below)"]


def test_a_day_befalls_every_device_with_every_word_it_can_have_and_a_seed_gives_one_day() -> None:
    windows = [(n * 1800 * NS, n * 1800 * NS + 300 * NS) for n in range(48)]
    day = draw(1, windows, 48 * 1800 * NS, Odds())
    assert day == draw(1, windows, 48 * 1800 * NS, Odds())
    assert day != draw(2, windows, 48 * 1800 * NS, Odds())
    rows = {(d, w.name) for w in TABLE.values() for d in DEVICES if w.applies_to(d)}
    assert {(h.device, h.word) for h in day if h.word} == rows
    assert {h.kill for h in day if h.kill} <= set(MORTALS)


def test_growth_of_a_megabyte_an_hour_is_seen_through_noise_and_after_the_warm_up_only() -> None:
    use = Use()
    for minute in range(240):
        warm = max(0, minute - 60)
        use.t_s.append(minute * 60.0)
        use.rss_kb.append(200e3 + min(minute, 60) * 500 + warm * 1024 / 60 + (minute % 7) * 40)
        use.own_kb.append(100e3)  # what grew were pages of files
        use.fds.append(30 + minute // 200)
        use.threads.append(9)
    row = use.as_row(3600.0)
    assert row["rss_slope_kb_h"] == pytest.approx(1024, rel=0.05)
    assert row["own_slope_kb_h"] == 0.0
    short = Use(use.t_s[:75], use.rss_kb[:75])
    assert short.slope_kb_h(short.rss_kb, 3600.0) is None, "less than the life of one recording"
    assert use.as_row(3600.0)["fd_growth"] == 1
    assert use.as_row(3600.0)["thread_growth"] == 0


@pytest.mark.parametrize("growth_kb_h", [0.0, 2048.0])
def test_what_comes_and_goes_with_each_recording_is_no_growth_and_hides_none(growth_kb_h: float) -> None:
    t_s = [minute * 60.0 for minute in range(220) if minute % 30 < 20]  # a pass is not looked at
    index_kb = [t % PERIOD_S * 15 for t in t_s]  # 13 MB, and gone with the file
    use = Use(t_s, [200e3 + kb + growth_kb_h * t / 3600 for t, kb in zip(t_s, index_kb, strict=True)])
    assert use.slope_kb_h(use.rss_kb, 3600.0) == pytest.approx(growth_kb_h, abs=600)


def test_a_torn_recording_is_not_called_finished(flown: Flown, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mcap"
    with Recorder(whole):
        pass
    torn = tmp_path / "torn.mcap"
    torn.write_bytes(whole.read_bytes()[:-20])
    assert examine(whole)["finished"]
    assert not examine(torn)["finished"]


def test_a_station_that_is_started_again_says_so_when_the_operator_comes_to_it() -> None:
    says = "restarted during the pass of STARLINK-1: reset, then track to go on"
    changes = [
        Change(NS, "STOWED", "SLEW", ""),
        Change(20 * NS, "SLEW", "SAFE", says),
        Change(30 * NS, "SAFE", "LINK", ""),
    ]
    death = Cause("death of station", 3 * NS, 3 * NS)
    assert judge("", 0, 40 * NS, changes, [death]).unexplained == []
    assert judge("", 0, 40 * NS, changes, []).unexplained == [f"SLEW -> SAFE ({says})"]
    trip = [changes[0], Change(20 * NS, "SLEW", "SAFE", "safety tripped: sun"), changes[2]]
    assert judge("", 0, 40 * NS, trip, [death]).unexplained == ["SLEW -> SAFE (safety tripped: sun)"]


def test_a_sweep_that_missed_is_counted_and_no_loss_as_long_as_the_satellite_is_found() -> None:
    missed = "scan finished without a beacon: scanning again, wider"
    changes = [
        Change(NS, "POINT", "ACQUIRE", ""),
        Change(9 * NS, "ACQUIRE", "POINT", missed),
        Change(10 * NS, "POINT", "ACQUIRE", ""),
        Change(11 * NS, "ACQUIRE", "LINK", ""),
    ]
    found = judge("", 0, 20 * NS, changes, [])
    assert (found.sweeps_missed, found.unexplained, found.held) == (1, [], True)
    never = judge("", 0, 20 * NS, changes[:3], [])
    assert never.unexplained == ["in ACQUIRE at the end"]


@pytest.mark.parametrize("sweeps", [1, 48, 1000])
def test_more_missed_sweeps_than_one_day_in_a_thousand_has_are_no_chance(sweeps: int) -> None:
    days = np.random.default_rng(1).binomial(sweeps, 0.005, 1_000_000)
    allowed = missed_allowed(sweeps)
    assert (days > allowed).mean() < 1.1e-3
    assert (days > allowed - 1).mean() > 0.9e-3
