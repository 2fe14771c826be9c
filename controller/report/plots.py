"""The plots over time of a report. Each takes a Pass and returns a figure, or None when there is nothing to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from controller.report.load import Array, Pass, Series
from controller.report.style import FAINT, FIRST, INK, MODE_COLOURS, SECOND, THIRD, figure, legend, ribbon, thinned

TRUTH = "sim/truth/line_of_sight"
TRACKING = ("COARSE", "FINE", "LINK")
AXES = ("cross-elevation", "elevation")
Limits = tuple[float, float]
POINT_SHOWN_S = 30.0  # a mount that waits for its target shows nothing new


def limits(flown: Pass) -> Limits:
    """From a little before the target is followed to just before the last mode that follows it ends."""
    followed = [s for s in flown.modes if s.mode in {"POINT", "ACQUIRE", *TRACKING}]
    if followed:
        begun = next((s.start_s for s in followed if s.mode != "POINT"), followed[0].start_s)
        return max(followed[0].start_s - 2.0, begun - POINT_SHOWN_S), followed[-1].end_s - 0.1
    every = [s for s in flown.series.values() if len(s.t_s) > 1]
    return (min(s.t_s[0] for s in every), max(s.t_s[-1] for s in every)) if every else (0.0, 1.0)


def within(series: Series, flown: Pass, modes: Sequence[str]) -> NDArrayBool:
    """Which samples fall into any of the modes."""
    inside = np.zeros(len(series.t_s), dtype=bool)
    for span in flown.modes:
        if span.mode in modes:
            inside |= (series.t_s >= span.start_s) & (series.t_s < span.end_s)
    return inside


NDArrayBool = np.ndarray[Any, np.dtype[np.bool_]]


def sky_track(flown: Pass) -> Figure | None:
    """Where the target went, north up and east to the right, coloured by mode."""
    series = flown.get("pointing/state")
    if series is None:
        return None
    made = Figure(figsize=(4.6, 4.6), layout="constrained")
    axes: Any = made.add_subplot(projection="polar")
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_rlim(0, 90)
    axes.set_rticks([0, 30, 60, 90], labels=["90°", "60°", "30°", "0°"])
    axes.set_rlabel_position(112)
    axes.set_thetagrids([0, 45, 90, 135, 180, 225, 270, 315], ["N", "NE", "E", "SE", "S", "SW", "W", "NW"])
    axes.grid(color="#d5dae0", linewidth=0.6)
    azimuth, elevation = series["target_azimuth_rad"], np.degrees(series["target_elevation_rad"])
    shown = False
    for mode in ("SLEW", "POINT", "ACQUIRE", *TRACKING):
        k = within(series, flown, (mode,)) & (elevation > 0)
        if k.any():
            axes.scatter(azimuth[k], 90 - elevation[k], s=5, color=MODE_COLOURS[mode], label=mode, lw=0)
            shown = True
    if not shown:
        axes.plot(azimuth, 90 - elevation, color=FIRST)
    follow = within(series, flown, ("POINT", "ACQUIRE", *TRACKING))
    if follow.any():
        first, top = int(np.argmax(follow)), int(np.argmax(np.where(follow, elevation, -90)))
        axes.set_rlabel_position(float(np.degrees(azimuth[top])) + 180)
        axes.plot(azimuth[first], 90 - elevation[first], "o", mfc="white", mec=INK, ms=6)
        axes.annotate(f"{elevation[top]:.1f}°", (azimuth[top], 90 - elevation[top]), xytext=(6, 6), fontsize=9,
                      textcoords="offset points")  # fmt: skip
    if shown:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.16, -0.12), ncols=1, markerscale=2.5, handletextpad=0.2)
    return made


def mode_ribbon(flown: Pass) -> Figure | None:
    """The modes over the pass, with elevation and range of the target."""
    if not flown.modes:
        return None
    span = limits(flown)
    made, (bar, axes) = figure(2, 2.9, height_ratios=(1, 5))
    bar.set_axis_off()
    bar.set_ylim(0, 1)
    for part in flown.modes:
        start, end = max(part.start_s, span[0]), min(part.end_s, span[1])
        if end <= start:
            continue
        bar.axvspan(start, end, color=MODE_COLOURS.get(part.mode, FAINT), lw=0)
        if end - start > 0.07 * (span[1] - span[0]):
            light = part.mode in {"LINK", "SAFE", "FAULT"}
            bar.text((start + end) / 2, 0.5, part.mode, ha="center", va="center", fontsize=9, fontweight="bold",
                     color="white" if light else INK)  # fmt: skip
    used = dict.fromkeys(p.mode for p in flown.modes if p.end_s > span[0] and p.start_s < span[1])
    bar.legend(handles=[Patch(color=MODE_COLOURS.get(m, FAINT), label=m) for m in used], ncols=len(used),
               loc="lower left", bbox_to_anchor=(0, 0.95), handlelength=1.0, columnspacing=1.2)  # fmt: skip
    series = flown.get("pointing/state")
    if series is not None:
        axes.plot(*thinned(series.t_s, np.degrees(series["target_elevation_rad"]), span), color=FIRST)
        axes.set_ylabel("elevation (deg)", color=FIRST)
        right = axes.twinx()
        right.grid(False)
        right.spines["right"].set_visible(True)
        right.plot(*thinned(series.t_s, series["range_m"] * 1e-3, span), color=SECOND)
        right.set_ylabel("range (km)", color=SECOND)
    axes.set_xlim(span)
    _time_axis(axes)
    return made


def takeover(flown: Pass) -> Figure | None:
    """How each loop takes over from the one before: magnitudes of the true errors on a logarithmic axis."""
    truth = flown.get(TRUTH)
    if truth is None or not flown.optical:
        return None
    span = limits(flown)
    made, (axes,) = figure(1, 3.1)
    lines = (
        ("total_error_rad", "gimbal, with jitter and tilt", "#c9d3de"),
        ("coarse_error_rad", "gimbal (coarse error)", FIRST),
        ("transmit_error_rad", "transmitted beam", SECOND),
        ("fine_error_rad", "mirror (fine error)", THIRD),
    )
    for name, label, colour in lines:
        size = np.maximum(np.hypot(truth[name][:, 0], truth[name][:, 1]) * 1e6, 1e-2)
        axes.plot(*thinned(truth.t_s, size, span), color=colour, label=label, lw=0.8)
    axes.set_yscale("log")
    axes.set_ylabel("error (µrad)")
    legend(axes, 4)
    ribbon(axes, flown.modes, span)
    _time_axis(axes)
    return made


def off_target(flown: Pass) -> Figure | None:
    """How far an antenna's axis is off the target, beside half of its beam."""
    truth = flown.get(TRUTH)
    if truth is None or flown.optical:
        return None
    span = limits(flown)
    made, (axes,) = figure(1, 3.1)
    off_deg = np.degrees(np.hypot(truth["coarse_error_rad"][:, 0], truth["coarse_error_rad"][:, 1]))
    axes.plot(*thinned(truth.t_s, off_deg, span), color=FIRST, lw=0.8, label="axis to target")
    half_deg = np.degrees(flown.summary.get("beamwidth_rad", np.nan)) / 2
    axes.axhline(half_deg, color="#d64545", lw=0.9, ls=(0, (5, 3)), label="half of the beam at half power")
    followed = off_deg[within(truth, flown, ("POINT",)) & (truth.t_s >= 0)]
    largest = float(followed.max()) if len(followed) else 0.0
    axes.set_ylim(0, 1.1 * max(largest, half_deg if np.isfinite(half_deg) else 0.0, 1e-3))
    axes.set_ylabel("off the target (deg)")
    legend(axes, 2)
    ribbon(axes, flown.modes, span)
    _time_axis(axes)
    return made


