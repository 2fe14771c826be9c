"""Each vote, lost alone and at any moment of the service's turn: emission is off within 10 ms, and by that vote.

The loss is the moment at which the input could be seen: a message was published, a reading came back from the device,
the clock was set, what is asked for would have answered otherwise. What the service itself says of it is not asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from safety_bench import NS, SafetyBench

from controller.bus.topics import (
    POINTING_STATE,
    SAFETY_TRIP,
    SERVICE_HEARTBEAT,
    STATION_LEASE,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_FINE,
    Topic,
    TripRecord,
)
from controller.geometry.bodies import Place
from controller.safety.clearance.live import Cleared
from controller.safety.inputs import TimeQuality
from controller.safety.traffic.live import TrafficWord
from controller.safety.votes import VOTERS
from hal.errors import WireError
from hal.traits import LaserStatus, ShutterStatus
from sim_hw.wires.memory_usb import as_default_backend

EMITS_NS, TURN_NS, VOTE_NS = 2 * NS, NS // 50, NS // 100
DEG = 3.141592653589793 / 180
PHASES = range(4)  # of each vote, drawn


@dataclass
class Loss:
    """One vote's input, which turns at `at_ns`; `seen_ns` is when it was first there to be seen."""

    bench: SafetyBench
    at_ns: int
    seen_ns: int | None = None

    @property
    def now(self) -> bool:
        """It has turned, and is being seen."""
        turned = self.bench.clock.now_ns() >= self.at_ns
        if turned and self.seen_ns is None:
            self.seen_ns = self.bench.clock.now_ns()
        return turned

    def at(self, do: Callable[[], None]) -> None:
        """Do it at that moment, at which it is there to be seen."""

        def run() -> None:
            self.bench.clock.sleep_until(self.at_ns)
            self.seen_ns = self.at_ns
            do()

        self.bench.clock.spawn("spoiler", run)

    def say(self, sender: str, topic: Topic, body: str, simulated: bool | None = None, **change: Any) -> None:
        """A message that is otherwise, and none like it after it."""
        bench = self.bench

        def spoil() -> None:
            bench.silent_from[topic] = self.at_ns
            port = bench.bus.port(sender)
            if simulated is not None:
                port.writer.simulated = simulated
            port.publish(topic, bench.good.changed(getattr(bench.good, body), **change))

        self.at(spoil)

    def read(self, **change: Any) -> None:
        """A reading of the laser that is otherwise, from the first one after the moment."""
        loss = self

        class Lying:
            def __init__(self, driver: Any) -> None:
                self._driver = driver

            def __getattr__(self, name: str) -> Any:
                return getattr(self._driver, name)

            def status(self) -> LaserStatus:
                told: LaserStatus = replace(self._driver.status(), key_on=True, divergence_rad=20e-6)
                return replace(told, **change) if change and told.output_on and loss.now else told

        self.bench.laser = Lying


class Blades:
    """A shutter that stands where it was told to; from the loss on its sensor says otherwise, or its line is gone."""

    identity: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, loss: Loss, gone: bool) -> None:
        self._loss, self._gone, self._open = loss, gone, False
        self.status: ShutterStatus | None = None

    def move(self, opened: bool) -> None:
        self._open = opened

    def poll(self) -> None:
        lost = self._loss.now
        if lost and self._gone:
            raise WireError("shutter: the line hung up")
        state = "unknown" if lost else "open" if self._open else "closed"
        self.status = ShutterStatus(self._loss.bench.clock.now_ns(), state, False)

    def close(self) -> None:
        pass


@dataclass
class Asked:
    """Clearance or Traffic: yes, and no from the loss on."""

    loss: Loss
    yes: Any
    no: Any

    def look(self, *_: Any) -> Any:
        if self.loss.bench.clock.now_ns() >= self.loss.at_ns:
            return self.no
        return replace(self.yes, heard_ns=self.loss.bench.clock.now_ns()) if hasattr(self.yes, "heard_ns") else self.yes

    def close(self) -> None:
        pass


def _shutter(loss: Loss, gone: bool = False) -> None:
    loss.bench.good.limits = replace(loss.bench.good.limits, shutter=True)
    loss.bench.more["shutter"] = lambda: Blades(loss, gone)


def _outside(loss: Loss, vote: str) -> None:
    """Under the open sky, where windows and feed are asked; nothing but the loss happens at its moment."""
    loss.bench.good.limits = replace(loss.bench.good.limits, enclosed_bench=False)
    cleared = Asked(loss, Cleared(True, "open"), Cleared(vote != "clearinghouse", "closed"))
    sky = Asked(loss, TrafficWord(True, "empty", 0), TrafficWord(vote != "aircraft", "one is near", loss.at_ns))
    loss.bench.more |= {"clearance": cleared, "traffic": sky}
    loss.at(lambda: None)


def _time(loss: Loss) -> None:
    loss.bench.more["time_source"] = lambda: TimeQuality(loss.bench.clock.now_ns() < loss.at_ns, 0.0)
    loss.at(lambda: None)


def _body(loss: Loss, name: str, cone_deg: float) -> None:
    """The way ahead, and no more than that, leads into the cone."""
    sun, moon = Place(-2.0, 60 * DEG), Place(2.0, 60 * DEG)
    loss.bench.more["bodies"] = lambda t_utc_ns: (sun, moon)
    place = sun if name == "sun" else moon
    ahead = (place.azimuth_rad, place.elevation_rad - 0.5 * cone_deg * DEG)
    loss.say("pointing", POINTING_STATE, "pointing", way_ahead_rad=[ahead])


