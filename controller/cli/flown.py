"""What a pass leaves behind for its summary, however it was flown: in lockstep, or read from a recording."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.operate import Ending
from hal.clock import NS

if TYPE_CHECKING:
    from controller.calibrate import Calibrated
    from controller.cli.bench import Bench
    from controller.pointing.plan import Plan


@dataclass
class Flown:
    """Fed with the messages of the bus in order; times in nanoseconds of the bench."""

    bench: Bench
    plan: Plan
    end_utc_ns: int
    calibrated: Calibrated | None = None
    ending: Ending | None = None
    modes: list[tuple[str, int]] = field(default_factory=list)  # mode, and when it was entered
    acquisition_predicted_s: float = float("nan")  # of the first sweep
    acquisition_predicted_success: float = float("nan")
    acquisition_sweeps: int = 0  # until the first COARSE
    telemetry_gaps: int = 0
    wall_s: float = 0.0
    pass_wall_s: float = float("nan")  # of that, from rise on
    failures: dict[str, BaseException] = field(default_factory=dict)
    _late: dict[str, int] = field(default_factory=dict)

    @property
    def late_steps(self) -> int:
        """Steps of all services that began after they were due."""
        return sum(self._late.values())

    def hear(self, topic: str, source: str, t_utc_ns: int, body: Any) -> None:
        """Take one message; `body` has the fields of the topic's struct."""
        if topic == "station/mode":
            if not self.modes or self.modes[-1][0] != body.mode:
                self.modes.append((body.mode, t_utc_ns - self.bench.world.timeline.utc0_ns))
                self.ending = Ending(body.mode, body.reason)
        elif topic == "service/heartbeat":
            self._late[source] = body.late_steps
        elif topic == "acquisition/state" and body.predicted_mean_s > 0:
            if isnan(self.acquisition_predicted_s):
                self.acquisition_predicted_s = body.predicted_mean_s
                self.acquisition_predicted_success = body.predicted_success
            if not any(mode == "COARSE" for mode, _ in self.modes):
                self.acquisition_sweeps = max(self.acquisition_sweeps, body.sweep + 1)

    def windows(self, *modes: str) -> list[tuple[int, int]]:
        """Spans of time spent in any of the modes."""
        ends = [t_ns for _, t_ns in self.modes[1:]] + [self.bench.world.now_ns]
        return [(t, end) for (mode, t), end in zip(self.modes, ends, strict=True) if mode in modes]

    def entered_ns(self, mode: str) -> int | None:
        """When a mode was entered first."""
        return next((t_ns for name, t_ns in self.modes if name == mode), None)


def heard(recording: Path, bench: Bench, plan: Plan) -> Flown:
    """A pass as its recording tells it."""
    from types import SimpleNamespace

    from controller.record import read_run

    flown = Flown(bench, plan, plan.target.set_utc_ns)
    first_ns = last_ns = 0
    for message in read_run(recording):
        if message.topic.startswith("sim/"):
            continue
        flown.hear(message.topic, message.source, message.log_time_ns, SimpleNamespace(**message.body))
        first_ns, last_ns = first_ns or message.log_time_ns, message.log_time_ns
        if message.topic == "bus/gaps":
            flown.telemetry_gaps = max(flown.telemetry_gaps, sum(message.body["gaps"].values()))
    flown.wall_s = (last_ns - first_ns) / NS
    flown.pass_wall_s = (last_ns - plan.target.rise_utc_ns) / NS
    return flown