def coarse(flown: Pass) -> Figure | None:
    """The coarse loop: true error where it is known, the camera's view of it, the estimate."""
    seen, truth = flown.get("tracking/coarse"), flown.get(TRUTH)
    if seen is None:
        return None
    span = _from_mode(flown, "COARSE")
    made, rows = figure(2, 3.9)
    detected = seen["detected"] > 0
    for axis, axes in enumerate(rows):
        measured = np.where(detected, seen["error_rad"][:, axis], np.nan) * 1e6
        axes.plot(*thinned(seen.t_s, measured, span), color="#c9d3de", lw=0.7, label="camera")
        if truth is not None:
            y = truth["coarse_error_rad"][:, axis] * 1e6
            axes.plot(*thinned(truth.t_s, y, span), color=(FIRST, SECOND)[axis], lw=0.9, label="truth, jitter left out")
        y = seen["estimate_rad"][:, axis] * 1e6
        axes.plot(*thinned(seen.t_s, np.where(detected, y, np.nan), span), color=INK, lw=0.6, label="estimate")
        axes.set_ylabel(f"{AXES[axis]}\n(µrad)")
        reference = truth["coarse_error_rad"][:, axis] * 1e6 if truth is not None else measured
        t_s = truth.t_s if truth is not None else seen.t_s
        _fit_y(axes, t_s, reference, (span[0] + 3, span[1]), least=60.0)
    legend(rows[0], 3)
    ribbon(rows[0], flown.modes, span)
    _time_axis(rows[1])
    return made


