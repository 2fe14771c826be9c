"""A short pass in lockstep on a calibrated mount that stands ready: 25 s before the rise, some seconds of the pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from controller.cli.bench import Bench
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.factories import MODEL_FILE
from controller.cli.flight import Flight
from controller.cli.flown import Flown
from controller.cli.rig import emulated_devices
from controller.pointing.mount import MountModel
from controller.pointing.mount_frame import MountFrame
from controller.pointing.mount_sky import path_in_axes
from controller.pointing.plan import LEAD_NS, Plan
from hal.clock import NS
from hal.rig import load_rig

LEAD_S = 25.0
BACKLASH_RAD = 75e-6  # half the scenario's play, which a calibration finds
MISALIGNMENT = ("index_azimuth_urad", "index_elevation_urad", "collimation_urad", "axis_north_urad", "axis_west_urad")


@cache
def best_pass() -> Plan:
    """What the demo would fly."""
    rig = load_rig(DEFAULT_RIG, dict.fromkeys(emulated_devices(DEFAULT_RIG), ""))
    return choose_pass(rig, None, "", above_limits=False)


class ShortPass:
    """Flies; times of the bench are nanoseconds, `rise_ns` is when the satellite comes over the mask."""

    rise_ns = round(LEAD_S * NS)

    def __init__(self, out: Path) -> None:
        self.out = out
        self.plan = best_pass()

    def __call__(
        self,
        arc_s: float,
        fault: Callable[[Bench], Any] | None = None,
        fault_ns: int = 0,
        rig: Path = DEFAULT_RIG,
        **overrides: dict[str, object],
    ) -> Flown:
        """Fly `arc_s` of the pass with a rig; `fault` happens to the bench at `fault_ns`."""
        plan = self.plan
        frame = MountFrame.of(load_rig(rig, dict.fromkeys(emulated_devices(rig), "")))
        MountModel(BA=BACKLASH_RAD, BE=BACKLASH_RAD, frame=frame).save(self.out / MODEL_FILE)
        start = path_in_axes(plan.trajectory, frame).receive(plan.target.rise_utc_ns - LEAD_NS)
        ready: dict[str, object] = {
            "start_azimuth_deg": math.degrees(start.azimuth_rad),
            "start_elevation_deg": math.degrees(start.elevation_rad),
        }
        scenario = {"misalignment": dict.fromkeys(MISALIGNMENT, 0.0), "gimbal": ready, **overrides}
        flight = Flight(rig, plan, self.out, 1, arc_s=arc_s, calibrate=False, lead_s=LEAD_S, overrides=scenario)
        if fault is not None:
            happens = fault
            flight.bench.world.timeline.schedule(fault_ns, lambda: happens(flight.bench))
        try:
            return flight.fly({})
        finally:
            flight.close()


@pytest.fixture
def short_pass(tmp_path: Path) -> ShortPass:
    """A pass to fly once."""
    return ShortPass(tmp_path)
