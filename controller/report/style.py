"""How the plots of a report look: one palette, units on every axis, the mark of a simulation on every plot."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from controller.report.load import Array, Span

INK, FAINT, GRID = "#1c2530", "#6b7785", "#e3e7ec"
FIRST, SECOND, THIRD = "#1f5fa8", "#c8501e", "#3d8f5f"  # cross-elevation, elevation, a third
MODE_COLOURS = {
    "OFF": "#d5dae0",
    "STOWED": "#c3cad3",
    "SLEW": "#b9a7d6",
    "POINT": "#8fb4e3",
    "ACQUIRE": "#f2c14e",
    "COARSE": "#f08a4b",
    "FINE": "#7cc48b",
    "LINK": "#2f8f5b",
    "HOLD": "#9aa0a8",
    "SAFE": "#d64545",
    "FAULT": "#8c1c1c",
}
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.0,
    "lines.solid_joinstyle": "round",
    "svg.fonttype": "path",
    "svg.hashsalt": "boresight",
    "path.simplify": True,
    "path.simplify_threshold": 0.4,
}
POINTS_MAX = 2400  # per line: more than a screen has


@contextmanager
def look() -> Iterator[None]:
    """Matplotlib with the report's settings, for the time of one plot."""
    with mpl.rc_context(SETTINGS):
        yield


def figure(rows: int = 1, height_in: float = 2.7, **kwargs: Any) -> tuple[Figure, Any]:
    """A figure as wide as the page and its axes."""
    made = Figure(figsize=(9.6, height_in), layout="constrained")
    return made, made.subplots(rows, 1, sharex=True, squeeze=False, **kwargs)[:, 0]


def svg(made: Figure, simulated: bool) -> str:
    """The figure as an inline SVG element, marked when it shows emulated devices."""
    if simulated:
        made.text(0.998, 0.995, "sim", ha="right", va="top", fontsize=8, color="#8a5a00", fontweight="bold")
    buffer = io.StringIO()
    made.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r' width="[^"]+pt" height="[^"]+pt"', "", text, count=1)


def ribbon(axes: Any, modes: Sequence[Span], limits: tuple[float, float]) -> None:
    """A thin band of the modes under the top edge of a time plot."""
    strip = axes.inset_axes((0.0, 1.0, 1.0, 0.035))
    strip.set_axis_off()
    strip.set_xlim(limits)
    strip.set_ylim(0, 1)
    for span in modes:
        strip.axvspan(span.start_s, span.end_s, color=MODE_COLOURS.get(span.mode, FAINT), lw=0)
    axes.set_xlim(limits)


def legend(axes: Any, columns: int) -> None:
    """Above the axes, where it hides nothing."""
    axes.legend(ncols=columns, loc="lower left", bbox_to_anchor=(0.0, 1.03), borderaxespad=0.3, columnspacing=1.4)


def thinned(t_s: Array, y: Array, limits: tuple[float, float]) -> tuple[Array, Array]:
    """Smallest and largest value of each of many equal pieces of the shown span, so that no peak is lost."""
    inside = (t_s >= limits[0]) & (t_s <= limits[1])
    t_s, y = t_s[inside], y[inside]
    pieces = POINTS_MAX // 2
    if len(t_s) <= POINTS_MAX:
        return t_s, y
    each = -(-len(t_s) // pieces)
    pieces = -(-len(t_s) // each)
    missing = each * pieces - len(t_s)  # the last piece repeats its last sample
    t_s = np.pad(t_s, (0, missing), mode="edge").reshape(pieces, each)
    y = np.pad(y, (0, missing), mode="edge").reshape(pieces, each)
    low, high = np.nan_to_num(y, nan=np.inf).argmin(1), np.nan_to_num(y, nan=-np.inf).argmax(1)
    order = np.sort(np.stack([low, high], axis=1), axis=1)
    row = np.arange(pieces)[:, None]
    return t_s[row, order].ravel(), y[row, order].ravel()