def fine(flown: Pass) -> Figure | None:
    """The fine loop: true residual of receive and transmit direction, or the quad cell's own rms without truth."""
    truth, board = flown.get(TRUTH), flown.get("tracking/fine")
    if not any(s.mode in {"FINE", "LINK"} for s in flown.modes) or (truth is None and board is None):
        return None
    span = _from_mode(flown, "FINE")
    made, rows = figure(2, 3.9)
    for axis, axes in enumerate(rows):
        if truth is not None:
            y = truth["transmit_error_rad"][:, axis] * 1e6
            axes.plot(*thinned(truth.t_s, y, span), color="#e3b59d", lw=0.6, label="transmit")
            y = truth["fine_error_rad"][:, axis] * 1e6
            axes.plot(*thinned(truth.t_s, y, span), color=THIRD, lw=0.6, label="receive")
            _fit_y(axes, truth.t_s, truth["transmit_error_rad"][:, axis] * 1e6, span, least=4.0)
        elif board is not None:
            axes.plot(
                *thinned(board.t_s, board["quad_rms_rad"][:, axis] * 1e6, span), color=THIRD, label="quad cell rms"
            )
        axes.set_ylabel(f"{AXES[axis]}\n(µrad)")
    legend(rows[0], 2)
    ribbon(rows[0], flown.modes, span)
    _time_axis(rows[1])
    return made


def mirror(flown: Pass) -> Figure | None:
    """Mirror angle on the sky, what has been handed to the gimbal, and saturation."""
    board = flown.get("tracking/fine")
    if board is None:
        return None
    span = limits(flown)
    made, (axes,) = figure(1, 2.6)
    for axis, colour in enumerate((FIRST, SECOND)):
        y = board["mirror_mean_rad"][:, axis] * 1e6
        axes.plot(*thinned(board.t_s, y, span), color=colour, lw=0.7, label=f"mirror, {AXES[axis]}")
        y = board["offload_rad"][:, axis] * 1e6
        axes.plot(*thinned(board.t_s, y, span), color=colour, lw=1.6, ls=(0, (4, 2)), label=f"offload, {AXES[axis]}")
    saturated = board["saturated_ticks"] > 0
    if saturated.any():
        axes.plot(board.t_s[saturated], np.zeros(saturated.sum()), "|", color="#d64545", ms=14, label="saturated")
    axes.set_ylabel("line-of-sight angle (µrad)")
    legend(axes, 5)
    ribbon(axes, flown.modes, span)
    _time_axis(axes)
    return made


def power(flown: Pass) -> Figure | None:
    """Received power as metered, true where known, and the threshold of the link."""
    meter, truth = flown.get("link/state"), flown.get(TRUTH)
    if (meter is None and truth is None) or not flown.optical:
        return None
    span = limits(flown)
    made, (axes,) = figure(1, 2.6)
    if truth is not None:
        y = np.maximum(truth["received_power_w"] * 1e9, 1e-3)
        axes.plot(*thinned(truth.t_s, y, span), color="#bcd8c6", lw=0.6, label="at the meter (truth)")
    if meter is not None:
        y = np.maximum(meter["received_power_w"] * 1e9, 1e-3)
        axes.plot(*thinned(meter.t_s, y, span), color=THIRD, lw=0.9, label="as metered")
        threshold = float(meter["threshold_w"][-1]) * 1e9
        axes.axhline(threshold, color="#d64545", lw=0.9, ls=(0, (5, 3)))
        axes.annotate(f"threshold {threshold:g} nW", (1.0, threshold), xycoords=("axes fraction", "data"), ha="right",
                      xytext=(-4, 3), textcoords="offset points", color="#b03030", fontsize=8.5)  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylabel("received power (nW)")
    legend(axes, 4)
    ribbon(axes, flown.modes, span)
    _time_axis(axes)
    return made


def _from_mode(flown: Pass, mode: str) -> Limits:
    """From the first stay in a mode to the end of the pass."""
    start, end = limits(flown)
    return next((s.start_s for s in flown.modes if s.mode == mode), start), end


def _fit_y(axes: Any, t_s: Array, y: Array, span: Limits, least: float) -> None:
    """Symmetric limits that show all but the wildest thousandth of the span."""
    inside = y[(t_s >= span[0]) & (t_s <= span[1])]
    inside = inside[np.isfinite(inside)]
    top = max(least, 1.25 * float(np.quantile(np.abs(inside), 0.999))) if len(inside) else least
    axes.set_ylim(-top, top)


def _time_axis(axes: Any) -> None:
    axes.set_xlabel("time since the start of the pass (s)")
