"""Residual spectrum and disturbance budget of a report."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from controller.report.load import Array, Pass
from controller.report.plots import AXES, TRACKING, TRUTH, within
from controller.report.style import FAINT, FIRST, SECOND, THIRD, figure, legend

TICK_HZ = 10_000.0


def density(samples: Array, rate_hz: float, length: int = 8192) -> tuple[Array, Array]:
    """One-sided power density by Welch's method, Hann windows that overlap by half; frequencies in Hz and unit^2/Hz."""
    length = min(length, len(samples) // 2)
    window = np.hanning(length)
    starts = range(0, len(samples) - length + 1, length // 2)
    samples = samples - samples.mean()
    pieces = np.array([samples[s : s + length] * window for s in starts])
    scale = float(2 / (rate_hz * np.sum(window**2)))
    power: Array = np.asarray(np.mean(np.abs(np.fft.rfft(pieces)) ** 2, axis=0) * scale, dtype=np.float64)
    frequency: Array = np.asarray(np.fft.rfftfreq(length, 1 / rate_hz), dtype=np.float64)
    return frequency[1:], power[1:]


def residual_spectrum(flown: Pass) -> Figure | None:
    """Density of the fine error at 10 kHz, its sum from above, and the jitter that it started from."""
    samples = flown.fine_rad
    if samples is None or len(samples) < 2048 or not flown.optical:
        return None
    made, (axes,) = figure(1, 3.1)
    right = axes.twinx()
    right.grid(False)
    right.spines["right"].set_visible(True)
    for axis, colour in enumerate((FIRST, SECOND)):
        f, s = density(samples[:, axis] * 1e6, TICK_HZ)
        axes.loglog(f, s, color=colour, lw=0.9, label=f"residual, {AXES[axis]}")
        right.semilogx(f, np.sqrt(np.cumsum(s) * (f[1] - f[0])), color=colour, lw=0.9, ls=(0, (4, 2)))
    f = np.geomspace(f[0], f[-1], 200)
    axes.loglog(f, 160 / (1 + f**2), color=FAINT, lw=0.9, label="line-of-sight jitter before the loop, 160/(1+f²)")
    axes.set_ylim(1e-8, 1e3)
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("density (µrad²/Hz)")
    right.set_ylabel("dashed: rms up to f (µrad)")
    right.set_ylim(0, None)
    legend(axes, 3)
    return made


def budget_rows(flown: Pass) -> list[tuple[str, float, str]]:
    """(what, µrad rms of one axis, where the number comes from), largest first within each kind."""
    rows: list[tuple[str, float, str]] = []
    drawn: dict[str, Any] = flown.summary.get("drawn", {})
    truth = flown.get(TRUTH)
    nearest_m = 0.0
    if truth is not None and (k := within(truth, flown, TRACKING)).any():
        nearest_m = float(np.nanmin(truth["range_m"][k]))

    def add(what: str, value: object, source: str) -> None:
        if isinstance(value, (int, float)) and math.isfinite(value) and value > 0:
            rows.append((what, float(value), source))

    before = flown.summary.get("open_loop_error_before_rms_rad")
    add("mount misalignment", _rms(before), "uncalibrated mount over this pass")
    add("mount after calibration", _rms(flown.summary.get("open_loop_error_after_rms_rad")), "star calibration")
    if nearest_m:
        for way in ("along", "cross"):
            metres = drawn.get(f"ephemeris_{way}_track_m")
            if isinstance(metres, (int, float)):
                add(f"ephemeris {way} track", abs(metres) / nearest_m * 1e6, f"{metres:+.0f} m at the nearest point")
    if truth is not None and (k := within(truth, flown, TRACKING)).any():
        both = truth["total_error_rad"][k] - truth["coarse_error_rad"][k]
        add("line-of-sight jitter and tilt", _rms(np.sqrt(np.mean(both**2, axis=0))), "truth, COARSE to LINK")
        add("what the coarse loop leaves", _rms(_rms_of(truth["coarse_error_rad"][k])), "truth, COARSE to LINK")
    tilt = drawn.get("tilt_rms_rad")
    if isinstance(tilt, (int, float)):
        add("of it turbulence tilt", tilt * 1e6, "HV5/7 with slew")
    if truth is not None and (k := within(truth, flown, ("FINE", "LINK"))).any():
        add("what the fine loop leaves", _rms(_rms_of(truth["fine_error_rad"][k])), "truth, FINE and LINK")
        add("transmit direction", _rms(_rms_of(truth["transmit_error_rad"][k])), "truth, anisoplanatism included")
    bound = flown.summary.get("predictor_bound_rad")
    add("best causal predictor", bound * 1e6 if isinstance(bound, float) else None, "bound for the same delay")
    return rows


def budget(flown: Pass) -> Figure | None:
    """Disturbances and what each loop leaves of them, as bars."""
    rows = budget_rows(flown)
    if len(rows) < 2:
        return None
    made, (axes,) = figure(1, 0.55 + 0.3 * len(rows))
    left = {"what the coarse loop leaves", "what the fine loop leaves", "mount after calibration", "transmit direction"}
    for number, (what, value, _) in enumerate(rows):
        colour = THIRD if what in left else FAINT if what.startswith("best") else FIRST
        axes.barh(number, value, color=colour, height=0.62)
        axes.annotate(f"{value:.3g}", (value, number), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(rows)), [what for what, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(0.3, 3 * max(value for _, value, _ in rows))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("rms of one axis (µrad): blue disturbance, green what is left, grey bound")
    return made


def _rms_of(values: Array) -> Array:
    result: Array = np.sqrt(np.mean(values**2, axis=0))
    return result


def _rms(pair: Any) -> float | None:
    """Mean over both axes, in µrad."""
    if pair is None or any(v is None for v in pair):
        return None
    return math.sqrt((pair[0] ** 2 + pair[1] ** 2) / 2) * 1e6
