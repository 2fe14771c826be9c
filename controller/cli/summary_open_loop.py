"""The figures of a pass that an RF station followed open loop: from world truth. SI units in the key names."""

from __future__ import annotations

import math
from typing import Any

from controller.cli.flown import Flown
from controller.cli.summary import iso, mode_times_s, plain
from hal.clock import NS
from hal.rig_sections import RadioSection


def summarise_open_loop(flown: Flown, radio: RadioSection, seed: int) -> dict[str, Any]:
    """The object of summary.json; NaN becomes None. Angles are on the sky, from the target to the boresight.

    The beam falls off by 12 (angle / width)^2 dB about its middle (a parabola through half power), so that the mean
    loss is that of the rms error.
    """
    bench, target = flown.bench, flown.plan.target
    rise_ns, end_ns = (t_ns - bench.world.timeline.utc0_ns for t_ns in (target.rise_utc_ns, flown.end_utc_ns))
    windows = [(max(start, rise_ns), min(end, end_ns)) for start, end in flown.windows("POINT")]
    seen = bench.world.statistics([(start, end) for start, end in windows if end > start])
    rms_rad, max_rad = math.hypot(*seen.coarse_rms_rad), math.hypot(*seen.coarse_peak_rad)
    width_rad = math.radians(radio.beamwidth_deg)
    summary = {
        "target": target.elements.name,
        "gimbal": bench.rig.gimbal.driver,
        "pass_start_utc": iso(target.rise_utc_ns),
        "pass_end_utc": iso(flown.end_utc_ns),
        "max_elevation_deg": math.degrees(target.elevation_max_rad),
        "predicted_outage_s": flown.plan.outage_s,
        "sim": True,
        "seed": seed,
        "mode_times_s": mode_times_s(flown),
        "final_mode": flown.ending.mode if flown.ending else None,
        "final_reason": flown.ending.reason if flown.ending else None,
        "tracking_s": seen.seconds,
        "tracking_error_rms_rad": rms_rad,
        "tracking_error_max_rad": max_rad,
        "beamwidth_rad": width_rad,
        "frequency_hz": radio.frequency_mhz * 1e6,
        "pointing_loss_mean_db": 12 * (rms_rad / width_rad) ** 2,
        "pointing_loss_max_db": 12 * (max_rad / width_rad) ** 2,
        "telemetry_gaps": flown.telemetry_gaps,
        "late_steps": flown.late_steps,
        "failures": {name: str(error) for name, error in flown.failures.items()},
        "realtime_factor": (end_ns - rise_ns) / NS / flown.pass_wall_s if flown.pass_wall_s else float("nan"),
        "wall_s": flown.wall_s,
    }
    return plain(summary)  # type: ignore[no-any-return]
