"""The safety service in lockstep, on its bench: what ends emission, how soon, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from safety_bench import NS, UTC0_NS
from safety_bench import SafetyBench as Bench

from controller.bus.topics import (
    POINTING_STATE,
    SAFETY_TRIP,
    STATION_LEASE,
    STATION_MODE,
    TRACKING_COARSE,
    TripRecord,
)
from controller.record import Recorder, json_schema, read
from controller.safety.votes import VOTERS
from sim_hw.wires.memory_usb import as_default_backend


@pytest.fixture
def bench(good: Any) -> Iterator[Bench]:
    made = Bench(good)
    with as_default_backend(made.backend):
        yield made


def test_the_laser_is_on_within_150_ms_of_the_confirmation_and_off_at_the_end(bench: Bench) -> None:
    bench.run()
    assert bench.replies == ["", ""]
    assert 0 < bench.on_ns() - NS < 150_000_000
    assert bench.off_ns() >= 4 * NS
    assert bench.changes[-1][1] == 0.0


def test_a_lost_mode_switches_the_laser_off_within_its_age_and_two_cycles(bench: Bench) -> None:
    bench.silent_from[STATION_MODE] = 2 * NS
    bench.run()
    # the last word was 50 ms before; it is stale 0.5 s after it
    assert 450_000_000 <= bench.off_ns() - 2 * NS <= 540_000_000
    assert [amps for t, amps in bench.changes if t > bench.off_ns() and amps > 0] == []


def test_emission_ends_with_the_lease_of_an_operator_who_is_gone(bench: Bench) -> None:
    bench.lease_ttl_s = 1.5
    bench.run(4)
    assert 0 <= bench.off_ns() - (NS + bench.lease_ttl_s * NS) <= 120_000_000, "a cycle of station, safety and laser"
    assert bench.changes[-1][1] == 0.0
    record = msgspec.msgpack.decode(bench.heard[SAFETY_TRIP.name][0], type=TripRecord)
    assert [vote.reason for vote in record.after if not vote.ok] == [record.first_cause.removeprefix("lease: ")]
    assert record.first_cause.endswith("that armed is over")


def test_a_station_that_tells_of_no_lease_any_more_ends_emission_within_its_age(bench: Bench) -> None:
    bench.silent_from[STATION_LEASE] = 2 * NS
    bench.run(5)
    assert bench.off_ns() - 2 * NS <= 1_300_000_000


def test_lost_frames_switch_the_laser_off_and_their_return_does_not_switch_it_on(bench: Bench) -> None:
    bench.silent_from[TRACKING_COARSE] = 2 * NS

    def back(t_ns: int) -> None:
        bench.clock.sleep_until(t_ns)
        bench.silent_from.clear()

    bench.clock.spawn("repair", lambda: back(3 * NS))
    bench.run(5)
    assert bench.off_ns() - 2 * NS <= 540_000_000
    assert [amps for t, amps in bench.changes if t > bench.off_ns() and amps > 0] == []


def test_a_safety_service_that_dies_is_followed_by_the_enable_line_and_the_laser(bench: Bench) -> None:
    bench.run(safety_dies_at_ns=2 * NS)
    assert bench.off_ns() - 2 * NS <= 100_000_000  # safety/enable is stale after 80 ms
    assert bench.emulator.scpi.execute("OUTP:PROT:INTL:TRIP?") == "1"


def test_two_runs_put_the_same_bytes_on_the_bus(good: Any) -> None:
    heard = []
    for _ in range(2):
        bench = Bench(good)
        with as_default_backend(bench.backend):
            bench.run(2)
        heard.append((bench.heard, bench.changes))
    assert heard[0] == heard[1]


def test_a_trip_is_on_the_bus_with_all_votes_before_and_after(bench: Bench) -> None:
    bench.silent_from[TRACKING_COARSE] = 2 * NS
    bench.run(3)
    (record,) = [msgspec.msgpack.decode(body, type=TripRecord) for body in bench.heard[SAFETY_TRIP.name]]
    assert [vote.name for vote in record.before if not vote.ok] == []
    assert [vote.name for vote in record.after if not vote.ok] == ["frames"]


def test_a_trip_is_in_the_recording_with_all_its_votes_and_fits_its_schema(bench: Bench, tmp_path: Path) -> None:
    with Recorder(tmp_path / "run.mcap", {}) as recorder:
        bench.bus.tap(recorder.write)
        bench.silent_from[STATION_MODE] = 2 * NS
        bench.run(3)
    (trip,) = [body for topic, _, body in read(tmp_path / "run.mcap") if topic == SAFETY_TRIP.name]
    assert trip["first_cause"].startswith("mode: station mode is 0.5")
    assert [vote["name"] for vote in trip["before"]] == [vote["name"] for vote in trip["after"]] == list(VOTERS)
    assert [vote["name"] for vote in trip["after"] if not vote["ok"]] == ["mode", "ephemeris"]
    jsonschema.validate(trip, json_schema(TripRecord))


def test_a_key_that_is_turned_off_and_on_again_ends_emission_for_good(bench: Bench) -> None:
    bench.good.limits = replace(bench.good.limits, reads_back=frozenset({"key"}))

    def turns() -> None:
        for t_ns, on in ((2 * NS, False), (2 * NS + NS // 2, True)):
            bench.clock.sleep_until(t_ns)
            bench.emulator.turn_key(on)

    bench.clock.spawn("hand", turns)
    bench.run(4)
    assert bench.off_ns() - 2 * NS <= 120_000_000
    assert bench.changes[-1][1] == 0.0
    record = msgspec.msgpack.decode(bench.heard[SAFETY_TRIP.name][0], type=TripRecord)
    assert "key" in [vote.name for vote in record.after if not vote.ok]


@pytest.mark.parametrize("topic", ["frames", "pointing", "mode"])
def test_a_message_that_makes_a_vote_a_no_switches_off_in_the_same_millisecond(bench: Bench, topic: str) -> None:
    """It comes 7 ms after a turn of the safety service, 13 ms before the next."""
    good, at_ns = bench.good, 2 * NS + 7_000_000
    sender, what, body = {
        "frames": ("tracking", TRACKING_COARSE, good.changed(good.coarse, frame_age_s=0.6)),
        "pointing": ("pointing", POINTING_STATE, good.changed(good.pointing, deviation_rad=(0.01, 0.0))),
        "mode": ("station", STATION_MODE, good.changed(good.mode, mode="FAULT")),
    }[topic]

    def spoil() -> None:
        bench.clock.sleep_until(at_ns)
        bench.silent_from[what] = at_ns
        bench.bus.port(sender).publish(what, body)

    bench.clock.spawn("spoiler", spoil)
    bench.run(3)
    assert 0 <= bench.off_ns() - at_ns <= 1_000_000
    (record,) = [msgspec.msgpack.decode(data, type=TripRecord) for data in bench.heard[SAFETY_TRIP.name]]
    assert record.lost_utc_ns == UTC0_NS + at_ns


def test_a_vote_whose_input_grows_too_old_is_lost_in_the_millisecond_in_which_it_does(bench: Bench) -> None:
    bench.silent_from[STATION_MODE] = 2 * NS
    bench.run(3)
    (record,) = [msgspec.msgpack.decode(data, type=TripRecord) for data in bench.heard[SAFETY_TRIP.name]]
    assert record.lost_utc_ns is not None
    assert 0 <= bench.off_ns() - (record.lost_utc_ns - UTC0_NS) <= 1_000_000


def test_a_clock_that_is_set_while_it_emits_ends_emission_until_somebody_arms_again(bench: Bench) -> None:
    def step() -> None:
        bench.clock.sleep_until(2 * NS)
        bench.clock.step_utc(-1.0)

    bench.clock.spawn("hand", step)
    bench.run(5)
    assert bench.off_ns() - 2 * NS <= 21_000_000
    assert bench.changes[-1][1] == 0.0
    (record, *_) = [msgspec.msgpack.decode(data, type=TripRecord) for data in bench.heard[SAFETY_TRIP.name]]
    assert "UTC was stepped by -1.000 s" in record.cause
