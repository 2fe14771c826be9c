"""A gimbal moved from the bench: the real driver on the emulated hand controller, in simulated time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ideal_axes import IdealAxes

from controller.pointing.hand import HandError, Mark, drive, jog
from controller.pointing.jog import Bounds, Jog
from controller.pointing.targets import Fixed
from controller.services.lockstep import Lockstep
from hal.devices.nexstar import NexStar
from hal.errors import WireTimeout
from hal.traits import AxisPosition
from sim_hw.devices import nexstar
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving

RATE, ACCELERATION = math.radians(3), math.radians(2)
BOUNDS = Bounds(0.0, math.radians(90))


class Bench:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.axes = IdealAxes(self.timeline, azimuth_deg=10, elevation_deg=45)
        self.line = SerialLine(self.timeline, nexstar.NexStar(self.timeline, self.axes, np.random.default_rng(1)), 9600)
        self.clock = Lockstep(self.timeline)

    def open(self) -> NexStar:
        return NexStar(
            "simhw://mount", 9600, self.clock, rate_max_rad_s=RATE, acceleration_max_rad_s2=ACCELERATION,
            command_latency_s=0.075,
        )  # fmt: skip

    def settle(self) -> None:
        self.timeline.advance(self.timeline.now_ns + NS)

    @property
    def at_deg(self) -> tuple[float, float]:
        azimuth, elevation = self.axes.encoder_rad()
        return math.degrees(azimuth), math.degrees(elevation)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with serving({"mount": bench.line}, bench.clock):
        yield bench


def nothing(position: AxisPosition) -> str:
    return ""


def run_jog(bench: Bench, script: list[tuple[float, str]], watch=nothing) -> list[str]:  # type: ignore[no-untyped-def]
    """Play keys at their times (s); what was told, and the mount stands at the end."""
    gimbal = bench.open()
    start_ns, waiting, told = bench.clock.now_ns(), list(script), []

    def keys() -> str | None:
        due = waiting and (bench.clock.now_ns() - start_ns) >= waiting[0][0] * NS
        return waiting.pop(0)[1] if due else None

    state = Jog(gimbal.capabilities, BOUNDS, math.radians(1))
    try:
        jog(gimbal, bench.clock, state, keys, watch, lambda position, rates, why: told.append(why))
    finally:
        bench.settle()
        assert bench.axes.rate == [0.0, 0.0], "it rests on every way out"
        gimbal.close()
    return told


def test_a_held_key_moves_the_mount_and_letting_go_stops_it(bench: Bench) -> None:
    held = [(0.05 * n, "right") for n in range(41)]
    run_jog(bench, [*held, (4.0, "quit")])
    azimuth_deg, elevation_deg = bench.at_deg
    assert azimuth_deg == pytest.approx(10 + 2.25, abs=0.35)  # two seconds and the hold time at one degree a second
    assert elevation_deg == pytest.approx(45, abs=1e-3)


def test_one_press_is_a_small_step(bench: Bench) -> None:
    run_jog(bench, [(0.1, "up"), (2.0, "quit")])
    assert 0.1 < bench.at_deg[1] - 45 < 0.6


def test_keys_that_waited_while_the_mount_was_slow_do_not_move_it_later(bench: Bench) -> None:
    run_jog(bench, [(0.0, "right")] * 200 + [(0.0, "stop"), (2.0, "quit")])
    assert bench.at_deg[0] == pytest.approx(10, abs=1e-3)


def test_the_suns_cone_stops_it_and_is_told(bench: Bench) -> None:
    held = [(0.05 * n, "right") for n in range(80)]
    told = run_jog(bench, [*held, (4.0, "quit")], lambda p: "near the Sun" if math.degrees(p.azimuth_rad) > 11 else "")
    assert "near the Sun" in told
    assert bench.at_deg[0] < 11.6


def test_a_mount_that_falls_silent_is_told_to_stop_and_the_operator_to_use_the_cut_off(bench: Bench) -> None:
    gimbal = bench.open()
    keys = iter(["right", *[None] * 1000])

    def mute(position: AxisPosition, rates: tuple[float, float], why: str) -> None:
        bench.line.fault = lambda data, put: None  # answers are lost from the first motion on

    with pytest.raises(HandError, match="use the motion cut-off now") as raised:
        jog(gimbal, bench.clock, Jog(gimbal.capabilities, BOUNDS, 0.01), lambda: next(keys), nothing, mute)
    assert isinstance(raised.value.__cause__, WireTimeout)
    bench.settle()
    assert bench.axes.rate == [0.0, 0.0], "it heard the stop all the same"
    gimbal.close()


def test_the_mount_is_driven_to_a_direction_no_faster_than_asked(bench: Bench) -> None:
    gimbal = bench.open()
    seen: list[AxisPosition] = []
    to = Fixed(math.radians(350), math.radians(30), (1.0, 1.0))
    reached = drive(gimbal, bench.clock, to, math.radians(1), nothing, seen.append)
    bench.settle()
    assert Mark(350, 30).off_deg(reached) == pytest.approx((0, 0), abs=0.01)
    assert bench.axes.rate == [0.0, 0.0]
    steps = [
        abs(math.remainder(b.azimuth_rad - a.azimuth_rad, math.tau)) / ((b.t_ns - a.t_ns) / NS)
        for a, b in itertools.pairwise(seen)
    ]
    assert math.degrees(max(steps)) < 1.1
    gimbal.close()


def test_a_drive_into_the_suns_cone_ends_at_rest_with_the_reason(bench: Bench) -> None:
    gimbal = bench.open()
    with pytest.raises(HandError, match="stopped on its way: near the Sun"):
        drive(
            gimbal, bench.clock, Fixed(1.0, 0.5), math.radians(2),
            lambda p: "near the Sun" if p.azimuth_rad > 0.5 else "", lambda p: None,
        )  # fmt: skip
    bench.settle()
    assert bench.axes.rate == [0.0, 0.0]
    gimbal.close()


def test_a_mark_is_kept_and_says_how_far_off_it_the_encoders_are(tmp_path: Path) -> None:
    position = AxisPosition(0, math.radians(359.99), math.radians(30.0))
    Mark.of(position).save(tmp_path / "run" / "mark.toml")
    kept = Mark.load(tmp_path / "run" / "mark.toml")
    assert kept.off_deg(position) == (0.0, 0.0)
    assert kept.off_deg(AxisPosition(0, math.radians(0.01), math.radians(29.5))) == pytest.approx((0.02, -0.5))


@pytest.mark.parametrize("text", ["azimuth_deg = 1.0", "not toml at all", 'azimuth_deg = "x"\nelevation_deg = 1.0'])
def test_a_mark_that_cannot_be_read_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "mark.toml").write_text(text)
    with pytest.raises(HandError, match="is no mark"):
        Mark.load(tmp_path / "mark.toml")
    with pytest.raises(HandError, match="boresight rig home --set-mark"):
        Mark.load(tmp_path / "other.toml")
