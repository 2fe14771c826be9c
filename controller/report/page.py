"""The page: header, summary, plots with captions, events, what is not modelled. One file, nothing is fetched."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from controller.record import OnDamage, ignore
from controller.report import plots, spectrum
from controller.report.load import NS, Pass, ReportError, load
from controller.report.style import look, svg
from controller.report.unmodelled import UNMODELLED

__all__ = ["ReportError", "write_report"]

DEG = 180 / math.pi
Plot = Callable[[Pass], Figure | None]

SECTIONS: tuple[tuple[str, str, Plot], ...] = (
    ("Modes", "What the station was doing, with elevation and range of the target.", plots.mode_ribbon),
    (
        "How each loop takes over",
        "Distances on the sky, truth. The coloured band above each plot is the mode.",
        plots.takeover,
    ),
    (
        "Off the target",
        "Distance on the sky, truth, in an antenna's open loop. The coloured band above is the mode.",
        plots.off_target,
    ),
    (
        "Coarse loop",
        "Camera to gimbal. The camera also sees line-of-sight jitter, which the gimbal must not follow.",
        plots.coarse,
    ),
    ("Fine loop", "What is left behind the steering mirror, for the received and the transmitted beam.", plots.fine),
    (
        "Mirror",
        "Mean line-of-sight angle of the steering mirror, and the part that was handed to the gimbal.",
        plots.mirror,
    ),
    ("Received power", "At the power meter, behind the fibre.", plots.power),
    (
        "Residual spectrum",
        "Fine error at 10 kHz over the last seconds of the pass, against the jitter that comes in.",
        spectrum.residual_spectrum,
    ),
    ("Disturbance budget", "What disturbs the line of sight, and what each loop leaves of it.", spectrum.budget),
)

STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:#f4f6f8;color:#1c2530;font:15px/1.5 "DejaVu Sans",Verdana,"Segoe UI",Arial,sans-serif}
main{max-width:1040px;margin:0 auto;padding:28px 20px 60px}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:6px 16px;margin-bottom:18px}
h1{font-size:26px;margin:0;letter-spacing:-.01em}
h2{font-size:17px;margin:0 0 2px}
.when{color:#55616e}
.sim{background:#fff1cc;color:#7a4f00;border:1px solid #ecd28a;border-radius:4px;padding:1px 8px;font-weight:bold;
font-size:13px}
section{background:#fff;border:1px solid #e0e5ea;border-radius:8px;padding:16px 18px;margin:0 0 16px}
section p{margin:0 0 8px;color:#55616e;font-size:13.5px}
svg{display:block;width:100%;height:auto}
.top{display:grid;grid-template-columns:minmax(300px,5fr) minmax(320px,6fr);gap:16px}
.top section{margin:0}
.top svg{max-width:430px;margin:0 auto}
.row{margin:16px 0}
@media(max-width:820px){.top{grid-template-columns:1fr}}
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
td,th{padding:4px 6px;border-bottom:1px solid #edf0f3;text-align:left;vertical-align:top}
th{color:#55616e;font-weight:normal}
td.n{text-align:right;white-space:nowrap}
dt{font-weight:bold;margin-top:8px}
dd{margin:0;color:#3a4652}
.warning{color:#9a5b00}.error{color:#b02020}
footer{color:#6b7785;font-size:12.5px;margin-top:24px}
@media print{body{background:#fff}section{break-inside:avoid}}
"""


def write_report(source: Path, damaged: OnDamage = ignore) -> Path:
    """Make report.html in a pass folder, or an HTML file beside a recording; returns it.

    `damaged` is told what of the recording cannot be read. Raises ReportError, RecordingError.
    """
    flown = load(source, damaged)
    parts = [_head(flown), '<div class="top">', _figure_section(flown, *_TRACK), _summary(flown), "</div>"]
    parts.append('<div class="row"></div>')
    parts += [_figure_section(flown, *section) for section in SECTIONS]
    parts += [_events(flown), _unmodelled(flown), _foot()]
    file = source.with_suffix(".html") if source.is_file() else source / "report.html"
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text("\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    os.replace(partial, file)
    return file


_TRACK: tuple[str, str, Plot] = (
    "Sky track",
    "North is up, east to the right; the circle marks the start.",
    plots.sky_track,
)


def _figure_section(flown: Pass, title: str, caption: str, plot: Plot) -> str:
    with look():
        made = plot(flown)
        if made is None:
            return ""
        drawing = svg(made, flown.simulated)
    return f"<section><h2>{html.escape(title)}</h2><p>{html.escape(caption)}</p>{drawing}</section>"


def _head(flown: Pass) -> str:
    when = datetime.fromtimestamp(flown.t0_utc_ns / NS, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    target = flown.target or str(flown.summary.get("target", "")) or "no target"
    mark = '<span class="sim">sim: emulated devices</span>' if flown.simulated else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(target)} {when}</title><style>{STYLE}</style></head><body><main>"
        f'<header><h1>{html.escape(target)}</h1><span class="when">pass of {when}</span>{mark}</header>'
    )