def _real(loss: Loss) -> None:
    """The laser is real, so is time, and one word comes from an emulator."""
    bench = loss.bench
    bench.good.limits = replace(bench.good.limits, laser_emulated=False, shutter_emulated=False)
    bench.clock.realtime = True  # type: ignore[misc]
    bench.more["time_simulated"] = False
    loss.say("tracking", SERVICE_HEARTBEAT, "beat", simulated=True)


LOSSES: dict[str, Callable[[Loss], None]] = {
    "mode": lambda loss: loss.say("station", STATION_MODE, "mode", mode="CALIBRATE"),
    "pointing": lambda loss: loss.say("pointing", POINTING_STATE, "pointing", deviation_rad=(0.01, 0.0)),
    "horizon": lambda loss: loss.say("pointing", POINTING_STATE, "pointing", elevation_rad=0.1),
    "axis_limits": lambda loss: loss.say("pointing", POINTING_STATE, "pointing", azimuth_rate_rad_s=9.0),
    "sun": lambda loss: _body(loss, "sun", 30.0),
    "moon": lambda loss: _body(loss, "moon", 2.0),
    "interlock": lambda loss: loss.read(tripped="over temperature", protecting="over temperature"),
    "beam_board": lambda loss: loss.say("board", TRACKING_FINE, "fine", enabled=True, latched=True),
    "read_back": lambda loss: loss.read(current_a=2.0),
    "power": lambda loss: loss.read(measured_power_w=5.0),
    "key": lambda loss: loss.read(key_on=False),
    "shutter": _shutter,
    "divergence": lambda loss: loss.read(divergence_rad=1e-6),
    "time": _time,
    "ephemeris": lambda loss: loss.say("pointing", POINTING_STATE, "pointing", target="B"),
    "frames": lambda loss: loss.say("tracking", TRACKING_COARSE, "coarse", frame_age_s=0.6),
    "lease": lambda loss: loss.say("station", STATION_LEASE, "leases", generation=9, held=[]),
    "clearinghouse": lambda loss: _outside(loss, "clearinghouse"),
    "aircraft": lambda loss: _outside(loss, "aircraft"),
    "real_or_emulated": _real,
}


def _heartbeats(loss: Loss) -> None:
    """The last word of a service grows too old 0.5 s after it."""
    bench = loss.bench
    bench.silent_from[SERVICE_HEARTBEAT] = loss.at_ns
    last_ns = (loss.at_ns - 1) // (NS // 20) * (NS // 20)
    loss.seen_ns = last_ns + round(bench.good.limits.heartbeat_age_max_s * NS)


LOSSES["heartbeats"] = _heartbeats


def play(good: Any, vote: str, lose: Callable[[Loss], None], phase: int) -> tuple[Loss, TripRecord]:
    """Emit, lose it, and return with what was recorded."""
    good.limits = replace(good.limits, reads_back=frozenset({"key", "divergence"}), divergence_rad=20e-6)
    bench = SafetyBench(good, simulated=vote != "real_or_emulated")
    loss = Loss(bench, EMITS_NS + random.Random(f"{vote} {phase}").randrange(TURN_NS))
    loss.read()  # whatever is declared is read back
    with as_default_backend(bench.backend):
        lose(loss)
        bench.run(3)
    records = [msgspec.msgpack.decode(data, type=TripRecord) for data in bench.heard.get(SAFETY_TRIP.name, [])]
    assert records, "nothing tripped"
    return loss, records[0]


def test_there_is_a_loss_for_every_vote() -> None:
    assert set(LOSSES) == set(VOTERS)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("vote", VOTERS)
def test_emission_is_off_within_10_ms_of_the_loss_of_any_one_vote_at_any_moment_of_a_turn(
    good: Any, vote: str, phase: int
) -> None:
    loss, record = play(good, vote, LOSSES[vote], phase)
    assert record.first_cause.startswith(f"{vote}: ")
    assert loss.seen_ns is not None
    assert 0 <= loss.bench.off_ns() - loss.seen_ns <= VOTE_NS
    assert loss.bench.changes[-1][1] == 0.0, "and it stays off"


@pytest.mark.parametrize("phase", PHASES)
def test_a_shutter_whose_line_is_gone_ends_emission_in_the_turn_that_finds_it_so(good: Any, phase: int) -> None:
    loss, record = play(good, "shutter", lambda loss: _shutter(loss, gone=True), phase)
    assert record.first_cause.startswith("shutter: the line hung up")
    assert loss.seen_ns is not None
    assert 0 <= loss.bench.off_ns() - loss.seen_ns <= VOTE_NS


@pytest.mark.parametrize("phase", PHASES)
def test_a_clock_that_is_set_ends_emission_within_10_ms_of_the_step(good: Any, phase: int) -> None:
    loss, record = play(good, "time", lambda loss: loss.at(lambda: loss.bench.clock.step_utc(0.2)), phase)
    assert record.first_cause.startswith("time: UTC was stepped by +0.200 s")
    assert loss.seen_ns is not None
    assert 0 <= loss.bench.off_ns() - loss.seen_ns <= VOTE_NS
