"""Tracking error of one pass, family by family, beside what its steps alone leave. Simulated, in lockstep."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.devices.families import FAMILIES
from controller.cli.bench import open_bench
from controller.cli.demo import DEFAULT_RIG, choose_pass
from controller.cli.factories import MODEL_FILE
from controller.cli.flight import Flight
from controller.cli.rig import emulated_devices
from controller.pointing.implied import implied_error
from controller.pointing.mount import MountModel
from controller.pointing.plan import LEAD_NS, Plan
from hal.rig import load_rig, open_device

RF_STATION = DEFAULT_RIG.parent / "rf-station.toml"
MASK_DEG = 20.0
LEAD_S = 150.0  # a turn of azimuth to the turn that the path takes
SETTLED_NS = 5_000_000_000
BACKLASH_RAD = 75e-6  # of the emulated mount, as a calibration finds it
MISALIGNMENT = ("index_azimuth_urad", "index_elevation_urad", "collimation_urad", "axis_north_urad", "axis_west_urad")


def rig_of(name: str, folder: Path) -> Path:
    """The shipped RF station with another rotator; its own axes are as fast for every family."""
    family = FAMILIES[name]
    text = RF_STATION.read_text(encoding="utf-8")
    for key, value in (
        ("driver", f'"{name}"'),
        ("baud", f"{family.baud}"),
        ("command_latency_s", f"{family.latency_s}"),
        ("elevation_mask_deg", f"{MASK_DEG}"),
    ):
        text = re.sub(rf"(?m)^{key} = \S+", f"{key} = {value}", text, count=1)
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def the_pass(rig: Path) -> Plan:
    """The best pass of the built-in elements, the same for all."""
    return choose_pass(load_rig(rig, dict.fromkeys(emulated_devices(rig), "")), None, "", above_limits=False)


def described() -> str:
    """The pass, in words."""
    with tempfile.TemporaryDirectory() as temporary:
        target = the_pass(rig_of("rot2prog", Path(temporary))).target
    span_s = (target.set_utc_ns - target.rise_utc_ns) * 1e-9
    highest_deg = math.degrees(target.elevation_max_rad)
    return f"{target.elements.name}, {span_s:.0f} s above {MASK_DEG:.0f} degrees, up to {highest_deg:.0f}"


def measure(name: str) -> dict[str, Any]:
    """Fly the pass on a calibrated mount; angles in degrees on the sky, of the axes that the family turns."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rig = rig_of(name, folder)
        plan = the_pass(rig)
        with open_bench(rig, plan.target.elements, plan.target.rise_utc_ns) as bench:
            if bench.lockstep is None:
                raise ValueError("not in lockstep")
            gimbal = open_device(bench.rig, "gimbal", bench.lockstep)
            able = gimbal.capabilities
            gimbal.close()
        MountModel(BA=BACKLASH_RAD, BE=BACKLASH_RAD).save(folder / MODEL_FILE)
        start = plan.trajectory.receive(plan.target.rise_utc_ns - LEAD_NS)
        ready = {
            "start_azimuth_deg": math.degrees(start.azimuth_rad),
            "start_elevation_deg": math.degrees(start.elevation_rad),
        }
        overrides: dict[str, dict[str, object]] = {
            "misalignment": dict.fromkeys(MISALIGNMENT, 0.0),
            "gimbal": {**ready},
            "ephemeris": {"along_track_m": 0.0, "cross_track_m": 0.0},
        }
        flight = Flight(rig, plan, folder, calibrate=False, lead_s=LEAD_S, overrides=overrides)
        try:
            flown = flight.fly({})
        finally:
            flight.close()
        world = flown.bench.world
        rise_ns = plan.target.rise_utc_ns - world.timeline.utc0_ns + SETTLED_NS
        seen = world.statistics([(max(begin, rise_ns), end) for begin, end in flown.windows("POINT") if end > rise_ns])
    rms, peak = (
        math.degrees(math.hypot(*pair) if FAMILIES[name].elevation else pair[0])
        for pair in (seen.coarse_rms_rad, seen.coarse_peak_rad)
    )
    step_rad = able.position_step_rad if able.best == "position" else able.resolution_rad
    limit = math.degrees(_of_steps(step_rad, plan, FAMILIES[name].elevation))
    return {
        "follows_by": able.best,
        "step_deg": math.degrees(step_rad),
        "resolution_limit_rms_deg": limit,
        "told_beforehand_rms_deg": math.degrees(implied_error(plan.trajectory, able).rms_rad),
        "error_rms_deg": rms,
        "error_max_deg": peak,
        "ratio": rms / limit,
        "tracked_s": seen.seconds,
        "baud": FAMILIES[name].baud,
        "failures": {service: str(error) for service, error in flown.failures.items()},
        "final": flown.ending.reason if flown.ending else "",
    }


def _of_steps(step_rad: float, plan: Plan, elevation: bool) -> float:
    """An axis that is always at the nearest multiple of a step is off by step / sqrt(12) rms; azimuth shrinks."""
    times = np.linspace(plan.target.rise_utc_ns, plan.target.set_utc_ns, 200).astype(np.int64)
    looks = plan.trajectory.sample(times)
    return float(step_rad * np.sqrt((np.mean(np.cos(looks[:, 1]) ** 2) + elevation) / 12))