def _summary(flown: Pass) -> str:
    rows = summary_rows(flown)
    if not rows:
        return ""
    cells = "".join(f'<tr><th>{html.escape(k)}</th><td class="n">{html.escape(v)}</td></tr>' for k, v in rows)
    return f"<section><h2>Summary</h2><p>Per axis: cross-elevation / elevation.</p><table>{cells}</table></section>"


def summary_rows(flown: Pass) -> list[tuple[str, str]]:
    """The summary as a person reads it; what is missing is left out."""
    found = flown.summary

    def micro(key: str) -> str:
        value = found.get(key)
        values: list[float | None] = value if isinstance(value, list) else [value]
        known = [v for v in values if v is not None]
        return " / ".join(f"{v * 1e6:.3g}" for v in known) + " µrad" if len(known) == len(values) else ""

    def number(key: str, unit: str, digits: int = 1, scale: float = 1.0) -> str:
        value = found.get(key)
        return "" if value is None else f"{value * scale:.{digits}f} {unit}"

    rows = [
        ("highest elevation", number("max_elevation_deg", "°")),
        ("tracking error, rms", number("tracking_error_rms_rad", "°", 2, DEG)),
        ("tracking error, largest", number("tracking_error_max_rad", "°", 2, DEG)),
        ("beam, full width at half power", number("beamwidth_rad", "°", 2, DEG)),
        ("lost by pointing, mean", number("pointing_loss_mean_db", "dB", 2)),
        ("lost by pointing, at most", number("pointing_loss_max_db", "dB", 2)),
        ("acquisition", number("acquisition_time_s", "s")),
        ("acquisition, predicted mean", number("acquisition_time_predicted_s", "s")),
        ("open loop before calibration, rms", micro("open_loop_error_before_rms_rad")),
        ("open loop after calibration, rms", micro("open_loop_error_after_rms_rad")),
        ("coarse error, rms", micro("coarse_error_rms_rad")),
        ("coarse error, peak", micro("coarse_error_peak_rad")),
        ("coarse error, peak at the reversal", micro("reversal_error_peak_rad")),
        ("fine error, rms", micro("fine_error_rms_rad")),
        ("fine error, 99.9 %", micro("fine_error_p999_rad")),
        ("best causal predictor, rms", micro("predictor_bound_rad")),
        ("transmit error, rms", micro("transmit_error_rms_rad")),
        ("link up since first light", number("link_fraction", "%", 2, 100.0)),
        ("mirror saturated", number("mirror_saturation_fraction", "%", 3, 100.0)),
        ("telemetry gaps", number("telemetry_gaps", "", 0).strip()),
        ("late steps", number("late_steps", "", 0).strip()),
        ("seed", number("seed", "", 0).strip()),
    ]
    times: dict[str, Any] = found.get("mode_times_s") or {}
    rows += [(f"time in {mode}", f"{times[mode]:.1f} s") for mode in plots.TRACKING if mode in times]
    return [(name, value) for name, value in rows if value]


def _events(flown: Pass) -> str:
    if not flown.events:
        return ""
    rows = "".join(
        f'<tr><td class="n">{t_s:+.1f} s</td><td class="{html.escape(level)}">{html.escape(code)}</td>'
        f"<td>{html.escape(text)}</td></tr>"
        for t_s, level, code, text in flown.events
    )
    return f"<section><h2>Events</h2><p>What the operator was told.</p><table>{rows}</table></section>"


def _unmodelled(flown: Pass) -> str:
    if not flown.simulated:
        return ""
    items = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in UNMODELLED)
    return (
        "<section><h2>What is not modelled</h2><p>These figures are simulated and not comparable with on-sky ones. The "
        f"emulated bench leaves out:</p><dl>{items}</dl></section>"
    )


def _foot() -> str:
    made = "Made by boresight from recording.mcap. Angles on the sky, truth where it says so."
    return f"<footer>{made}</footer></main></body></html>"
