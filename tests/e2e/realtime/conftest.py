"""An emulated bench and a station, each in processes of its own, and what a test may ask of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from controller.bus.keys import make_key
from controller.bus.lease import LEASE_KEEPER
from controller.bus.port import Sample
from controller.bus.topics import SIM_TRUTH, STATION_EVENT, STATION_MODE, Truth
from controller.cli.faults_processes import RunningBench, RunningStation, pass_plan
from hal.clock import NS, Deadline


@dataclass
class Seen:
    """What came over the bus, in order."""

    bench_late_s: float = 0.0  # the bench's machine stood still for so long, which no real device does
    truths: list[Truth] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def hear(self, sample: Sample[Any]) -> None:
        """Take one message."""
        if sample.topic == SIM_TRUTH.name:
            self.truths.append(sample.body)
            late_s = (sample.sent_utc_ns - sample.body.t_utc_ns) / NS
            self.bench_late_s = max(self.bench_late_s, late_s)
        elif sample.topic == STATION_MODE.name and self.modes[-1:] != [sample.body.mode]:
            self.modes.append(sample.body.mode)
        elif sample.topic == STATION_EVENT.name:
            self.events.append(f"{sample.source}: {sample.body.message}")


class Station(RunningStation):
    """`boresight run` and an operator's client of it, as a test has it: what does not come to be fails."""

    def __init__(self, bench: RunningBench, *options: str) -> None:
        self.seen = Seen()
        super().__init__(bench, self.seen.hear, *options)

    def watch(self, until: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Listen until a condition holds. Fails when it does not come to be."""
        deadline = Deadline(self.clock, timeout_s)
        while not until():
            assert not deadline.expired, f"{what} did not happen within {timeout_s:g} s:\n{self.told()}"
            self.listen(0.02)

    def told(self) -> str:
        """For a failed test: everything that anybody has said."""
        logs = sorted((self.bench.run_dir / "logs").glob("*.log"))
        parts = [f"{log.name}: {log.read_text()[-2000:]}" for log in (self.log, self.bench.log, *logs)]
        return "\n".join([*parts, f"modes: {self.seen.modes}", *self.seen.events[-20:]])

    @property
    def truth(self) -> Truth:
        """The newest."""
        return self.seen.truths[-1]

    def obeys(self, service: str, *methods: str, body: dict[str, Any] | None = None) -> None:
        """Commands that are obeyed, under the lease that is kept."""
        refused = self.ask(service, *methods, body=body)
        assert refused == "", f"{refused}\n{self.told()}"

    def give_back(self) -> None:
        """The lease, to whoever wants it next."""
        if self._lease is not None:
            assert self.client.call(LEASE_KEEPER, "lease.release", {}, 3.0, True, self._lease).code == ""
            self._lease = None

    def take_up(self) -> None:
        """Track what is in the sky and switch on; what a machine that stands still interrupts is begun again."""

        def up() -> bool:
            if self.seen.truths and self.truth.emitting and any(self.truth.axis_command_rad_s):
                return True
            self.bring_up(self.bench.plan)
            return False

        self.watch(up, 90.0, "emission")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBench]:
    """One emulated sky for the tests of a file: a pass lasts five minutes."""
    made = RunningBench(tmp_path_factory.mktemp("realtime"), pass_plan())
    yield made
    made.close()


@pytest.fixture
def keyed_station(tmp_path: Path) -> Iterator[Station]:
    """A station with keys: the operator commands, olga looks; mallory has its public half and is not listed."""
    made = RunningBench(tmp_path, pass_plan(), keyed=True)
    folder, elsewhere = tmp_path / "keys", tmp_path / "elsewhere"
    make_key(folder, "operator", "operator")
    make_key(folder, "olga", "observer")
    make_key(elsewhere, "mallory", "operator")
    shutil.copy2(folder / "station.public", elsewhere)
    made.rig_path.write_text(made.rig_path.read_text().replace("[bus]\n", '[bus]\nkey = "operator"\n'))
    with ExitStack() as stack:
        stack.callback(made.close)
        station = Station(made)
        stack.callback(station.close)
        station.watch(station.alive, 60.0, "the start")
        station.watch(lambda: bool(station.mode) and bool(station.seen.truths), 5.0, "a mode")
        yield station


@pytest.fixture
def start(bench: RunningBench) -> Iterator[Callable[..., Station]]:
    """Starts stations; the last is ended at the latest with the test."""
    with ExitStack() as stack:

        def begin(*options: str) -> Station:
            station = Station(bench, *options)
            stack.callback(station.close)
            return station

        yield begin
