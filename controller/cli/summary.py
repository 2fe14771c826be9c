"""The figures of a flight: from world truth, never from a loop's own sensor. SI units in the key names."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

from controller.cli.flown import Flown
from controller.geometry.timescales import Floats
from controller.pointing.mount_frame import MountFrame
from controller.pointing.observation import sky_offset
from controller.pointing.plan import LEAD_NS as PATH_LEAD_NS
from controller.tracking.fine_bound import jitter_psd, predictor_bound_rad, tilt_psd
from hal.clock import NS
from hal.rig import RfStation, as_terminal

TRACKING = ("COARSE", "FINE", "LINK")
REVERSAL_NS = 5 * NS  # to either side of the culmination, where the elevation axis turns round
SETTLING_NS = 3 * NS  # after the path has begun, for the axes to come up to speed
Pair = tuple[float, float]


def summary_of(flown: Flown, seed: int) -> dict[str, Any]:
    """The object of summary.json, by what the rig of the flight is."""
    from controller.cli.summary_open_loop import summarise_open_loop

    rig = flown.bench.rig
    if isinstance(rig, RfStation):
        return summarise_open_loop(flown, rig.radio, seed)
    return summarise(flown, seed, as_terminal(rig).link.received_power_threshold_w)


def summarise(flown: Flown, seed: int, threshold_w: float) -> dict[str, Any]:
    """The object of summary.json. Pairs are (cross-elevation, elevation); NaN becomes None."""
    bench, target = flown.bench, flown.plan.target
    world = bench.world
    start_ns = target.rise_utc_ns - world.timeline.utc0_ns
    end_ns = flown.end_utc_ns - world.timeline.utc0_ns
    first_fine_ns, first_link_ns = flown.entered_ns("FINE"), flown.entered_ns("LINK")
    fine_windows = [(first_fine_ns, end_ns)] if first_fine_ns is not None else []
    link_windows = [(first_link_ns, end_ns)] if first_link_ns is not None else []
    coarse = world.statistics(flown.windows(*TRACKING))
    fine = world.statistics(fine_windows)
    link = world.statistics(link_windows, threshold_w)
    turn_ns = target.culmination_utc_ns - world.timeline.utc0_ns
    around_ns = (turn_ns - REVERSAL_NS, turn_ns + REVERSAL_NS)
    reversal = world.statistics(_within(flown.windows(*TRACKING), *around_ns))
    path_ns = start_ns - PATH_LEAD_NS + SETTLING_NS
    open_windows = flown.windows("POINT", "ACQUIRE")
    open_loop = world.statistics([(max(start, path_ns), end) for start, end in open_windows if end > path_ns])
    summary = {
        "target": target.elements.name,
        "gimbal": bench.rig.gimbal.driver,
        "pass_start_utc": iso(target.rise_utc_ns),
        "pass_end_utc": iso(flown.end_utc_ns),
        "max_elevation_deg": math.degrees(target.elevation_max_rad),
        "predicted_outage_s": flown.plan.outage_s,
        "sim": True,
        "seed": seed,
        "drawn": world.drawn,
        "mode_times_s": mode_times_s(flown),
        "final_mode": flown.ending.mode if flown.ending else None,
        "final_reason": flown.ending.reason if flown.ending else None,
        "calibration": _calibration(flown),
        "acquisition_time_s": _acquisition_s(flown),
        "acquisition_time_predicted_s": flown.acquisition_predicted_s,
        "acquisition_sweeps": flown.acquisition_sweeps,
        "acquisition_success_predicted": flown.acquisition_predicted_success,
        "open_loop_error_before_rms_rad": _before(flown, start_ns, end_ns),
        "open_loop_error_after_rms_rad": open_loop.nominal_rms_rad,
        "open_loop_error_to_target_rms_rad": open_loop.coarse_rms_rad,
        "coarse_error_rms_rad": coarse.coarse_rms_rad,
        "coarse_error_peak_rad": coarse.coarse_peak_rad,
        "reversal_error_peak_rad": reversal.coarse_peak_rad,
        "reversal_outside_fine_s": _outside_fine_s(flown, turn_ns, end_ns),
        "coarse_error_total_rms_rad": coarse.total_rms_rad,
        "fine_error_rms_rad": fine.fine_rms_rad,
        "fine_error_p999_rad": fine.fine_p999_rad,
        "transmit_error_rms_rad": fine.transmit_rms_rad,
        "predictor_bound_rad": _bound(flown),
        "link_fraction": link.power_fraction,
        "received_power_mean_w": link.power_mean_w,
        "mirror_saturation_fraction": fine.mirror_saturation_fraction,
        "telemetry_gaps": flown.telemetry_gaps,
        "late_steps": flown.late_steps,
        "failures": {name: str(error) for name, error in flown.failures.items()},
        "realtime_factor": (end_ns - start_ns) / NS / flown.pass_wall_s if flown.pass_wall_s else float("nan"),
        "wall_s": flown.wall_s,
    }
    return plain(summary)  # type: ignore[no-any-return]


def mode_times_s(flown: Flown) -> dict[str, float]:
    """Seconds in each mode, in the order in which they were entered."""
    times: dict[str, float] = {}
    for mode in dict.fromkeys(name for name, _ in flown.modes):
        times[mode] = sum(end - start for start, end in flown.windows(mode)) / NS
    return times


def _within(windows: list[tuple[int, int]], start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    cut = [(max(start, start_ns), min(end, end_ns)) for start, end in windows]
    return [(start, end) for start, end in cut if end > start]


def _outside_fine_s(flown: Flown, turn_ns: int, end_ns: int) -> float:
    """Time that the elevation reversal cost: neither FINE nor LINK, from the culmination to the end."""
    if end_ns <= turn_ns:
        return math.nan
    held = _within(flown.windows("FINE", "LINK"), turn_ns, end_ns)
    return (end_ns - turn_ns - sum(end - start for start, end in held)) / NS


def _acquisition_s(flown: Flown) -> float:
    start_ns, end_ns = flown.entered_ns("ACQUIRE"), flown.entered_ns("COARSE")
    return (end_ns - start_ns) / NS if start_ns is not None and end_ns is not None else float("nan")


def _calibration(flown: Flown) -> dict[str, Any] | None:
    found = flown.calibrated
    if found is None:
        return None
    return {
        "stars": found.stars,
        "residual_rms_rad": found.fit.residual_rms_rad,
        "rejected": found.fit.rejected,
        "model_rad": found.fit.model.to_body(),
        "camera_rotation_rad": found.camera.rotation_rad,
        "camera_pixel_rad": found.camera.scale_rad,
    }


def _before(flown: Flown, start_ns: int, end_ns: int) -> Pair:
    """What the misalignment alone would do to this pass without a mount model: no worm, play or wind."""
    world, frame = flown.bench.world, MountFrame.of(flown.bench.rig)
    where = world.directions(np.linspace(start_ns, end_ns, 200) / NS)
    errors = []
    for azimuth, elevation in zip(where.azimuth_rad, where.elevation_rad, strict=True):
        axes = frame.axes(float(azimuth), float(elevation))
        errors.append(sky_offset(world.axis_boresight_rad(*axes), axes))
    x, y = np.sqrt(np.mean(np.square(errors), axis=0))
    return float(x), float(y)


def _bound(flown: Flown) -> float:
    """Minimum-variance prediction for jitter and tilt with the quad cell's noise and two ticks of total delay."""
    scenario, drawn = flown.bench.world.scenario, flown.bench.world.drawn
    jitter = scenario.jitter

    def density(frequency_hz: Floats) -> Floats:
        shake = jitter_psd(frequency_hz, jitter.psd_at_zero_urad2_hz * 1e-12, jitter.corner_hz)
        if not drawn.get("tilt_rms_rad"):
            return shake
        return np.asarray(shake + tilt_psd(frequency_hz, drawn["tilt_rms_rad"], drawn["tilt_corner_hz"]))

    return predictor_bound_rad(density, drawn["fine"]["noise_equivalent_angle_rad"])


def iso(t_utc_ns: int) -> str:
    """A time as text."""
    return datetime.fromtimestamp(t_utc_ns / NS, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """Only what JSON has."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value
