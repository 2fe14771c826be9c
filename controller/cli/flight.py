"""One pass in lockstep: bench, services, operator and recording together, as fast as the machine can."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.bus.envelope import Envelope, body_of
from controller.bus.holder import holding
from controller.bus.local import LocalBus
from controller.bus.topics import SIM_TRUTH, Truth
from controller.cli.bench import open_bench
from controller.cli.flown import Flown
from controller.operate import Operator
from controller.record import Recorder
from hal.clock import NS, RealClock
from hal.rig import Terminal, as_terminal

if TYPE_CHECKING:
    from controller.cli.bench import Bench
    from controller.pointing.plan import Plan

LEAD_NS = 480 * NS  # for the calibration before the pass
SHORT_LEAD_NS = 60 * NS  # without it: to slew there
TRUTH_PERIOD_NS = round(NS / SIM_TRUTH.rate_hz)
FLUSH_NS = NS  # of simulated time: a twentieth of a second of wall time
AFTER_NS = 3 * NS  # after the pass: the station parks


HEARD = frozenset({"station/mode", "service/heartbeat", "acquisition/state"})

Tell = Callable[[str, str, float], None]  # mode, what goes on, share of the whole from 0 to 1


class Flight:
    """`fly` runs it; the bench stays open for questions until `close`.

    `lead_s` is how long before the rise the bench starts; without it there is time for the calibration, or to slew.
    """

    @property
    def bench(self) -> Bench:
        """The bench that is flown."""
        return self._bench

    def __init__(
        self,
        rig_path: Path,
        plan: Plan,
        out: Path,
        seed: int = 1,
        scenario: str | Path = "default",
        arc_s: float | None = None,
        overrides: dict[str, dict[str, object]] | None = None,
        calibrate: bool = True,
        lead_s: float | None = None,
        tell: Tell = lambda mode, what, share: None,
    ) -> None:
        target = plan.target
        self._calibrate = calibrate
        lead_ns = round(lead_s * NS) if lead_s is not None else LEAD_NS if calibrate else SHORT_LEAD_NS
        self._start_utc_ns = target.rise_utc_ns - lead_ns
        end_utc_ns = (
            target.set_utc_ns if arc_s is None else min(target.set_utc_ns, target.rise_utc_ns + round(arc_s * NS))
        )
        self.out = out
        self._tell = tell
        self._wall = RealClock()
        self._bench = open_bench(rig_path, target.elements, self._start_utc_ns, scenario, seed, overrides=overrides)
        if self._bench.lockstep is None:
            raise ValueError("a flight is in lockstep")
        self._lockstep = self._bench.lockstep
        self._bus = LocalBus(self._lockstep, seed)
        self._flown = Flown(self._bench, plan, end_utc_ns)
        self._wall_ns: dict[str, int] = {}  # of rise and set
        self._heard: list[tuple[str, Envelope]] = []  # to be recorded
        self._doing = ""  # what the operator does, where the mode alone does not say it

    def fly(self, metadata: dict[str, dict[str, str]]) -> Flown:
        """Run to the end of the pass. Raises what stopped the operator; a service that died is in `failures`."""
        flown, lockstep = self._flown, self._lockstep
        factories = import_module("controller.cli.factories")
        began_ns = self._wall.now_ns()
        with Recorder(self.out / "recording.mcap", metadata, FLUSH_NS) as recorder:
            self._bus.tap(lambda topic, envelope: self._heard.append((topic, envelope)))
            self._bus.tap(self._listen)
            for name in factories.services_of(self._bench.rig):
                lockstep.spawn(name, partial(self._serve, getattr(factories, name), name))
            lockstep.spawn("bench", partial(self._publish_truth, recorder))
            lockstep.spawn("operator", partial(self._operate, factories))
            try:
                lockstep.run()
            finally:
                self._record(recorder)
        flown.wall_s = (self._wall.now_ns() - began_ns) / NS
        if len(self._wall_ns) == 2:
            flown.pass_wall_s = (self._wall_ns["set"] - self._wall_ns["rise"]) / NS
        flown.telemetry_gaps = self._bus.gaps()
        flown.failures = dict(lockstep.failures)
        if (error := flown.failures.pop("operator", None)) is not None:
            raise next(iter(flown.failures.values()), error)  # what died first is why the operator gave up
        return flown

    def close(self) -> None:
        """Unplug the bench."""
        self._bench.close()

    def _serve(self, factory: Callable[..., Any], name: str) -> None:
        factory(self._lockstep, self._bus.port(name), self._bench.rig, self.out).run()

    def _operate(self, factories: Any) -> None:
        from controller.calibrate import Calibration
        from controller.pointing.ground import Ground
        from controller.pointing.mount_frame import MountFrame

        flown, clock = self._flown, self._lockstep
        port = self._bus.port("operator")
        rig = self._bench.rig
        services = factories.services_of(rig)
        try:
            Operator(clock, port, services).wait_for_services()
            with holding(clock, port, "station", "a flight") as held:
                operator = Operator(clock, held, services)
                if self._calibrate:
                    calibration = Calibration(
                        clock,
                        held,
                        factories.observer_of(rig),
                        as_terminal(rig).optics.beacon_wavelength_nm * 1e-3,
                        self._calibrates,
                        MountFrame.of(rig),
                        math.radians(rig.safety.sun_cone_deg),
                        Ground.of(rig),
                    )
                    flown.calibrated = operator.calibrate(calibration)
                    self._doing = ""
                    flown.calibrated.fit.model.save(self.out / factories.MODEL_FILE, "simulated", simulated=True)
                operator.track(flown.plan, flown.end_utc_ns)
                if isinstance(rig, Terminal):
                    operator.arm()
                flown.ending = operator.watch(flown.end_utc_ns + AFTER_NS)
        finally:
            self._bus.stop()

    def _publish_truth(self, recorder: Recorder) -> None:
        """Say what is so, and record what was said meanwhile: many messages at once cost a third less."""
        port, clock, world = self._bus.port("bench"), self._lockstep, self._bench.world
        due_ns = clock.now_ns()
        while not self._bus.stopped:
            port.publish(SIM_TRUTH, Truth(**world.truth()))
            self._record(recorder)
            due_ns += TRUTH_PERIOD_NS
            clock.sleep_until(due_ns)

    def _record(self, recorder: Recorder) -> None:
        heard, self._heard = self._heard, []
        for topic, envelope in heard:
            recorder.write(topic, envelope)
        recorder.tick(self._lockstep.now_ns())

    def _listen(self, topic: str, envelope: Envelope) -> None:
        if topic not in HEARD:
            return
        flown = self._flown
        flown.hear(topic, envelope.src, envelope.t, body_of(envelope))
        if topic == "station/mode":
            self._progress(flown.modes[-1][0], self._doing)
            for name, t_utc_ns in (("rise", flown.plan.target.rise_utc_ns), ("set", flown.end_utc_ns)):
                if name not in self._wall_ns and envelope.t >= t_utc_ns:
                    self._wall_ns[name] = self._wall.now_ns()

    def _calibrates(self, what: str, share: float) -> None:
        self._doing = f"calibrating: {what}"

    def _progress(self, mode: str, what: str) -> None:
        whole_ns = self._flown.end_utc_ns - self._start_utc_ns
        self._tell(mode, what, min(1.0, self._lockstep.now_ns() / whole_ns))
